// What the simulator's build finds in place of native/base/sync.h: the same names over fibers, so that the
// engine's sources compile unchanged. A lock is a point where another fiber may run.
#pragma once

#include <cstdint>

#include "base/assert.h"
#include "sim/fibers.h"

namespace millrace {

class Mutex {
 public:
  Mutex() = default;
  ~Mutex() { MR_ASSERT(!locked_ && waiting_.first == nullptr); }
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  void lock() {
    sim::maybe_yield();
    while (locked_) sim::wait_in(waiting_, sim::kNever);
    locked_ = true;
  }
  void unlock() {
    MR_ASSERT(locked_);
    locked_ = false;
    if (waiting_.first != nullptr) sim::wake_one(waiting_);
  }

 private:
  bool locked_ = false;
  sim::WaitList waiting_;
};

class MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class Condition {
 public:
  Condition() = default;
  ~Condition() { MR_ASSERT(waiting_.first == nullptr); }
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  void wait(Mutex& mutex) {
    mutex.unlock();
    sim::wait_in(waiting_, sim::kNever);
    mutex.lock();
  }
  bool wait_for(Mutex& mutex, uint64_t timeout_ms) {
    mutex.unlock();
    const bool woken = sim::wait_in(waiting_, sim::now_us() + timeout_ms * 1000);
    mutex.lock();
    return woken;
  }
  void signal() {
    if (waiting_.first != nullptr) sim::wake_one(waiting_);
  }
  void broadcast() {
    if (waiting_.first != nullptr) sim::wake_all(waiting_);
  }

 private:
  sim::WaitList waiting_;
};

class Thread {
 public:
  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { MR_ASSERT(fiber_ == nullptr); }
  void start(void* (*body)(void*), void* argument) {
    MR_ASSERT(fiber_ == nullptr);
    fiber_ = sim::spawn(body, argument);
  }
  void join() {
    if (fiber_ == nullptr) return;
    sim::join(fiber_);
    fiber_ = nullptr;
  }
  bool running() const { return fiber_ != nullptr; }

 private:
  sim::Fiber* fiber_ = nullptr;
};

inline void pause_ms(uint64_t duration_ms) { sim::sleep_us(duration_ms * 1000); }

inline void name_this_thread(const char* name) { static_cast<void>(name); }

}  // namespace millrace
