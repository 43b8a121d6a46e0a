// inspect(), its progress and its result: what stands on a device, what is stored under a key, whether every
// record is as it was written. See device-wrap.h.
#include <string>

#include "addon/arguments.h"
#include "addon/device-wrap.h"
#include "addon/environment.h"
#include "device/posix-device.h"
#include "engine/inspect.h"

namespace millrace {

namespace {

constexpr const char* kKindNames[] = {"none", "single", "head", "chunk"};

std::string hex_of(const DeviceUuid& uuid) {
  static const char digits[] = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : uuid) {
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

class InspectTask final : public Task {
 public:
  enum class What : uint8_t { device, key, verify, probe };
  What what = What::device;
  std::string path;
  std::string key;
  PosixDeviceOptions options;
  InspectProgress progress;
  Status status{};
  std::string detail;
  std::string owner;
  std::string found;  // where it is no store: what is there; empty where nothing is
  DeviceFacts facts;
  DeviceReport device_report;
  VerifyReport verify_report;
  std::vector<StoredRecord> records;

  void cancel() override { progress.cancelled.store(true); }

  Code run() override {
    options.path = path;
    options.read_only = true;
    PosixDeviceFailure failure;
    const std::unique_ptr<Device> device = open_posix_device(options, &failure);
    if (!device) {
      status = failure.status;
      detail = failure.detail;
      return status.code();
    }
    facts = device->facts();
    owner = facts.owner;
    switch (what) {
      case What::device:
        status = inspect_device(*device, &device_report, &progress);
        break;
      case What::key:
        status = find_on_device(*device, key, &records, &progress);
        break;
      case What::verify:
        status = verify_device(*device, &verify_report, &progress);
        break;
      case What::probe:
        status = probe(*device);
        break;
    }
    if (status.code() == Code::foreign) name_content(*device);
    device->close();
    // Somebody may have begun to use it meanwhile.
    if (owner.empty()) owner = owner_now();
    return status.code();
  }

 private:
  // Whether it is a store, by its superblocks alone.
  Status probe(Device& device) {
    const Result<Superblock> superblock = read_superblock(device);
    if (superblock.ok()) device_report.superblock = superblock.value();
    return superblock.status();
  }

  void name_content(Device& device) {
    const Status content = probe_foreign_content(device, &found);
    if (!content.ok() && content.code() != Code::foreign) return;
    detail = path + " is no millrace store; it holds " + (found.empty() ? "nothing" : found);
  }

  std::string owner_now() const {
    PosixDeviceFailure failure;
    const std::unique_ptr<Device> device = open_posix_device(options, &failure);
    if (!device) return "";
    const std::string found_owner = device->facts().owner;
    device->close();
    return found_owner;
  }
};

Napi::Value number_of(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

const char* name_of(SegmentFinding finding) {
  switch (finding) {
    case SegmentFinding::empty: return "empty";
    case SegmentFinding::sealed: return "sealed";
    case SegmentFinding::open: return "open";
    case SegmentFinding::unreadable: return "unreadable";
  }
  MR_UNREACHABLE();
}

Napi::Object report_device(Napi::Env env, const InspectTask& task) {
  const DeviceReport& report = task.device_report;
  const Superblock& superblock = report.superblock;
  Napi::Object out = Napi::Object::New(env);
  out.Set("owner", task.owner);
  out.Set("uuid", hex_of(superblock.uuid));
  out.Set("format", std::to_string(superblock.format_major) + "." +
                        std::to_string(superblock.format_minor));
  out.Set("size", number_of(env, superblock.geometry.device_size));
  out.Set("blockSize", number_of(env, superblock.block_size));
  out.Set("segmentSize", number_of(env, superblock.geometry.segment_size));
  out.Set("clean", superblock.clean);
  Napi::Array copies = Napi::Array::New(env);
  for (const Status& copy : report.copies) copies.Set(copies.Length(), copy.message());
  out.Set("copies", copies);
  Napi::Object records = Napi::Object::New(env);
  for (uint32_t kind = 1; kind <= 3; kind++) {
    records.Set(kKindNames[kind], number_of(env, report.records_by_kind[kind]));
  }
  out.Set("records", records);
  Napi::Array segments = Napi::Array::New(env, report.segments.size());
  uint32_t at = 0;
  for (const SegmentReport& segment : report.segments) {
    Napi::Object item = Napi::Object::New(env);
    item.Set("finding", name_of(segment.finding));
    item.Set("sequence", number_of(env, segment.sequence));
    item.Set("openedMs", number_of(env, segment.opened_ms));
    item.Set("used", number_of(env, segment.used));
    item.Set("records", number_of(env, segment.records));
    segments.Set(at++, item);
  }
  out.Set("segments", segments);
  return out;
}

Napi::Object report_records(Napi::Env env, const InspectTask& task) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("owner", task.owner);
  Napi::Array records = Napi::Array::New(env, task.records.size());
  uint32_t at = 0;
  for (const StoredRecord& record : task.records) {
    const RecordHeader& header = record.header;
    Napi::Object item = Napi::Object::New(env);
    item.Set("kind", kKindNames[static_cast<uint8_t>(header.kind)]);
    item.Set("offset", number_of(env, record.offset));
    item.Set("segment", number_of(env, record.segment));
    item.Set("key", js_latin1(env, record.key));
    item.Set("head", Napi::Buffer<uint8_t>::Copy(env, record.head.data(), record.head.size()));
    item.Set("birth", number_of(env, header.birth));
    item.Set("incarnation", number_of(env, header.incarnation));
    item.Set("bodyLength", header.kind == RecordKind::head && header.object_length != kUnknownLength
                               ? number_of(env, header.object_length)
                               : number_of(env, header.body_length));
    item.Set("storedLength", number_of(env, header.stored_length));
    item.Set("chunksFound", number_of(env, record.chunks_found));
    item.Set("chunksWanted", number_of(env, record.chunks_wanted));
    records.Set(at++, item);
  }
  out.Set("records", records);
  return out;
}

Napi::Object report_damage(Napi::Env env, const InspectTask& task) {
  const VerifyReport& report = task.verify_report;
  Napi::Object out = Napi::Object::New(env);
  out.Set("owner", task.owner);
  out.Set("segments", number_of(env, report.segments));
  out.Set("records", number_of(env, report.records));
  out.Set("bytes", number_of(env, report.bytes));
  out.Set("damaged", number_of(env, report.damaged));
  Napi::Array listed = Napi::Array::New(env, report.listed.size());
  uint32_t at = 0;
  for (const DamagedRecord& record : report.listed) {
    Napi::Object item = Napi::Object::New(env);
    item.Set("offset", number_of(env, record.offset));
    if (record.segment == DamagedRecord::kNoSegment) item.Set("segment", env.Null());
    else item.Set("segment", number_of(env, record.segment));
    item.Set("reason", record.reason);
    item.Set("key", js_latin1(env, record.key));
    listed.Set(at++, item);
  }
  out.Set("listed", listed);
  return out;
}

// What serving would find, as far as looking tells. That it is no store, or a damaged one, is an answer.
Napi::Object report_probe(Napi::Env env, const InspectTask& task) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("owner", task.owner);
  out.Set("size", number_of(env, task.facts.size));
  out.Set("isBlockDevice", task.facts.block_device);
  out.Set("directIo", task.facts.direct);
  out.Set("directIoRefusal", task.facts.direct_refusal);
  out.Set("ioUring", task.facts.io_uring);
  out.Set("ioUringRefusal", task.facts.io_uring_refusal);
  const bool is_foreign = task.status.code() == Code::foreign;
  out.Set("content", task.status.ok()   ? "store"
                     : !is_foreign      ? "damaged"
                     : task.found.empty() ? "nothing"
                                          : "foreign");
  out.Set("clean", task.status.ok() && task.device_report.superblock.clean);
  out.Set("found", is_foreign ? task.found : std::string(task.status.message()));
  return out;
}

// inspect(token, path, 0 device | 1 key | 2 verify | 3 probe, key, direct, io choice): handle
Napi::Value inspect(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto task = Ref<InspectTask>::adopt(new InspectTask());
  const uint32_t token = arguments.u32();
  task->path = arguments.utf8();
  const uint32_t what = arguments.u32();
  task->key = arguments.latin1();
  task->options.direct = arguments.boolean();
  const uint32_t io = arguments.u32();
  if (!arguments.ok()) return Napi::Value();
  if (what > static_cast<uint32_t>(InspectTask::What::probe) ||
      io > static_cast<uint32_t>(IoChoice::io_uring)) {
    Napi::RangeError::New(info.Env(), "no such inspection").ThrowAsJavaScriptException();
    return Napi::Value();
  }
  task->what = static_cast<InspectTask::What>(what);
  task->options.io = static_cast<IoChoice>(io);
  Environment& environment = Environment::of(info.Env());
  return Napi::Number::New(info.Env(), environment.start(environment.inspecting,
                                                         Ref<Task>::share(task.get()), token));
}

// inspectProgress(handle): [segments done, segments in all]
Napi::Value inspect_progress(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Environment& environment = Environment::of(info.Env());
  Ref<Task>* found = environment.inspecting.find(arguments.u32());
  if (!arguments.ok() || found == nullptr) return info.Env().Undefined();
  const auto* task = static_cast<const InspectTask*>(found->get());
  Napi::Array out = Napi::Array::New(info.Env(), 2);
  out.Set(0u, number_of(info.Env(), task->progress.done.load()));
  out.Set(1u, number_of(info.Env(), task->progress.total.load()));
  return out;
}

// takeInspect(handle): what was asked for, or throws. Called once after the completion.
Napi::Value take_inspect(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Environment& environment = Environment::of(info.Env());
  const uint32_t handle = arguments.u32();
  Ref<Task>* found = environment.inspecting.find(handle);
  if (!arguments.ok() || found == nullptr) return info.Env().Undefined();
  const Ref<InspectTask> task = Ref<InspectTask>::share(static_cast<InspectTask*>(found->get()));
  environment.inspecting.remove(handle);
  if (task->what == InspectTask::What::probe && task->facts.size > 0) {
    return report_probe(info.Env(), *task);
  }
  if (!task->status.ok()) {
    Napi::Error error = error_of(info.Env(), task->status, task->detail);
    error.Set("path", Napi::String::New(info.Env(), task->path));
    error.ThrowAsJavaScriptException();
    return Napi::Value();
  }
  switch (task->what) {
    case InspectTask::What::device: return report_device(info.Env(), *task);
    case InspectTask::What::key: return report_records(info.Env(), *task);
    case InspectTask::What::verify: return report_damage(info.Env(), *task);
    case InspectTask::What::probe: return report_probe(info.Env(), *task);
  }
  MR_UNREACHABLE();
}

}  // namespace

void define_inspect(Napi::Env env, Napi::Object exports) {
  exports.Set("inspect", Napi::Function::New<inspect>(env, "inspect"));
  exports.Set("inspectProgress", Napi::Function::New<inspect_progress>(env, "inspectProgress"));
  exports.Set("takeInspect", Napi::Function::New<take_inspect>(env, "takeInspect"));
}

}  // namespace millrace
