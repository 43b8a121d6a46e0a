// Set-up and the shared rings. See uring-queues.h.
#include "device/uring-queues.h"

#if MILLRACE_HAS_IO_URING

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/sync.h"

namespace millrace {

namespace {

// Flags newer than the oldest header that is accepted; their values are the kernel's promise.
constexpr uint32_t kCoopTaskrun = 1u << 8;    // 5.19: no interrupt of the owner per completion
constexpr uint32_t kSingleIssuer = 1u << 12;  // 6.0: only the owner submits
constexpr uint32_t kDeferTaskrun = 1u << 13;  // 6.1: completions are worked off when the owner waits

// Best first. A kernel answers EINVAL to a flag that it does not know.
constexpr uint32_t kFlagChoices[] = {kSingleIssuer | kDeferTaskrun, kSingleIssuer | kCoopTaskrun,
                                     kCoopTaskrun, 0};

// 5.12: workers that belong to the process. Before it lie three years of rings that lost completions, slept
// on files and escaped the limits of their process; threads serve those kernels.
constexpr uint32_t kNeededFeatures =
    IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
    IORING_FEAT_FAST_POLL | IORING_FEAT_NATIVE_WORKERS;

int setup(uint32_t entries, io_uring_params* parameters) {
  return static_cast<int>(syscall(__NR_io_uring_setup, entries, parameters));
}

int register_with(int ring, uint32_t operation, const void* argument, uint32_t count) {
  return static_cast<int>(syscall(__NR_io_uring_register, ring, operation, argument, count));
}

std::string reason_of(const char* call, int number) {
  std::string text = std::string(call) + " failed with errno " + std::to_string(number);
  switch (number) {
    case EPERM:
    case EACCES:
      return text + " (not permitted): a seccomp filter, which containers have by default, or the "
                    "sysctl kernel.io_uring_disabled forbids it";
    case ENOSYS:
      return text + " (no such call): this kernel has no io_uring, or a seccomp filter hides it";
    case ENOMEM:
      return text + " (no memory): raise the limit of locked memory (ulimit -l, LimitMEMLOCK)";
    case EMFILE:
    case ENFILE:
      return text + " (too many open files): raise the limit of open files (ulimit -n)";
    default:
      return text;
  }
}

template <typename T>
T* at(void* base, uint32_t offset) {
  return reinterpret_cast<T*>(static_cast<uint8_t*>(base) + offset);
}

}  // namespace

std::unique_ptr<UringQueues> UringQueues::open(uint32_t entries, int file, std::string* refusal) {
  std::unique_ptr<UringQueues> queues(new UringQueues());
  if (!queues->set_up(entries, refusal) || !queues->map(refusal)) return nullptr;
  if (register_with(queues->ring_, IORING_REGISTER_FILES, &file, 1) != 0) {
    *refusal = reason_of("io_uring_register of the device", errno);
    return nullptr;
  }
  return queues;
}

bool UringQueues::set_up(uint32_t entries, std::string* refusal) {
  int number = 0;
  for (const uint32_t flags : kFlagChoices) {
    parameters_ = io_uring_params{};
    // Disabled until the owning thread enables it: that one becomes the single issuer, not the opener.
    parameters_.flags = flags | IORING_SETUP_R_DISABLED;
    ring_ = setup(entries, &parameters_);
    if (ring_ >= 0) break;
    number = errno;
    if (number != EINVAL) break;
  }
  if (ring_ < 0) {
    *refusal = reason_of("io_uring_setup", number);
    return false;
  }
  if ((parameters_.features & kNeededFeatures) != kNeededFeatures) {
    *refusal = "this kernel's io_uring is too old; Linux 5.12 or later is needed";
    return false;
  }
  MR_ASSERT_OP(parameters_.sq_entries, ==, entries);
  MR_ASSERT_OP(parameters_.cq_entries, >=, 2 * entries);
  return true;
}

bool UringQueues::map(std::string* refusal) {
  const io_sqring_offsets& submission = parameters_.sq_off;
  const io_cqring_offsets& completion = parameters_.cq_off;
  const size_t submission_end = submission.array + parameters_.sq_entries * sizeof(uint32_t);
  const size_t completion_end = completion.cqes + parameters_.cq_entries * sizeof(io_uring_cqe);
  rings_size_ = submission_end > completion_end ? submission_end : completion_end;
  entries_size_ = parameters_.sq_entries * sizeof(io_uring_sqe);
  const auto map_part = [&](size_t size, off_t place) {
    void* memory =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring_, place);
    return memory == MAP_FAILED ? nullptr : memory;
  };
  rings_ = map_part(rings_size_, IORING_OFF_SQ_RING);
  void* entries = rings_ == nullptr ? nullptr : map_part(entries_size_, IORING_OFF_SQES);
  if (entries == nullptr) {
    *refusal = reason_of("mmap of the ring", errno);
    return false;
  }
  entries_ = static_cast<io_uring_sqe*>(entries);
  submission_head_ = at<uint32_t>(rings_, submission.head);
  submission_tail_ = at<uint32_t>(rings_, submission.tail);
  submission_mask_ = *at<uint32_t>(rings_, submission.ring_mask);
  completion_head_ = at<uint32_t>(rings_, completion.head);
  completion_tail_ = at<uint32_t>(rings_, completion.tail);
  completion_mask_ = *at<uint32_t>(rings_, completion.ring_mask);
  completions_ = at<io_uring_cqe>(rings_, completion.cqes);
  auto* order = at<uint32_t>(rings_, submission.array);
  // Entry i is always in place i; the indirection is of no use to one issuer.
  for (uint32_t i = 0; i < parameters_.sq_entries; i++) order[i] = i;
  tail_ = *submission_tail_;
  return true;
}

