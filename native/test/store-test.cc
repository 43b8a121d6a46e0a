// The store over a healthy disk: every size comes back from L1, the aggregation buffers and the
// device, variants, purges and refreshed heads.
#include "engine/store.h"

#include "engine/recovery.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr size_t kSizes[] = {0,       1,       511,     512,     3000,    4096,    16383,
                             16384,   20000,   32767,   65535,   65536,   65537,   131072,
                             400000,  700000,  900000,  950000,  1000000, 1040000, 1048064,
                             1048575, 1048576, 1048577, 1500000, 2097152, 2097153, 3000000};

std::string key_for(size_t size) { return "http://h/" + std::to_string(size); }

void check_object(Store& store, const std::string& key, Bytes expected) {
  INFO("key ", key);
  const Lookup lookup = find(store, key);
  INFO("status ", std::string(lookup.status.message()));
  REQUIRE(lookup.found == Found::hit);
  REQUIRE(lookup.record->key == key);
  REQUIRE(decode_head(lookup.record->head_bytes()).value().body_length == expected.size());
  std::vector<uint8_t> got;
  REQUIRE(body_of(store, lookup.record, &got));
  REQUIRE(got.size() == expected.size());
  REQUIRE(same_bytes(got, expected));
}

}  // namespace

TEST_CASE("store: every size comes back from the buffers, after a clean close and a second time") {
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk);
    for (const size_t size : kSizes) put(*store.store, key_for(size), body_for("s", size, size));
    store.settle();
    for (const size_t size : kSizes) {
      check_object(*store.store, key_for(size), body_for("s", size, size));
    }
    store->close();
    CHECK(find(*store.store, key_for(1)).found == Found::miss);
    disk = store.device->snapshot();
  }
  TestStore store(disk);
  CHECK(store->total(&Counters::recovered_records) > 25);
  for (uint32_t round = 0; round < 2; round++) {
    for (const size_t size : kSizes) {
      check_object(*store.store, key_for(size), body_for("s", size, size));
    }
  }
  CHECK(store->total(&Counters::corrupt_records) == 0);
  CHECK(store->total(&Counters::disk_hits) == 2 * std::size(kSizes));
}

TEST_CASE("store: a body of nearly a chunk with a large head comes back from the device") {
  DiskImage disk = formatted_disk();
  PutOptions options;
  options.head.fields = "X: " + std::string(38000, 'x') + "\r\n";
  const std::vector<size_t> sizes = {700000, 800000, 900000, 1000000, 1048576};
  {
    TestStore store(disk);
    for (const size_t size : sizes) {
      put(*store.store, key_for(size), body_for("s", size, size), options);
    }
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk);
  for (const size_t size : sizes)
    check_object(*store.store, key_for(size), body_for("s", size, size));
}

TEST_CASE("store: ranges of a body cost only their blocks") {
  const uint64_t seed = 160;
  INFO("seed ", seed);
  Random random(seed);
  DiskImage disk = formatted_disk();
  const size_t size = 5 * kMiB + 12345;
  const std::vector<uint8_t> body = body_for("range", 1, size);
  {
    TestStore store(disk);
    put(*store.store, "k", body);
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk);
  const Lookup lookup = find(*store.store, "k");
  REQUIRE(lookup.found == Found::hit);
  const RecordHeader& header = lookup.record->header;
  for (uint32_t round = 0; round < 150; round++) {
    const ByteOffset offset = random.below(size);
    const ByteCount length = 1 + random.below(std::min<ByteCount>(size - offset, 300000));
    const uint64_t before = store->total(&Counters::device_read_bytes);
    std::vector<uint8_t> got;
    REQUIRE(read_body(*store.store, header.hash, header.incarnation, size, offset, length, &got));
    REQUIRE(same_bytes(got, Bytes(body).subspan(offset, length)));
    const uint64_t bytes = store->total(&Counters::device_read_bytes) - before;
    REQUIRE(bytes <= length + 2 * (2 * kPageSize + 3 * kBlockAlignment));
  }
  std::vector<uint8_t> got;
  CHECK(!read_body(*store.store, header.hash, header.incarnation, size, size, 1, &got));
  CHECK(!read_body(*store.store, header.hash, header.incarnation + 1, size, 0, 1, &got));
}

