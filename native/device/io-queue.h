// A bounded first-in first-out queue of requests with an end: both backends wait for work here. push() from
// any thread. Consumers either block in pop(), as many as there are, or are one thread that sleeps elsewhere
// and is woken by whoever push() told to. Requests are linked through `next`; nothing is allocated.
#pragma once

#include "base/sync.h"
#include "device/device.h"

namespace millrace {

class IoQueue {
 public:
  explicit IoQueue(uint32_t limit) : limit_(limit) { MR_ASSERT(limit > 0); }
  ~IoQueue() { MR_ASSERT(first_ == nullptr); }
  IoQueue(const IoQueue&) = delete;
  IoQueue& operator=(const IoQueue&) = delete;

  // again: `limit` requests are waiting. closed: after close(). `wakes` is set when the consumer said that it
  // sleeps: the caller must wake it, nobody else will.
  Status push(IoRequest* request, bool* wakes = nullptr);
  // Waits for a request; null once the queue is closed and empty.
  IoRequest* pop();
  // Without waiting: at most `count` requests, linked by next, or null.
  IoRequest* take(uint32_t count);
  // True when nothing waits here: the consumer may sleep, and the next push() says that it must be woken.
  // close() says nothing: who calls it wakes the consumer.
  bool may_sleep();
  void awake();
  // Nothing is taken any more. True for the first call.
  bool close();
  bool closed();

 private:
  IoRequest* take_locked(uint32_t count);

  const uint32_t limit_;
  Mutex mutex_;
  Condition condition_;
  IoRequest* first_ = nullptr;
  IoRequest* last_ = nullptr;
  uint32_t queued_ = 0;
  bool closed_ = false;
  bool sleeping_ = false;
};

}  // namespace millrace
