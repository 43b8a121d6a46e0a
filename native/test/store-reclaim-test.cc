// Reinsertion: what was hit outlives its segment, at most half a segment of it, with right bytes; what was
// replaced, purged, damaged or has expired does not come back, also when the store crashes at any write.
#include "engine/reclaimer.h"

#include <map>

#include "engine/recovery.h"
#include "engine/segment-scan.h"
#include "engine/store.h"
#include "layout/head.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr ByteCount kSegment = 4 * kMiB;
constexpr ByteCount kRing = 47 * kSegment;

std::string cold_key(uint64_t number) { return "http://h/cold" + std::to_string(number); }
std::string hot_key(uint64_t number) { return "http://h/hot" + std::to_string(number); }

// Writes objects that nobody asks for until `bytes` of them were offered.
void write_cold(TestStore& store, uint64_t* next, ByteCount bytes, size_t size = 900000) {
  for (ByteCount written = 0; written < bytes; written += size) {
    put(*store.store, cold_key(*next), body_for("cold", *next, size));
    (*next)++;
    store.settle();
    // The write head may give survivors up when it outruns reclaim: not here.
    wait_until([&] { return store->volume().ring().free_count() > 0; });
  }
}

bool is_indexed(TestStore& store, const std::string& key) {
  const KeyPlace place = store->place_of(key);
  return store->volume(place.volume).index().has_head(place.hash.low);
}

bool has(TestStore& store, const std::string& key, Bytes body) {
  std::vector<uint8_t> got;
  const Lookup lookup = find(*store.store, key);
  if (lookup.found != Found::hit || !body_of(*store.store, lookup.record, &got)) return false;
  INFO("key ", key);
  REQUIRE(same_bytes(got, body));
  REQUIRE(got.size() == body.size());
  return true;
}

// Reclaim has as many clean segments as it wants and has settled what it read for them.
void finish_reclaim(TestStore& store) {
  store.settle();
  const Ring& ring = store->volume().ring();
  const uint32_t wanted = clean_segments_ahead(ring.segment_count(), ring.geometry().segment_size);
  wait_until([&] { return ring.free_count() >= wanted; });
}

PutOptions with_head(const HeadOptions& head) {
  PutOptions options;
  options.head = head;
  return options;
}

}  // namespace

TEST_CASE("store reclaim: what is asked for outlives four laps, in the ring's own bytes") {
  TestStore store(formatted_disk());
  constexpr uint64_t kHot = 30;  // with "big" less than half of a segment
  uint64_t cold = 0;
  for (uint64_t i = 0; i < kHot; i++) {
    put(*store.store, hot_key(i), body_for("hot", i, 2000 + 10000 * (i % 5)));
  }
  put(*store.store, "big", body_for("big", 1, 1100000));
  const ByteCount before = store->total(&Counters::device_written_bytes);
  for (uint32_t eighth = 0; eighth < 32; eighth++) {
    INFO("eighth ", eighth);
    for (uint64_t i = 0; i < kHot; i++) {
      REQUIRE(has(store, hot_key(i), body_for("hot", i, 2000 + 10000 * (i % 5))));
    }
    REQUIRE(has(store, "big", body_for("big", 1, 1100000)));
    write_cold(store, &cold, kRing / 8);
  }
  finish_reclaim(store);
  CHECK(!is_indexed(store, cold_key(0)));
  const uint64_t survivors = store->total(&Counters::reinserted_records);
  CHECK(survivors >= 3 * (kHot + 3));
  CHECK(store->total(&Counters::reinsertions_dropped) == 0);
  CHECK(store->total(&Counters::segments_skipped) == 0);
  CHECK(store->total(&Counters::corrupt_records) == 0);
  // Only survivors are read, in whole blocks, and each is written again.
  const ByteCount reinserted = store->total(&Counters::reinserted_bytes);
  CHECK(store->total(&Counters::reclaim_read_bytes) >= reinserted);
  CHECK(store->total(&Counters::reclaim_read_bytes) <=
        reinserted + survivors * 2 * kBlockAlignment);
  const ByteCount written = store->total(&Counters::device_written_bytes) - before;
  CHECK(written * 100 <= (store->total(&Counters::admitted_bytes) + reinserted) * 112);
}