TEST_CASE("store: the latest version wins, also after a restart") {
  DiskImage disk = formatted_disk();
  const size_t sizes[] = {2000000, 100, 70000, 1048577, 5};
  {
    TestStore store(disk);
    for (uint64_t version = 0; version < 5; version++) {
      put(*store.store, "k", body_for("k", version, sizes[version]));
      check_object(*store.store, "k", body_for("k", version, sizes[version]));
    }
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk);
  check_object(*store.store, "k", body_for("k", 4, sizes[4]));
}

TEST_CASE("store: each variant is found under its own key and the marker names the fields") {
  DiskImage disk = formatted_disk();
  const std::string gzip = "http://h/v\naccept-encoding:gzip";
  const std::string plain = "http://h/v\naccept-encoding";
  PutOptions options;
  options.primary = "http://h/v";
  options.head.vary = std::string("accept-encoding\0", 16);
  {
    TestStore store(disk, 1 * kMiB);
    put(*store.store, gzip, bytes_of("compressed"), options);
    put(*store.store, plain, bytes_of("plain"), options);
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk, 1 * kMiB);
  const Lookup marker = find(*store.store, "http://h/v");
  REQUIRE(marker.found == Found::hit);
  const Result<HeadView> view = decode_head(marker.record->head_bytes());
  CHECK((view.value().flags & kHeadVaryMarker) != 0);
  CHECK(text_of(view.value().vary) == options.head.vary);
  CHECK(marker.record->header.body_length == 0);
  const Sequence minimum = marker.record->header.incarnation;
  CHECK(joined(find(*store.store, gzip, minimum).record->body).size() == 10);
  CHECK(joined(find(*store.store, plain, minimum).record->body).size() == 5);
  // A marker that vouches for the older ones has their floor; one that does not begins with its own birth.
  PutOptions vouching = options;
  vouching.head.vary = std::string("accept\0", 7);
  vouching.floor = minimum;
  put(*store.store, "http://h/v\naccept:a", bytes_of("a"), vouching);
  CHECK(find(*store.store, "http://h/v").record->header.incarnation == minimum);
  vouching.head.vary = std::string("accept\0te\0", 10);
  vouching.floor = 0;
  put(*store.store, "http://h/v\naccept:a\nte", bytes_of("b"), vouching);
  CHECK(find(*store.store, "http://h/v").record->header.incarnation > minimum);
  // A purge of the primary key takes all variants out of reach, the next fill's marker included, whatever
  // that was told to vouch for.
  CHECK(purge_key(*store.store, "http://h/v").ok());
  CHECK(find(*store.store, "http://h/v").found == Found::miss);
  options.floor = minimum;
  put(*store.store, plain, bytes_of("plain again"), options);
  const Lookup later = find(*store.store, "http://h/v");
  REQUIRE(later.found == Found::hit);
  CHECK(later.record->header.incarnation > minimum);
  CHECK(find(*store.store, gzip, later.record->header.incarnation).found == Found::miss);
  CHECK(find(*store.store, plain, later.record->header.incarnation).found == Found::hit);
}

TEST_CASE("store: a purged key stays gone after a clean close and after a crash once flushed") {
  DiskImage disk = formatted_disk();
  TestStore store(disk);
  for (const char* key : {"a", "b", "c"}) put(*store.store, key, body_for(key, 1, 2000000));
  store.flush();
  CHECK(purge_key(*store.store, "a").ok());
  CHECK(find(*store.store, "a").found == Found::miss);
  CHECK(find(*store.store, "b").found == Found::hit);
  store.flush();
  const DiskImage crashed = store.device->snapshot();
  put(*store.store, "a", body_for("a", 2, 50));
  check_object(*store.store, "a", body_for("a", 2, 50));
  CHECK(purge_key(*store.store, "b").ok());
  store->close();
  {
    TestStore reopened(crashed);
    CHECK(find(*reopened.store, "a").found == Found::miss);
    check_object(*reopened.store, "b", body_for("b", 1, 2000000));
    check_object(*reopened.store, "c", body_for("c", 1, 2000000));
  }
  TestStore reopened(store.device->snapshot());
  check_object(*reopened.store, "a", body_for("a", 2, 50));
  CHECK(find(*reopened.store, "b").found == Found::miss);
}

TEST_CASE("store: an unsafe method on what is not stored writes nothing") {
  TestStore store(formatted_disk());
  const uint64_t writes = store.device->writes();
  for (uint32_t i = 0; i < 100; i++) {
    CHECK(purge_unsafe(*store.store, "random" + std::to_string(i)).ok());
  }
  CHECK(store.device->writes() == writes);
  CHECK(store->purges().stats().entries == 0);
  CHECK(store->total(&Counters::purges) == 100);
  CHECK(store->total(&Counters::purges_unknown) == 100);
}

