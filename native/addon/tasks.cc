// Threads for blocking work. See tasks.h.
#include "addon/tasks.h"

namespace millrace {

void* Tasks::run_thread(void* argument) {
  auto* running = static_cast<Running*>(argument);
  name_this_thread("millrace-task");
  const Code code = running->task->run();
  running->completions->post(Completion{running->token, code, 0});
  running->done.store(true, std::memory_order_release);
  return nullptr;
}

void Tasks::start(Ref<Task> task, Ref<Completions> completions, uint32_t token) {
  reap();
  auto running = std::make_unique<Running>();
  running->task = std::move(task);
  running->completions = std::move(completions);
  running->token = token;
  running_.push_back(std::move(running));
  Running* started = running_.back().get();
  started->thread.start(&Tasks::run_thread, started);
}

void Tasks::reap() {
  for (auto at = running_.begin(); at != running_.end();) {
    if (!(*at)->done.load(std::memory_order_acquire)) {
      ++at;
      continue;
    }
    (*at)->thread.join();
    at = running_.erase(at);
  }
}

void Tasks::close() {
  for (const std::unique_ptr<Running>& running : running_) running->task->cancel();
  for (const std::unique_ptr<Running>& running : running_) running->thread.join();
  running_.clear();
}

}  // namespace millrace
