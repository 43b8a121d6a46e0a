// The ring's thread. See io-uring.h.
#include "device/io-uring.h"

#include "device/uring-queues.h"

#if MILLRACE_HAS_IO_URING

#include <sys/eventfd.h>
#include <unistd.h>

#include <vector>

#include "base/sync.h"
#include "device/io-queue.h"

#if defined(__has_feature)
#define MR_THREAD_SANITIZED __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define MR_THREAD_SANITIZED 1
#else
#define MR_THREAD_SANITIZED 0
#endif
#if MR_THREAD_SANITIZED
extern "C" void __tsan_write_range(void* memory, unsigned long size);
#endif

namespace millrace {

namespace {

constexpr uint32_t kEntries = 128;
constexpr uint32_t kTransfers = kEntries - 1;  // one entry is the wake-up's
constexpr uint64_t kWake = ~uint64_t{0};

constexpr uint32_t kHelpers = 2;
// Beyond it the ring's thread helps: what is read can then not run away from what is checked.
constexpr uint32_t kHelperBacklog = 16;

// ThreadSanitizer sees no write of the kernel. It is told here, at the only place that knows what was
// written, so that a thread that touches a buffer under a read is found with this backend too.
void tell_sanitizer([[maybe_unused]] const IoRequest& request) {
#if MR_THREAD_SANITIZED
  if (request.operation != IoOperation::read) return;
  for (uint32_t i = 0; i < request.span_count; i++) {
    __tsan_write_range(request.spans[i].iov_base, request.spans[i].iov_len);
  }
#endif
}

class IoUring final : public IoBackend {
 public:
  IoUring(std::unique_ptr<UringQueues> ring, int wake, uint32_t queue_limit)
      : ring_(std::move(ring)),
        wake_(wake),
        queue_(queue_limit),
        finished_(kHelperBacklog),
        transfers_(kTransfers) {
    free_.reserve(kTransfers);
    for (uint32_t i = 0; i < kTransfers; i++) free_.push_back(i);
    thread_.start(&run_thread, this);
    for (Thread& helper : helpers_) helper.start(&run_helper, this);
  }

  ~IoUring() override {
    IoUring::close();
    ::close(wake_);
  }

  Status submit(IoRequest* request) override {
    bool wakes = false;
    const Status status = queue_.push(request, &wakes);
    if (wakes) wake();
    return status;
  }

  bool hand_over(IoRequest* request) override { return finished_.push(request).ok(); }

  void close() override {
    // After the queue is closed no wake-up is armed again, so this one ends the last that is.
    if (queue_.close()) wake();
    thread_.join();
    static_cast<void>(finished_.close());
    for (Thread& helper : helpers_) helper.join();
    MR_ASSERT_OP(free_.size(), ==, size_t{kTransfers});
    MR_ASSERT_OP(in_flight_, ==, 0u);
  }

 private:
  static void* run_thread(void* self) {
    name_this_thread("millrace-uring");
    static_cast<IoUring*>(self)->run();
    return nullptr;
  }
  static void* run_helper(void* self) {
    name_this_thread("millrace-check");
    IoQueue& finished = static_cast<IoUring*>(self)->finished_;
    while (IoRequest* request = finished.pop()) request->done(request);
    return nullptr;
  }

  void wake() {
    const uint64_t one = 1;
    // Fails only when the counter is full, and then the ring is being woken already.
    while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) continue;
  }

  void run() {
    ring_->enable();
    arm_wake();
    for (;;) {
      begin_waiting();
      // The wake-up is always under way until the queue is closed.
      if (in_flight_ == 0) break;
      const bool sleeps = free_.empty() || queue_.may_sleep();
      ring_->enter(sleeps);
      if (sleeps) queue_.awake();
      io_uring_cqe completion;
      while (ring_->take_completion(&completion)) complete(completion);
    }
    ring_->release_file();
  }

  void arm_wake() {
    io_uring_sqe* entry = ring_->next_entry();
    entry->opcode = IORING_OP_READ;
    entry->fd = wake_;
    entry->addr = reinterpret_cast<uint64_t>(&wake_count_);
    entry->len = sizeof wake_count_;
    entry->user_data = kWake;
    in_flight_++;
  }

