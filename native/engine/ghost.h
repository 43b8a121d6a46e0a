// The ghost: which keys were refused by the disk tier a while ago, in fixed memory, of which it uses what it
// takes to remember as many as it is told. Four Bloom filters take
// turns: one is filled, two are full, and the one that comes next is wiped a block at a time while the first
// fills. So it remembers between two and three filters' worth of keys, forgets the oldest, and no call
// touches more than five cache lines. Callable from any thread, without a lock: two threads that meet in a
// block which is being wiped may lose a key, which costs one more miss.
//
// False positives (a first miss taken for a second) stay below 3 %, measured 1.5 %: kBitsPerKey bits a key,
// kBitsSet of them set, all in one 64-byte block.
#pragma once

#include <atomic>

#include "base/units.h"

namespace millrace {

class Ghost {
 public:
  static constexpr uint32_t kFilters = 4;
  static constexpr uint32_t kBitsPerKey = 12;

  // Uses at most `memory` bytes, and at least one block per filter.
  explicit Ghost(ByteCount memory);
  ~Ghost();
  Ghost(const Ghost&) = delete;
  Ghost& operator=(const Ghost&) = delete;

  bool contains(const KeyHash& hash) const;
  void add(const KeyHash& hash);
  // From now on remembers about so many keys, or as many as the memory holds: each key that is added takes up
  // the room of several. May be called as often as keys are added.
  void remember(uint64_t keys);

  ByteCount memory() const { return kFilters * block_count_ * kBlockBytes; }
  // Keys that are certainly remembered; half as many more are still remembered in part.
  uint64_t remembered() const { return 2 * keys_per_filter_ / step_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kBitsSet = 6;
  static constexpr uint32_t kBlockWords = 8;
  static constexpr ByteCount kBlockBytes = kBlockWords * sizeof(uint64_t);
  static constexpr uint32_t kBlockBits = 8 * kBlockBytes;
  static constexpr uint32_t kBitNumberWidth = 9;
  static_assert(kBlockBits == 1 << kBitNumberWidth && kBitsSet * kBitNumberWidth <= 64);

  uint64_t* block(uint64_t filter, const KeyHash& hash) const;
  void wipe(uint64_t filter, uint64_t first_block, uint64_t end_block);

  uint64_t block_count_;
  uint64_t keys_per_filter_;
  uint64_t* words_ = nullptr;
  std::atomic<uint64_t> added_{0};  // in places for keys
  std::atomic<uint64_t> step_{1};   // places that a key takes up
};

}  // namespace millrace
