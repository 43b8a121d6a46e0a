// Store methods: find, read, leases, refresh. See store-wrap.h.
#include "addon/store-wrap.h"

#include <cstring>

#include "addon/arguments.h"
#include "addon/lease-buffer.h"

namespace millrace {

Napi::Function StoreWrap::define(Napi::Env env) {
  return DefineClass(
      env, "Store",
      {
          InstanceMethod<&StoreWrap::find_now>("findNow"),
          InstanceMethod<&StoreWrap::find_variant_now>("findVariantNow"),
          InstanceMethod<&StoreWrap::read_now>("readNow"),
          InstanceMethod<&StoreWrap::copy_body>("copyBody"),
          InstanceMethod<&StoreWrap::find>("find"),
          InstanceMethod<&StoreWrap::find_variant>("findVariant"),
          InstanceMethod<&StoreWrap::head>("head"),
          InstanceMethod<&StoreWrap::peek>("peek"),
          InstanceMethod<&StoreWrap::floor>("floor"),
          InstanceMethod<&StoreWrap::read>("read"),
          InstanceMethod<&StoreWrap::first_missing>("firstMissing"),
          InstanceMethod<&StoreWrap::stored_end>("storedEnd"),
          InstanceMethod<&StoreWrap::missing_end>("missingEnd"),
          InstanceMethod<&StoreWrap::read_ahead>("readAhead"),
          InstanceMethod<&StoreWrap::end_read_ahead>("endReadAhead"),
          InstanceMethod<&StoreWrap::take_pages>("takePages"),
          InstanceMethod<&StoreWrap::release>("release"),
          InstanceMethod<&StoreWrap::close_object>("closeObject"),
          InstanceMethod<&StoreWrap::refresh>("refresh"),
          InstanceMethod<&StoreWrap::purge>("purge"),
          InstanceMethod<&StoreWrap::purge_key>("purgeKey"),
          InstanceMethod<&StoreWrap::restore_purge>("restorePurge"),
          InstanceMethod<&StoreWrap::purge_state>("purgeState"),
          InstanceMethod<&StoreWrap::is_fill_purged>("isFillPurged"),
          InstanceMethod<&StoreWrap::forget>("forget"),
          InstanceMethod<&StoreWrap::attach_policy>("attachPolicy"),
          InstanceMethod<&StoreWrap::take_events>("takeEvents"),
          InstanceMethod<&StoreWrap::evict>("evict"),
          InstanceMethod<&StoreWrap::memory_used>("memoryUsed"),
          InstanceMethod<&StoreWrap::on_staged>("onStaged"),
          InstanceMethod<&StoreWrap::on_warmed>("onWarmed"),
          InstanceMethod<&StoreWrap::count_use>("countUse"),
          InstanceMethod<&StoreWrap::take_staged>("takeStaged"),
          InstanceMethod<&StoreWrap::staged_header>("stagedHeader"),
          InstanceMethod<&StoreWrap::settle_staged>("settleStaged"),
          InstanceMethod<&StoreWrap::record_name>("recordName"),
          InstanceMethod<&StoreWrap::chunk_name>("chunkName"),
          InstanceMethod<&StoreWrap::adopt>("adopt"),
          InstanceMethod<&StoreWrap::adopt_chunk>("adoptChunk"),
          InstanceMethod<&StoreWrap::stats>("stats"),
          InstanceMethod<&StoreWrap::begin_fill>("beginFill"),
          InstanceMethod<&StoreWrap::fill_begin>("fillBegin"),
          InstanceMethod<&StoreWrap::fill_append>("fillAppend"),
          InstanceMethod<&StoreWrap::fill_finish>("fillFinish"),
          InstanceMethod<&StoreWrap::fill_marker>("fillMarker"),
          InstanceMethod<&StoreWrap::fill_fail>("fillFail"),
          InstanceMethod<&StoreWrap::fill_pause>("fillPause"),
          InstanceMethod<&StoreWrap::fill_drop_laggards>("fillDropLaggards"),
          InstanceMethod<&StoreWrap::fill_read>("fillRead"),
          InstanceMethod<&StoreWrap::close_fill>("closeFill"),
          InstanceMethod<&StoreWrap::follow>("follow"),
          InstanceMethod<&StoreWrap::poll>("poll"),
          InstanceMethod<&StoreWrap::skip_to>("skipTo"),
          InstanceMethod<&StoreWrap::unfollow>("unfollow"),
      });
}

StoreWrap::StoreWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StoreWrap>(info) {}

void StoreWrap::attach(millrace::Ref<Session> session, Napi::Object self) {
  session_ = std::move(session);
  const auto words = Napi::Float64Array::New(self.Env(), 1);
  found_ = Napi::Persistent(words);
  found_words_ = found_.Value().Data();
  self.Set("found", words);
}

bool StoreWrap::usable(Info info) {
  if (session_ && session_->open()) return true;
  error_of(info.Env(), Status(Code::closed, "the store is closed")).ThrowAsJavaScriptException();
  return false;
}

MemoryRecord* StoreWrap::object_of(Arguments& arguments, millrace::Ref<MemoryRecord>* keep) {
  millrace::Ref<MemoryRecord>* found = session_->objects.find(arguments.u32());
  if (found == nullptr) return nullptr;
  *keep = *found;
  return keep->get();
}

Napi::Value StoreWrap::found_now(Info info, const KeyPlace& place, const std::string& key,
                                 Sequence minimum_birth) {
  millrace::Ref<MemoryRecord> record;
  switch (session_->store().find(place, key, minimum_birth, &record, nullptr, nullptr)) {
    case Found::pending:
      return number(info, kPending);
    case Found::miss:
      return number(info, kMiss);
    case Found::hit:
      found_words_[0] = static_cast<double>(record->serial);
      return number(info, session_->objects.add(std::move(record)));
  }
  MR_UNREACHABLE();
}

// findNow(key): 0 miss, -1 ask the device with find, else an object handle; found[0] is then its serial.
Napi::Value StoreWrap::find_now(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const std::string key = arguments.latin1();
  if (!arguments.ok()) return Napi::Value();
  return found_now(info, session_->store().place_of(key), key, 0);
}

// findVariantNow(marker, key): the same, only of a birth that the marker vouches for.
Napi::Value StoreWrap::find_variant_now(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> marker;
  const MemoryRecord* found = object_of(arguments, &marker);
  const std::string key = arguments.latin1();
  if (!arguments.ok()) return Napi::Value();
  if (found == nullptr) return number(info, kMiss);
  return found_now(info, session_->store().place_in(found->volume, key), key,
                   found->header.incarnation);
}

Napi::Value StoreWrap::find_at(Info info, uint32_t token, const KeyPlace& place,
                               const std::string& key, Sequence minimum_birth) {
  auto payload = std::make_unique<RecordPayload>();
  payload->session = session_;
  payload->token = token;
  millrace::Ref<MemoryRecord> record;
  RecordPayload* context = payload.release();
  switch (session_->store().find(place, key, minimum_birth, &record, &RecordPayload::done,
                                 context)) {
    case Found::pending:
      return number(info, kPending);
    case Found::miss:
      delete context;
      return number(info, kMiss);
    case Found::hit:
      delete context;
      return number(info, session_->objects.add(std::move(record)));
  }
  MR_UNREACHABLE();
}

// find(token, key): 0 miss, -1 pending, else an object handle.
Napi::Value StoreWrap::find(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  const std::string key = arguments.latin1();
  if (!arguments.ok()) return Napi::Value();
  return find_at(info, token, session_->store().place_of(key), key, 0);
}

// findVariant(token, marker, key): the same, only of a birth that the marker vouches for.
Napi::Value StoreWrap::find_variant(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  millrace::Ref<MemoryRecord> marker;
  const MemoryRecord* found = object_of(arguments, &marker);
  const std::string key = arguments.latin1();
  if (!arguments.ok()) return Napi::Value();
  if (found == nullptr) return number(info, kMiss);
  return find_at(info, token, session_->store().place_in(found->volume, key), key,
                 found->header.incarnation);
}

// head(object): a copy of the stored head.
Napi::Value StoreWrap::head(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  if (!arguments.ok() || record == nullptr) return info.Env().Undefined();
  const Bytes head = record->head_bytes();
  return Napi::Buffer<uint8_t>::Copy(info.Env(), head.data(), head.size());
}

Napi::Value StoreWrap::give_spans(Info info, std::vector<PageSpan> spans) {
  return number(info, session_->results.add(std::move(spans)));
}

Napi::Value StoreWrap::read_range(Info info, uint32_t token, const Store::BodyRange& range) {
  auto payload = std::make_unique<RecordPayload>();
  payload->session = session_;
  payload->token = token;
  payload->kind = RecordPayload::Kind::body;
  RecordPayload* context = payload.release();
  std::vector<PageSpan> spans;
  switch (session_->store().read_chunk(range, &spans, &RecordPayload::done, context)) {
    case Found::pending:
      return number(info, kPending);
    case Found::miss:
      delete context;
      return number(info, kMiss);
    case Found::hit:
      delete context;
      return give_spans(info, std::move(spans));
  }
  MR_UNREACHABLE();
}

// read(token, object, offset, length): 0 not stored, -1 pending, else a result handle.
Napi::Value StoreWrap::read(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  const uint64_t offset = arguments.whole();
  const uint64_t length = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  if (record == nullptr || length == 0) return number(info, kMiss);
  const RecordHeader& header = record->header;
  if (header.kind == RecordKind::single) {
    if (offset >= header.body_length) return number(info, kMiss);
    const ByteCount rest = header.body_length - offset;
    return give_spans(info, record->slice(offset, length < rest ? length : rest));
  }
  return read_range(info, token,
                    Store::BodyRange{record->volume, header.hash, header.incarnation,
                                     header.object_length, offset, length});
}

Found StoreWrap::spans_now(const MemoryRecord& record, ByteOffset offset, ByteCount length,
                           std::vector<PageSpan>* spans) {
  const RecordHeader& header = record.header;
  if (length == 0) return Found::miss;
  if (header.kind != RecordKind::single) {
    const Store::BodyRange range{record.volume,        header.hash, header.incarnation,
                                 header.object_length, offset,      length};
    return session_->store().read_chunk(range, spans, nullptr, nullptr);
  }
  if (offset >= header.body_length) return Found::miss;
  const ByteCount rest = header.body_length - offset;
  *spans = record.slice(offset, length < rest ? length : rest);
  return Found::hit;
}

// readNow(object, offset, length): leases as takePages gives them, or -1 where memory has not the bytes.
Napi::Value StoreWrap::read_now(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  const uint64_t offset = arguments.whole();
  const uint64_t length = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  std::vector<PageSpan> spans;
  if (record == nullptr || spans_now(*record, offset, length, &spans) != Found::hit) {
    return number(info, kPending);
  }
  const Napi::Array out = Napi::Array::New(info.Env());
  return lend(info, std::move(spans), kChunkSize, out, 0);
}

// copyBody(object, offset, out): true when `out` was filled from there on.
Napi::Value StoreWrap::copy_body(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  const uint64_t offset = arguments.whole();
  const MutableBytes out = arguments.writable_bytes();
  if (!arguments.ok()) return Napi::Value();
  std::vector<PageSpan> spans;
  ByteCount filled = 0;
  if (record != nullptr && spans_now(*record, offset, out.size(), &spans) == Found::hit) {
    for (const PageSpan& span : spans) {
      std::memcpy(out.data() + filled, span.data(), span.length);
      filled += span.length;
    }
  }
  return Napi::Boolean::New(info.Env(), record != nullptr && filled == out.size());
}

// firstMissing(object, offset, length): first chunk that memory and index do not know, or -1.
Napi::Value StoreWrap::first_missing(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  const uint64_t offset = arguments.whole();
  const uint64_t length = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  if (record == nullptr) return number(info, 0);
  const uint32_t chunk = session_->store().first_missing_chunk(*record, offset, length);
  return number(info, chunk == Store::kNoChunk ? -1 : static_cast<double>(chunk));
}

// takePages(result): [lease, buffer, lease, buffer, ...]; the result handle is used up.
Napi::Value StoreWrap::take_pages(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t handle = arguments.u32();
  std::vector<PageSpan>* found = session_->results.find(handle);
  if (!arguments.ok() || found == nullptr) return info.Env().Undefined();
  std::vector<PageSpan> spans = std::move(*found);
  session_->results.remove(handle);
  const Napi::Array out = Napi::Array::New(info.Env());
  return lend(info, std::move(spans), kChunkSize, out, 0);
}

Napi::Value StoreWrap::lend(Info info, std::vector<PageSpan> spans, ByteCount longest,
                            Napi::Array out, uint32_t at) {
  for (LentSpans& run : runs_of(std::move(spans), longest)) {
    bool copied = false;
    const Napi::Value buffer = make_lease_buffer(info.Env(), run, &copied);
    if (buffer.IsEmpty()) return Napi::Value();
    uint8_t* const data = run.data();
    // A copy needs no lease: handle 0 is released by nobody.
    const uint32_t lease = copied ? 0 : session_->leases.add(std::move(run));
    if (lease == 0 && !copied) {
      detach_lease_buffer(info.Env(), buffer, data);
      error_of(info.Env(), Status(Code::again, "too many open leases")).ThrowAsJavaScriptException();
      return Napi::Value();
    }
    out.Set(at++, Napi::Number::New(info.Env(), lease));
    out.Set(at++, buffer);
  }
  return out;
}

// release(lease, buffer): detaches the buffer and frees the page. Works on a closed store too.
Napi::Value StoreWrap::release(Info info) {
  Arguments arguments(info);
  const uint32_t handle = arguments.u32();
  const Napi::Value buffer = arguments.next();
  if (!arguments.ok() || !session_) return info.Env().Undefined();
  LentSpans* run = session_->leases.find(handle);
  if (run == nullptr) return info.Env().Undefined();
  if (!detach_lease_buffer(info.Env(), buffer, run->data())) {
    Napi::TypeError::New(info.Env(), "the buffer is not the one of this lease")
        .ThrowAsJavaScriptException();
    return Napi::Value();
  }
  session_->leases.remove(handle);
  return info.Env().Undefined();
}

Napi::Value StoreWrap::close_object(Info info) {
  Arguments arguments(info);
  const uint32_t handle = arguments.u32();
  if (arguments.ok() && session_) session_->objects.remove(handle);
  return info.Env().Undefined();
}

// refresh(object, head, fill): throws what the engine says. The fill asked the origin for it.
Napi::Value StoreWrap::refresh(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  const Bytes head = arguments.bytes();
  millrace::Ref<Fill> keep_alive;
  const Fill* fill = fill_of(arguments, &keep_alive);
  if (!arguments.ok() || record == nullptr || fill == nullptr) return info.Env().Undefined();
  const Status status = session_->store().refresh(keep, head, fill->birth());
  if (!status.ok()) error_of(info.Env(), status).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

// forget(object): this version lacks a part and is not found any more.
Napi::Value StoreWrap::forget(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  if (arguments.ok() && record != nullptr) session_->store().forget(keep);
  return info.Env().Undefined();
}

}  // namespace millrace
