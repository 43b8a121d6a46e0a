// What lives as long as one JavaScript environment (the main thread or a worker): its completions, tasks and
// sessions. JS thread only. A cleanup hook gives the stores back when the environment goes down.
#pragma once

#include <napi.h>

#include <vector>

#include "addon/completion.h"
#include "addon/handle-table.h"
#include "addon/session.h"
#include "addon/tasks.h"

namespace millrace {

class Environment {
 public:
  // Makes the one of `env` and registers its end.
  static Environment* create(Napi::Env env);
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  explicit Environment(Napi::Env env) : env_(env) {}
  ~Environment() = default;

  // Starts a task that JavaScript knows by the handle; the token is posted at its end.
  uint32_t start(HandleTable<Ref<Task>>& table, Ref<Task> task, uint32_t token) {
    const uint32_t handle = table.add(Ref<Task>::share(task.get()));
    tasks.start(std::move(task), completions, token);
    return handle;
  }

  Ref<Completions> completions;
  Tasks tasks;
  // By kind of task, so that a handle of one is never taken for another's.
  HandleTable<Ref<Task>> opening;
  HandleTable<Ref<Task>> formatting;
  HandleTable<Ref<Task>> inspecting;
  std::vector<Ref<Session>> sessions;
  Napi::FunctionReference store_constructor;

 private:
  static void close(void* self);

  const Napi::Env env_;
};

}  // namespace millrace
