// Constants and small helpers for the sizes that every layer shares. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/assert.h"

namespace millrace {

using ByteOffset = uint64_t;
using ByteCount = uint64_t;
using SegmentId = uint32_t;  // position in the ring, 0-based
using Sequence = uint64_t;   // birth sequence or segment sequence; 0 means none

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

inline constexpr ByteCount kKiB = 1024;
inline constexpr ByteCount kMiB = 1024 * kKiB;
inline constexpr ByteCount kGiB = 1024 * kMiB;

// 0 in everything that ships. The simulator also compiles the engine with sizes 8 times smaller (3), in
// the same proportions, so that the write head laps its ring often; constants that are a share of these
// are written as multiples of kPageSize or kChunkSize for its sake.
#ifndef MILLRACE_SCALE_SHIFT
#define MILLRACE_SCALE_SHIFT 0
#endif

// A page of native memory, and the checksum and compression block of a body on disk.
inline constexpr ByteCount kPageSize = 64 * kKiB >> MILLRACE_SCALE_SHIFT;
// Body part of a large object; the unit of the index, of L1 and of origin range requests.
inline constexpr ByteCount kChunkSize = kMiB >> MILLRACE_SCALE_SHIFT;
inline constexpr uint32_t kPagesPerChunk = kChunkSize / kPageSize;
// Records start on this granularity; the index addresses the device in it.
inline constexpr ByteCount kRecordGrain = 512;
// Alignment of large bodies and of every device write, whatever smaller sector the device has.
inline constexpr ByteCount kBlockAlignment = 4096;

constexpr bool is_power_of_two(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

constexpr uint64_t round_up(uint64_t value, uint64_t power_of_two) {
  return (value + power_of_two - 1) & ~(power_of_two - 1);
}

constexpr uint64_t round_down(uint64_t value, uint64_t power_of_two) {
  return value & ~(power_of_two - 1);
}

constexpr bool is_aligned(uint64_t value, uint64_t power_of_two) {
  return (value & (power_of_two - 1)) == 0;
}

// 128-bit identity of a key on one device: keyed hash, so that nobody outside can build collisions.
struct KeyHash {
  uint64_t low = 0;
  uint64_t high = 0;
  friend constexpr bool operator==(const KeyHash&, const KeyHash&) = default;
};

}  // namespace millrace
