// The bounded queue of requests. See io-queue.h.
#include "device/io-queue.h"

namespace millrace {

Status IoQueue::push(IoRequest* request, bool* wakes) {
  MR_ASSERT(request->done != nullptr);
  MR_ASSERT_OP(request->span_count, <=, IoRequest::kMaximumSpans);
  MutexLock lock(mutex_);
  if (closed_) return Status(Code::closed, "the device is closed");
  if (queued_ >= limit_) return Status(Code::again, "the device's queue is full");
  request->next = nullptr;
  if (last_ == nullptr) {
    first_ = request;
  } else {
    last_->next = request;
  }
  last_ = request;
  queued_++;
  if (wakes != nullptr) {
    *wakes = sleeping_;
    sleeping_ = false;
  } else {
    condition_.signal();
  }
  return Status();
}

IoRequest* IoQueue::take_locked(uint32_t count) {
  IoRequest* const taken = first_;
  IoRequest* end = nullptr;
  for (; count > 0 && first_ != nullptr; count--) {
    end = first_;
    first_ = first_->next;
    MR_ASSERT(queued_ > 0);
    queued_--;
  }
  if (first_ == nullptr) last_ = nullptr;
  if (end == nullptr) return nullptr;
  end->next = nullptr;
  return taken;
}

IoRequest* IoQueue::pop() {
  MutexLock lock(mutex_);
  while (first_ == nullptr && !closed_) condition_.wait(mutex_);
  return take_locked(1);
}

IoRequest* IoQueue::take(uint32_t count) {
  MutexLock lock(mutex_);
  return take_locked(count);
}

bool IoQueue::may_sleep() {
  MutexLock lock(mutex_);
  sleeping_ = first_ == nullptr;
  return sleeping_;
}

void IoQueue::awake() {
  MutexLock lock(mutex_);
  sleeping_ = false;
}

bool IoQueue::close() {
  MutexLock lock(mutex_);
  const bool first = !closed_;
  closed_ = true;
  condition_.broadcast();
  return first;
}

bool IoQueue::closed() {
  MutexLock lock(mutex_);
  return closed_;
}

}  // namespace millrace
