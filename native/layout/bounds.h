// Where the numbers end that only ever grow. A store that counts one up a thousand million times a second
// gets there in a century, so whatever is read beyond is forged, and counts as damage: it must not overflow
// what is counted from it.
#pragma once

#include <cstdint>

namespace millrace {

// Births, incarnations, segment sequences, generations of groups and of the purge journal.
inline constexpr uint64_t kLargestCounter = uint64_t{1} << 62;
// Each gives its life 2^28 segment sequences (engine/volume.cc).
inline constexpr uint64_t kLargestSuperblockSequence = uint64_t{1} << 32;

}  // namespace millrace
