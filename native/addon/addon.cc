// The addon's exports: completions, and opening and closing of stores. Formatting and inspection of devices
// have files of their own, and so have the objects.
#include <napi.h>

#include <algorithm>

#include "addon/arguments.h"
#include "addon/device-wrap.h"
#include "addon/environment.h"
#include "addon/routes-wrap.h"
#include "addon/store-wrap.h"
#include "base/random.h"
#include "engine/registry.h"

namespace millrace {

namespace {

class OpenTask final : public Task {
 public:
  OpenRequest request;
  OpenOutcome outcome;

  Code run() override {
    if (!request.devices.empty()) {
      outcome = acquire_store(request);
    } else {
      Result<Ref<Store>> store = Store::open(request.store, std::unique_ptr<Device>());
      outcome.status = store.status();
      if (store.ok()) outcome.store = store.value();
    }
    return outcome.status.code();
  }
};

class CloseTask final : public Task {
 public:
  Ref<Store> store;
  Code run() override {
    release_store(std::move(store));
    return Code::ok;
  }
};

// start(callback): the shared words of completions; callback(count) is called per batch.
Napi::Value start(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  if (environment.completions || info.Length() < 1 || !info[0].IsFunction()) {
    Napi::TypeError::New(info.Env(), "start(callback) is called once per environment")
        .ThrowAsJavaScriptException();
    return Napi::Value();
  }
  environment.completions = Completions::create(info.Env(), info[0].As<Napi::Function>());
  return environment.completions->words();
}

// take(): number of reports that were moved into the words.
Napi::Value take(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  return Napi::Number::New(info.Env(),
                           environment.completions ? environment.completions->take() : 0);
}

Napi::Value hold(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const bool held = arguments.boolean();
  Environment& environment = Environment::of(info.Env());
  if (arguments.ok() && environment.completions) environment.completions->hold(held);
  return info.Env().Undefined();
}

// [{ path, direct, ioBackend }, ...] of openStore; false with an exception pending when it is anything else.
bool read_devices(const Napi::Value& value, std::vector<PosixDeviceOptions>* devices) {
  const Napi::Env env = value.Env();
  const auto refuse = [&] {
    if (!env.IsExceptionPending()) {
      Napi::TypeError::New(env, "devices are at most 16 objects of path, direct and ioBackend")
          .ThrowAsJavaScriptException();
    }
    return false;
  };
  if (!value.IsArray()) return refuse();
  const auto list = value.As<Napi::Array>();
  if (list.Length() > Store::kMaximumVolumes) return refuse();
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Value item = list.Get(i);
    if (item.IsEmpty() || !item.IsObject()) return refuse();
    const auto object = item.As<Napi::Object>();
    const Napi::Value path = object.Get("path");
    const Napi::Value direct = object.Get("direct");
    const Napi::Value backend = object.Get("ioBackend");
    if (path.IsEmpty() || !path.IsString() || direct.IsEmpty() || !direct.IsBoolean() ||
        backend.IsEmpty() || !backend.IsNumber()) {
      return refuse();
    }
    const uint32_t choice = backend.As<Napi::Number>().Uint32Value();
    if (choice > static_cast<uint32_t>(IoChoice::io_uring)) return refuse();
    PosixDeviceOptions options;
    options.path = path.As<Napi::String>().Utf8Value();
    options.direct = direct.As<Napi::Boolean>().Value();
    options.io = static_cast<IoChoice>(choice);
    devices->push_back(std::move(options));
  }
  return true;
}

// openStore(token, devices, memoryLimit, l1Budget, indexMemoryLimit, poison, compress, external life, hash
// key, scrub interval in ms | 0, scrub rate): handle for takeStore.
Napi::Value open_store(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto task = Ref<OpenTask>::adopt(new OpenTask());
  const uint32_t token = arguments.u32();
  if (!arguments.ok() || !read_devices(arguments.next(), &task->request.devices)) {
    return Napi::Value();
  }
  StoreOptions& options = task->request.store;
  options.memory_limit = arguments.whole();
  options.l1_budget = arguments.whole();
  options.index_memory_limit = arguments.whole();
  options.poison_pages = arguments.boolean();
  options.compress = arguments.boolean();
  options.external_life = arguments.u32();
  const Bytes key = arguments.bytes();
  options.scrub_interval_ms = arguments.whole();
  options.scrub_rate = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  constexpr ByteCount kSmallestMemory = 32 * kMiB;
  constexpr ByteCount kLargestMemory = kGiB * 1024;
  if (options.memory_limit < kSmallestMemory || options.memory_limit > kLargestMemory ||
      options.l1_budget > options.memory_limit || options.scrub_rate == 0 ||
      (key.size() != options.hash_key.size() && !key.empty())) {
    Napi::RangeError::New(info.Env(), "memory limit, L1 budget, scrub rate or hash key out of range")
        .ThrowAsJavaScriptException();
    return Napi::Value();
  }
  std::copy(key.begin(), key.end(), options.hash_key.begin());
  if (key.empty()) static_cast<void>(fill_random(options.hash_key));
  Environment& environment = Environment::of(info.Env());
  const uint32_t handle = environment.opening.add(Ref<Task>::share(task.get()));
  environment.tasks.start(Ref<Task>::share(task.get()), environment.completions, token);
  return Napi::Number::New(info.Env(), handle);
}

// takeStore(handle): the Store, or throws why there is none. Called once after the completion.
Napi::Value take_store(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Environment& environment = Environment::of(info.Env());
  const uint32_t handle = arguments.u32();
  Ref<Task>* found = environment.opening.find(handle);
  if (!arguments.ok() || found == nullptr) return info.Env().Undefined();
  const Ref<OpenTask> task = Ref<OpenTask>::share(static_cast<OpenTask*>(found->get()));
  environment.opening.remove(handle);
  if (!task->outcome.status.ok()) {
    const Napi::Error error = error_of(info.Env(), task->outcome.status, task->outcome.detail);
    error.Set("path", Napi::String::New(info.Env(), task->outcome.path));
    error.ThrowAsJavaScriptException();
    return Napi::Value();
  }
  auto session = Ref<Session>::adopt(
      new Session(std::move(task->outcome.store), environment.completions));
  environment.sessions.push_back(session);
  const Napi::Object object = environment.store_constructor.New({});
  StoreWrap::Unwrap(object)->attach(session, object);
  // The session's place in the list is how closeStore finds it again.
  object.Set("session", Napi::Number::New(
                            info.Env(), static_cast<double>(environment.sessions.size() - 1)));
  return object;
}

// closeStore(token, session number)
Napi::Value close_store(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  const uint32_t number = arguments.u32();
  Environment& environment = Environment::of(info.Env());
  if (!arguments.ok() || number >= environment.sessions.size()) return info.Env().Undefined();
  const Ref<Session>& session = environment.sessions[number];
  auto task = Ref<CloseTask>::adopt(new CloseTask());
  if (!session->open()) {
    environment.completions->post(Completion{token, Code::ok, 0});
    return info.Env().Undefined();
  }
  task->store = session->close();
  environment.tasks.start(Ref<Task>::share(task.get()), environment.completions, token);
  return info.Env().Undefined();
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  Environment* environment = Environment::create(env);
  environment->store_constructor = Napi::Persistent(StoreWrap::define(env));
  exports.Set("start", Napi::Function::New<start>(env, "start"));
  exports.Set("take", Napi::Function::New<take>(env, "take"));
  exports.Set("hold", Napi::Function::New<hold>(env, "hold"));
  exports.Set("openStore", Napi::Function::New<open_store>(env, "openStore"));
  exports.Set("takeStore", Napi::Function::New<take_store>(env, "takeStore"));
  exports.Set("closeStore", Napi::Function::New<close_store>(env, "closeStore"));
  exports.Set("tagHashes", Napi::Function::New<js_tag_hashes>(env, "tagHashes"));
  define_format(env, exports);
  define_inspect(env, exports);
  define_routes(env, exports);
  return exports;
}

}  // namespace

}  // namespace millrace

static Napi::Object initialise_millrace(Napi::Env env, Napi::Object exports) {
  return millrace::initialise(env, exports);
}

NODE_API_MODULE(millrace, initialise_millrace)
