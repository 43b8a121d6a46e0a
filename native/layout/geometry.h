// Maps a device size to the ring: where superblock copies, journals and segments lie. Pure.
//
//   0         identification sector (readable text, so that people and tools see whose it is)
//   64 KiB    superblock copy 0        128 KiB  superblock copy 1
//   1 MiB     purge journal A (32 MiB) 33 MiB   purge journal B (32 MiB)
//   aligned   segment 0 .. N-1         (start aligned to 1 MiB)
//   end       superblock copies 2 and 3, 64 KiB apart, in the last 256 KiB
#pragma once

#include "base/status.h"
#include "base/units.h"

namespace millrace {

inline constexpr ByteCount kMinimumDeviceSize = 256 * kChunkSize;
inline constexpr ByteCount kMinimumSegmentSize = 4 * kChunkSize;
inline constexpr ByteCount kMaximumSegmentSize = 64 * kChunkSize;
inline constexpr uint32_t kSuperblockCopies = 4;
inline constexpr ByteCount kSuperblockSize = 4096;
inline constexpr ByteOffset kJournalOffset = 1 * kChunkSize;
inline constexpr ByteCount kJournalSize = 32 * kChunkSize;  // each of two
// 36 address bits of 512 B in an index word.
inline constexpr ByteCount kMaximumDeviceSize = (ByteCount{1} << 36) * kRecordGrain;

struct Geometry {
  ByteCount device_size = 0;  // rounded down to 4096
  ByteCount segment_size = 0;
  uint32_t segment_count = 0;
  ByteOffset segments_offset = 0;

  ByteOffset superblock_offset(uint32_t copy) const;  // copy < kSuperblockCopies
  ByteOffset segment_offset(SegmentId segment) const;
  friend bool operator==(const Geometry&, const Geometry&) = default;
};

// invalid when device_size is below kMinimumDeviceSize or above kMaximumDeviceSize.
// segment_size = clamp(power of two at or below device_size / 256, 4 MiB, 64 MiB).
Result<Geometry> geometry_of(ByteCount device_size);

}  // namespace millrace
