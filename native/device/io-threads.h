// The portable I/O backend: a bounded queue and a few threads that do positioned vectored reads and writes on
// one descriptor. submit() from any thread; done() runs on one of the pool's threads.
#pragma once

#include <memory>

#include "base/sync.h"
#include "device/io-backend.h"
#include "device/io-queue.h"

namespace millrace {

class IoThreads final : public IoBackend {
 public:
  // Does not own `file`. Starts its threads at once.
  IoThreads(int file, uint32_t thread_count, uint32_t queue_limit);
  ~IoThreads() override;
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  Status submit(IoRequest* request) override { return queue_.push(request); }
  void close() override;

 private:
  static void* run_thread(void* self);
  void run();
  void execute(IoRequest* request) const;

  const int file_;
  const uint32_t thread_count_;
  std::unique_ptr<Thread[]> threads_;
  IoQueue queue_;
};

}  // namespace millrace
