// The threads of the portable backend. See io-threads.h.
#include "device/io-threads.h"

#include <sys/uio.h>
#include <unistd.h>

namespace millrace {

namespace {

int64_t move(int file, const IoTransfer& transfer) {
  const auto count = static_cast<int>(transfer.span_count());
  const auto at = static_cast<off_t>(transfer.offset());
  ssize_t moved = 0;
  switch (transfer.request()->operation) {
    case IoOperation::read:
      moved = preadv(file, transfer.spans(), count, at);
      break;
    case IoOperation::write:
      moved = pwritev(file, transfer.spans(), count, at);
      break;
    case IoOperation::flush:
      moved = fdatasync(file);
      break;
  }
  return moved < 0 ? -errno : moved;
}

}  // namespace

IoThreads::IoThreads(int file, uint32_t thread_count, uint32_t queue_limit)
    : file_(file),
      thread_count_(thread_count),
      threads_(std::make_unique<Thread[]>(thread_count)),
      queue_(queue_limit) {
  MR_ASSERT(thread_count > 0);
  for (uint32_t i = 0; i < thread_count_; i++) threads_[i].start(&run_thread, this);
}

IoThreads::~IoThreads() { IoThreads::close(); }

void IoThreads::close() {
  static_cast<void>(queue_.close());
  for (uint32_t i = 0; i < thread_count_; i++) threads_[i].join();
}

void* IoThreads::run_thread(void* self) {
  name_this_thread("millrace-io");
  static_cast<IoThreads*>(self)->run();
  return nullptr;
}

void IoThreads::run() {
  while (IoRequest* request = queue_.pop()) execute(request);
}

void IoThreads::execute(IoRequest* request) const {
  IoTransfer transfer;
  transfer.begin(request);
  while (!transfer.settle(move(file_, transfer))) continue;
  request->done(request);
}

}  // namespace millrace
