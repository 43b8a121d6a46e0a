// What a fill leaves in the store: chunks as they complete, then the single or head record, and the marker
// that names the Vary fields of a primary key.
#include <cstring>

#include "base/clock.h"
#include "base/endian.h"
#include "engine/fill.h"
#include "engine/store.h"
#include "layout/head.h"

namespace millrace {

namespace {
constexpr size_t kBodyLengthOffset = 48;  // layout/head.h
}

RecordHeader Fill::header_of(RecordKind kind) const {
  RecordHeader header;
  header.kind = kind;
  header.birth = birth_;
  header.hash = hash_;
  header.incarnation = incarnation_;
  header.object_length = head_.body_length;
  header.created_ms = wall_clock_ms();
  return header;
}

bool Fill::offer_locked(const Ref<MemoryRecord>& record) {
  record->volume = primary_.volume;
  store_->tier().publish(record);
  return store_->offer(record);
}

void Fill::hand_over_locked(uint32_t chunk, ByteCount length) {
  auto record = Ref<MemoryRecord>::adopt(new MemoryRecord());
  record->header = header_of(RecordKind::chunk);
  record->header.hash = store_->chunk_hash(primary_.volume, hash_, incarnation_, chunk);
  record->header.chunk_number = chunk;
  record->header.interval_end = static_cast<uint32_t>(length);
  record->header.body_length = static_cast<uint32_t>(length);
  record->header.stored_length = static_cast<uint32_t>(length);
  record->may_compress = head_.may_compress;
  const ByteOffset begin = ByteOffset{chunk} * kChunkSize;
  MR_ASSERT_OP(begin, >=, window_begin_);
  for (ByteOffset at = begin; at < begin + length; at += kPageSize) {
    const auto number = static_cast<size_t>((at - window_begin_) / kPageSize);
    const ByteCount left = begin + length - at;
    record->body.push_back(PageSpan{pages_[number].share(), 0,
                                    static_cast<uint32_t>(left < kPageSize ? left : kPageSize)});
  }
  compact_and_seal(store_->pool(), *record);
  const bool stored = offer_locked(record);
  // Trimming keeps lost_ aligned with the window's first chunk; this chunk is the next one in it.
  const auto index = static_cast<size_t>(chunk - window_begin_ / kChunkSize);
  if (lost_.size() <= index) lost_.resize(index + 1, false);
  lost_[index] = !stored;
  if (!stored) has_lost_chunk_ = true;
  handed_end_ = begin + length;
}

void Fill::publish_single_locked() {
  MutableBytes head(head_.head);
  store_le<uint64_t>(head, kBodyLengthOffset, produced_);
  RecordHeader header = header_of(RecordKind::single);
  header.interval_end = static_cast<uint32_t>(produced_);
  header.body_length = static_cast<uint32_t>(produced_);
  header.stored_length = static_cast<uint32_t>(produced_);
  header.key_length = static_cast<uint32_t>(head_.key.size());
  header.meta_length = static_cast<uint32_t>(head.size());
  MR_ASSERT(window_begin_ == 0 || produced_ == 0);
  Ref<MemoryRecord> record;
  if (produced_ < kPageSize / 2) {
    std::vector<Bytes> body;
    if (produced_ > 0) body.emplace_back(pages_.front().data(), produced_);
    record = copy_record(store_->pool(), header, head_.key, head, body);
    if (!record) return;
  } else {
    record = Ref<MemoryRecord>::adopt(new MemoryRecord());
    record->header = header;
    record->key = head_.key;
    PageRef cell = store_->pool().allocate(head.size());
    if (!cell) return;
    std::memcpy(cell.data(), head.data(), head.size());
    record->head = PageSpan{std::move(cell), 0, static_cast<uint32_t>(head.size())};
    for (ByteOffset at = 0; at < produced_; at += kPageSize) {
      const ByteCount left = produced_ - at;
      record->body.push_back(PageSpan{pages_[at / kPageSize].share(), 0,
                                      static_cast<uint32_t>(left < kPageSize ? left : kPageSize)});
    }
    compact_and_seal(store_->pool(), *record);
  }
  record->may_compress = head_.may_compress;
  offer_locked(record);
}

void Fill::publish_head_locked() {
  MutableBytes head(head_.head);
  store_le<uint64_t>(head, kBodyLengthOffset, produced_);
  RecordHeader header = header_of(RecordKind::head);
  header.key_length = static_cast<uint32_t>(head_.key.size());
  header.meta_length = static_cast<uint32_t>(head.size());
  const Ref<MemoryRecord> record =
      copy_record(store_->pool(), header, head_.key, head, std::span<const Bytes>());
  if (!record) return;
  // A head on the disk promises its chunks: with one of them dropped, the object lives in memory only.
  if (has_lost_chunk_) {
    record->volume = primary_.volume;
    store_->tier().publish(record);
  } else {
    offer_locked(record);
  }
}

// The marker's incarnation is the lowest birth of a variant that it vouches for: variants of before a
// purge stay unreachable when a later fill writes a new marker.
void Fill::publish_marker_locked() {
  const Result<HeadView> own = decode_head(head_.head);
  MR_ASSERT(own.ok());
  const Ref<MemoryRecord> existing = store_->peek_head(primary_, primary_key_);
  if (existing && existing->header.birth <= birth_) {
    const Result<HeadView> view = decode_head(existing->head_bytes());
    const bool same =
        view.ok() && (view.value().flags & kHeadVaryMarker) != 0 &&
        view.value().vary.size() == own.value().vary.size() &&
        std::memcmp(view.value().vary.data(), own.value().vary.data(), own.value().vary.size()) == 0;
    if (same) return;
  }
  HeadView marker;
  marker.status = own.value().status;
  marker.flags = kHeadVaryMarker;
  marker.response_ms = own.value().response_ms;
  marker.date_s = own.value().date_s;
  marker.body_length = 0;
  marker.vary = own.value().vary;
  std::vector<uint8_t> bytes(encoded_head_size(marker));
  encode_head(marker, bytes);
  RecordHeader header = header_of(RecordKind::head);
  header.hash = primary_.hash;
  header.incarnation = birth_;
  header.object_length = 0;
  header.key_length = static_cast<uint32_t>(primary_key_.size());
  header.meta_length = static_cast<uint32_t>(bytes.size());
  const Ref<MemoryRecord> record =
      copy_record(store_->pool(), header, primary_key_, bytes, std::span<const Bytes>());
  if (record) offer_locked(record);
}

}  // namespace millrace
