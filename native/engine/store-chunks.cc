// Reading bodies by chunks: memory first, then staging, then what is read ahead, then the device; and
// starting what is read ahead. See store.h and read-ahead.h.
#include <algorithm>

#include "engine/store.h"

namespace millrace {

namespace {

// Reads under way on one volume from which on nothing is read ahead: clients that wait come first.
constexpr uint64_t kDeepReads = 8;

// State of one asynchronous chunk read.
struct PendingChunk {
  Ref<Store> store;
  Store::FindDone done;
  void* context;
  uint32_t volume = 0;
  ReadTarget target;
  ByteCount in_chunk = 0;  // where the wanted bytes begin
  ByteCount length = 0;
};

struct PendingAhead {
  Ref<Store> store;
  Ref<AheadChunk> chunk;
  uint32_t volume = 0;
};

// Length of a chunk of an object, 0 beyond its end. Of an unknown length only whole chunks are found.
ByteCount chunk_length_of(uint64_t object_length, ByteOffset chunk) {
  if (object_length == kUnknownLength) return kChunkSize;
  const ByteOffset begin = chunk * kChunkSize;
  return begin >= object_length ? 0 : std::min(kChunkSize, object_length - begin);
}

// Bytes [begin, begin + length) of what `record` holds, as a record whose body is just these.
Ref<MemoryRecord> part_of(const MemoryRecord& record, ByteCount begin, ByteCount length) {
  auto part = Ref<MemoryRecord>::adopt(new MemoryRecord());
  part->header = record.header;
  part->volume = record.volume;
  part->body = record.slice(begin, length);
  part->header.interval_begin += static_cast<uint32_t>(begin);
  part->header.interval_end = part->header.interval_begin + static_cast<uint32_t>(length);
  part->header.body_length = static_cast<uint32_t>(length);
  part->seal();
  return part;
}

void finish(PendingChunk* pending, Status status, Ref<MemoryRecord> record) {
  const Store::FindDone done = pending->done;
  void* done_context = pending->context;
  const Ref<Store> keep = pending->store;
  delete pending;
  done(done_context, status, std::move(record));
}

}  // namespace

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
    const ByteCount part = std::min(range.length, header.body_length - in_chunk);
    read_ahead_.taken(hash, in_chunk + part);
    *spans = found->slice(in_chunk, part);
    return Found::hit;
  }
  const ByteCount chunk_length = chunk_length_of(range.object_length, chunk);
  if (in_chunk >= chunk_length || closed()) return Found::miss;
  if (!is_chunk_indexed(range.volume, hash)) return read_piece(range, spans, done, context);
  ByteCount wanted = std::min(range.length, chunk_length - in_chunk);
  PendingChunk* pending = nullptr;
  if (done != nullptr) {
    pending = new PendingChunk{Ref<Store>::share(this), done, context, range.volume, ReadTarget(),
                               in_chunk, wanted};
    aim(hash, range.incarnation, number, chunk_length, pending->in_chunk, wanted, &pending->target);
  }
  IndexHit hit;
  const ReadAhead::Take take =
      read_ahead_.take(hash, in_chunk + wanted, pending, &found, &hit);
  if (take == ReadAhead::Take::first) take_in(range.volume, found, hit);
  if (take == ReadAhead::Take::first || take == ReadAhead::Take::ready) {
    *spans = found->slice(in_chunk, wanted);
    delete pending;
    return Found::hit;
  }
  if (take == ReadAhead::Take::waiting || done == nullptr) return Found::pending;
  // While pages are scarce, one page at a time: slow, but everybody moves.
  if (pool_->available() < pool_->limit() / 4) wanted = std::min(wanted, kPageSize);
  pending->length = wanted;
  aim(hash, range.incarnation, number, chunk_length, in_chunk, wanted, &pending->target);
  ReadOperation::start(reader_context(range.volume), pending->target, &Store::chunk_read, pending);
  return Found::pending;
}

void Store::aim(const KeyHash& hash, uint64_t incarnation, uint32_t number, ByteCount chunk_length,
                ByteCount in_chunk, ByteCount wanted, ReadTarget* target) {
  target->hash = hash;
  target->incarnation = incarnation;
  target->chunk_number = number;
  target->body_length = static_cast<uint32_t>(chunk_length);
  target->first_block = static_cast<uint32_t>(in_chunk / kPageSize);
  const ByteCount end = in_chunk + wanted;
  target->block_count =
      static_cast<uint32_t>((end + kPageSize - 1) / kPageSize) - target->first_block;
}

