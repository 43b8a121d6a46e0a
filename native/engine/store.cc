// Places of keys, fills, refreshing, and records that come from outside. See store.h; opening and closing are
// in store-open.cc, finding in store-read.cc, reading bodies in store-chunks.cc, purging in store-purge.cc.
#include "engine/store.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "engine/stored-body.h"
#include "layout/head.h"
#include "layout/key.h"

namespace millrace {

// What memory gives up after it was asked for counts as asked for on the disk as well: else the most wanted
// records, which memory answers for, would look cold there and be reclaimed.
void Store::keep_warm(void* self, const MemoryRecord& record) {
  auto* store = static_cast<Store*>(self);
  store->volumes_[record.volume]->index().mark_hit(record.header.hash.low,
                                                   record.header.kind == RecordKind::chunk);
}

uint64_t Store::total(Counters::Count Counters::* counter) const {
  uint64_t sum = (counters_.*counter).load(std::memory_order_relaxed);
  for (const std::unique_ptr<Volume>& volume : volumes_) {
    sum += (volume->counters().*counter).load(std::memory_order_relaxed);
  }
  return sum;
}

Staging* Store::staging(uint32_t volume) {
  return volumes_.empty() ? outside_.get() : &volumes_[volume]->staging();
}

KeyPlace Store::place_in(uint32_t volume, std::string_view key) const {
  const Bytes bytes(reinterpret_cast<const uint8_t*>(key.data()), key.size());
  return KeyPlace{volume, siphash_128(hash_key(volume), bytes)};
}

KeyPlace Store::place_of(std::string_view primary_key) const {
  KeyPlace best = place_in(0, primary_key);
  if (volumes_.size() < 2) return best;
  uint64_t least = rendezvous_score(best.hash.high, weights_[0]);
  for (uint32_t volume = 1; volume < volumes_.size(); volume++) {
    const KeyPlace place = place_in(volume, primary_key);
    const uint64_t score = rendezvous_score(place.hash.high, weights_[volume]);
    if (score >= least) continue;
    least = score;
    best = place;
  }
  return best;
}

KeyHash Store::chunk_hash(uint32_t volume, const KeyHash& object, uint64_t incarnation,
                          uint32_t chunk) const {
  return millrace::chunk_hash(hash_key(volume), object, incarnation, chunk);
}

Ref<Fill> Store::begin_fill(std::string primary_key, Notice producer) {
  auto fill = Ref<Fill>::adopt(new Fill(Ref<Store>::share(this), std::move(primary_key),
                                        birth_.load(), std::move(producer)));
  Counters::add(counters_.fills);
  MutexLock lock(fills_mutex_);
  fills_.push_back(fill.get());
  return fill;
}

void Store::forget_fill(Fill* fill) {
  MutexLock lock(fills_mutex_);
  const auto at = std::find(fills_.begin(), fills_.end(), fill);
  MR_ASSERT(at != fills_.end());
  *at = fills_.back();
  fills_.pop_back();
}

void Store::relieve_fills(void* self) {
  auto* store = static_cast<Store*>(self);
  MutexLock lock(store->fills_mutex_);
  for (Fill* fill : store->fills_) fill->relieve();
}

bool Store::offer(const Ref<MemoryRecord>& record) {
  Staging* staging = this->staging(record->volume);
  if (staging == nullptr) return false;
  if (staging->offer(record)) return true;
  Counters::add(counters_.writes_dropped);
  const bool is_off = !volumes_.empty() && volumes_[record->volume]->appender().writes_off();
  Counters::add(is_off ? counters_.dropped_errors : counters_.dropped_overload);
  return false;
}

bool Store::admits(const KeyPlace& place) {
  return volumes_.empty() ? outside_ != nullptr : volumes_[place.volume]->admits(place.hash);
}

bool Store::is_on_disk(const KeyPlace& place) {
  Staging* staging = this->staging(place.volume);
  if (volumes_.empty()) return staging != nullptr;  // an outside tier knows for itself
  return volumes_[place.volume]->index().has_head(place.hash.low) || staging->find(place.hash);
}

void Store::forget_on_disk(const KeyPlace& place) {
  // In this order: what is staged is put into the index or cancelled, one or the other.
  Staging* staging = this->staging(place.volume);
  const bool was_staged = staging != nullptr && staging->find(place.hash);
  if (was_staged) staging->cancel(place.hash);
  if (volumes_.empty()) return;
  Volume& volume = *volumes_[place.volume];
  if (was_staged || volume.is_warming() || volume.index().has_head(place.hash.low)) {
    volume.forgotten().add(place.hash.low);
  }
  volume.index().remove_heads(place.hash.low);
}

void Store::forget(const Ref<MemoryRecord>& record) {
  const KeyPlace place{record->volume, record->header.hash};
  // The part may be on the disk, its footer still to be loaded.
  if (is_warming(record->volume)) return;
  MutexLock lock(fills_mutex_);
  const Ref<MemoryRecord> known = peek_head(place, record->key);
  if (known && known->header.incarnation != record->header.incarnation) return;
  forget_on_disk(place);
  tier_.remove(place.hash);
}

Status Store::refresh(const Ref<MemoryRecord>& record, Bytes head, Sequence birth) {
  // A head on the disk for a body that lives in memory alone would promise what is not there.
  return replace_head(record, head, birth,
                      is_on_disk(KeyPlace{record->volume, record->header.hash}));
}

Status Store::replace_head(const Ref<MemoryRecord>& record, Bytes head, Sequence birth,
                           bool to_disk) {
  const Result<HeadView> view = decode_head(head);
  if (!view.ok()) return Status(Code::invalid, view.status().message());
  if (record->key.size() + head.size() > Fill::kMaximumKeyAndHead) {
    return Status(Code::invalid, "the refreshed head is too large to store");
  }
  auto refreshed = Ref<MemoryRecord>::adopt(new MemoryRecord());
  refreshed->header = record->header;
  refreshed->header.birth = std::max(record->header.birth, birth);
  refreshed->header.meta_length = static_cast<uint32_t>(head.size());
  refreshed->volume = record->volume;
  refreshed->key = record->key;
  refreshed->may_compress = record->may_compress;
  PageRef cell = pool_->allocate(head.size());
  if (!cell) return Status(Code::again, "no free page for a refreshed head");
  std::memcpy(cell.data(), head.data(), head.size());
  refreshed->head = PageSpan{std::move(cell), 0, static_cast<uint32_t>(head.size())};
  for (const PageSpan& span : record->body) refreshed->body.push_back(span.share());
  refreshed->seal();
  MutexLock lock(fills_mutex_);
  if (!is_current_locked(*record) || verdict(*record) == PurgeVerdict::gone) {
    return Status(Code::not_found, "the object was purged or replaced before its 304 came");
  }
  if ((view.value().flags & kHeadIncomplete) != 0) {
    // Completed meanwhile: that must not be taken back by what was asked for before.
    const Ref<MemoryRecord> now =
        peek_head(KeyPlace{record->volume, record->header.hash}, record->key);
    if (now && (head_flags(now->head_bytes()) & kHeadIncomplete) == 0) return Status();
  }
  tier_.publish(refreshed);
  if (to_disk) offer(refreshed);
  return Status();
}

bool Store::is_current_locked(const MemoryRecord& record) {
  const Ref<MemoryRecord> known =
      peek_head(KeyPlace{record.volume, record.header.hash}, record.key);
  if (known) return known->header.incarnation == record.header.incarnation;
  if (is_off(record.volume)) return false;
  // On the disk alone: current is what the index leads to. One that reclaim has copied since is found at
  // another place and counts as replaced, which costs another validation.
  const ByteOffset address = record.disk_address.load(std::memory_order_acquire);
  if (address == 0) return false;
  Volume& volume = *volumes_[record.volume];
  const uint64_t word = volume.index().word_at(record.header.hash.low, address);
  return word != 0 && Index::kind_of(word) != RecordKind::chunk &&
         volume.ring().sequence(volume.ring().segment_at(address)) ==
             record.disk_sequence.load(std::memory_order_relaxed);
}

Result<Ref<MemoryRecord>> Store::adopt(Bytes bytes, const KeyHash& hash, const std::string& key) {
  const Result<RecordView> decoded = decode_record(bytes);
  if (!decoded.ok()) return Status(Code::corrupt, decoded.status().message());
  const RecordView& view = decoded.value();
  const std::string_view stored(reinterpret_cast<const char*>(view.key.data()), view.key.size());
  if (!(view.header.hash == hash) || stored != key) {
    return Status(Code::not_found, "the file holds another key's record");
  }
  const ByteCount distance = record_body_distance(view.header);
  if (bytes.size() < distance + view.header.stored_length) {
    return Status(Code::corrupt, "the file is shorter than its record");
  }
  const Bytes body = bytes.subspan(distance, view.header.stored_length);
  for (uint32_t block = 0; block < body_block_count(view.header); block++) {
    const Bytes part =
        body.subspan(view.stored_block_begin(block), view.stored_block_length(block));
    if (crc32c(part) != view.block_crc(block)) {
      return Status(Code::corrupt, "a body does not match its checksum");
    }
  }
  if (view.key.size() + view.meta.size() > Fill::kMaximumKeyAndHead) {
    return Status(Code::corrupt, "a key and head longer than any that is stored");
  }
  if (view.header.kind != RecordKind::chunk && !decode_head(view.meta).ok()) {
    return Status(Code::corrupt, "a stored head does not decode");
  }
  const std::span<const Bytes> parts(&body, body.empty() ? 0 : 1);
  Ref<MemoryRecord> record;
  if (is_compressed(view.header)) {
    Result<Ref<MemoryRecord>> decompressed =
        decode_stored_record(*pool_, view, key, parts, /*check=*/false);
    if (!decompressed.ok()) return decompressed.status();
    record = std::move(decompressed.value());
  } else {
    record = copy_record(*pool_, view.header, key, view.meta, parts);
    if (!record) return Status(Code::again, "no free page for a record");
  }
  if (verdict(*record) == PurgeVerdict::gone) return Status(Code::corrupt, "the record was purged");
  tier_.publish(record);
  return record;
}

}  // namespace millrace
