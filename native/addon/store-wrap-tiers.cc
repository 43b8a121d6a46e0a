// Store methods of the L1 policy and of an outside disk tier (l2_backend: file).
#include <cstring>

#include "addon/arguments.h"
#include "addon/lease-buffer.h"
#include "addon/store-wrap.h"
#include "base/crc32c.h"
#include "layout/key.h"

namespace millrace {

namespace {

std::string hex_of(const KeyHash& hash) {
  static const char digits[] = "0123456789abcdef";
  std::string out;
  for (const uint64_t half : {hash.high, hash.low}) {
    for (int shift = 60; shift >= 0; shift -= 4) out.push_back(digits[half >> shift & 15]);
  }
  return out;
}

// The header of a record as a file holds it: the same bytes as on a raw disk, in segment sequence 1. `blocks`
// are those of the body, compressed or not; empty where it is stored as it is. Empty when they cannot be.
std::vector<uint8_t> encode_for_file(const MemoryRecord& record, std::span<const Bytes> blocks) {
  RecordHeader header = record.header;
  header.segment_sequence = 1;
  uint32_t crcs[kPagesPerChunk];
  uint32_t lengths[kPagesPerChunk];
  const uint32_t count = body_block_count(header);
  if (blocks.empty()) {
    MR_ASSERT_OP(body_block_crcs(record.body, crcs), ==, count);
  } else {
    if (blocks.size() != count) return {};
    ByteCount stored = 0;
    for (uint32_t block = 0; block < count; block++) {
      const ByteCount length = blocks[block].size();
      if (length == 0 || length > raw_block_length(header, block)) return {};
      crcs[block] = crc32c(blocks[block]);
      lengths[block] = static_cast<uint32_t>(length);
      stored += length;
    }
    if (stored >= header.body_length) return {};
    header.flags |= kRecordLz4;
    header.stored_length = static_cast<uint32_t>(stored);
  }
  std::vector<uint8_t> out(record_body_distance(header));
  const Bytes key(reinterpret_cast<const uint8_t*>(record.key.data()), record.key.size());
  encode_record_header(header, std::span<const uint32_t>(crcs, count), key, record.head_bytes(),
                       out, std::span<const uint32_t>(lengths, blocks.size()));
  return out;
}

}  // namespace

// attachPolicy(token, headroom): [sizes, hits, hashes, generations] as ArrayBuffers over native memory,
// or null while another environment's policy is attached. The token is posted under pressure.
Napi::Value StoreWrap::attach_policy(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  const uint64_t headroom = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  MemoryTier& tier = session_->store().tier();
  if (!tier.attach_policy(session_->notice(token), headroom)) return info.Env().Null();
  session_->has_policy = true;
  const size_t slots = tier.slot_count();
  const struct {
    void* data;
    size_t length;
  } views[] = {{tier.sizes(), slots * 4},
               {tier.hits(), slots},
               {tier.hashes(), slots * 4},
               {tier.generations(), slots * 4}};
  Napi::Array out = Napi::Array::New(info.Env(), 4);
  uint32_t at = 0;
  for (const auto& view : views) {
    napi_value buffer = nullptr;
    if (napi_create_external_arraybuffer(info.Env(), view.data, view.length, nullptr, nullptr,
                                         &buffer) != napi_ok) {
      // No external memory here (Electron): the tier runs without a policy and stops at its budget.
      tier.detach_policy();
      session_->has_policy = false;
      return info.Env().Null();
    }
    const Napi::ArrayBuffer array(info.Env(), buffer);
    session_->views.push_back(Napi::Persistent(array));
    out.Set(at++, array);
  }
  return out;
}

// takeEvents(Uint32Array): number of pairs written.
Napi::Value StoreWrap::take_events(Info info) {
  if (!usable(info)) return Napi::Value();
  if (info.Length() < 1 || !info[0].IsTypedArray()) return number(info, 0);
  auto out = info[0].As<Napi::Uint32Array>();
  if (out.TypedArrayType() != napi_uint32_array) return number(info, 0);
  return number(info, session_->store().tier().take_events(
                          out.Data(), static_cast<uint32_t>(out.ElementLength() / 2)));
}

// evict(Uint32Array, count of pairs)
Napi::Value StoreWrap::evict(Info info) {
  if (!usable(info)) return Napi::Value();
  if (info.Length() < 2 || !info[0].IsTypedArray() || !info[1].IsNumber()) {
    return info.Env().Undefined();
  }
  auto pairs = info[0].As<Napi::Uint32Array>();
  if (pairs.TypedArrayType() != napi_uint32_array) return info.Env().Undefined();
  uint32_t count = info[1].As<Napi::Number>().Uint32Value();
  if (count > pairs.ElementLength() / 2) count = static_cast<uint32_t>(pairs.ElementLength() / 2);
  for (uint32_t i = 0; i < count; i++) {
    session_->store().tier().evict(pairs[2 * i], pairs[2 * i + 1]);
  }
  return info.Env().Undefined();
}

Napi::Value StoreWrap::memory_used(Info info) {
  if (!usable(info)) return Napi::Value();
  return number(info, static_cast<double>(session_->store().tier().used()));
}

// onWarmed(token): posted once, when every footer is loaded, or at once.
Napi::Value StoreWrap::on_warmed(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  if (arguments.ok()) session_->store().on_warmed(session_->notice(token));
  return info.Env().Undefined();
}

// onStaged(token): posted when records wait for the outside tier.
Napi::Value StoreWrap::on_staged(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  Staging* staging = session_->store().staging();
  if (arguments.ok() && staging != nullptr) staging->on_work(session_->notice(token));
  return info.Env().Undefined();
}

// takeStaged(): null, or [staged handle, name, incarnation or 0 where the body may not be compressed,
// lease, buffer, ...].
Napi::Value StoreWrap::take_staged(Info info) {
  if (!usable(info)) return Napi::Value();
  Staging* staging = session_->store().staging();
  if (staging == nullptr) return info.Env().Null();
  for (;;) {
    millrace::Ref<MemoryRecord> record = staging->take(0);
    if (!record) return info.Env().Null();
    if (!staging->is_current(record)) {
      staging->settle(record);
      continue;
    }
    Napi::Array out = Napi::Array::New(info.Env());
    uint32_t at = 0;
    const std::string name = hex_of(record->header.hash);
    const uint64_t object = record->may_compress ? record->header.incarnation : 0;
    std::vector<PageSpan> spans = record->slice(0, record->header.body_length);
    out.Set(at++, Napi::Number::New(info.Env(), session_->staged.add(std::move(record))));
    out.Set(at++, Napi::String::New(info.Env(), name));
    out.Set(at++, Napi::Number::New(info.Env(), static_cast<double>(object)));
    // Page by page: each is a block that the tier may compress.
    return lend(info, std::move(spans), 0, out, at);
  }
}

// stagedHeader(handle, blocks or null): the header that belongs before the body in its file.
Napi::Value StoreWrap::staged_header(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t handle = arguments.u32();
  millrace::Ref<MemoryRecord>* found = session_->staged.find(handle);
  if (!arguments.ok()) return Napi::Value();
  std::vector<Bytes> blocks;
  bool fits = found != nullptr && info.Length() == 2;
  if (fits && info[1].IsArray()) {
    const auto list = info[1].As<Napi::Array>();
    for (uint32_t at = 0; fits && at < list.Length() && at <= kPagesPerChunk; at++) {
      const Napi::Value item = list.Get(at);
      fits =
          item.IsTypedArray() && item.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
      if (!fits) break;
      const auto block = item.As<Napi::Uint8Array>();
      blocks.emplace_back(block.Data(), block.ByteLength());
    }
    fits = fits && !blocks.empty();
  }
  std::vector<uint8_t> header;
  if (fits) header = encode_for_file(**found, blocks);
  if (header.empty()) {
    Napi::TypeError::New(info.Env(), "stagedHeader(handle, blocks) of a staged record")
        .ThrowAsJavaScriptException();
    return Napi::Value();
  }
  return Napi::Buffer<uint8_t>::Copy(info.Env(), header.data(), header.size());
}

// settleStaged(handle): true when the record is still wanted (not purged or replaced meanwhile).
Napi::Value StoreWrap::settle_staged(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t handle = arguments.u32();
  millrace::Ref<MemoryRecord>* found = session_->staged.find(handle);
  if (!arguments.ok() || found == nullptr) return Napi::Boolean::New(info.Env(), false);
  const bool wanted = session_->store().staging()->settle(*found);
  session_->staged.remove(handle);
  return Napi::Boolean::New(info.Env(), wanted);
}

Napi::Value StoreWrap::record_name(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const std::string key = arguments.latin1();
  if (!arguments.ok()) return Napi::Value();
  return Napi::String::New(info.Env(), hex_of(session_->store().place_of(key).hash));
}

// chunkName(object | -1, fill, chunk): the name of a chunk of a stored object or of a running fill.
Napi::Value StoreWrap::chunk_name(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t object = arguments.u32();
  const uint32_t fill = arguments.u32();
  const uint32_t chunk = arguments.u32();
  if (!arguments.ok()) return Napi::Value();
  Store& store = session_->store();
  if (millrace::Ref<MemoryRecord>* record = session_->objects.find(object)) {
    const RecordHeader& header = (*record)->header;
    return Napi::String::New(info.Env(),
                             hex_of(store.chunk_hash(0, header.hash, header.incarnation, chunk)));
  }
  if (FillEntry* entry = session_->fills.find(fill)) {
    return Napi::String::New(
        info.Env(),
        hex_of(store.chunk_hash(0, entry->fill->hash(), entry->fill->incarnation(), chunk)));
  }
  return info.Env().Undefined();
}

// adopt(key, bytes): an object handle for a record as read from its file; throws when it is damaged, 0
// when the file holds another key.
Napi::Value StoreWrap::adopt(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const std::string key = arguments.latin1();
  const Bytes bytes = arguments.bytes();
  if (!arguments.ok()) return Napi::Value();
  Store& store = session_->store();
  Result<millrace::Ref<MemoryRecord>> record = store.adopt(bytes, store.place_of(key).hash, key);
  if (!record.ok()) {
    if (record.status().code() == Code::not_found) return number(info, kMiss);
    error_of(info.Env(), record.status()).ThrowAsJavaScriptException();
    return Napi::Value();
  }
  const RecordKind kind = record.value()->header.kind;
  if (kind != RecordKind::single && kind != RecordKind::head) return number(info, kMiss);
  return number(info, session_->objects.add(std::move(record.value())));
}

// adoptChunk(object, fill, chunk, bytes, skip, length): a result handle with body bytes from `skip` on.
Napi::Value StoreWrap::adopt_chunk(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t object = arguments.u32();
  const uint32_t fill = arguments.u32();
  const uint32_t chunk = arguments.u32();
  const Bytes bytes = arguments.bytes();
  const uint64_t skip = arguments.whole();
  const uint64_t length = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  Store& store = session_->store();
  KeyHash hash{};
  uint64_t incarnation = 0;
  if (millrace::Ref<MemoryRecord>* record = session_->objects.find(object)) {
    incarnation = (*record)->header.incarnation;
    hash = store.chunk_hash(0, (*record)->header.hash, incarnation, chunk);
  } else if (FillEntry* entry = session_->fills.find(fill)) {
    incarnation = entry->fill->incarnation();
    hash = store.chunk_hash(0, entry->fill->hash(), incarnation, chunk);
  } else {
    return number(info, kMiss);
  }
  Result<millrace::Ref<MemoryRecord>> record = store.adopt(bytes, hash, std::string());
  if (!record.ok()) {
    if (record.status().code() == Code::not_found) return number(info, kMiss);
    error_of(info.Env(), record.status()).ThrowAsJavaScriptException();
    return Napi::Value();
  }
  const RecordHeader& header = record.value()->header;
  // A piece is in memory now: whoever asked looks there again.
  if ((chunk & kPieceName) != 0) return number(info, kMiss);
  if (header.kind != RecordKind::chunk || header.incarnation != incarnation ||
      header.chunk_number != chunk || skip >= header.body_length || length == 0) {
    return number(info, kMiss);
  }
  const ByteCount rest = header.body_length - skip;
  return give_spans(info, record.value()->slice(skip, length < rest ? length : rest));
}

// readAhead(object, offset): a handle on the chunk there, which is read ahead now, or 0.
Napi::Value StoreWrap::read_ahead(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  const uint64_t offset = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  if (record == nullptr || record->header.kind != RecordKind::head) return number(info, kMiss);
  const RecordHeader& header = record->header;
  const Store::BodyRange range{record->volume,       header.hash, header.incarnation,
                               header.object_length, offset,      kChunkSize};
  millrace::Ref<AheadChunk> chunk = session_->store().read_ahead(range);
  if (!chunk) return number(info, kMiss);
  const uint32_t handle = session_->aheads.add(chunk);
  if (handle == 0) session_->store().end_read_ahead(chunk);
  return number(info, handle);
}

// endReadAhead(handle): the chunk is not waited for any more. Works on a closed store too.
Napi::Value StoreWrap::end_read_ahead(Info info) {
  Arguments arguments(info);
  const uint32_t handle = arguments.u32();
  if (!arguments.ok() || !session_) return info.Env().Undefined();
  millrace::Ref<AheadChunk>* chunk = session_->aheads.find(handle);
  if (chunk == nullptr) return info.Env().Undefined();
  session_->store().end_read_ahead(*chunk);
  session_->aheads.remove(handle);
  return info.Env().Undefined();
}

}  // namespace millrace
