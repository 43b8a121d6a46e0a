// The ring over several laps: old records go, new ones stay, no byte is ever wrong; pinned segments
// wait; records of an earlier lap are not believed after a restart. Also forged footers.
#include "base/endian.h"
#include "engine/recovery.h"
#include "engine/store.h"
#include "layout/segment.h"
#include "test/support.h"

namespace millrace::test {

namespace {

std::string key_for(uint64_t number) { return "http://h/r" + std::to_string(number); }

size_t size_for(uint64_t number) {
  return number % 9 == 0 ? 2200000 : 500000 + number * 7919 % 540000;
}

void write_objects(TestStore& store, uint64_t first, uint64_t end) {
  for (uint64_t i = first; i < end; i++) {
    put(*store.store, key_for(i), body_for("r", i, size_for(i)));
    store.settle();
  }
}

// Number of objects of [first, end) that are found whole; a wrong byte fails the test.
uint64_t count_found(Store& store, uint64_t first, uint64_t end) {
  uint64_t count = 0;
  for (uint64_t i = first; i < end; i++) {
    const Lookup lookup = find(store, key_for(i));
    if (lookup.found != Found::hit) continue;
    std::vector<uint8_t> got;
    if (!body_of(store, lookup.record, &got)) continue;
    INFO("object ", i);
    REQUIRE(got.size() == size_for(i));
    REQUIRE(got == body_for("r", i, size_for(i)));
    count++;
  }
  return count;
}

constexpr ByteCount kRingSize = 47 * 4 * kMiB;

}  // namespace

TEST_CASE("store ring: after three laps the last of it is there and the first is gone") {
  DiskImage disk(0);
  uint64_t end = 0;
  uint64_t kept_from = 0;
  {
    TestStore store(formatted_disk());
    const Geometry& geometry = store->volume().ring().geometry();
    REQUIRE(geometry.segment_count * geometry.segment_size == kRingSize);
    ByteCount written = 0;
    for (; written < 3 * kRingSize; end++) {
      write_objects(store, end, end + 1);
      written += size_for(end);
    }
    // Four fifths of a lap: alignment, footers and the segment being reclaimed take their share.
    ByteCount kept = 0;
    for (kept_from = end; kept < kRingSize * 8 / 10; kept_from--) kept += size_for(kept_from - 1);
    const uint64_t gone_before = kept_from / 2;
    CHECK(count_found(*store.store, 0, gone_before) == 0);
    CHECK(count_found(*store.store, kept_from, end) == end - kept_from);
    CHECK(store->total(&Counters::segments_reclaimed) > 2 * 40);
    CHECK(store->total(&Counters::segments_skipped) == 0);
    CHECK(store->total(&Counters::corrupt_records) == 0);
    disk = store.device->snapshot();
    store->close();
    TestStore clean(store.device->snapshot());
    CHECK(count_found(*clean.store, 0, gone_before) == 0);
    CHECK(count_found(*clean.store, kept_from, end) == end - kept_from);
  }
  // Without the close: the last records may be missing, the others not.
  TestStore crashed(disk);
  CHECK(count_found(*crashed.store, kept_from, end) + 12 >= end - kept_from);
}

TEST_CASE("store ring: a segment that is being read is not overwritten") {
  DiskImage disk(0);
  uint64_t end = 0;
  {
    TestStore store(formatted_disk());
    while (store->volume().ring().state(44) == SegmentState::free) {
      write_objects(store, end, end + 1);
      end++;
    }
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk);
  store.device->hold_reads(true);
  Lookup lookup;
  run_threads(2, [&](uint32_t number) {
    if (number == 0) {
      lookup = find(*store.store, key_for(1));
      return;
    }
    wait_until([&] { return store->volume().ring().pins(0) == 1; });
    // Until the write head stands before the last clean segment and what comes behind is dropped.
    const Counters& counters = store->volume().counters();
    for (uint64_t i = end; store->volume().ring().free_count() > 0 ||
                           store->total(&Counters::writes_dropped) == 0; i++) {
      // Heeding the disk's backlog would wait for the reclaim that this test holds up.
      PutOptions options;
      options.heeds_pause = false;
      put(*store.store, key_for(i), body_for("r", i, size_for(i)), options);
    }
    CHECK(counters.segments_reclaimed.load() == 0);
    CHECK(store->volume().ring().pins(0) == 1);
    store.device->hold_reads(false);
  });
  REQUIRE(lookup.found == Found::hit);
  std::vector<uint8_t> got;
  REQUIRE(lookup.record->header.kind == RecordKind::single);
  CHECK(joined(lookup.record->body) == body_for("r", 1, size_for(1)));
  wait_until([&] {
    return store->total(&Counters::segments_reclaimed) + store->total(&Counters::segments_skipped) > 0;
  });
}

TEST_CASE("store ring: lazily zeroed disks and other block sizes work the same") {
  for (const uint32_t block_size : {512u, 65536u}) {
    DiskImage disk = formatted_disk(block_size, true);
    // What an earlier use of the file left where nothing was zeroed.
    Random random(190);
    const Geometry geometry = geometry_of(kDiskSize).value();
    for (SegmentId segment = 0; segment < 6; segment++) {
      disk.write(geometry.segment_offset(segment) + kBlockAlignment, random.bytes(3 * kMiB));
    }
    {
      TestStore store(disk);
      write_objects(store, 0, 20);
      store.flush();
      CHECK(count_found(*store.store, 0, 20) == 20);
      disk = store.device->snapshot();
    }
    TestStore store(disk);
    CHECK(count_found(*store.store, 0, 20) == 20);
    write_objects(store, 20, 40);
    CHECK(count_found(*store.store, 0, 40) == 40);
  }
}

TEST_CASE("store ring: a forged footer cannot stop the start") {
  DiskImage disk = formatted_disk();
  const Geometry geometry = geometry_of(kDiskSize).value();
  DeviceUuid uuid;
  {
    FaultDevice device(disk);
    uuid = read_superblock(device).value().uuid;
  }
  // Checksums and ranges are right, but no record is as long as this entry says.
  SegmentFooter footer;
  footer.header = SegmentHeader{2, 5, uuid, 0};
  footer.minimum_birth = footer.maximum_birth = 1;
  footer.entries.push_back(FooterEntry{77, 1, 8, 3 * kMiB / kRecordGrain, 1});
  std::vector<uint8_t> page(kSegmentHeaderSize);
  encode_segment_header(footer.header, page);
  disk.write(geometry.segment_offset(2), page);
  std::vector<uint8_t> bytes(footer_size(1));
  encode_footer(footer, bytes);
  disk.write(geometry.segment_offset(2) + geometry.segment_size - bytes.size(), bytes);
  TestStore store(disk);
  CHECK(store->total(&Counters::recovered_segments) == 1);
  write_objects(store, 0, 3);
  CHECK(count_found(*store.store, 0, 3) == 3);
}

}  // namespace millrace::test
