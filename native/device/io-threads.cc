// A queue and its threads. See io-threads.h.
#include "device/io-threads.h"

#include <sys/uio.h>
#include <unistd.h>

namespace millrace {

namespace {

// Drops the first `count` bytes of the spans from `*first` on.
void advance(iovec* spans, uint32_t span_count, uint32_t* first, size_t count) {
  while (*first < span_count && count >= spans[*first].iov_len) {
    count -= spans[*first].iov_len;
    (*first)++;
  }
  if (count == 0) return;
  MR_ASSERT_OP(*first, <, span_count);
  spans[*first].iov_base = static_cast<uint8_t*>(spans[*first].iov_base) + count;
  spans[*first].iov_len -= count;
}

Status transfer(int file, const IoRequest& request) {
  const bool reads = request.operation == IoOperation::read;
  iovec spans[IoRequest::kMaximumSpans];
  for (uint32_t i = 0; i < request.span_count; i++) spans[i] = request.spans[i];
  uint32_t first = 0;
  ByteOffset offset = request.offset;
  ByteCount left = request.length();
  while (left > 0) {
    const int count = static_cast<int>(request.span_count - first);
    const auto at = static_cast<off_t>(offset);
    const ssize_t moved = reads ? preadv(file, spans + first, count, at)
                                : pwritev(file, spans + first, count, at);
    if (moved < 0) {
      if (errno == EINTR) continue;
      return Status(Code::io, reads ? "the device failed a read" : "the device failed a write",
                    errno, offset);
    }
    if (moved == 0) return Status(Code::io, "the device ended early", 0, offset);
    MR_ASSERT_OP(static_cast<ByteCount>(moved), <=, left);
    advance(spans, request.span_count, &first, static_cast<size_t>(moved));
    offset += static_cast<ByteCount>(moved);
    left -= static_cast<ByteCount>(moved);
  }
  return Status();
}

}  // namespace

IoThreads::IoThreads(int file, uint32_t thread_count, uint32_t queue_limit)
    : file_(file),
      thread_count_(thread_count),
      queue_limit_(queue_limit),
      threads_(std::make_unique<Thread[]>(thread_count)) {
  MR_ASSERT(thread_count > 0 && queue_limit > 0);
  for (uint32_t i = 0; i < thread_count_; i++) threads_[i].start(&run_thread, this);
}

IoThreads::~IoThreads() { close(); }

Status IoThreads::submit(IoRequest* request) {
  MR_ASSERT(request->done != nullptr);
  MR_ASSERT_OP(request->span_count, <=, IoRequest::kMaximumSpans);
  MutexLock lock(mutex_);
  if (closed_) return Status(Code::closed, "the device is closed");
  if (queued_ >= queue_limit_) return Status(Code::again, "the device's queue is full");
  request->next = nullptr;
  if (last_ == nullptr) {
    first_ = request;
  } else {
    last_->next = request;
  }
  last_ = request;
  queued_++;
  condition_.signal();
  return Status();
}

void IoThreads::close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
    condition_.broadcast();
  }
  for (uint32_t i = 0; i < thread_count_; i++) threads_[i].join();
  MR_ASSERT(first_ == nullptr);
}

void* IoThreads::run_thread(void* self) {
  name_this_thread("millrace-io");
  static_cast<IoThreads*>(self)->run();
  return nullptr;
}

void IoThreads::run() {
  for (;;) {
    IoRequest* request;
    {
      MutexLock lock(mutex_);
      while (first_ == nullptr && !closed_) condition_.wait(mutex_);
      if (first_ == nullptr) return;
      request = first_;
      first_ = request->next;
      if (first_ == nullptr) last_ = nullptr;
      MR_ASSERT(queued_ > 0);
      queued_--;
    }
    execute(request);
  }
}

void IoThreads::execute(IoRequest* request) const {
  if (request->operation == IoOperation::flush) {
    request->result = fdatasync(file_) == 0
                          ? Status()
                          : Status(Code::io, "the device failed a flush", errno);
  } else {
    request->result = transfer(file_, *request);
  }
  request->done(request);
}

}  // namespace millrace
