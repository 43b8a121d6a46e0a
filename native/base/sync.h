// Threads, mutex and condition variable over pthread. The standard library's own would raise the
// symbol floor (std::condition_variable, std::jthread need newer GLIBCXX), so nothing else is used.
#pragma once

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <cstdint>

#include "base/assert.h"
#include "base/symbol-floor.h"

namespace millrace {

class Mutex {
 public:
  Mutex() { MR_ASSERT(pthread_mutex_init(&mutex_, nullptr) == 0); }
  ~Mutex() { pthread_mutex_destroy(&mutex_); }
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  void lock() { MR_ASSERT(pthread_mutex_lock(&mutex_) == 0); }
  void unlock() { MR_ASSERT(pthread_mutex_unlock(&mutex_) == 0); }
  pthread_mutex_t* native() { return &mutex_; }

 private:
  pthread_mutex_t mutex_;
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

// Always waited on with its mutex held and the condition re-checked in a loop.
class Condition {
 public:
  Condition() {
    pthread_condattr_t attributes;
    MR_ASSERT(pthread_condattr_init(&attributes) == 0);
#ifdef __linux__
    MR_ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
#endif
    MR_ASSERT(pthread_cond_init(&condition_, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
  }
  ~Condition() { pthread_cond_destroy(&condition_); }
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  void wait(Mutex& mutex) { MR_ASSERT(pthread_cond_wait(&condition_, mutex.native()) == 0); }

  // Returns false when timeout_ms passed without a signal.
  bool wait_for(Mutex& mutex, uint64_t timeout_ms) {
    timespec deadline;
#ifdef __linux__
    clock_gettime(CLOCK_MONOTONIC, &deadline);
#else
    clock_gettime(CLOCK_REALTIME, &deadline);
#endif
    deadline.tv_sec += static_cast<time_t>(timeout_ms / 1000);
    deadline.tv_nsec += static_cast<long>((timeout_ms % 1000) * 1000000);
    if (deadline.tv_nsec >= 1000000000) {
      deadline.tv_sec += 1;
      deadline.tv_nsec -= 1000000000;
    }
    const int result = pthread_cond_timedwait(&condition_, mutex.native(), &deadline);
    MR_ASSERT(result == 0 || result == ETIMEDOUT);
    return result == 0;
  }

  void signal() { pthread_cond_signal(&condition_); }
  void broadcast() { pthread_cond_broadcast(&condition_); }

 private:
  pthread_cond_t condition_;
};

// Runs body(argument) on its own thread; join() must be called before destruction.
class Thread {
 public:
  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { MR_ASSERT(!running_); }

  void start(void* (*body)(void*), void* argument) {
    MR_ASSERT(!running_);
    pthread_attr_t attributes;
    MR_ASSERT(pthread_attr_init(&attributes) == 0);
    // Node's main thread has 8 MiB; ours recurse nowhere, and small stacks keep resident memory low.
    MR_ASSERT(pthread_attr_setstacksize(&attributes, 512 * 1024) == 0);
    const int result = pthread_create(&thread_, &attributes, body, argument);
    MR_ASSERT_OP(static_cast<uint64_t>(result), ==, 0u);
    pthread_attr_destroy(&attributes);
    running_ = true;
  }
  void join() {
    if (!running_) return;
    MR_ASSERT(pthread_join(thread_, nullptr) == 0);
    running_ = false;
  }
  bool running() const { return running_; }

 private:
  pthread_t thread_{};
  bool running_ = false;
};

// For the rare wait on something outside the program that tells nobody when it is over.
inline void pause_ms(uint64_t milliseconds) {
  Mutex mutex;
  Condition nobody;
  MutexLock lock(mutex);
  while (nobody.wait_for(mutex, milliseconds)) continue;
}

// Called first on every thread of the engine: the name that top and gdb show (15 characters), and no
// signals, which belong to the program that loaded us.
inline void name_this_thread(const char* name) {
#ifdef __linux__
  pthread_setname_np(pthread_self(), name);
#else
  static_cast<void>(name);
#endif
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

}  // namespace millrace
