// Begin and end of an environment. See environment.h.
#include "addon/environment.h"

#include "engine/registry.h"

namespace millrace {

Environment* Environment::create(Napi::Env env) {
  auto* environment = new Environment(env);
  env.SetInstanceData<Environment>(environment);
  napi_add_env_cleanup_hook(env, &Environment::close, environment);
  return environment;
}

void Environment::close(void* self) {
  auto& environment = *static_cast<Environment*>(self);
  // Detaching views needs handles, and no JavaScript frame provides a scope any more.
  const Napi::HandleScope scope(environment.env_);
  environment.tasks.close();
  for (const Ref<Session>& session : environment.sessions) {
    if (session->open()) release_store(session->close());
    session->leases.clear([](LentSpans&) {});
  }
  environment.sessions.clear();
  // A store that was opened and never taken goes back with its task.
  environment.opening.clear([](Ref<Task>&) {});
  environment.formatting.clear([](Ref<Task>&) {});
  environment.inspecting.clear([](Ref<Task>&) {});
  environment.store_constructor.Reset();
  if (environment.completions) environment.completions->close();
}

}  // namespace millrace
