// format(), its progress and its result. See device-wrap.h.
#include <string>

#include "addon/arguments.h"
#include "addon/device-wrap.h"
#include "addon/environment.h"
#include "device/posix-device.h"
#include "engine/format.h"

namespace millrace {

namespace {

class FormatTask final : public Task {
 public:
  PosixDeviceOptions device;
  FormatOptions options;
  ByteCount create_size = 0;  // 0: the path must exist
  std::atomic<uint64_t> progress{0};
  std::atomic<uint64_t> size{0};
  std::atomic<bool> cancelled{false};
  Status status{};
  std::string detail;
  std::string found;
  bool direct = false;

  void cancel() override { cancelled.store(true); }

  Code run() override {
    if (create_size > 0) {
      status = create_device_file(device.path, create_size, &detail);
      if (!status.ok()) return status.code();
    }
    PosixDeviceFailure failure;
    std::unique_ptr<Device> opened = open_posix_device(device, &failure);
    if (!opened) {
      status = failure.status;
      detail = failure.detail;
      return status.code();
    }
    direct = opened->facts().direct;
    size.store(opened->facts().size);
    FormatReport report;
    status = format_device(*opened, options, &report, &progress, &cancelled);
    found = report.found;
    opened->close();
    return status.code();
  }
};

// format(token, path, direct, block size, zero fill, force, create size or 0): handle
Napi::Value format(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto task = Ref<FormatTask>::adopt(new FormatTask());
  const uint32_t token = arguments.u32();
  task->device.path = arguments.utf8();
  task->device.direct = arguments.boolean();
  task->options.block_size = arguments.u32();
  task->options.zero_fill = arguments.boolean();
  task->options.force = arguments.boolean();
  task->create_size = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  if (!is_power_of_two(task->options.block_size) || task->options.block_size < kRecordGrain ||
      task->options.block_size > kPageSize) {
    Napi::RangeError::New(info.Env(), "the block size must be a power of two from 512 to 65536")
        .ThrowAsJavaScriptException();
    return Napi::Value();
  }
  Environment& environment = Environment::of(info.Env());
  return Napi::Number::New(info.Env(), environment.start(environment.formatting,
                                                         Ref<Task>::share(task.get()), token));
}

// formatProgress(handle): [bytes done, bytes in all]
Napi::Value format_progress(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Environment& environment = Environment::of(info.Env());
  Ref<Task>* found = environment.formatting.find(arguments.u32());
  if (!arguments.ok() || found == nullptr) return info.Env().Undefined();
  const auto* task = static_cast<const FormatTask*>(found->get());
  Napi::Array out = Napi::Array::New(info.Env(), 2);
  out.Set(0u, static_cast<double>(task->progress.load()));
  out.Set(1u, static_cast<double>(task->size.load()));
  return out;
}

// takeFormat(handle): { size, direct } or throws; the error's `found` names what is on the device.
Napi::Value take_format(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Environment& environment = Environment::of(info.Env());
  const uint32_t handle = arguments.u32();
  Ref<Task>* found = environment.formatting.find(handle);
  if (!arguments.ok() || found == nullptr) return info.Env().Undefined();
  const Ref<FormatTask> task = Ref<FormatTask>::share(static_cast<FormatTask*>(found->get()));
  environment.formatting.remove(handle);
  if (!task->status.ok()) {
    Napi::Error error = error_of(info.Env(), task->status, task->detail);
    error.Set("found", Napi::String::New(info.Env(), task->found));
    error.ThrowAsJavaScriptException();
    return Napi::Value();
  }
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("size", static_cast<double>(task->size.load()));
  out.Set("direct", task->direct);
  return out;
}

}  // namespace

void define_format(Napi::Env env, Napi::Object exports) {
  exports.Set("format", Napi::Function::New<format>(env, "format"));
  exports.Set("formatProgress", Napi::Function::New<format_progress>(env, "formatProgress"));
  exports.Set("takeFormat", Napi::Function::New<take_format>(env, "takeFormat"));
}

}  // namespace millrace
