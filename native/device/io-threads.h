// The portable I/O backend: a bounded queue and a few threads that do positioned vectored reads and writes on
// one descriptor. submit() from any thread; done() runs on one of the pool's threads.
#pragma once

#include <memory>

#include "base/sync.h"
#include "device/device.h"

namespace millrace {

class IoThreads {
 public:
  // Does not own `file`. Starts its threads at once.
  IoThreads(int file, uint32_t thread_count, uint32_t queue_limit);
  ~IoThreads();
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  // again: queue_limit requests are waiting. closed: after close().
  Status submit(IoRequest* request);
  // Finishes what was submitted, joins the threads. Idempotent.
  void close();

 private:
  static void* run_thread(void* self);
  void run();
  void execute(IoRequest* request) const;

  const int file_;
  const uint32_t thread_count_;
  const uint32_t queue_limit_;
  std::unique_ptr<Thread[]> threads_;
  Mutex mutex_;
  Condition condition_;
  IoRequest* first_ = nullptr;
  IoRequest* last_ = nullptr;
  uint32_t queued_ = 0;
  bool closed_ = false;
};

}  // namespace millrace