TEST_CASE("store: a refreshed head keeps the body, also after a restart") {
  DiskImage disk = formatted_disk();
  HeadOptions fresh;
  fresh.fields = "X-Refreshed: yes\r\n";
  {
    TestStore store(disk);
    for (const size_t size : {size_t{1000}, size_t{100000}, size_t{3000000}}) {
      put(*store.store, key_for(size), body_for("s", size, size));
      store.settle();
      const Lookup lookup = find(*store.store, key_for(size));
      REQUIRE(lookup.found == Found::hit);
      fresh.body_length = size;
      REQUIRE(store->refresh(lookup.record, make_head(fresh), lookup.record->header.birth).ok());
      check_object(*store.store, key_for(size), body_for("s", size, size));
      CHECK(store->refresh(lookup.record, bytes_of("no head"), 1).code() == Code::invalid);
    }
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk);
  for (const size_t size : {size_t{1000}, size_t{100000}, size_t{3000000}}) {
    check_object(*store.store, key_for(size), body_for("s", size, size));
    const Lookup lookup = find(*store.store, key_for(size));
    const Result<HeadView> view = decode_head(lookup.record->head_bytes());
    CHECK(text_of(view.value().fields) == fresh.fields);
  }
}

TEST_CASE("store: a 304 that arrives after a purge does not bring the object back") {
  TestStore store(formatted_disk(), 4 * kMiB);
  put(*store.store, "k", body_for("k", 1, 1000));
  const Lookup lookup = find(*store.store, "k");
  REQUIRE(lookup.found == Found::hit);
  CHECK(purge_key(*store.store, "k").ok());
  HeadOptions fresh;
  fresh.body_length = 1000;
  static_cast<void>(store->refresh(lookup.record, make_head(fresh), lookup.record->header.birth));
  CHECK(find(*store.store, "k").found == Found::miss);
}

TEST_CASE("store: two lives give no incarnation and no birth twice") {
  DiskImage disk = formatted_disk();
  uint64_t last = 0;
  for (uint32_t life = 0; life < 3; life++) {
    TestStore store(disk);
    const uint64_t incarnation = put(*store.store, "k", body_for("k", life, 100));
    CHECK(incarnation > last);
    last = incarnation;
    CHECK(purge_key(*store.store, "other").ok());
    store.flush();
    if (life == 1) {
      store->close();  // the others end in a crash
      // What begins while a store closes may still be written.
      last = put(*store.store, "late", body_for("late", life, 100));
      CHECK(last > incarnation);
    }
    disk = store.device->snapshot();
  }
}

TEST_CASE("store: page memory is returned when all is closed") {
  TestStore store(formatted_disk(), 4 * kMiB);
  for (const size_t size : kSizes) put(*store.store, key_for(size), body_for("s", size, size));
  for (const size_t size : kSizes) CHECK(purge_key(*store.store, key_for(size)).ok());
  store->close();
  const ByteCount in_tier = store->tier().used();
  CHECK(store->pool().used() <= in_tier);
}

TEST_CASE("store: a 304 for a version that was replaced does nothing, also where both are on disk alone") {
  TestStore store(formatted_disk());
  put(*store.store, "k", body_for("k", 1, 3000));
  store.flush();
  const Lookup older = find(*store.store, "k");
  REQUIRE(older.found == Found::hit);
  HeadOptions head;
  head.etag = "\"v2\"";
  CHECK(store->refresh(older.record, make_head(head), older.record->header.birth).ok());
  store.flush();
  // The refreshed one is the same version at another place.
  const Lookup refreshed = find(*store.store, "k");
  REQUIRE(refreshed.found == Found::hit);
  CHECK(store->refresh(refreshed.record, make_head(head), refreshed.record->header.birth).ok());
  store.flush();
  const Lookup last = find(*store.store, "k");
  put(*store.store, "k", body_for("k", 2, 5000));
  store.flush();
  CHECK(store->tier().records() == 0);
  for (const Lookup* late : {&older, &refreshed, &last}) {
    const Status status =
        store->refresh(late->record, make_head(head), late->record->header.birth);
    CHECK(status.code() == Code::not_found);
  }
  const Lookup newer = find(*store.store, "k");
  REQUIRE(newer.found == Found::hit);
  CHECK(joined(newer.record->body) == body_for("k", 2, 5000));
}

}  // namespace millrace::test