TEST_CASE("store reclaim: after a start within the first lap the oldest goes first") {
  TestStore before(formatted_disk());
  uint64_t cold = 0;
  write_cold(before, &cold, kRing * 6 / 10);
  before.flush();
  TestStore store(before.device->snapshot());
  const uint64_t begun = cold;
  write_cold(store, &cold, kRing * 3 / 10);
  const uint64_t end = cold;
  while (store->total(&Counters::segments_reclaimed) < 3) write_cold(store, &cold, kSegment);
  REQUIRE(cold < 2 * end);
  for (uint64_t number = begun; number < end; number++) CHECK(is_indexed(store, cold_key(number)));
  CHECK(!is_indexed(store, cold_key(0)));
}

TEST_CASE("store reclaim: no more than half of what is reclaimed is written again") {
  TestStore store(formatted_disk());
  uint64_t cold = 0;
  // Everything is warm: each object is read once after it was written.
  for (uint32_t i = 0; i < 500; i++) {
    const uint64_t number = cold;
    write_cold(store, &cold, 1);
    has(store, cold_key(number), body_for("cold", number, 900000));
  }
  const ByteCount reclaimed = store->total(&Counters::segments_reclaimed) * kSegment;
  const ByteCount reinserted = store->total(&Counters::reinserted_bytes);
  CHECK(reclaimed > kRing);
  CHECK(reinserted > 0);
  CHECK(reinserted <= reclaimed / kReinsertionShare);
  // What was written last is there, whatever is kept of the past.
  store.flush();
  for (uint64_t number = cold - 20; number < cold; number++) {
    CHECK(has(store, cold_key(number), body_for("cold", number, 900000)));
  }
}

TEST_CASE("store reclaim: neither a replaced nor a purged version comes back") {
  TestStore store(formatted_disk());
  uint64_t cold = 0;
  const std::vector<uint8_t> old_body = body_for("k", 1, 70000);
  const std::vector<uint8_t> new_body = body_for("k", 2, 60000);
  for (const char* key : {"replaced", "purged"}) {
    put(*store.store, key, old_body);
    store.flush();
    for (uint32_t i = 0; i < 3; i++) REQUIRE(has(store, key, old_body));
  }
  put(*store.store, "replaced", new_body);
  REQUIRE(purge_key(*store.store, "purged").ok());
  store.flush();
  for (uint32_t lap = 0; lap < 3; lap++) {
    write_cold(store, &cold, kRing);
    if (is_indexed(store, "replaced")) CHECK(has(store, "replaced", new_body));
    CHECK(find(*store.store, "purged").found == Found::miss);
    TestStore crashed(store.device->snapshot());
    if (is_indexed(crashed, "replaced")) CHECK(has(crashed, "replaced", new_body));
    CHECK(find(*crashed.store, "purged").found == Found::miss);
  }
}

TEST_CASE("store reclaim: what memory answers for stays on the disk, before and after memory lets go") {
  TestStore store(formatted_disk(), 8 * kMiB);
  uint64_t cold = 0;
  const std::vector<uint8_t> body = body_for("k", 1, 5000);
  for (const char* key : {"asked for", "not asked for", "given up"}) {
    put(*store.store, key, body);
  }
  store.flush();
  const uint64_t reads = store->total(&Counters::device_reads);
  REQUIRE(has(store, "asked for", body));
  REQUIRE(has(store, "given up", body));
  REQUIRE(store->total(&Counters::device_reads) == reads);
  MemoryTier& tier = store->tier();
  const KeyPlace gone = store->place_of("given up");
  for (uint32_t slot = 0; slot < tier.slot_count(); slot++) {
    if (tier.sizes()[slot] > 0 && tier.hashes()[slot] == static_cast<uint32_t>(gone.hash.high)) {
      tier.evict(slot, tier.generations()[slot]);
    }
  }
  REQUIRE(!tier.peek(gone.hash));
  // The one lap that the hits are good for. Memory is full of these three and a few of the others.
  while (store->total(&Counters::segments_reclaimed) == 0) write_cold(store, &cold, 1);
  CHECK(is_indexed(store, "asked for"));
  CHECK(is_indexed(store, "given up"));
  CHECK(!is_indexed(store, "not asked for"));
  CHECK(store->total(&Counters::reinserted_records) == 2);
}

