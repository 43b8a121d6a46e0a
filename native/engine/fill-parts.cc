// What a fill leaves of a body that it has not whole: pieces of chunks, and the head of an incomplete object,
// which promises nothing. See fill.h; docs/decisions/0012-incomplete-objects.md has the reasons.
#include <algorithm>

#include "engine/fill.h"
#include "engine/store.h"
#include "layout/head.h"
#include "layout/key.h"

namespace millrace {

// The bytes [from, end) of one chunk, with those of a piece in memory that they touch; the chunk itself where
// that makes it whole. Copied, because a body begins with its page: its blocks are those of the device.
Ref<MemoryRecord> Fill::piece_record_locked(ByteOffset from, ByteOffset end) {
  const auto chunk = static_cast<uint32_t>(from / kChunkSize);
  const ByteOffset begin = ByteOffset{chunk} * kChunkSize;
  auto first = static_cast<uint32_t>(from - begin);
  auto last = static_cast<uint32_t>(end - begin);
  MR_ASSERT_OP(first, <, last);
  MR_ASSERT_OP(last, <=, kChunkSize);
  MR_ASSERT_OP(window_begin_, <=, from);
  const Ref<MemoryRecord> old =
      store_->piece_in_memory(primary_.volume, hash_, incarnation_, chunk);
  std::vector<PageSpan> before;
  std::vector<PageSpan> after;
  if (old && old->header.interval_begin <= last && old->header.interval_end >= first) {
    const RecordHeader& held = old->header;
    if (held.interval_begin < first) before = old->slice(0, first - held.interval_begin);
    if (held.interval_end > last) {
      after = old->slice(last - held.interval_begin, held.interval_end - last);
    }
    first = std::min(first, held.interval_begin);
    last = std::max(last, held.interval_end);
  }
  std::vector<Bytes> parts;
  for (const PageSpan& span : before) parts.emplace_back(span.data(), span.length);
  for (ByteOffset at = from; at < end;) {
    const ByteOffset page_end = std::min(round_down(at, kPageSize) + kPageSize, end);
    const auto number = static_cast<size_t>((at - window_begin_) / kPageSize);
    parts.emplace_back(pages_[number].data() + at % kPageSize, page_end - at);
    at = page_end;
  }
  for (const PageSpan& span : after) parts.emplace_back(span.data(), span.length);
  const bool whole = first == 0 && last == std::min(kChunkSize, head_.body_length - begin);
  RecordHeader header = header_of(RecordKind::chunk);
  header.hash = store_->chunk_hash(primary_.volume, hash_, incarnation_,
                                   whole ? chunk : chunk | kPieceName);
  header.chunk_number = chunk;
  header.interval_begin = first;
  header.interval_end = last;
  header.body_length = last - first;
  header.stored_length = header.body_length;
  const Ref<MemoryRecord> record =
      copy_record(store_->pool(), header, std::string(), Bytes(), parts);
  if (!record) Counters::add(store_->counters().dropped_pages);
  return record;
}

std::vector<uint8_t> Fill::head_with_locked(bool is_incomplete) const {
  std::vector<uint8_t> head = head_.head;
  const uint16_t flags = head_flags(head);
  set_head_flags(head, static_cast<uint16_t>(is_incomplete ? flags | kHeadIncomplete
                                                           : flags & ~kHeadIncomplete));
  return head;
}

// Of a new version: what is stored of an older one is not found from now on.
void Fill::publish_incomplete_locked() {
  if (purged_ || verdict_locked() == PurgeVerdict::gone) return;
  const Ref<MemoryRecord> record = head_record_locked(head_with_locked(true));
  if (!record) return;
  head_.known = record;
  if (!offer_locked(record)) store_->forget_on_disk(KeyPlace{primary_.volume, hash_});
}

// A body that broke off: its last bytes, and whether a later request can go on from there.
bool Fill::keep_what_came_locked() {
  if (state_ != FillState::running || !head_.keep || head_.body_length == kUnknownLength) return false;
  if (produced_ == head_.part_begin || !(may_resume_ || head_.is_part())) return false;
  if (purged_ || verdict_locked() == PurgeVerdict::gone) return false;
  if (produced_ > handed_end_) hand_over_locked(produced_);
  return true;
}

// Where the part was the last one that lacked, the object is whole from now on. On the disk only if every
// chunk is there: else the head stays that promises nothing.
void Fill::complete(const Ref<MemoryRecord>& known) {
  std::vector<uint8_t> head;
  {
    MutexLock lock(mutex_);
    if (store_->first_missing_chunk(*known, 0, head_.body_length) != Store::kNoChunk) return;
    head = head_with_locked(false);
  }
  // Purged or replaced meanwhile: nobody finds these chunks any more.
  (void)store_->replace_head(known, head, birth_, store_->is_whole_on_disk(*known));
}

}  // namespace millrace