UringQueues::~UringQueues() {
  if (entries_ != nullptr) munmap(entries_, entries_size_);
  if (rings_ != nullptr) munmap(rings_, rings_size_);
  if (ring_ >= 0) ::close(ring_);
}

void UringQueues::enable() {
  MR_ASSERT(register_with(ring_, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
}

void UringQueues::release_file() {
  MR_ASSERT(register_with(ring_, IORING_UNREGISTER_FILES, nullptr, 0) == 0);
}

io_uring_sqe* UringQueues::next_entry() {
  const uint32_t head = __atomic_load_n(submission_head_, __ATOMIC_ACQUIRE);
  MR_ASSERT_OP(tail_ - head, <, parameters_.sq_entries);
  io_uring_sqe* entry = &entries_[tail_ & submission_mask_];
  std::memset(entry, 0, sizeof *entry);
  tail_++;
  unsent_++;
  return entry;
}

void UringQueues::enter(bool wait) {
  __atomic_store_n(submission_tail_, tail_, __ATOMIC_RELEASE);
  const long taken = syscall(__NR_io_uring_enter, ring_, unsent_, wait ? 1 : 0,
                             IORING_ENTER_GETEVENTS, nullptr, 0);
  if (taken >= 0) {
    MR_ASSERT_OP(static_cast<uint32_t>(taken), <=, unsent_);
    unsent_ -= static_cast<uint32_t>(taken);
    return;
  }
  if (errno == EINTR) return;
  // The kernel is short of memory, or completions wait to be taken first: both pass, neither loses an entry.
  MR_ASSERT(errno == EAGAIN || errno == EBUSY || errno == ENOMEM);
  pause_ms(1);
}

bool UringQueues::take_completion(io_uring_cqe* out) {
  const uint32_t head = *completion_head_;
  if (head == __atomic_load_n(completion_tail_, __ATOMIC_ACQUIRE)) return false;
  *out = completions_[head & completion_mask_];
  __atomic_store_n(completion_head_, head + 1, __ATOMIC_RELEASE);
  return true;
}

}  // namespace millrace

#endif
