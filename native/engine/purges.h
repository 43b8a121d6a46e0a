// The purge tables: what was purged, by key, prefix, tag or altogether, as births below which a record is
// gone (hard) or stale (soft). A record is judged when it is found, not when it is purged: no purge walks
// an index. Callable from any thread; nothing here touches a device.
//
// Bounded. When the tables are full, the oldest purges that somebody asked for fold into one of everything:
// more is fetched again than need be, and nothing that was purged comes back. Purges by unsafe methods,
// which any client can cause, take at most half and never fold: beyond that they are refused here and
// hold in memory alone.
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/sync.h"
#include "layout/purge-journal.h"

namespace millrace {

enum class PurgeVerdict : uint8_t { keep, soft, gone };

// What a record is judged by. Leave out what is not known; then it is not judged by that.
struct PurgeSubject {
  Sequence birth = 0;
  uint64_t primary_hash = 0;  // low half of the primary key's hash; 0: not known
  std::string_view key;       // the primary key, or a variant's, which begins with it; empty: not known
  Bytes tags;                 // of the stored head, 8 bytes each
};

struct PurgeTableStats {
  uint64_t entries = 0;
  ByteCount memory = 0;
  uint64_t folded = 0;  // purges that became part of one of everything
};

class Purges {
 public:
  // What an entry is charged with: node, bucket and the allocator's share.
  static constexpr ByteCount kHashCharge = 96;
  static constexpr ByteCount kPrefixCharge = 192;  // and twice its length

  explicit Purges(ByteCount memory_limit) : limit_(memory_limit) {}

  // O(1): one compare for what was born after every purge, else one look per table and tag, and one per
  // distinct length of prefixes.
  PurgeVerdict verdict(const PurgeSubject& subject) const;
  // Highest bound that forget() ever dropped. What is born below it, or was last judged below it, can not
  // be judged any more and counts as purged.
  Sequence forgotten() const { return forgotten_.load(); }
  // Highest bound of all: what was judged at or above it needs no other look.
  Sequence highest() const { return highest_.load(std::memory_order_acquire); }

  // Takes a purge in. False: one by an unsafe method for which there is no room.
  bool add(const PurgeEntry& entry);
  // Three quarters full, in all or of unsafe methods: time to forget.
  bool is_crowded() const;
  // Drops what no record needs to be judged by any more: nothing alive was born below `oldest_birth`. In
  // two steps: the first makes forgotten() tell of it, so that whoever stores something afterwards sees
  // that it is too old; then the caller looks for the oldest birth again.
  void announce_forget(Sequence oldest_birth);
  void forget(Sequence oldest_birth);

  // Everything that is alive, for a snapshot in the journal. Keys come with their hash, so that each can
  // go to the volume it belongs to.
  std::vector<PurgeEntry> entries() const;
  PurgeTableStats stats() const;

 private:
  struct Bounds {
    Sequence hard = 0;
    Sequence soft = 0;
    Sequence unsafe_method = 0;  // hard, and not to be folded
    bool empty() const { return hard == 0 && soft == 0 && unsafe_method == 0; }
  };
  struct TextHasher {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  // Hashes are keyed and random already.
  struct SameHasher {
    size_t operator()(uint64_t hash) const { return static_cast<size_t>(hash); }
  };
  using HashTable = std::unordered_map<uint64_t, Bounds, SameHasher>;
  using PrefixTable = std::unordered_map<std::string, Bounds, TextHasher, std::equal_to<>>;

  static ByteCount charge_of(const PurgeEntry& entry);
  static void raise(Bounds* bounds, const PurgeEntry& entry);
  static void widen(Bounds* into, const Bounds& from);
  Bounds* slot_locked(const PurgeEntry& entry);
  const Bounds* find_locked(const PurgeEntry& entry) const;
  bool fits_locked(const PurgeEntry& entry) const;
  void fold_locked();
  void prune_locked(Sequence oldest_birth);
  void recount_locked();
  template <typename Visit>
  void visit_locked(Visit visit) const;

  const ByteCount limit_;
  std::atomic<Sequence> highest_{0};
  std::atomic<Sequence> forgotten_{0};
  mutable Mutex mutex_;
  HashTable keys_;
  HashTable tags_;
  PrefixTable prefixes_;
  std::vector<uint32_t> prefix_lengths_;  // distinct, rising
  Bounds all_;
  ByteCount memory_ = 0;
  ByteCount unsafe_memory_ = 0;  // of entries that only an unsafe method made
  uint64_t folded_ = 0;
};

}  // namespace millrace
