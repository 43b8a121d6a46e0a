// The store over a disk in trouble: errors, flipped bits, torn and dropped writes, full queues.
// Hits are lost, requests and bytes never are.
#include "engine/store.h"
#include "layout/segment.h"
#include "test/stored-objects.h"

namespace millrace::test {

TEST_CASE("store faults: a read error is a miss and the record stays for a later try") {
  TestStore store(disk_with(3, 100000));
  store.device->fail_reads(1, 1);
  const Lookup lookup = find(*store.store, key_for(0));
  CHECK(lookup.found == Found::miss);
  CHECK(lookup.status.code() == Code::io);
  CHECK(store->total(&Counters::read_errors) == 1);
  CHECK(is_right_or_miss(*store.store, key_for(0), body_for("f", 0, 100000)));
  CHECK(store->total(&Counters::corrupt_records) == 0);
}

TEST_CASE("store faults: a read error inside a chunked body is a miss of that chunk") {
  TestStore store(disk_with(1, 3 * kMiB));
  const Lookup lookup = find(*store.store, key_for(0));
  REQUIRE(lookup.found == Found::hit);
  store.device->fail_reads(2, 1);
  std::vector<uint8_t> got;
  CHECK(!body_of(*store.store, lookup.record, &got));
  CHECK(store->total(&Counters::read_errors) == 1);
  CHECK(is_right_or_miss(*store.store, key_for(0), body_for("f", 0, 3 * kMiB)));
}

TEST_CASE("store faults: a flipped bit anywhere in a record is a miss and counted") {
  const uint64_t seed = 170;
  INFO("seed ", seed);
  Random random(seed);
  const size_t size = 150000;
  const DiskImage disk = disk_with(1, size);
  const Geometry geometry = geometry_of(kDiskSize).value();
  // The one record begins at the first place of the first segment: header, then an aligned body.
  const ByteOffset body_at = geometry.segment_offset(0) + kSegmentHeaderSize + kBlockAlignment;
  const ByteOffset record_at = body_at - 512;
  for (uint32_t round = 0; round < 60; round++) {
    TestStore store(disk);
    const ByteOffset at = record_at + random.below(512 + size);
    store.device->flip_on_read(at, static_cast<uint8_t>(1 << random.below(8)));
    INFO("offset in the record ", at - record_at);
    CHECK(!is_right_or_miss(*store.store, key_for(0), body_for("f", 0, size)));
    CHECK(store->total(&Counters::corrupt_records) == 1);
    CHECK(store->volume().index().records() == 0);
  }
  TestStore store(disk);
  CHECK(is_right_or_miss(*store.store, key_for(0), body_for("f", 0, size)));
}

TEST_CASE("store faults: a flipped bit in a chunk is a miss of that chunk") {
  const size_t size = 2 * kMiB + 5000;
  const DiskImage disk = disk_with(1, size);
  const std::vector<uint8_t> body = body_for("f", 0, size);
  const Geometry geometry = geometry_of(kDiskSize).value();
  Random random(171);
  for (uint32_t round = 0; round < 40; round++) {
    TestStore store(disk);
    const ByteOffset at =
        geometry.segment_offset(0) + kSegmentHeaderSize + random.below(size + 3 * kBlockAlignment);
    store.device->flip_on_read(at, 0x10);
    const Lookup lookup = find(*store.store, key_for(0));
    if (lookup.found != Found::hit) continue;
    const RecordHeader& header = lookup.record->header;
    for (ByteOffset offset = 0; offset < size; offset += 40000) {
      const ByteCount length = std::min<ByteCount>(40000, size - offset);
      std::vector<uint8_t> got;
      if (!read_body(*store.store, header.hash, header.incarnation, size, offset, length, &got))
        continue;
      REQUIRE(same_bytes(got, Bytes(body).subspan(offset, length)));
    }
  }
}

TEST_CASE("store faults: what was read from memory is still verified when it comes from the disk") {
  // The write is damaged on its way; the first read is served from the aggregation buffer, the
  // second one, much later, from the device.
  for (const size_t size : {size_t{100000}, size_t{2 * kMiB}}) {
    TestStore store(formatted_disk());
    const std::vector<uint8_t> body = body_for("f", 0, size);
    put(*store.store, key_for(0), body);
    store.settle();
    REQUIRE(is_right_or_miss(*store.store, key_for(0), body));
    CHECK(store->total(&Counters::device_reads) == 0);
    for (uint64_t i = 1; i <= 20; i++) put(*store.store, key_for(i), body_for("f", i, 900000));
    store.flush();
    const Geometry geometry = geometry_of(kDiskSize).value();
    store.device->flip_on_disk(geometry.segment_offset(0) + 50000, 1);
    CHECK(!is_right_or_miss(*store.store, key_for(0), body));
    CHECK(store->total(&Counters::device_reads) > 0);
    CHECK(store->total(&Counters::corrupt_records) == 1);
  }
}

TEST_CASE("store faults: five write errors in a row turn writes off, reads go on") {
  TestStore store(disk_with(3, 100000));
  store.device->fail_writes(1, 1000000);
  uint64_t offered = 0;
  for (uint64_t i = 100; !store->volume().appender().writes_off() && i < 200; i++) {
    put(*store.store, key_for(i), body_for("f", i, 900000));
    offered++;
    store.settle();
  }
  CHECK(store->volume().appender().writes_off());
  CHECK(store->total(&Counters::write_errors) >= Appender::kErrorsUntilOff);
  const uint64_t dropped = store->total(&Counters::writes_dropped);
  put(*store.store, key_for(999), body_for("f", 999, 1000));
  CHECK(store->total(&Counters::writes_dropped) == dropped + 1);
  for (uint64_t i = 0; i < 3; i++) {
    CHECK(is_right_or_miss(*store.store, key_for(i), body_for("f", i, 100000)));
  }
  for (uint64_t i = 100; i < 100 + offered; i++) {
    is_right_or_miss(*store.store, key_for(i), body_for("f", i, 900000));
  }
  CHECK(store->total(&Counters::corrupt_records) == 0);
  store->close();
  // Nothing of it was written, so the old content is all there.
  TestStore reopened(store.device->snapshot());
  for (uint64_t i = 0; i < 3; i++) {
    CHECK(is_right_or_miss(*reopened.store, key_for(i), body_for("f", i, 100000)));
  }
}

TEST_CASE("store faults: a single write error costs the records of that write and nothing else") {
  for (uint64_t failing = 1; failing <= 12; failing++) {
    TestStore store(formatted_disk());
    store.device->fail_writes(failing, 1);
    for (uint64_t i = 0; i < 12; i++) {
      put(*store.store, key_for(i), body_for("f", i, 700000));
      store.settle();
    }
    INFO("failing write ", failing);
    CHECK(!store->volume().appender().writes_off());
    store->close();
    CHECK(store->total(&Counters::write_errors) == 1);
    TestStore reopened(store.device->snapshot());
    uint32_t found = 0;
    for (uint64_t i = 0; i < 12; i++) {
      if (is_right_or_miss(*reopened.store, key_for(i), body_for("f", i, 700000))) found++;
    }
    CHECK(found >= 6);
    CHECK(found <= 12);
  }
}

TEST_CASE("store faults: dropped and torn writes that claim success never become wrong bytes") {
  const uint64_t seed = 172;
  INFO("seed ", seed);
  Random random(seed);
  for (uint32_t round = 0; round < 12; round++) {
    TestStore store(formatted_disk());
    for (uint32_t i = 0; i < 3; i++) {
      store.device->drop_write(1 + random.below(12));
      store.device->tear_write(1 + random.below(12), random.below(2000), false);
    }
    for (uint64_t i = 0; i < 12; i++) {
      put(*store.store, key_for(i), body_for("f", i, 100000 + random.below(1500000)));
    }
    store->close();
    TestStore reopened(store.device->snapshot());
    for (uint64_t i = 0; i < 12; i++) {
      const Lookup lookup = find(*reopened.store, key_for(i));
      if (lookup.found != Found::hit) continue;
      std::vector<uint8_t> got;
      if (!body_of(*reopened.store, lookup.record, &got)) continue;
      REQUIRE(got == body_for("f", i, got.size()));
      REQUIRE(got.size() == lookup.record->header.object_length);
    }
  }
}

}  // namespace millrace::test
