// The published records of L1: a chained table over slots, sharded locks, events for the policy.
#include "engine/memory-tier.h"

#include <bit>

namespace millrace {

MemoryTier::MemoryTier(ByteCount budget) : budget_(budget) {
  // One slot per 4 KiB: smaller records cost a slot and their overhead, so fewer of them fit the budget.
  slot_count_ = static_cast<uint32_t>(budget / (4 * kKiB));
  if (slot_count_ < 16) slot_count_ = 16;
  const uint32_t bucket_count = std::bit_ceil(slot_count_);
  bucket_mask_ = bucket_count - 1;
  buckets_.assign(bucket_count, kNone);
  chain_.assign(slot_count_, kNone);
  slot_buckets_.assign(slot_count_, 0);
  slots_.resize(slot_count_);
  sizes_ = std::make_unique<uint32_t[]>(slot_count_);
  hits_ = std::make_unique<uint8_t[]>(slot_count_);
  found_ = std::make_unique<uint8_t[]>(slot_count_);
  hashes_ = std::make_unique<uint32_t[]>(slot_count_);
  generations_ = std::make_unique<uint32_t[]>(slot_count_);
  free_slots_.reserve(slot_count_);
  for (uint32_t slot = slot_count_; slot > 0; slot--) free_slots_.push_back(slot - 1);
  changed_.resize(slot_count_);
  is_changed_.assign(slot_count_, false);
}

uint32_t MemoryTier::find_slot_locked(uint32_t bucket, const KeyHash& hash) const {
  for (uint32_t slot = buckets_[bucket]; slot != kNone; slot = chain_[slot]) {
    if (slots_[slot]->header.hash == hash) return slot;
  }
  return kNone;
}

Ref<MemoryRecord> MemoryTier::find(const KeyHash& hash) {
  const uint32_t bucket = bucket_of(hash);
  MutexLock lock(shard_of(bucket).mutex);
  const uint32_t slot = find_slot_locked(bucket, hash);
  if (slot == kNone) return Ref<MemoryRecord>();
  // The policy lowers these bytes from its own thread; a lost update costs one hit in its statistics.
  std::atomic_ref<uint8_t> hits(hits_[slot]);
  const uint8_t before = hits.load(std::memory_order_relaxed);
  if (before < kMaximumHits) hits.store(static_cast<uint8_t>(before + 1), std::memory_order_relaxed);
  if (found_[slot] == 0) found_[slot] = 1;
  return slots_[slot];
}

bool MemoryTier::was_asked_for(uint64_t hash_low) {
  const uint32_t bucket = bucket_of(KeyHash{hash_low, 0});
  MutexLock lock(shard_of(bucket).mutex);
  for (uint32_t slot = buckets_[bucket]; slot != kNone; slot = chain_[slot]) {
    if (slots_[slot]->header.hash.low == hash_low) return found_[slot] != 0;
  }
  return false;
}

void MemoryTier::on_evict(void (*hook)(void* context, const MemoryRecord& record),
                          void* context) {
  evict_hook_ = hook;
  evict_context_ = context;
}

Ref<MemoryRecord> MemoryTier::peek(const KeyHash& hash) {
  const uint32_t bucket = bucket_of(hash);
  MutexLock lock(shard_of(bucket).mutex);
  const uint32_t slot = find_slot_locked(bucket, hash);
  return slot == kNone ? Ref<MemoryRecord>() : slots_[slot];
}

bool MemoryTier::charge(ByteCount bytes) {
  ByteCount before = used_.load(std::memory_order_relaxed);
  do {
    if (before + bytes > budget_) return false;
  } while (!used_.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
  return true;
}

bool MemoryTier::take_in(Ref<MemoryRecord> record, bool replaces) {
  MR_ASSERT(record->charge() > 0);
  const KeyHash hash = record->header.hash;
  const ByteCount bytes = record->charge();
  if (replaces) {
    remove(hash);
  } else if (peek(hash)) {
    return false;
  }
  uint32_t slot = kNone;
  if (charge(bytes)) {
    MutexLock lock(queue_mutex_);
    if (!free_slots_.empty()) {
      slot = free_slots_.back();
      free_slots_.pop_back();
    }
  } else {
    refused_.fetch_add(1, std::memory_order_relaxed);
    check_pressure();
    return false;
  }
  if (slot == kNone) {
    used_.fetch_sub(bytes, std::memory_order_relaxed);
    refused_.fetch_add(1, std::memory_order_relaxed);
    check_pressure();
    return false;
  }
  const uint32_t bucket = bucket_of(hash);
  Ref<MemoryRecord> replaced;
  {
    MutexLock lock(shard_of(bucket).mutex);
    // Another thread may have published the same hash meanwhile: the later one wins.
    const uint32_t other = find_slot_locked(bucket, hash);
    if (other != kNone && !replaces) {
      used_.fetch_sub(bytes, std::memory_order_relaxed);
      return_slot(slot);
      return false;
    }
    if (other != kNone) replaced = take_out_locked(bucket, other);
    slots_[slot] = std::move(record);
    std::atomic_ref<uint32_t> generation(generations_[slot]);
    generation.store(generation.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    std::atomic_ref(hashes_[slot]).store(static_cast<uint32_t>(hash.high), std::memory_order_relaxed);
    std::atomic_ref(slot_buckets_[slot]).store(bucket, std::memory_order_relaxed);
    std::atomic_ref(sizes_[slot]).store(static_cast<uint32_t>(bytes), std::memory_order_release);
    std::atomic_ref<uint8_t>(hits_[slot]).store(0, std::memory_order_relaxed);
    found_[slot] = 0;
    chain_[slot] = buckets_[bucket];
    buckets_[bucket] = slot;
    records_.fetch_add(1, std::memory_order_relaxed);
    mark_changed(slot);
  }
  check_pressure();
  return true;
}

Ref<MemoryRecord> MemoryTier::take_out_locked(uint32_t bucket, uint32_t slot) {
  uint32_t* link = &buckets_[bucket];
  while (*link != slot) {
    MR_ASSERT(*link != kNone);
    link = &chain_[*link];
  }
  *link = chain_[slot];
  chain_[slot] = kNone;
  Ref<MemoryRecord> record = std::move(slots_[slot]);
  std::atomic_ref<uint32_t> size(sizes_[slot]);
  used_.fetch_sub(size.load(std::memory_order_relaxed), std::memory_order_relaxed);
  size.store(0, std::memory_order_release);
  records_.fetch_sub(1, std::memory_order_relaxed);
  mark_changed(slot);
  return_slot(slot);
  return record;
}

void MemoryTier::remove(const KeyHash& hash) {
  const uint32_t bucket = bucket_of(hash);
  Ref<MemoryRecord> record;  // released after the lock: freeing pages may wake producers
  {
    MutexLock lock(shard_of(bucket).mutex);
    const uint32_t slot = find_slot_locked(bucket, hash);
    if (slot == kNone) return;
    record = take_out_locked(bucket, slot);
  }
}

void MemoryTier::evict(uint32_t slot, uint32_t generation) {
  if (slot >= slot_count_) return;
  const uint32_t bucket = std::atomic_ref(slot_buckets_[slot]).load(std::memory_order_acquire);
  Ref<MemoryRecord> record;  // released after the lock
  bool was_found = false;
  {
    MutexLock lock(shard_of(bucket).mutex);
    // An occupied slot changes only under its own bucket's lock. publish() writes the bucket before the
    // size, so a size that is seen here belongs to the bucket that is read after it.
    if (std::atomic_ref(sizes_[slot]).load(std::memory_order_acquire) == 0) return;
    if (std::atomic_ref(slot_buckets_[slot]).load(std::memory_order_relaxed) != bucket) return;
    if (std::atomic_ref(generations_[slot]).load(std::memory_order_relaxed) != generation) return;
    was_found = found_[slot] != 0;
    record = take_out_locked(bucket, slot);
  }
  if (was_found && evict_hook_ != nullptr) evict_hook_(evict_context_, *record);
}

void MemoryTier::mark_changed(uint32_t slot) {
  MutexLock lock(queue_mutex_);
  if (is_changed_[slot]) return;
  is_changed_[slot] = true;
  changed_[(changed_first_ + changed_count_) % slot_count_] = slot;
  changed_count_++;
  MR_ASSERT(changed_count_ <= slot_count_);
}

void MemoryTier::return_slot(uint32_t slot) {
  MutexLock lock(queue_mutex_);
  free_slots_.push_back(slot);
}

void MemoryTier::check_pressure() {
  Notice notice;
  {
    MutexLock lock(queue_mutex_);
    if (!has_policy_ || pressure_told_) return;
    const bool few_slots = free_slots_.size() < slot_count_ / 16 + 1;
    if (used() + headroom_ <= budget_ && !few_slots) return;
    pressure_told_ = true;
    notice = pressure_;
  }
  notice.post();
}

bool MemoryTier::attach_policy(Notice pressure, ByteCount headroom) {
  MutexLock lock(queue_mutex_);
  if (has_policy_) return false;
  has_policy_ = true;
  pressure_told_ = false;
  pressure_ = std::move(pressure);
  headroom_ = headroom;
  return true;
}

void MemoryTier::detach_policy() {
  // A later policy starts from every occupied slot.
  for (uint32_t slot = 0; slot < slot_count_; slot++) mark_changed(slot);
  MutexLock lock(queue_mutex_);
  has_policy_ = false;
  pressure_ = Notice();
}

uint32_t MemoryTier::take_events(uint32_t* pairs, uint32_t maximum_pairs) {
  uint32_t count = 0;
  while (count < maximum_pairs) {
    uint32_t slot;
    {
      MutexLock lock(queue_mutex_);
      pressure_told_ = false;
      if (changed_count_ == 0) break;
      slot = changed_[changed_first_];
      changed_first_ = (changed_first_ + 1) % slot_count_;
      changed_count_--;
      is_changed_[slot] = false;
    }
    // Sizes and generations are read without the shard's lock: a change after this moment makes a new
    // event, and evictions are checked against the generation.
    const bool empty = std::atomic_ref<uint32_t>(sizes_[slot]).load(std::memory_order_relaxed) == 0;
    pairs[2 * count] = empty ? slot | kRemovedEvent : slot;
    pairs[2 * count + 1] =
        std::atomic_ref<uint32_t>(generations_[slot]).load(std::memory_order_relaxed);
    count++;
  }
  return count;
}

}  // namespace millrace
