// Admission to the disk: everything in the first lap, the second miss afterwards; one decision for all parts
// of an object; and what lives in memory alone promises nothing that is gone.
#include "engine/store.h"
#include "test/stored-objects.h"

namespace millrace::test {

namespace {

// A disk that has gone round: nothing but clean segments is free. Objects "http://h/f<i>" lie on it.
DiskImage full_disk(uint64_t* count) {
  TestStore store(formatted_disk());
  const uint32_t clean = clean_segments_ahead(47, 4 * kMiB);
  for (*count = 0; store->volume().ring().free_count() > clean; (*count)++) {
    put(*store.store, key_for(*count), body_for("f", *count, 900000));
    store.settle();
  }
  store->close();
  return store.device->snapshot();
}

TestStore choosy(const DiskImage& image, ByteCount l1_budget) {
  return TestStore(image, l1_budget, 64 * kMiB, false, false);
}

bool is_on_disk(TestStore& store, const std::string& key) {
  store.settle();
  return store->is_on_disk(store->place_of(key));
}

}  // namespace

TEST_CASE("store admission: everything while segments are unused, then what is missed twice") {
  uint64_t count = 0;
  const DiskImage disk = full_disk(&count);
  {
    TestStore store = choosy(formatted_disk(), 0);
    for (uint64_t i = 0; i < 20; i++) put(*store.store, key_for(i), body_for("f", i, 30000));
    for (uint64_t i = 0; i < 20; i++) CHECK(is_on_disk(store, key_for(i)));
    CHECK(store->total(&Counters::fills_admitted) == 20);
  }
  TestStore store = choosy(disk, 0);
  const ByteCount written = store->total(&Counters::device_written_bytes);
  for (uint64_t i = 1000; i < 1100; i++) put(*store.store, key_for(i), body_for("f", i, 30000));
  const uint64_t refused = store->total(&Counters::fills_refused);
  // A false positive of the ghost or of the index may let one or two in.
  CHECK(refused >= 95);
  CHECK(store->total(&Counters::fills_admitted) + refused == 100);
  CHECK(store->total(&Counters::admitted_bytes) <= 5 * 31000);
  for (uint64_t i = 1000; i < 1100; i++) put(*store.store, key_for(i), body_for("f", i, 30000));
  for (uint64_t i = 1000; i < 1100; i++) REQUIRE(is_on_disk(store, key_for(i)));
  CHECK(store->total(&Counters::fills_refused) == refused);
  store.flush();
  CHECK(store->total(&Counters::device_written_bytes) > written);
  CHECK(is_right_or_miss(*store.store, key_for(1050), body_for("f", 1050, 30000)));
}

TEST_CASE("store admission: a miss that was longer ago than records stay counts as the first") {
  uint64_t count = 0;
  TestStore store = choosy(full_disk(&count), 0);
  for (uint64_t i = 1000; i < 1100; i++) put(*store.store, key_for(i), body_for("f", i, 500));
  for (uint64_t i = 2000; i < 6000; i++) put(*store.store, key_for(i), body_for("f", i, 500));
  const uint64_t refused = store->total(&Counters::fills_refused);
  for (uint64_t i = 1000; i < 1100; i++) put(*store.store, key_for(i), body_for("f", i, 500));
  CHECK(store->total(&Counters::fills_refused) - refused >= 95);
}

TEST_CASE("store admission: a new version of what the disk holds goes there at once") {
  uint64_t count = 0;
  TestStore store = choosy(full_disk(&count), 0);
  const std::string key = key_for(count - 1);
  const std::vector<uint8_t> body = body_for("new", 1, 2000);
  put(*store.store, key, body);
  CHECK(store->total(&Counters::fills_refused) == 0);
  CHECK(is_on_disk(store, key));
  CHECK(is_right_or_miss(*store.store, key, body));
}

TEST_CASE("store admission: a large object that is refused is whole in memory or not there at all") {
  uint64_t count = 0;
  const DiskImage disk = full_disk(&count);
  const std::vector<uint8_t> body = body_for("large", 1, 3300000);
  {
    TestStore store = choosy(disk, 8 * kMiB);
    put(*store.store, "fits", body);
    CHECK(store->total(&Counters::admitted_bytes) == 0);
    CHECK(!is_on_disk(store, "fits"));
    REQUIRE(is_right_or_miss(*store.store, "fits", body));
    // A part leaves memory: the object is forgotten, without a purge and without a byte to the disk.
    const Lookup lookup = find(*store.store, "fits");
    REQUIRE(lookup.found == Found::hit);
    const RecordHeader& header = lookup.record->header;
    store->tier().remove(store->chunk_hash(0, header.hash, header.incarnation, 2));
    REQUIRE(store->first_missing_chunk(*lookup.record, 0, body.size()) == 2);
    store->forget(lookup.record);
    CHECK(find(*store.store, "fits").found == Found::miss);
    store.settle();
    CHECK(store->total(&Counters::purges) == 0);
    CHECK(store->total(&Counters::records_appended) == 0);
    // The second miss.
    put(*store.store, "fits", body);
    CHECK(is_on_disk(store, "fits"));
    store->forget(lookup.record);  // of the older version: the newer one stays
    CHECK(is_right_or_miss(*store.store, "fits", body));
  }
  TestStore store = choosy(disk, 2 * kMiB);
  put(*store.store, "does not fit", body);
  CHECK(find(*store.store, "does not fit").found == Found::miss);
  CHECK(store->total(&Counters::admitted_bytes) == 0);
}

TEST_CASE("store admission: a 304 of what lives in memory alone writes nothing") {
  uint64_t count = 0;
  TestStore store = choosy(full_disk(&count), 8 * kMiB);
  put(*store.store, "k", body_for("k", 1, 5000));
  const Lookup lookup = find(*store.store, "k");
  REQUIRE(lookup.found == Found::hit);
  HeadOptions fresh;
  fresh.body_length = 5000;
  REQUIRE(store->refresh(lookup.record, make_head(fresh), lookup.record->header.birth).ok());
  CHECK(!is_on_disk(store, "k"));
  CHECK(store->total(&Counters::records_appended) == 0);
  const Lookup stored = find(*store.store, key_for(count - 1));
  REQUIRE(stored.found == Found::hit);
  REQUIRE(store->refresh(stored.record, make_head(fresh), stored.record->header.birth).ok());
  store.settle();
  CHECK(store->total(&Counters::records_appended) == 1);
}

TEST_CASE("store admission: a follower that falls behind makes the disk take what it needs") {
  uint64_t count = 0;
  TestStore store = choosy(full_disk(&count), 0);
  const std::vector<uint8_t> body = body_for("slow", 1, 12000000);
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  const Ref<Fill> fill = store->begin_fill("slow", notice(sink, 0));
  Fill::Follower* follower = fill->follow(0, notice(sink, 1));
  HeadOptions weak;
  weak.flags = 0;  // no range request can help it
  REQUIRE(fill->begin(FillHead{"slow", make_head(weak), body.size(), true}).ok());
  CHECK(store->total(&Counters::fills_refused) == 1);
  for (Bytes rest(body); !rest.empty();) {
    const auto appended = fill->append(rest.first(std::min<size_t>(rest.size(), 100000)));
    rest = rest.subspan(appended.accepted);
    REQUIRE(appended.pause != FillPause::pages);
    store.settle();
  }
  REQUIRE(fill->finish().ok());
  std::vector<PageSpan> spans;
  CHECK(fill->poll(follower, kPageSize, &spans) == FollowerPoll::behind);
  std::vector<uint8_t> got;
  REQUIRE(read_body(*store.store, fill->hash(), fill->incarnation(), body.size(), 0, body.size(),
                    &got));
  CHECK(got == body);
  // Nothing had left the window before: so the object is whole there, and found.
  CHECK(is_on_disk(store, "slow"));
  fill->unfollow(follower);
}

TEST_CASE("store admission: a version that overload kept from the disk does not bring back an older one") {
  TestStore store(disk_with(1, 1000), 8 * kMiB);
  REQUIRE(is_right_or_miss(*store.store, key_for(0), body_for("f", 0, 1000)));
  store.device->hold_writes(true);
  const uint64_t dropped = store->total(&Counters::dropped_overload);
  for (uint64_t i = 1000; store->total(&Counters::dropped_overload) < dropped + 3; i++) {
    PutOptions options;
    options.heeds_pause = false;
    put(*store.store, key_for(i), body_for("f", i, 1000000), options);
  }
  std::vector<uint8_t> body;
  for (uint64_t version = 1; store->is_on_disk(store->place_of(key_for(0))); version++) {
    body = body_for("f", version, 1000000);
    PutOptions options;
    options.heeds_pause = false;
    put(*store.store, key_for(0), body, options);
  }
  store->tier().remove(store->place_of(key_for(0)).hash);
  CHECK(find(*store.store, key_for(0)).found == Found::miss);
  CHECK(store->total(&Counters::dropped_errors) == 0);
  CHECK(store->total(&Counters::writes_dropped) == store->total(&Counters::dropped_overload));
  store.device->hold_writes(false);
}

}  // namespace millrace::test
