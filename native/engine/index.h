// The index: one 64-bit word per record in 8-slot cache-line buckets, two choices per key. It only says
// where a record may lie; the record itself proves that it is the right one, so a false positive costs a
// read and never a wrong answer. Lookups take no lock; writers replace single words atomically.
//
// While the footers of an earlier life are still being loaded (begin_loading to end_loading), what they
// bring is older than everything else: it takes free slots only, and never the place of a word that was
// there and went. Writers take a lock during that time, look-ups do not.
//
//   word: fingerprint 16 | address 36 (in 512 B) | size class 6 | kind 2 | hits 2 | verified 1 | spare 1
#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "base/sync.h"
#include "base/units.h"
#include "engine/forgotten-keys.h"
#include "engine/gone-words.h"
#include "layout/record.h"

namespace millrace {

struct IndexHit {
  uint64_t word = 0;
  uint64_t* slot = nullptr;  // where the word stands, for a later compare-and-swap
};

// A record that a footer names.
struct LoadedRecord {
  uint64_t hash = 0;
  ByteOffset address = 0;
  ByteCount length = 0;
  RecordKind kind = RecordKind::single;
};

// Geometric size classes: class_of rounds up, bytes_of gives the upper bound in bytes.
uint32_t size_class_of(ByteCount record_length);
ByteCount size_class_bytes(uint32_t size_class);

class Index {
 public:
  static constexpr uint32_t kSlotsPerBucket = 8;
  static constexpr uint32_t kMaximumHits = 2 * kSlotsPerBucket;

  // `words` is rounded down to whole buckets; at least one bucket.
  explicit Index(uint64_t words);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  static ByteOffset address_of(uint64_t word) {
    return (word >> kAddressShift & kAddressMask) * kRecordGrain;
  }
  static RecordKind kind_of(uint64_t word) {
    return static_cast<RecordKind>((word >> 4 & 3) + 1);
  }
  static ByteCount length_bound_of(uint64_t word) { return size_class_bytes(word >> 6 & 63); }
  static bool is_verified(uint64_t word) { return (word & kVerifiedBit) != 0; }
  static uint32_t hits_of(uint64_t word) { return static_cast<uint32_t>(word >> 2 & 3); }

  // Every word whose fingerprint fits `hash`; at most kMaximumHits.
  uint32_t lookup(uint64_t hash, IndexHit* hits) const;
  // Replaces a word of the same fingerprint and kind group (heads or chunks), else takes a free slot, else
  // overwrites the coldest word: of the fewest hits, and of these the one that the write head, standing at
  // `write_head`, would reclaim first. Never fails.
  void insert(uint64_t hash, ByteOffset address, ByteCount length, RecordKind kind,
              ByteOffset write_head);
  // Where remove() notes the keys that it takes out, chunks aside; before any other thread knows the index.
  void note_removed_in(ForgottenKeys* forgotten) { forgotten_ = forgotten; }
  // Before any other thread knows the index.
  void begin_loading();
  // Takes in records of an earlier life, the latest first, from one thread. A record is left out where the
  // index has, or had since begin_loading(), a word of the same fingerprint and kind group, which is a later
  // one's; and where no slot is free.
  void load(std::span<const LoadedRecord> records);
  // Nothing is loaded any more.
  void end_loading();

  // The word of this hash at this address, or 0 when it was removed, replaced or overwritten.
  uint64_t word_at(uint64_t hash, ByteOffset address) const;
  // The record was copied from one address to another: its word follows, with `hits` and not verified.
  // False, and nothing changes, when the word at `from` is gone; the copy is dead then.
  bool move(uint64_t hash, ByteOffset from, ByteOffset to, uint32_t hits);
  // Removes the word of this hash at this address, if it is still there. The record may stay on the device.
  bool remove(uint64_t hash, ByteOffset address);
  // Removes every word that fits the hash and is not a chunk, also one that is being moved: for purges.
  void remove_heads(uint64_t hash);
  // Whether any word fits the hash and is not a chunk.
  bool has_head(uint64_t hash) const;
  void mark_verified(const IndexHit& hit);
  void mark_hit(const IndexHit& hit);
  // The same for a record that memory gave up after it had been asked for there: every word that fits.
  void mark_hit(uint64_t hash, bool is_chunk);
  // True when the word at hit.slot is still the one that was looked up (hits and verified aside).
  static bool unchanged(const IndexHit& hit);

  // Visits up to `count` words from the place `first` on, those that lead somewhere; returns where to go on,
  // capacity() at the end. What changes meanwhile may be missed or seen twice.
  template <typename Visit>
  uint64_t visit(uint64_t first, uint64_t count, Visit visit) const {
    const uint64_t end = count < capacity() - first ? first + count : capacity();
    for (uint64_t place = first; place < end; place++) {
      const uint64_t word = atomic_word(words_ + place).load(std::memory_order_relaxed);
      if (word != 0) visit(word);
    }
    return end;
  }

  uint64_t capacity() const { return bucket_count_ * kSlotsPerBucket; }
  ByteCount memory() const { return capacity() * sizeof(uint64_t); }
  uint64_t records() const { return records_.load(std::memory_order_relaxed); }
  uint64_t overwritten() const { return overwritten_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kAddressMask = (uint64_t{1} << 36) - 1;
  static constexpr uint32_t kAddressShift = 12;
  static constexpr uint64_t kMaximumDistance = uint64_t{1} << 45;  // of any device, in bytes
  static constexpr uint64_t kVerifiedBit = 2;
  static constexpr uint32_t kHitsShift = 2;
  static constexpr uint64_t kHitsMask = uint64_t{3} << kHitsShift;
  static constexpr uint64_t kVolatileBits = kHitsMask | kVerifiedBit;

  struct Place {
    uint64_t* slot = nullptr;
    uint64_t expected = 0;  // what stands there
    bool replaces = false;  // the same record's older word
  };

  static uint64_t fingerprint_of(uint64_t hash);
  static uint64_t word_of(uint64_t hash, ByteOffset address, ByteCount length, RecordKind kind);
  static std::atomic_ref<uint64_t> atomic_word(uint64_t* word) {
    return std::atomic_ref<uint64_t>(*word);
  }
  // Returns what stood there.
  Place insert_word(uint64_t hash, uint64_t word, RecordKind kind, ByteOffset write_head);
  // Returns what was removed; without a slot: nothing.
  IndexHit remove_word(uint64_t hash, ByteOffset address);
  void remove_head_words(uint64_t hash);
  bool load_locked(const LoadedRecord& record);
  void note_gone_locked(const uint64_t* slot, uint64_t word);
  uint64_t bucket_number(const uint64_t* slot) const {
    return static_cast<uint64_t>(slot - words_) / kSlotsPerBucket;
  }
  Place place_for(uint64_t hash, RecordKind kind, ByteOffset write_head) const;
  static Place coldest_of(uint64_t* const (&buckets)[2], ByteOffset write_head);
  uint64_t* bucket(uint64_t hash, uint32_t choice) const;

  uint64_t bucket_count_ = 1;
  uint64_t* words_ = nullptr;
  size_t mapping_size_ = 0;
  std::atomic<uint64_t> records_{0};
  std::atomic<uint64_t> overwritten_{0};
  ForgottenKeys* forgotten_ = nullptr;
  std::atomic<bool> is_loading_{false};
  Mutex loading_mutex_;  // held by whoever adds or takes out words while is_loading_
  std::unique_ptr<GoneWords> gone_;  // under loading_mutex_
};

}  // namespace millrace