  void begin_waiting() {
    IoRequest* next = free_.empty() ? nullptr : queue_.take(static_cast<uint32_t>(free_.size()));
    while (next != nullptr) {
      IoRequest* request = next;
      next = request->next;
      const uint32_t number = free_.back();
      free_.pop_back();
      transfers_[number].begin(request);
      send(number);
    }
  }

  void send(uint32_t number) {
    const IoTransfer& transfer = transfers_[number];
    const IoOperation operation = transfer.request()->operation;
    io_uring_sqe* entry = ring_->next_entry();
    entry->fd = 0;  // of the registered files
    entry->flags = IOSQE_FIXED_FILE;
    // What could not be done without waiting is done by a worker of the kernel that may wait.
    if (transfer.was_refused()) entry->flags |= IOSQE_ASYNC;
    entry->user_data = number;
    if (operation == IoOperation::flush) {
      entry->opcode = IORING_OP_FSYNC;
      entry->fsync_flags = IORING_FSYNC_DATASYNC;
    } else {
      const bool reads = operation == IoOperation::read;
      const bool single = transfer.span_count() == 1;
      const iovec* spans = transfer.spans();
      entry->off = transfer.offset();
      if (single) {
        entry->opcode = reads ? IORING_OP_READ : IORING_OP_WRITE;
        entry->addr = reinterpret_cast<uint64_t>(spans->iov_base);
        entry->len = static_cast<uint32_t>(spans->iov_len);
      } else {
        entry->opcode = reads ? IORING_OP_READV : IORING_OP_WRITEV;
        entry->addr = reinterpret_cast<uint64_t>(spans);
        entry->len = transfer.span_count();
      }
    }
    in_flight_++;
  }

  void complete(const io_uring_cqe& completion) {
    MR_ASSERT(in_flight_ > 0);
    in_flight_--;
    if (completion.user_data == kWake) {
      if (!queue_.closed()) arm_wake();
      return;
    }
    MR_ASSERT_OP(completion.user_data, <, uint64_t{kTransfers});
    const auto number = static_cast<uint32_t>(completion.user_data);
    IoTransfer& transfer = transfers_[number];
    if (!transfer.settle(completion.res)) {
      send(number);
      return;
    }
    IoRequest* request = transfer.request();
    MR_ASSERT(request != nullptr);
    free_.push_back(number);
    tell_sanitizer(*request);
    const bool heavy =
        request->operation == IoOperation::read && request->length() > kLongestInlineWork;
    if (heavy && finished_.push(request).ok()) return;
    request->done(request);
  }

  const std::unique_ptr<UringQueues> ring_;
  const int wake_;
  uint64_t wake_count_ = 0;  // where the kernel puts what nobody looks at
  IoQueue queue_;
  IoQueue finished_;
  // Touched by the ring's thread only.
  std::vector<IoTransfer> transfers_;
  std::vector<uint32_t> free_;
  uint32_t in_flight_ = 0;  // entries given to the kernel and not completed, the wake-up among them
  Thread thread_;
  Thread helpers_[kHelpers];
};

}  // namespace

std::unique_ptr<IoBackend> open_io_uring(int file, uint32_t queue_limit, std::string* refusal) {
  std::unique_ptr<UringQueues> ring = UringQueues::open(kEntries, file, refusal);
  if (!ring) return nullptr;
  const int wake = eventfd(0, EFD_CLOEXEC);
  if (wake < 0) {
    *refusal = "no eventfd can be made (errno " + std::to_string(errno) + ")";
    return nullptr;
  }
  return std::make_unique<IoUring>(std::move(ring), wake, queue_limit);
}

}  // namespace millrace

#else

namespace millrace {

std::unique_ptr<IoBackend> open_io_uring(int, uint32_t, std::string* refusal) {
  *refusal = "this build has no io_uring: it was compiled without <linux/io_uring.h> of Linux 5.12";
  return nullptr;
}

}  // namespace millrace

#endif
