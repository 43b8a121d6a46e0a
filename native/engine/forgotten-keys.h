// Keys that the index has forgotten without a purge while the device may still hold a record of them, which
// the next start would find again: of segments that reclaim has freed and nothing has overwritten yet, of
// damage, of versions that memory alone holds. Whoever purges such a key has to write that down. A Bloom
// filter that forgets the oldest (ghost.h): a false positive writes down a purge of nothing. Callable from
// any thread.
#pragma once

#include "engine/ghost.h"

namespace millrace {

class ForgottenKeys {
 public:
  // Heads of all segments that reclaim keeps clean, and of two more, at the mean size for which the index has
  // room (volume.cc); where records are smaller, it overwrites words and every purge is written down.
  static constexpr ByteCount kMemory = 256 * kKiB;

  void add(uint64_t hash) { ghost_.add(name_of(hash)); }
  bool contains(uint64_t hash) const { return ghost_.contains(name_of(hash)); }

 private:
  // Footers know half of a key's hash; an odd multiplier (from the golden ratio) makes the other.
  static KeyHash name_of(uint64_t hash) { return KeyHash{hash, hash * 0x9e3779b97f4a7c15u}; }

  Ghost ghost_{kMemory};
};

}  // namespace millrace
