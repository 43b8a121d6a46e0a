// What a fill leaves in the store: chunks as they complete, then the single or head record, and the marker
// that names the Vary fields of a primary key.
#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/endian.h"
#include "engine/fill.h"
#include "engine/store.h"
#include "layout/head.h"

namespace millrace {

namespace {
constexpr size_t kBodyLengthOffset = 48;  // layout/head.h

constexpr ByteOffset begin_of(uint32_t chunk) { return ByteOffset{chunk} * kChunkSize; }
}

RecordHeader Fill::header_of(RecordKind kind) const {
  RecordHeader header;
  header.kind = kind;
  header.birth = birth_;
  header.hash = hash_;
  header.incarnation = incarnation_;
  header.object_length = head_.body_length;
  header.created_ms = wall_clock_ms();
  header.expires_ms = expires_ms_;
  return header;
}

bool Fill::offer_locked(const Ref<MemoryRecord>& record) {
  record->volume = primary_.volume;
  store_->tier().publish(record);
  return to_disk_ && store_->offer(record);
}

Ref<MemoryRecord> Fill::chunk_record_locked(uint32_t chunk, ByteCount length) {
  auto record = Ref<MemoryRecord>::adopt(new MemoryRecord());
  record->volume = primary_.volume;
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
  return record;
}

// What came up to `end`, all in one chunk: the whole chunk or, at the ends of a part, a piece of it.
void Fill::hand_over_locked(ByteOffset end) {
  const auto chunk = static_cast<uint32_t>(handed_end_ / kChunkSize);
  const bool whole = handed_end_ == begin_of(chunk) &&
                     (end == begin_of(chunk) + kChunkSize || end == head_.body_length);
  const Ref<MemoryRecord> record = whole ? chunk_record_locked(chunk, end - handed_end_)
                                         : piece_record_locked(handed_end_, end);
  const bool stored = record && offer_locked(record);
  // Trimming keeps lost_ aligned with the window's first chunk; this chunk is the next one in it.
  const auto index = static_cast<size_t>(chunk - window_begin_ / kChunkSize);
  if (lost_.size() <= index) lost_.resize(index + 1, false);
  lost_[index] = !stored;
  if (!stored) {
    lost_chunks_++;
    // What lacks a part is no use on the disk, the rest of it is not worth a write. What promises none is.
    if (!head_.is_part()) to_disk_ = false;
  }
  handed_end_ = end;
  admit_for_laggards_locked();
}

// A follower that is about to fall out of the window will have to read from the disk, so what is still in the
// window goes there, whatever was decided before. Where that is refused it goes on by a range request.
void Fill::admit_for_laggards_locked() {
  bool is_needed = false;
  for (const Follower& follower : followers_) {
    const bool lags = produced_ - follower.cursor >= window_locked() / 2;
    is_needed = is_needed || (follower.cursor >= window_begin_ && lags);
  }
  if (!is_needed || to_disk_) return;
  const ByteOffset first = window_begin_ / kChunkSize;
  for (size_t index = 0; index < lost_.size(); index++) {
    const auto chunk = static_cast<uint32_t>(first + index);
    const ByteOffset first_byte = std::max(window_begin_, head_.part_begin);
    if (!lost_[index] || begin_of(chunk) < first_byte) continue;
    const ByteOffset end = std::min(begin_of(chunk) + kChunkSize, handed_end_);
    if (!store_->offer(chunk_record_locked(chunk, end - begin_of(chunk)))) return;
    lost_[index] = false;
    lost_chunks_--;
  }
  // From now on every part, so that nothing is lost that is not lost already.
  to_disk_ = true;
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
    if (!record) {
      Counters::add(store_->counters().dropped_pages);
      return;
    }
  } else {
    record = Ref<MemoryRecord>::adopt(new MemoryRecord());
    record->header = header;
    record->key = head_.key;
    PageRef cell = store_->pool().allocate(head.size());
    if (!cell) {
      Counters::add(store_->counters().dropped_pages);
      return;
    }
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
  if (!offer_locked(record)) store_->forget_on_disk(KeyPlace{primary_.volume, hash_});
  drop_older_locked(*record);
}

// Null where no page is free: counted.
Ref<MemoryRecord> Fill::head_record_locked(Bytes head) {
  RecordHeader header = header_of(RecordKind::head);
  header.key_length = static_cast<uint32_t>(head_.key.size());
  header.meta_length = static_cast<uint32_t>(head.size());
  Ref<MemoryRecord> record =
      copy_record(store_->pool(), header, head_.key, head, std::span<const Bytes>());
  if (record) {
    record->volume = primary_.volume;
  } else {
    Counters::add(store_->counters().dropped_pages);
  }
  return record;
}

void Fill::publish_head_locked() {
  MutableBytes head(head_.head);
  store_le<uint64_t>(head, kBodyLengthOffset, produced_);
  const Ref<MemoryRecord> record = head_record_locked(head);
  if (!record) return;
  // A head promises its chunks. On the disk only an object that is whole there gets one; in memory one that
  // is whole at this moment. What memory drops of it later makes it a miss (Store::forget).
  if (to_disk_ && lost_chunks_ == 0) {
    if (offer_locked(record)) return drop_older_locked(*record);
  } else if (store_->first_missing_chunk(*record, 0, produced_) == Store::kNoChunk) {
    store_->tier().publish(record);
  }
  store_->forget_on_disk(KeyPlace{primary_.volume, hash_});
  drop_older_locked(*record);
}

// A look-up that was reading the older version from the disk may have put it into memory while this one was
// not there, for lack of room or because it was evicted at once.
void Fill::drop_older_locked(const MemoryRecord& record) {
  if (store_->tier().peek(hash_).get() != &record) store_->tier().remove(hash_);
}

// The marker's incarnation is the lowest birth of a variant that it vouches for: one that vouches for the
// variants of an older marker has that one's, unless a purge came since.
Status Fill::publish_marker(Bytes marker, Sequence floor) {
  const Result<HeadView> view = decode_head(marker);
  if (!view.ok() || (view.value().flags & kHeadVaryMarker) == 0) {
    return Status(Code::invalid, "not the head of a Vary marker");
  }
  MutexLock lock(mutex_);
  // Of one that broke off, an incomplete object may be left.
  const bool is_none = state_ == FillState::failed && !head_.known;
  if (is_none || purged_ || verdict_locked() == PurgeVerdict::gone) {
    return Status(Code::not_found, "the key was purged, or nothing came of the fill");
  }
  const bool vouches = floor > 0 && floor <= birth_ &&
                       store_->verdict(primary_, primary_key_, floor, Bytes()) != PurgeVerdict::gone;
  // One in memory alone does not lead to what goes to the disk.
  const bool to_disk = to_disk_ || store_->is_on_disk(primary_);
  const Ref<MemoryRecord> existing = store_->peek_head(primary_, primary_key_);
  if (existing && existing->header.birth <= birth_) {
    const Bytes known = existing->head_bytes();
    const bool same = known.size() == marker.size() &&
                      std::memcmp(known.data(), marker.data(), known.size()) == 0;
    if (same && (!to_disk || store_->is_on_disk(primary_))) return Status();
  }
  RecordHeader header = header_of(RecordKind::head);
  header.hash = primary_.hash;
  header.expires_ms = 0;  // variants that outlive this one need it too
  header.incarnation = vouches ? floor : birth_;
  header.object_length = 0;
  header.key_length = static_cast<uint32_t>(primary_key_.size());
  header.meta_length = static_cast<uint32_t>(marker.size());
  const Ref<MemoryRecord> record =
      copy_record(store_->pool(), header, primary_key_, marker, std::span<const Bytes>());
  if (!record) return Status(Code::again, "no free page for a Vary marker");
  record->volume = primary_.volume;
  store_->tier().publish(record);
  if (to_disk) store_->offer(record);
  return Status();
}

}  // namespace millrace
