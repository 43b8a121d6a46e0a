// Work that blocks (opening, formatting, closing), each on a short-lived thread of its own, reported through
// Completions. The environment joins what is still running when it goes down.
#pragma once

#include <list>
#include <memory>

#include "addon/completion.h"
#include "base/sync.h"

namespace millrace {

class Task : public RefCounted<Task> {
 public:
  virtual ~Task() = default;
  // On the task's thread.
  virtual Code run() = 0;
  // At the end of the environment: makes run() return soon where it can.
  virtual void cancel() {}
};

// JS thread only.
class Tasks {
 public:
  // Starts the task; the token is posted with the code that run() returned and value 0.
  void start(Ref<Task> task, Ref<Completions> completions, uint32_t token);
  // Cancels and joins all.
  void close();

 private:
  struct Running {
    Thread thread;
    Ref<Task> task;
    Ref<Completions> completions;
    uint32_t token = 0;
    std::atomic<bool> done{false};
  };
  static void* run_thread(void* argument);
  void reap();

  std::list<std::unique_ptr<Running>> running_;
};

}  // namespace millrace
