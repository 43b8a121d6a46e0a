// The table of chunks read ahead, and the judgement of their use. See read-ahead.h.
#include "engine/read-ahead.h"

#include <algorithm>

namespace millrace {

ReadAhead::~ReadAhead() {
  for (const auto& [hash, chunk] : chunks_) MR_ASSERT(chunk->waiters.empty());
}

Ref<AheadChunk> ReadAhead::want(const KeyHash& hash, uint32_t length, bool may_start,
                                bool* starts) {
  MR_ASSERT(length > 0 && length <= kChunkSize);
  *starts = false;
  MutexLock lock(mutex_);
  const auto found = chunks_.find(hash);
  if (found != chunks_.end()) {
    found->second->wanted++;
    return found->second;
  }
  if (skips_left_ > 0) {
    skips_left_--;
    return Ref<AheadChunk>();
  }
  if (!may_start || bytes() + length > capacity_) return Ref<AheadChunk>();
  auto chunk = Ref<AheadChunk>::adopt(new AheadChunk());
  chunk->hash = hash;
  chunk->length = length;
  chunk->wanted = 1;
  chunk->is_listed = true;
  bytes_.fetch_add(length, std::memory_order_relaxed);
  chunks_.emplace(hash, chunk);
  *starts = true;
  return chunk;
}

void ReadAhead::unwant(const Ref<AheadChunk>& chunk) {
  MutexLock lock(mutex_);
  MR_ASSERT(chunk->wanted > 0);
  // What is being read is dropped when it has landed: until then the table must know of it.
  if (--chunk->wanted == 0 && chunk->record && chunk->is_listed) drop_locked(*chunk);
}

std::vector<void*> ReadAhead::landed(const Ref<AheadChunk>& chunk, const Ref<MemoryRecord>& record,
                                     const IndexHit& hit) {
  std::vector<void*> contexts;
  MutexLock lock(mutex_);
  MR_ASSERT(chunk->is_listed && !chunk->record);
  if (record) {
    Counters::add(counters_->prefetched_bytes, chunk->length);
    chunk->record = record;
    chunk->hit = hit;
  }
  for (const AheadChunk::Waiter& waiter : chunk->waiters) {
    contexts.push_back(waiter.context);
    if (record) raise_locked(*chunk, waiter.end);
  }
  chunk->waiters.clear();
  if (!record || chunk->wanted == 0) drop_locked(*chunk);
  return contexts;
}

ReadAhead::Take ReadAhead::take(const KeyHash& hash, ByteCount end, void* waiter,
                                Ref<MemoryRecord>* record, IndexHit* hit) {
  if (bytes() == 0) return Take::none;
  MutexLock lock(mutex_);
  const auto found = chunks_.find(hash);
  if (found == chunks_.end()) return Take::none;
  AheadChunk& chunk = *found->second;
  if (!chunk.record) {
    if (waiter != nullptr) chunk.waiters.push_back(AheadChunk::Waiter{waiter, end});
    return Take::waiting;
  }
  const bool is_first = chunk.taken == 0;
  raise_locked(chunk, end);
  *record = chunk.record;
  *hit = chunk.hit;
  return is_first ? Take::first : Take::ready;
}

void ReadAhead::taken(const KeyHash& hash, ByteCount end) {
  if (bytes() == 0) return;
  MutexLock lock(mutex_);
  const auto found = chunks_.find(hash);
  if (found != chunks_.end() && found->second->record) raise_locked(*found->second, end);
}

void ReadAhead::raise_locked(AheadChunk& chunk, ByteCount end) {
  const ByteCount until = std::min<ByteCount>(end, chunk.length);
  if (until <= chunk.taken) return;
  Counters::add(counters_->prefetch_used_bytes, until - chunk.taken);
  chunk.taken = until;
}

// The chunk may be freed with this.
void ReadAhead::drop_locked(AheadChunk& chunk) {
  chunk.is_listed = false;
  bytes_.fetch_sub(chunk.length, std::memory_order_relaxed);
  if (chunk.record) {
    Counters::add(counters_->prefetch_wasted_bytes, chunk.length - chunk.taken);
    settle_locked(chunk.length, chunk.taken);
    chunk.record.reset();
  }
  chunks_.erase(chunk.hash);
}

void ReadAhead::settle_locked(ByteCount length, ByteCount used) {
  settled_bytes_ += length;
  settled_used_ += used;
  if (settled_bytes_ < kJudgedBytes) return;
  if (2 * settled_used_ < settled_bytes_) {
    Counters::add(counters_->prefetch_off);
    skips_left_ = kSkippedChunks;
    settled_bytes_ = 0;
    settled_used_ = 0;
  } else if (settled_bytes_ >= 2 * kJudgedBytes) {
    settled_bytes_ /= 2;
    settled_used_ /= 2;
  }
}

}  // namespace millrace
