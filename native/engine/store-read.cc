// Finding and reading: memory first, then staging, then index and device. See store.h.
#include <algorithm>

#include "engine/store.h"
#include "layout/head.h"

namespace millrace {

namespace {

// State of one asynchronous find or chunk read.
struct PendingRead {
  Ref<Store> store;
  Store::FindDone done;
  void* context;
  std::string key;
  Sequence minimum_birth = 0;
  bool whole_chunk = false;
  ByteCount skip = 0;    // bytes before the wanted offset in the first block
  ByteCount length = 0;
};

}  // namespace

ReaderContext Store::reader_context(uint32_t volume) {
  Volume& from = *volumes_[volume];
  return ReaderContext{&from.device(), &from.ring(),     &from.index(),
                       pool_.get(),    &from.appender(), &from.counters(), volume};
}

Ref<MemoryRecord> Store::peek_head(const KeyPlace& place, const std::string& key) {
  Ref<MemoryRecord> record = tier_.peek(place.hash);
  Staging* staging = this->staging(place.volume);
  if (!record && staging != nullptr) record = staging->find(place.hash);
  if (record && record->key == key && verdict(*record) != PurgeVerdict::gone) return record;
  return Ref<MemoryRecord>();
}

Found Store::find(const KeyPlace& place, const std::string& key, Sequence minimum_birth,
                  Ref<MemoryRecord>* record, FindDone done, void* context) {
  const KeyHash& hash = place.hash;
  Staging* staging = this->staging(place.volume);
  Ref<MemoryRecord> found = tier_.find(hash);
  if (!found && staging != nullptr) found = staging->find(hash);
  if (found) {
    const bool is_purged = verdict(*found) == PurgeVerdict::gone;
    if (is_purged) tier_.remove(hash);
    const bool usable =
        found->key == key && !is_purged && found->header.birth >= minimum_birth;
    Counters::add(counters_.lookups);
    Counters::add(usable ? counters_.memory_hits : counters_.misses);
    if (!usable) return Found::miss;
    *record = std::move(found);
    return Found::hit;
  }
  IndexHit hits[Index::kMaximumHits];
  const bool known = !is_off(place.volume) && !closed() &&
                     volumes_[place.volume]->index().lookup(hash.low, hits) > 0;
  if (known && done == nullptr) return Found::pending;
  Counters::add(counters_.lookups);
  if (!known) {
    Counters::add(counters_.misses);
    return Found::miss;
  }
  auto* pending = new PendingRead{Ref<Store>::share(this), done, context, key, minimum_birth};
  ReadTarget target;
  target.hash = hash;
  target.key = key;
  ReadOperation::start(reader_context(place.volume), std::move(target), &Store::head_read, pending);
  return Found::pending;
}

void Store::head_read(void* context, Status status, Ref<MemoryRecord> record,
                      const IndexHit& hit) {
  auto* pending = static_cast<PendingRead*>(context);
  Store& store = *pending->store;
  if (status.ok() && (record->header.birth < pending->minimum_birth ||
                      !decode_head(record->head_bytes()).ok())) {
    status = Status(Code::not_found, "the record is not valid any more");
    record.reset();
  }
  if (status.ok() && store.verdict(*record) == PurgeVerdict::gone) {
    // A prefix, a tag, or the primary key of a variant: nobody looked for it in the index.
    store.volumes_[record->volume]->index().remove(record->header.hash.low,
                                                   Index::address_of(hit.word));
    status = Status(Code::not_found, "the record was purged");
    record.reset();
  }
  if (status.ok()) {
    // A purge that came between the read and now has taken the word out of the index.
    MutexLock lock(store.fills_mutex_);
    if (Index::unchanged(hit)) {
      store.tier_.publish(record);
    } else {
      status = Status(Code::not_found, "the record was purged or replaced while it was read");
      record.reset();
    }
  }
  Counters::add(status.ok() ? store.counters_.disk_hits : store.counters_.misses);
  const FindDone done = pending->done;
  void* done_context = pending->context;
  // The caller's context may own the last reference to the store: let go of ours after the call.
  const Ref<Store> keep = pending->store;
  delete pending;
  done(done_context, status, std::move(record));
}

Found Store::read_chunk(const BodyRange& range, std::vector<PageSpan>* spans, FindDone done,
                        void* context) {
  MR_ASSERT(range.length > 0);
  const ByteOffset chunk = range.offset / kChunkSize;
  if (chunk > 0xffffffffu) return Found::miss;
  const auto number = static_cast<uint32_t>(chunk);
  const ByteCount in_chunk = range.offset % kChunkSize;
  const KeyHash hash = chunk_hash(range.volume, range.hash, range.incarnation, number);
  Staging* staging = this->staging(range.volume);
  Ref<MemoryRecord> found = tier_.find(hash);
  if (!found && staging != nullptr) found = staging->find(hash);
  if (found) {
    const RecordHeader& header = found->header;
    if (header.kind != RecordKind::chunk || header.incarnation != range.incarnation ||
        header.chunk_number != number || in_chunk >= header.body_length) {
      return Found::miss;
    }
    const ByteCount rest = header.body_length - in_chunk;
    *spans = found->slice(in_chunk, range.length < rest ? range.length : rest);
    return Found::hit;
  }
  if (is_off(range.volume) || closed()) return Found::miss;
  ByteCount chunk_length = kChunkSize;
  if (range.object_length != kUnknownLength) {
    const ByteOffset begin = chunk * kChunkSize;
    if (range.offset >= range.object_length) return Found::miss;
    chunk_length = std::min(kChunkSize, range.object_length - begin);
  }
  IndexHit hits[Index::kMaximumHits];
  if (volumes_[range.volume]->index().lookup(hash.low, hits) == 0) return Found::miss;
  if (done == nullptr) return Found::pending;
  ByteCount wanted = std::min(range.length, chunk_length - in_chunk);
  // While pages are scarce, one page at a time: slow, but everybody moves.
  if (pool_->available() < pool_->limit() / 4) wanted = std::min(wanted, kPageSize);
  auto* pending = new PendingRead{Ref<Store>::share(this), done, context, std::string(), 0};
  ReadTarget target;
  target.hash = hash;
  target.incarnation = range.incarnation;
  target.chunk_number = number;
  target.body_length = static_cast<uint32_t>(chunk_length);
  target.first_block = static_cast<uint32_t>(in_chunk / kPageSize);
  const ByteCount end = in_chunk + wanted;
  target.block_count =
      static_cast<uint32_t>((end + kPageSize - 1) / kPageSize) - target.first_block;
  pending->skip = in_chunk % kPageSize;
  pending->length = wanted;
  pending->whole_chunk = in_chunk == 0 && wanted == chunk_length;
  ReadOperation::start(reader_context(range.volume), std::move(target), &Store::chunk_read, pending);
  return Found::pending;
}

void Store::chunk_read(void* context, Status status, Ref<MemoryRecord> record,
                       const IndexHit& hit) {
  auto* pending = static_cast<PendingRead*>(context);
  Store& store = *pending->store;
  if (status.ok() && pending->whole_chunk) {
    store.tier_.publish(record);
    if (!Index::unchanged(hit)) store.tier_.remove(record->header.hash);
  } else if (status.ok()) {
    auto part = Ref<MemoryRecord>::adopt(new MemoryRecord());
    part->header = record->header;
    part->volume = record->volume;
    part->body = record->slice(pending->skip, pending->length);
    part->header.interval_begin += static_cast<uint32_t>(pending->skip);
    part->header.interval_end =
        part->header.interval_begin + static_cast<uint32_t>(pending->length);
    part->header.body_length = static_cast<uint32_t>(pending->length);
    part->seal();
    record = std::move(part);
  }
  const FindDone done = pending->done;
  void* done_context = pending->context;
  const Ref<Store> keep = pending->store;
  delete pending;
  done(done_context, status, std::move(record));
}

uint32_t Store::first_missing_chunk(const MemoryRecord& record, ByteOffset offset,
                                    ByteCount length) {
  if (record.header.kind != RecordKind::head || length == 0) return kNoChunk;
  const ByteOffset last = (offset + length - 1) / kChunkSize;
  Staging* staging = this->staging(record.volume);
  const Index* index = volumes_.empty() ? nullptr : &volumes_[record.volume]->index();
  for (ByteOffset chunk = offset / kChunkSize; chunk <= last && chunk < kNoChunk; chunk++) {
    const auto number = static_cast<uint32_t>(chunk);
    const KeyHash hash =
        chunk_hash(record.volume, record.header.hash, record.header.incarnation, number);
    if (tier_.peek(hash) || (staging != nullptr && staging->find(hash))) continue;
    IndexHit hits[Index::kMaximumHits];
    const uint32_t count = index != nullptr ? index->lookup(hash.low, hits) : 0;
    bool known = false;
    for (uint32_t i = 0; i < count && !known; i++) {
      known = Index::kind_of(hits[i].word) == RecordKind::chunk;
    }
    if (!known) return number;
  }
  return kNoChunk;
}

}  // namespace millrace
