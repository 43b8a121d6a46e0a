// A store that serves while the footers of its earlier life are loaded: what is not loaded yet is a miss, and
// whatever happened meanwhile is later than all that is loaded.
#include <map>

#include "engine/inspect.h"
#include "engine/segment-scan.h"
#include "test/gated-device.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr size_t kSize = 900000;  // four to a segment

std::string key_for(uint64_t number) { return "http://h/w" + std::to_string(number); }

// Objects 0 to count - 1, version 1, and where each lies.
struct Filled {
  DiskImage disk{0};
  std::map<std::string, SegmentId> segments;
  SegmentId latest = 0;
};

Filled filled_disk(uint64_t count) {
  Filled filled;
  TestStore store(formatted_disk());
  for (uint64_t i = 0; i < count; i++) {
    put(*store.store, key_for(i), body_for(key_for(i), 1, kSize));
    store.settle();
  }
  store->close();
  filled.disk = store.device->snapshot();
  FaultDevice device(filled.disk);
  for (uint64_t i = 0; i < count; i++) {
    std::vector<StoredRecord> found;
    InspectProgress progress;
    REQUIRE(find_on_device(device, key_for(i), &found, &progress).ok());
    REQUIRE(found.size() == 1);
    filled.segments[key_for(i)] = found[0].segment;
    filled.latest = found[0].segment;
  }
  return filled;
}

bool serves(Store& store, uint64_t number, uint64_t version) {
  const Lookup lookup = find(store, key_for(number));
  if (lookup.found != Found::hit) return false;
  REQUIRE(joined(lookup.record->body) == body_for(key_for(number), version, kSize));
  return true;
}

}  // namespace

TEST_CASE("store warming: the latest segment comes first, and what is not loaded is a miss") {
  const Filled filled = filled_disk(12);
  REQUIRE(filled.latest == 2);
  GatedStore store({filled.disk});
  CHECK(store->is_warming(0));
  CHECK(store->volume().warmer().total() == 3);
  CHECK(store->volume().warmer().loaded() == 0);
  CHECK(!store->wait_until_warm(0));
  for (uint64_t i = 0; i < 12; i++) CHECK(!serves(*store.store, i, 1));
  // All three are asked for at once; what the others hold waits for that of the latest segment.
  wait_until([&] { return store.devices[0]->held() == 3; });
  store.devices[0]->let_through(0);
  CHECK(store->volume().warmer().loaded() == 0);
  store.devices[0]->let_through(2);
  wait_until([&] { return store->volume().warmer().loaded() == 1; });
  for (uint64_t i = 0; i < 12; i++) {
    CHECK(serves(*store.store, i, 1) == (filled.segments.at(key_for(i)) == 2));
  }
  store.finish_loading();
  CHECK(!store->is_warming(0));
  CHECK(store->volume().warmer().loaded() == 3);
  CHECK(store->total(&Counters::recovered_records) == 12);
  for (uint64_t i = 0; i < 12; i++) CHECK(serves(*store.store, i, 1));
}

TEST_CASE("store warming: somebody is told when it ends, and at once afterwards") {
  const Filled filled = filled_disk(5);
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  GatedStore store({filled.disk});
  store->on_warmed(notice(sink, 1));
  store->on_warmed(notice(sink, 2));
  CHECK(sink->count(1) + sink->count(2) == 0);
  store.finish_loading();
  wait_until([&] { return sink->count(1) == 1 && sink->count(2) == 1; });
  store->on_warmed(notice(sink, 3));
  CHECK(sink->count(3) == 1);
}

TEST_CASE("store warming: what is stored meanwhile wins over what is loaded later, now and later") {
  const Filled filled = filled_disk(12);
  DiskImage disk(0);
  {
    GatedStore store({filled.disk});
    for (uint64_t i = 0; i < 12; i += 2) {
      put(*store.store, key_for(i), body_for(key_for(i), 2, kSize));
      CHECK(serves(*store.store, i, 2));
    }
    CHECK(store->is_warming(0));
    store.finish_loading();
    for (uint64_t i = 0; i < 12; i++) CHECK(serves(*store.store, i, i % 2 == 0 ? 2 : 1));
    disk = store.close();
  }
  TestStore store(disk);
  for (uint64_t i = 0; i < 12; i++) CHECK(serves(*store.store, i, i % 2 == 0 ? 2 : 1));
}