TEST_CASE("store reclaim: a damaged survivor is found out and not written again") {
  TestStore store(formatted_disk());
  uint64_t cold = 0;
  const std::vector<uint8_t> body = body_for("k", 1, 200000);
  put(*store.store, "damaged", body);
  put(*store.store, "sound", body);
  write_cold(store, &cold, 12 * kMiB);  // until the write head's buffers have other things in them
  store.flush();
  REQUIRE(has(store, "damaged", body));
  REQUIRE(has(store, "sound", body));
  const KeyPlace place = store->place_of("damaged");
  IndexHit hits[Index::kMaximumHits];
  REQUIRE(store->volume().index().lookup(place.hash.low, hits) == 1);
  // Read and found right before: only reclaim looks at its checksum again.
  REQUIRE(Index::is_verified(hits[0].word));
  store.device->flip_on_disk(Index::address_of(hits[0].word) + 100000, 1);
  while (store->total(&Counters::segments_reclaimed) == 0) write_cold(store, &cold, 1);
  CHECK(!is_indexed(store, "damaged"));
  CHECK(has(store, "sound", body));
  CHECK(store->total(&Counters::corrupt_records) == 1);
  CHECK(store->total(&Counters::reinserted_records) == 1);
}

TEST_CASE("store reclaim: what nobody can use any more is not written again") {
  TestStore store(formatted_disk());
  uint64_t cold = 0;
  const std::vector<uint8_t> body = body_for("k", 1, 50000);
  // Both expired long ago; the one with a validator can still be refreshed by a 304.
  HeadOptions bare;
  bare.etag = "";
  bare.flags = 0;
  bare.fresh_until_ms = 1000;
  HeadOptions tagged = bare;
  tagged.etag = "\"v\"";
  put(*store.store, "bare", body, with_head(bare));
  put(*store.store, "tagged", body, with_head(tagged));
  store.flush();
  REQUIRE(has(store, "bare", body));
  REQUIRE(has(store, "tagged", body));
  while (store->total(&Counters::segments_reclaimed) == 0) write_cold(store, &cold, 1);
  CHECK(!is_indexed(store, "bare"));
  CHECK(has(store, "tagged", body));
}

TEST_CASE("store reclaim: ten laps write little more than what was admitted, and nothing beyond the ring") {
  TestStore store(formatted_disk());
  uint64_t cold = 0;
  const Geometry geometry = store->volume().ring().geometry();
  const ByteCount before = store->total(&Counters::device_written_bytes);
  // The device refuses what lies beyond its end, and the store would count an error.
  for (uint32_t lap = 0; lap < 10; lap++) write_cold(store, &cold, kRing, 33000 + lap * 40000);
  store.flush();
  CHECK(store->total(&Counters::write_errors) == 0);
  CHECK(store->total(&Counters::segments_reclaimed) + geometry.segment_count >=
        10 * geometry.segment_count);
  const ByteCount admitted = store->total(&Counters::admitted_bytes);
  const ByteCount written = store->total(&Counters::device_written_bytes) - before;
  INFO("device bytes per admitted byte ", static_cast<double>(written) / static_cast<double>(admitted));
  CHECK(store->total(&Counters::reinserted_records) == 0);
  CHECK(written * 100 <= admitted * 118);
}

TEST_CASE("reclaimer: a segment that stays pinned is skipped, its records can still be read") {
  DiskImage disk(0);
  {
    uint64_t cold = 0;
    TestStore store(formatted_disk());
    while (store->volume().ring().free_count() > 4) write_cold(store, &cold, 1);
    store->close();
    disk = store.device->snapshot();
  }
  FaultDevice device(disk);
  const Superblock superblock = read_superblock(device).value();
  Ring ring(superblock.geometry);
  Index index(100000);
  Staging staging(kMiB);
  Counters counters;
  ReclaimOptions options;
  options.uuid = superblock.uuid;
  const Purges none(kMiB);
  RecoveredRing recovered = recover_ring(device, superblock, ring, counters);
  Warmer warmer(device, superblock, none, ring, index, counters, std::move(recovered.segments));
  warmer.start(~Sequence{0}, nullptr, nullptr);
  wait_until([&] { return warmer.is_done(); });
  warmer.stop();
  options.pin_wait_ms = 30;
  // As if the write head had taken all but one.
  for (SegmentId i = 0; i < ring.segment_count(); i++) {
    if (ring.state(i) == SegmentState::free && ring.free_count() > 1) {
      ring.set(i, SegmentState::open, 1000 + i);
    }
  }
  SegmentPin pin = ring.pin(0);
  REQUIRE(pin);
  const auto count_in = [&](SegmentId segment) {
    const SegmentFooter footer =
        read_footer(device, ring.geometry(), superblock.uuid, segment).value();
    uint64_t found = 0;
    for (const FooterEntry& entry : footer.entries) {
      const ByteOffset start = ring.geometry().segment_offset(segment);
      if (index.word_at(entry.hash, start + ByteCount{entry.offset_grains} * kRecordGrain) != 0) {
        found++;
      }
    }
    return found;
  };
  const uint64_t pinned = count_in(0);
  REQUIRE(pinned > 0);
  REQUIRE(count_in(1) > 0);
  Reclaimer reclaimer(device, ring, index, staging, counters, options);
  reclaimer.start();
  reclaimer.wake();
  wait_until([&] { return ring.free_count() == 2; });
  reclaimer.stop();
  CHECK(counters.segments_skipped.load() == 1);
  CHECK(counters.segments_reclaimed.load() == 1);
  CHECK(ring.state(0) == SegmentState::sealed);
  CHECK(ring.pin(0));
  CHECK(count_in(0) == pinned);
  CHECK(ring.state(1) == SegmentState::free);
  CHECK(count_in(1) == 0);
}

