// Which words left the index since its footers began to be loaded: by purges, by damage, because a full index
// overwrote them, because a newer version is in memory alone. An older record of the same key must not be
// loaded in their place. A Bloom filter over bucket, fingerprint and kind group, of a fixed size: a false
// positive leaves a record out, which costs a miss; 20,000 words make 4 in 100,000, 100,000 words 1 %.
// Not thread-safe: used under the index's lock.
#pragma once

#include <array>

#include "base/units.h"

namespace millrace {

class GoneWords {
 public:
  static constexpr ByteCount kMemory = 256 * kKiB;

  void add(uint64_t bucket, uint64_t fingerprint, bool is_chunk) {
    is_empty_ = false;
    uint64_t name = name_of(bucket, fingerprint, is_chunk);
    for (uint32_t probe = 0; probe < kProbes; probe++, name = turned(name)) {
      words_[word_of(name)] |= mask_of(name);
    }
  }
  bool is_empty() const { return is_empty_; }
  bool holds(uint64_t bucket, uint64_t fingerprint, bool is_chunk) const {
    uint64_t name = name_of(bucket, fingerprint, is_chunk);
    for (uint32_t probe = 0; probe < kProbes; probe++, name = turned(name)) {
      if ((words_[word_of(name)] & mask_of(name)) == 0) return false;
    }
    return true;
  }

 private:
  static constexpr uint64_t kWords = kMemory / sizeof(uint64_t);
  static constexpr uint32_t kProbes = 4;

  // splitmix64's finalizer: every bit of the name depends on every bit of what it names.
  static uint64_t name_of(uint64_t bucket, uint64_t fingerprint, bool is_chunk) {
    uint64_t name = bucket << 17 ^ fingerprint << 1 ^ (is_chunk ? 1 : 0);
    name = (name ^ name >> 30) * 0xbf58476d1ce4e5b9u;
    name = (name ^ name >> 27) * 0x94d049bb133111ebu;
    return name ^ name >> 31;
  }
  static uint64_t turned(uint64_t name) { return name >> 16 | name << 48; }
  static uint64_t word_of(uint64_t name) { return (name >> 6) & (kWords - 1); }
  static uint64_t mask_of(uint64_t name) { return uint64_t{1} << (name & 63); }

  std::array<uint64_t, kWords> words_{};
  bool is_empty_ = true;
};

}  // namespace millrace
