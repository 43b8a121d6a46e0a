// The kernel's io_uring as it comes: set up with what this kernel knows, the two shared rings, the system
// call. No library; nothing here knows requests. Everything but open() and the destructor belongs to the
// one thread that called enable(); the destructor runs when that thread is gone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

// The header has to know what Linux 5.12 brought, of which the newest is this mark. Flags of later kernels
// are named in uring-queues.cc: their values never change, and a kernel that lacks them refuses them.
#if defined(__linux__) && __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#endif
#if defined(IORING_FEAT_NATIVE_WORKERS) && defined(IORING_SETUP_R_DISABLED)
#define MILLRACE_HAS_IO_URING 1
#else
#define MILLRACE_HAS_IO_URING 0
#endif

#if MILLRACE_HAS_IO_URING
namespace millrace {

class UringQueues {
 public:
  // Room for `entries` submissions, a power of two, and twice as many completions; `file` becomes registered
  // file 0. Null with the reason for a person in `refusal`.
  static std::unique_ptr<UringQueues> open(uint32_t entries, int file, std::string* refusal);
  ~UringQueues();
  UringQueues(const UringQueues&) = delete;
  UringQueues& operator=(const UringQueues&) = delete;

  // Makes the calling thread the owner.
  void enable();
  // Gives the registered file back, so that the descriptor's lock ends with its close().
  void release_file();

  // The next entry, zeroed. The caller keeps the number under way below `entries`, so there is always one.
  io_uring_sqe* next_entry();
  // Submits what next_entry() gave out and, with `wait`, sleeps until a completion is there.
  void enter(bool wait);
  // False when there is none.
  bool take_completion(io_uring_cqe* out);

 private:
  UringQueues() = default;
  bool set_up(uint32_t entries, std::string* refusal);
  bool map(std::string* refusal);

  int ring_ = -1;
  io_uring_params parameters_{};
  void* rings_ = nullptr;
  size_t rings_size_ = 0;
  io_uring_sqe* entries_ = nullptr;
  size_t entries_size_ = 0;
  uint32_t* submission_head_ = nullptr;
  uint32_t* submission_tail_ = nullptr;
  uint32_t submission_mask_ = 0;
  uint32_t* completion_head_ = nullptr;
  uint32_t* completion_tail_ = nullptr;
  uint32_t completion_mask_ = 0;
  io_uring_cqe* completions_ = nullptr;
  uint32_t tail_ = 0;      // entries given out
  uint32_t unsent_ = 0;    // of these, not yet taken by the kernel
};

}  // namespace millrace
#endif
