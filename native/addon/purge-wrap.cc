// Store methods of purging, and what the purge tables say about objects and fills. See store-wrap.h and
// engine/purges.h.
#include "addon/arguments.h"
#include "addon/store-wrap.h"
#include "base/endian.h"
#include "layout/key.h"

namespace millrace {

namespace {

// PurgeDone of the engine; `context` is a Notice*. The value is the volume that failed.
void report(void* context, Status status, uint32_t volume) {
  const std::unique_ptr<Notice> notice(static_cast<Notice*>(context));
  notice->post(status.code(), volume);
}

bool read_kind(Arguments& arguments, PurgeRequest* request) {
  const uint32_t kind = arguments.u32();
  request->text = arguments.latin1();
  request->soft = arguments.boolean();
  request->kind = static_cast<PurgeKind>(kind);
  if (!arguments.ok() || kind < 1 || kind > 4) return false;
  const ByteCount length = request->text.size();
  switch (request->kind) {
    case PurgeKind::key:
      return length > 0 && length <= kMaximumKeyLength;
    case PurgeKind::prefix:
      return is_purge_prefix(request->text);
    case PurgeKind::tag:
      request->tag = tag_hash(request->text);
      return length > 0;
    case PurgeKind::all:
      return length == 0;
  }
  return false;
}

Napi::Value refuse(Napi::Env env) {
  if (!env.IsExceptionPending()) {
    Napi::RangeError::New(env, "a purge is a key, a prefix without control bytes or spaces of at most 2048 "
                               "bytes, a tag, or everything")
        .ThrowAsJavaScriptException();
  }
  return Napi::Value();
}

}  // namespace

// purge(token, kind, text, soft): the purge's bound; the token is posted when it is durable.
Napi::Value StoreWrap::purge(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  PurgeRequest request;
  if (!read_kind(arguments, &request)) return refuse(info.Env());
  auto notice = std::make_unique<Notice>(session_->notice(token));
  const Sequence bound = session_->store().purge(request, &report, notice.release());
  return number(info, static_cast<double>(bound));
}

// purgeKey(key): after an unsafe method, or when what is stored is of no use any more.
Napi::Value StoreWrap::purge_key(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  PurgeRequest request;
  request.text = arguments.latin1();
  request.unsafe_method = true;
  if (!arguments.ok() || request.text.empty()) return info.Env().Undefined();
  session_->store().purge(request, nullptr, nullptr);
  return info.Env().Undefined();
}

// restorePurge(kind, text, soft, bound): one that an outside tier has kept, before anything is found.
Napi::Value StoreWrap::restore_purge(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  PurgeRequest request;
  if (!read_kind(arguments, &request)) return refuse(info.Env());
  const uint64_t bound = arguments.whole();
  if (arguments.ok() && bound > 0) session_->store().restore_purge(request, bound);
  return info.Env().Undefined();
}

// purgeState(object): 0 to be used, 1 stale since a soft purge, 2 gone.
Napi::Value StoreWrap::purge_state(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  const auto gone = static_cast<double>(PurgeVerdict::gone);
  if (!arguments.ok() || record == nullptr) return number(info, gone);
  return number(info, static_cast<double>(session_->store().verdict(*record)));
}

// isFillPurged(fill): nobody may join it or send a head that came from it any more.
Napi::Value StoreWrap::is_fill_purged(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<Fill> keep_alive;
  Fill* fill = fill_of(arguments, &keep_alive);
  const bool purged = !arguments.ok() || fill == nullptr || fill->is_purged();
  return Napi::Boolean::New(info.Env(), purged);
}

// tagHashes([tag, ...]): 8 bytes each, as a stored head has them.
Napi::Value js_tag_hashes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<uint8_t> out;
  if (info.Length() > 0 && info[0].IsArray()) {
    const auto list = info[0].As<Napi::Array>();
    out.resize(size_t{list.Length()} * 8);
    for (uint32_t i = 0; i < list.Length(); i++) {
      const Napi::Value tag = list.Get(i);
      if (tag.IsEmpty() || !tag.IsString()) return env.Undefined();
      store_le<uint64_t>(out, size_t{i} * 8, tag_hash(latin1_of(tag.As<Napi::String>())));
    }
  }
  return Napi::Buffer<uint8_t>::Copy(env, out.data(), out.size());
}

}  // namespace millrace