TEST_CASE("store warming: a purge of what is not loaded yet holds, also one that nobody asked for") {
  const Filled filled = filled_disk(12);
  DiskImage disk(0);
  {
    GatedStore store({filled.disk});
    CHECK(purge_key(*store.store, key_for(1)).ok());
    CHECK(purge_unsafe(*store.store, key_for(2)).ok());
    CHECK(purge(*store.store, PurgeRequest{PurgeKind::prefix, key_for(3), 0, false, false}).ok());
    CHECK(store->total(&Counters::purges_unknown) == 0);
    CHECK(store->is_warming(0));
    store.finish_loading();
    for (uint64_t i = 0; i < 12; i++) CHECK(serves(*store.store, i, 1) == (i < 1 || i > 3));
    disk = store.close();
  }
  TestStore store(disk);
  for (uint64_t i = 0; i < 12; i++) CHECK(serves(*store.store, i, 1) == (i < 1 || i > 3));
}

TEST_CASE("store warming: a purge that the tables have no room for holds until the end of the process") {
  const Filled filled = filled_disk(12);
  GatedStore store({filled.disk});
  // Unsafe methods get half of the tables: a sixteenth of 4 MiB in all.
  for (uint64_t i = 0; i < 1500; i++) {
    store->purge(PurgeRequest{PurgeKind::key, "http://x/" + std::to_string(i), 0, false, true},
                 nullptr, nullptr);
  }
  const uint64_t before = store->total(&Counters::purges_not_durable);
  REQUIRE(before > 0);
  CHECK(purge_unsafe(*store.store, key_for(4)).ok());
  REQUIRE(store->total(&Counters::purges_not_durable) == before + 1);
  store.finish_loading();
  for (uint64_t i = 0; i < 12; i++) CHECK(serves(*store.store, i, 1) == (i != 4));
}

TEST_CASE("store warming: an older version does not come back for one that the disk did not get") {
  const Filled filled = filled_disk(12);
  GatedStore store({filled.disk});
  store->forget_on_disk(store->place_of(key_for(5)));
  store.finish_loading();
  for (uint64_t i = 0; i < 12; i++) CHECK(serves(*store.store, i, 1) == (i != 5));
}

TEST_CASE("store warming: a first miss is admitted, the disk may hold an older version") {
  const Filled filled = filled_disk(4);
  GatedStore store({filled.disk});
  // As if the ring had gone round: then a first miss is refused.
  Ring& ring = store->volume().ring();
  for (SegmentId i = 3; i < ring.segment_count(); i++) ring.set(i, SegmentState::sealed, 1000 + i);
  REQUIRE(ring.free_count() == 2);
  CHECK(store->admits(store->place_of("http://h/unknown")));
  store.finish_loading();
  CHECK(!store->admits(store->place_of("http://h/another")));
}

TEST_CASE("store warming: an object of which a part is not loaded yet is not forgotten") {
  const std::vector<uint8_t> body = body_for("big", 1, 6000000);
  DiskImage disk(0);
  {
    TestStore store(formatted_disk());
    put(*store.store, "big", body);
    store->close();
    disk = store.device->snapshot();
  }
  GatedStore store({disk});
  store.devices[0]->let_through(1);
  wait_until([&] { return store->volume().warmer().loaded() == 1; });
  const Lookup lookup = find(*store.store, "big");
  REQUIRE(lookup.found == Found::hit);
  REQUIRE(store->first_missing_chunk(*lookup.record, 0, body.size()) == 0);
  store->forget(lookup.record);
  store.finish_loading();
  const Lookup again = find(*store.store, "big");
  REQUIRE(again.found == Found::hit);
  std::vector<uint8_t> got;
  REQUIRE(body_of(*store.store, again.record, &got));
  CHECK(got == body);
}