// Into the memory tier, unless it was replaced or reclaimed since it was read.
void Store::take_in(uint32_t volume, const Ref<MemoryRecord>& record, const IndexHit& hit) {
  volumes_[volume]->index().mark_hit(hit);
  tier_.publish(record);
  if (!Index::unchanged(hit)) tier_.remove(record->header.hash);
}

void Store::chunk_read(void* context, Status status, Ref<MemoryRecord> record,
                       const IndexHit& hit) {
  auto* pending = static_cast<PendingChunk*>(context);
  Store& store = *pending->store;
  const bool is_whole = pending->in_chunk == 0 && pending->length == pending->target.body_length;
  if (status.ok() && is_whole) {
    store.tier_.publish(record);
    if (!Index::unchanged(hit)) store.tier_.remove(record->header.hash);
  } else if (status.ok()) {
    record = part_of(*record, pending->in_chunk % kPageSize, pending->length);
  }
  finish(pending, status, std::move(record));
}

Ref<AheadChunk> Store::read_ahead(const BodyRange& range) {
  const ByteOffset chunk = range.offset / kChunkSize;
  if (is_off(range.volume) || closed() || chunk > 0xffffffffu) return Ref<AheadChunk>();
  if (range.object_length == kUnknownLength) return Ref<AheadChunk>();
  const ByteCount length = chunk_length_of(range.object_length, chunk);
  if (length == 0) return Ref<AheadChunk>();
  const auto number = static_cast<uint32_t>(chunk);
  const KeyHash hash = chunk_hash(range.volume, range.hash, range.incarnation, number);
  Staging* staging = this->staging(range.volume);
  if (tier_.peek(hash) || (staging != nullptr && staging->find(hash))) return Ref<AheadChunk>();
  Volume& volume = *volumes_[range.volume];
  IndexHit hits[Index::kMaximumHits];
  if (volume.index().lookup(hash.low, hits) == 0) return Ref<AheadChunk>();
  const bool is_idle =
      volume.counters().reads_under_way.load(std::memory_order_relaxed) < kDeepReads;
  bool starts = false;
  Ref<AheadChunk> ahead = read_ahead_.want(hash, static_cast<uint32_t>(length),
                                           is_idle && has_spare_pages(length), &starts);
  if (starts) {
    ReadTarget target;
    target.is_ahead = true;
    aim(hash, range.incarnation, number, length, 0, length, &target);
    auto* pending = new PendingAhead{Ref<Store>::share(this), ahead, range.volume};
    ReadOperation::start(reader_context(range.volume), std::move(target), &Store::ahead_read,
                         pending);
  }
  return ahead;
}

void Store::ahead_read(void* context, Status status, Ref<MemoryRecord> record,
                       const IndexHit& hit) {
  auto* pending = static_cast<PendingAhead*>(context);
  const Ref<Store> store = pending->store;
  if (!status.ok()) record.reset();
  const std::vector<void*> waiting = store->read_ahead_.landed(pending->chunk, record, hit);
  if (record && !waiting.empty()) store->take_in(pending->volume, record, hit);
  delete pending;
  for (void* item : waiting) {
    auto* waiter = static_cast<PendingChunk*>(item);
    if (record) {
      const bool is_whole = waiter->in_chunk == 0 && waiter->length == waiter->target.body_length;
      finish(waiter, Status(),
             is_whole ? record : part_of(*record, waiter->in_chunk, waiter->length));
    } else {
      // What failed may have failed for want of a page alone: the client's own read finds out.
      ReadOperation::start(store->reader_context(waiter->volume), waiter->target,
                           &Store::chunk_read, waiter);
    }
  }
}

void Store::end_read_ahead(const Ref<AheadChunk>& chunk) { read_ahead_.unwant(chunk); }

// Half of the memory beside the tier's budget stays free for fills, sockets and reads that are waited for.
bool Store::has_spare_pages(ByteCount length) const {
  const ByteCount budget = std::min(tier_.budget(), pool_->limit());
  const ByteCount used = pool_->used();
  const ByteCount beside = used - std::min(used, tier_.used());
  return beside + length <= (pool_->limit() - budget) / 2;
}

uint32_t Store::first_missing_chunk(const MemoryRecord& record, ByteOffset offset,
                                    ByteCount length) {
  if (record.header.kind != RecordKind::head || length == 0) return kNoChunk;
  const ByteOffset last = (offset + length - 1) / kChunkSize;
  for (ByteOffset chunk = offset / kChunkSize; chunk <= last && chunk < kNoChunk; chunk++) {
    const auto number = static_cast<uint32_t>(chunk);
    const KeyHash hash =
        chunk_hash(record.volume, record.header.hash, record.header.incarnation, number);
    if (!is_chunk_known(record.volume, hash)) return number;
  }
  return kNoChunk;
}

}  // namespace millrace
