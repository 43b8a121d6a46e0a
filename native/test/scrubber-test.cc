// The scrub: finds damage that no client has asked for, leaves everything else alone, and never holds up
// reclaim or the end of a store.
#include "engine/inspect.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr uint64_t kObjects = 12;
constexpr size_t kSize = 700000;

std::string key_for(uint64_t number) { return "http://h/s" + std::to_string(number); }

DiskImage filled_disk() {
  TestStore store(formatted_disk());
  for (uint64_t i = 0; i < kObjects; i++) {
    put(*store.store, key_for(i), body_for(key_for(i), 1, kSize));
  }
  store->close();
  return store.device->snapshot();
}

ByteOffset place_of(const DiskImage& disk, uint64_t number) {
  FaultDevice device(disk);
  std::vector<StoredRecord> found;
  InspectProgress progress;
  REQUIRE(find_on_device(device, key_for(number), &found, &progress).ok());
  REQUIRE(found.size() == 1);
  return found[0].offset;
}

struct ScrubbedStore {
  Ref<Store> store;
  FaultDevice* device = nullptr;  // owned by the store

  ScrubbedStore(const DiskImage& image, uint64_t interval_ms, ByteCount rate) {
    StoreOptions options;
    options.memory_limit = 64 * kMiB;
    options.l1_budget = 0;
    options.index_memory_limit = 4 * kMiB;
    options.admit_everything = true;
    options.scrub_interval_ms = interval_ms;
    options.scrub_rate = rate;
    auto owned = std::make_unique<FaultDevice>(image);
    device = owned.get();
    Result<Ref<Store>> opened = Store::open(options, std::move(owned));
    REQUIRE(opened.ok());
    store = std::move(opened.value());
  }
  ~ScrubbedStore() { store->close(); }
  uint64_t count(Counters::Count Counters::* counter) const { return store->total(counter); }
};

}  // namespace

TEST_CASE("scrub: a damaged byte is found, and by no client") {
  DiskImage disk = filled_disk();
  disk.flip(place_of(disk, 5) + 300000, 0x10);
  disk.flip(place_of(disk, 9) + 3, 0x01);  // the header
  ScrubbedStore store(disk, 10, kGiB);
  wait_until([&] { return store.count(&Counters::scrub_passes) >= 2; });
  CHECK(store.count(&Counters::scrub_damaged) == 2);
  CHECK(store.count(&Counters::corrupt_records) == 2);
  CHECK(store.count(&Counters::scrubbed_bytes) >= 2 * (kObjects - 2) * kSize);
  CHECK(store.count(&Counters::device_reads) == 0);
  for (uint64_t i = 0; i < kObjects; i++) {
    const Lookup lookup = find(*store.store, key_for(i));
    REQUIRE((lookup.found == Found::hit) == (i != 5 && i != 9));
    if (lookup.record) CHECK(joined(lookup.record->body) == body_for(key_for(i), 1, kSize));
  }
}

TEST_CASE("scrub: without an interval there is none") {
  ScrubbedStore store(filled_disk(), 0, kGiB);
  CHECK(!store.store->volume().is_scrubbed());
  ScrubbedStore other(filled_disk(), 1000, kGiB);
  CHECK(other.store->volume().is_scrubbed());
}

TEST_CASE("scrub: a device that fails for a while costs nothing but the errors") {
  ScrubbedStore store(filled_disk(), 10, kGiB);
  wait_until([&] { return store.count(&Counters::scrub_passes) >= 1; });
  store.device->fail_reads(1, 5);
  wait_until([&] { return store.count(&Counters::read_errors) > 0; });
  // Each pass reads at least once a segment.
  const uint64_t passes = store.count(&Counters::scrub_passes);
  wait_until([&] { return store.count(&Counters::scrub_passes) >= passes + 5; });
  CHECK(store.count(&Counters::scrub_damaged) == 0);
  for (uint64_t i = 0; i < kObjects; i++) {
    CHECK(find(*store.store, key_for(i)).found == Found::hit);
  }
}

TEST_CASE("scrub: it holds neither a close nor reclaim up") {
  // The first pass is an hour away when this ends.
  const ScrubbedStore store(filled_disk(), ~uint64_t{0} / 100000000, 1);
  ScrubbedStore fast(filled_disk(), 5, kGiB);
  uint64_t written = 0;
  while (fast.count(&Counters::segments_reclaimed) < 60) {
    put(*fast.store, "http://h/n" + std::to_string(written), body_for("n", written, kSize));
    written++;
    wait_until([&] { return fast.store->staging()->bytes() < 4 * kMiB; });
  }
  CHECK(fast.count(&Counters::segments_skipped) == 0);
  // A busy machine may have had no time for a whole pass yet.
  wait_until([&] { return fast.count(&Counters::scrub_passes) > 0; });
  CHECK(fast.count(&Counters::scrub_damaged) == 0);
  CHECK(fast.count(&Counters::corrupt_records) == 0);
}

}  // namespace millrace::test