TEST_CASE("store warming: the write head takes segments whose footers are not loaded") {
  uint64_t count = 0;
  DiskImage disk(0);
  SegmentId latest = 0;
  {
    TestStore store(formatted_disk());
    while (store->volume().ring().free_count() > 2) {
      put(*store.store, key_for(count), body_for(key_for(count), 1, kSize));
      store.settle();
      count++;
    }
    latest = store->volume().ring().segment_count() - 3;
    store->close();
    disk = store.device->snapshot();
  }
  GatedStore store({disk}, {latest});
  REQUIRE(store->is_warming(0));
  constexpr uint64_t kNew = 32;
  for (uint64_t i = 0; i < kNew; i++) {
    put(*store.store, key_for(count + i), body_for(key_for(count + i), 1, kSize));
    wait_until([&] { return store->staging()->bytes() < 4 * kMiB; });
  }
  wait_until([&] { return store->staging()->bytes() == 0; });
  CHECK(store->is_warming(0));
  const uint64_t reclaimed = store->total(&Counters::segments_reclaimed);
  REQUIRE(reclaimed >= 5);
  store.finish_loading();
  // What was reclaimed is gone, and nothing else.
  uint64_t found = 0;
  for (uint64_t i = 0; i < count + kNew; i++) found += serves(*store.store, i, 1) ? 1 : 0;
  CHECK(found >= count + kNew - 4 * store->total(&Counters::segments_reclaimed) - 1);
  CHECK(found < count + kNew);
  CHECK(store->total(&Counters::corrupt_records) == 0);
  CHECK(store->volume().warmer().loaded() == store->volume().warmer().total());
  CHECK(store->total(&Counters::recovered_segments) < store->volume().warmer().total());
}

TEST_CASE("store warming: closed or killed in the middle, the next life finds everything") {
  const Filled filled = filled_disk(12);
  DiskImage killed(0);
  DiskImage closed(0);
  {
    GatedStore store({filled.disk});
    store.devices[0]->let_through(filled.latest);
    wait_until([&] { return store->volume().warmer().loaded() == 1; });
    put(*store.store, "new", body_for("new", 1, 3000));
    wait_until([&] {
      return store->staging()->bytes() == 0 && store->total(&Counters::records_appended) == 1 &&
             store->total(&Counters::records_flushed) == 1;
    });
    killed = store.devices[0]->inner().snapshot();
    closed = store.close();
  }
  for (const DiskImage* disk : {&killed, &closed}) {
    TestStore store(*disk);
    CHECK(find(*store.store, "new").found == Found::hit);
    for (uint64_t i = 0; i < 12; i++) CHECK(serves(*store.store, i, 1));
  }
}

TEST_CASE("store warming: a damaged footer is replaced by what its segment holds") {
  Filled filled = filled_disk(12);
  const Geometry geometry = geometry_of(kDiskSize).value();
  // The first entry of segment 1; its trailer stays as it is.
  const ByteOffset end = geometry.segment_offset(1) + geometry.segment_size;
  filled.disk.flip(end - kFooterTrailerSize - kBlockAlignment, 1);
  DiskImage disk(0);
  {
    TestStore store(filled.disk);
    for (uint64_t i = 0; i < 12; i++) CHECK(serves(*store.store, i, 1));
    store->close();
    disk = store.device->snapshot();
  }
  FaultDevice device(disk);
  CHECK(read_footer(device, geometry, read_superblock(device).value().uuid, 1).ok());
}

TEST_CASE("store warming: each of several devices is loaded by itself") {
  DiskImage first = formatted_disk();
  DiskImage second = formatted_disk();
  {
    // Another identity, or they pass for copies of one store.
    FaultDevice device(second);
    Superblock superblock = read_superblock(device).value();
    superblock.uuid[0] ^= 0xff;
    superblock.hash_key[0] ^= 0xff;
    REQUIRE(write_superblock(device, superblock).ok());
    second = device.snapshot();
  }
  {
    GatedStore store({first, second});
    store.finish_loading();
    for (uint64_t i = 0; i < 20; i++) put(*store.store, key_for(i), body_for(key_for(i), 1, kSize));
    first = store.close();
    second = store.devices[1]->inner().snapshot();
  }
  GatedStore store({first, second});
  store.devices[1]->let_all_through();
  wait_until([&] { return !store->is_warming(1); });
  CHECK(store->is_warming(0));
  uint64_t hits = 0;
  for (uint64_t i = 0; i < 20; i++) {
    const bool is_there = serves(*store.store, i, 1);
    CHECK(is_there == (store->place_of(key_for(i)).volume == 1));
    hits += is_there ? 1 : 0;
  }
  CHECK(hits > 0);
  CHECK(hits < 20);
  store.finish_loading();
  for (uint64_t i = 0; i < 20; i++) CHECK(serves(*store.store, i, 1));
}

}  // namespace millrace::test
