// Device size to ring map. See geometry.h.
#include "layout/geometry.h"

#include <bit>

namespace millrace {

namespace {
constexpr ByteCount kTailSize = 4 * kPageSize;
constexpr ByteCount kCopyDistance = kPageSize;
constexpr ByteOffset kSegmentsOffset = kJournalOffset + 2 * kJournalSize;
constexpr ByteCount kSegmentsAimed = 256;

static_assert(is_aligned(kSegmentsOffset, kChunkSize), "aggregation windows are aligned to 1 MiB");
}  // namespace

ByteOffset Geometry::superblock_offset(uint32_t copy) const {
  MR_ASSERT_OP(copy, <, kSuperblockCopies);
  if (copy < 2) return (copy + 1) * kCopyDistance;
  MR_ASSERT_OP(device_size, >=, kMinimumDeviceSize);
  return device_size - kTailSize + (copy - 1) * kCopyDistance;
}

ByteOffset Geometry::segment_offset(SegmentId segment) const {
  MR_ASSERT_OP(segment, <, segment_count);
  return segments_offset + ByteCount{segment} * segment_size;
}

Result<Geometry> geometry_of(ByteCount device_size) {
  if (device_size < kMinimumDeviceSize) {
    return Status(Code::invalid, "the device is smaller than 256 MiB");
  }
  if (device_size > kMaximumDeviceSize) {
    return Status(Code::invalid, "the device is larger than 32 TiB");
  }
  Geometry geometry;
  geometry.device_size = round_down(device_size, kBlockAlignment);
  const ByteCount aimed = std::bit_floor(geometry.device_size / kSegmentsAimed);
  geometry.segment_size = aimed < kMinimumSegmentSize   ? kMinimumSegmentSize
                          : aimed > kMaximumSegmentSize ? kMaximumSegmentSize
                                                        : aimed;
  geometry.segments_offset = kSegmentsOffset;
  const ByteCount usable = geometry.device_size - kTailSize - kSegmentsOffset;
  geometry.segment_count = static_cast<uint32_t>(usable / geometry.segment_size);
  MR_ASSERT_OP(geometry.segment_count, >=, 2u);
  return geometry;
}

}  // namespace millrace
