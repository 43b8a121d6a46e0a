// L1: records that are published in native memory, found by key hash from any thread without waiting for
// JavaScript. The budget is enforced here, to the byte; which records deserve it is decided by the
// policy (ts/store/l1.ts), which learns of changes through events and answers with evictions. Without a
// policy, or while it is busy, publishing stops at the budget and nothing else happens.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/sync.h"
#include "engine/memory-record.h"

namespace millrace {

class MemoryTier {
 public:
  static constexpr uint32_t kRemovedEvent = uint32_t{1} << 31;
  static constexpr uint8_t kMaximumHits = 3;

  explicit MemoryTier(ByteCount budget);

  // The record, or null. Raises its hit count.
  Ref<MemoryRecord> find(const KeyHash& hash);
  // The same without counting a hit: for the engine's own reads.
  Ref<MemoryRecord> peek(const KeyHash& hash);
  // Takes the record in, in place of an older one of the same hash. False when the budget or the slots
  // are used up; the caller's bytes are not kept then.
  bool publish(Ref<MemoryRecord> record) { return take_in(std::move(record), true); }
  // The same where no record of this hash is here: what was read from elsewhere may be the older one.
  bool add(Ref<MemoryRecord> record) { return take_in(std::move(record), false); }
  // Whether a record of this low half of a hash is here and was found since it came.
  bool was_asked_for(uint64_t hash_low);
  // Told of every record that is evicted after it was found here, so that a copy elsewhere stays warm.
  // Called without locks. Set before the first publish().
  void on_evict(void (*hook)(void* context, const MemoryRecord& record), void* context);
  void remove(const KeyHash& hash);

  // The policy's side. One policy at a time: attach returns false while another is attached.
  bool attach_policy(Notice pressure, ByteCount headroom);
  void detach_policy();
  // Pairs (slot, generation) of slots that changed since the last call; kRemovedEvent marks empty ones.
  uint32_t take_events(uint32_t* pairs, uint32_t maximum_pairs);
  void evict(uint32_t slot, uint32_t generation);

  uint32_t slot_count() const { return slot_count_; }
  uint32_t* sizes() { return sizes_.get(); }
  uint8_t* hits() { return hits_.get(); }
  uint32_t* hashes() { return hashes_.get(); }
  uint32_t* generations() { return generations_.get(); }
  ByteCount budget() const { return budget_; }
  ByteCount used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t records() const { return records_.load(std::memory_order_relaxed); }
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr uint32_t kShards = 16;
  struct Shard {
    Mutex mutex;
  };

  uint32_t bucket_of(const KeyHash& hash) const {
    return static_cast<uint32_t>(hash.low) & bucket_mask_;
  }
  Shard& shard_of(uint32_t bucket) { return shards_[bucket % kShards]; }
  uint32_t find_slot_locked(uint32_t bucket, const KeyHash& hash) const;
  bool take_in(Ref<MemoryRecord> record, bool replaces);
  Ref<MemoryRecord> take_out_locked(uint32_t bucket, uint32_t slot);
  bool charge(ByteCount bytes);
  void mark_changed(uint32_t slot);
  void return_slot(uint32_t slot);
  void check_pressure();

  void (*evict_hook_)(void*, const MemoryRecord&) = nullptr;
  void* evict_context_ = nullptr;
  ByteCount budget_;
  uint32_t slot_count_;
  uint32_t bucket_mask_;
  Shard shards_[kShards];
  std::vector<uint32_t> buckets_;  // first slot of the chain
  std::vector<uint32_t> chain_;    // next slot, by slot
  std::vector<uint32_t> slot_buckets_;
  std::vector<Ref<MemoryRecord>> slots_;
  std::unique_ptr<uint32_t[]> sizes_;
  std::unique_ptr<uint8_t[]> hits_;
  std::unique_ptr<uint8_t[]> found_;  // 1: found since it came; the policy lowers hits_, not this
  std::unique_ptr<uint32_t[]> hashes_;
  std::unique_ptr<uint32_t[]> generations_;
  std::atomic<ByteCount> used_{0};
  std::atomic<uint64_t> records_{0};
  std::atomic<uint64_t> refused_{0};

  Mutex queue_mutex_;  // a leaf: taken with a shard's mutex held, never the other way round
  std::vector<uint32_t> free_slots_;
  std::vector<uint32_t> changed_;        // a ring of slots, each at most once
  std::vector<bool> is_changed_;
  uint32_t changed_first_ = 0;
  uint32_t changed_count_ = 0;
  bool has_policy_ = false;
  bool pressure_told_ = false;
  ByteCount headroom_ = 0;
  Notice pressure_;
};

}  // namespace millrace