TEST_CASE("store crash: with reinsertion running, no hot object is lost and none goes back in time") {
  DiskImage before(0);
  uint64_t cold = 0;
  constexpr uint64_t kHot = 12;
  const auto hot_body = [](uint64_t i) { return body_for("hot", i, 3000 + 8000 * i); };
  const std::vector<uint8_t> big = body_for("big", 1, 1060000);  // all less than half a segment
  const std::vector<uint8_t> v1 = body_for("v", 1, 90000);
  const std::vector<uint8_t> v2 = body_for("v", 2, 80000);
  {
    TestStore store(formatted_disk());
    for (uint64_t i = 0; i < kHot; i++) put(*store.store, hot_key(i), hot_body(i));
    for (const char* key : {"early", "late", "purged"}) put(*store.store, key, v1);
    put(*store.store, "big", big);
    while (store->volume().ring().free_count() > 2) write_cold(store, &cold, 1);
    store->close();
    before = store.device->snapshot();
  }
  std::vector<LoggedWrite> writes;
  {
    TestStore store(before);
    before = store.device->snapshot();
    for (uint64_t i = 0; i < kHot; i++) REQUIRE(has(store, hot_key(i), hot_body(i)));
    for (const char* key : {"early", "late", "purged"}) REQUIRE(has(store, key, v1));
    REQUIRE(has(store, "big", big));
    store.device->log_writes();
    put(*store.store, "early", v2);
    store.settle();
    for (uint32_t i = 0; i < 40; i++) {
      write_cold(store, &cold, 1);
      if (i == 30) put(*store.store, "late", v2);
      if (i == 34) REQUIRE(purge_key(*store.store, "purged").ok());
      if (i % 8 == 5) store.flush();
    }
    store.flush();
    REQUIRE(store->total(&Counters::segments_reclaimed) >= 6);
    REQUIRE(store->total(&Counters::reinserted_records) >= kHot + 4);
    writes = store.device->logged_writes();
  }
  // 0: the old version, 1: the new one, 2: gone. Never lower than at an earlier crash.
  std::map<std::string, int> seen;
  const auto state_of = [&](TestStore& store, const std::string& key) {
    const Lookup lookup = find(*store.store, key);
    if (lookup.found != Found::hit) return 2;
    const std::vector<uint8_t> got = joined(lookup.record->body);
    if (got == v1) return 0;
    REQUIRE(got == v2);
    return 1;
  };
  DiskImage disk = before;
  for (size_t n = 0; n < writes.size(); n++) {
    INFO("after write ", n, " of ", writes.size(), " at ", writes[n].offset);
    disk.write(writes[n].offset, writes[n].bytes);
    TestStore store(disk);
    for (uint64_t i = 0; i < kHot; i++) REQUIRE(has(store, hot_key(i), hot_body(i)));
    REQUIRE(has(store, "big", big));
    for (const char* key : {"early", "late", "purged"}) {
      INFO("key ", key);
      const int state = state_of(store, key);
      CHECK(state >= seen[key]);
      seen[key] = state;
    }
  }
  CHECK(seen["early"] >= 1);
  CHECK(seen["late"] == 1);
  CHECK(seen["purged"] == 2);
}

}  // namespace millrace::test
