// The map of a device: nothing overlaps, nothing leaves the device, limits are refused.
#include "layout/geometry.h"

#include "test/support.h"

namespace millrace::test {

namespace {

void check_map(ByteCount device_size) {
  INFO("device size ", device_size);
  const Result<Geometry> result = geometry_of(device_size);
  REQUIRE(result.ok());
  const Geometry& geometry = result.value();
  REQUIRE(geometry.device_size == round_down(device_size, 4096));
  REQUIRE(is_power_of_two(geometry.segment_size));
  REQUIRE(geometry.segment_size >= kMinimumSegmentSize);
  REQUIRE(geometry.segment_size <= kMaximumSegmentSize);
  REQUIRE(geometry.segment_count >= 2);
  REQUIRE(is_aligned(geometry.segments_offset, kMiB));
  REQUIRE(geometry.segments_offset >= kJournalOffset + 2 * kJournalSize);
  const ByteOffset last = geometry.segment_offset(geometry.segment_count - 1);
  const ByteOffset ring_end = last + geometry.segment_size;
  // The first two copies lie before the journals, the last two behind the ring.
  REQUIRE(geometry.superblock_offset(0) >= 4096);
  REQUIRE(geometry.superblock_offset(0) + kSuperblockSize <= geometry.superblock_offset(1));
  REQUIRE(geometry.superblock_offset(1) + kSuperblockSize <= kJournalOffset);
  REQUIRE(geometry.superblock_offset(2) >= ring_end);
  REQUIRE(geometry.superblock_offset(2) + kSuperblockSize <= geometry.superblock_offset(3));
  REQUIRE(geometry.superblock_offset(3) + kSuperblockSize <= geometry.device_size);
  // No room for one more segment is wasted.
  REQUIRE(geometry.device_size - ring_end < geometry.segment_size + 256 * kKiB);
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    REQUIRE(is_aligned(geometry.superblock_offset(copy), kBlockAlignment));
  }
}

}  // namespace

TEST_CASE("geometry: no part of the map overlaps another at any size") {
  for (ByteCount size : {256 * kMiB, 256 * kMiB + 1, 1 * kGiB, 10 * kGiB, 16 * kGiB - 512,
                         16 * kGiB, 100 * kGiB, 1024 * kGiB, kMaximumDeviceSize}) {
    check_map(size);
  }
  const uint64_t seed = 40;
  INFO("seed ", seed);
  Random random(seed);
  for (uint32_t round = 0; round < 2000; round++) {
    const ByteCount range = kMinimumDeviceSize << random.below(17);
    check_map(kMinimumDeviceSize + random.below(range));
  }
}

TEST_CASE("geometry: segments are a 256th of the device between 4 and 64 MiB") {
  CHECK(geometry_of(256 * kMiB).value().segment_size == 4 * kMiB);
  CHECK(geometry_of(2 * kGiB).value().segment_size == 8 * kMiB);
  CHECK(geometry_of(2 * kGiB - 4096).value().segment_size == 4 * kMiB);
  CHECK(geometry_of(16 * kGiB).value().segment_size == 64 * kMiB);
  CHECK(geometry_of(4096 * kGiB).value().segment_size == 64 * kMiB);
}

TEST_CASE("geometry: sizes outside the format are refused") {
  CHECK(geometry_of(0).status().code() == Code::invalid);
  CHECK(geometry_of(256 * kMiB - 1).status().code() == Code::invalid);
  CHECK(geometry_of(kMaximumDeviceSize).ok());
  CHECK(geometry_of(kMaximumDeviceSize + 1).status().code() == Code::invalid);
  CHECK(geometry_of(~uint64_t{0}).status().code() == Code::invalid);
}

}  // namespace millrace::test
