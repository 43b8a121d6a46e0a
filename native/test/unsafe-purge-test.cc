// Purges by unsafe methods of keys that the index does not know and the device still holds: none of them may
// come back at the next start. That a flood of unknown keys costs nothing is in store-test.cc.
#include "test/support.h"

namespace millrace::test {

namespace {

bool is_found_by_next_life(const DiskImage& disk, const std::string& key) {
  TestStore store(disk);
  return find(*store.store, key).found == Found::hit;
}

bool is_indexed(TestStore& store, const std::string& key) {
  return store->volume().index().has_head(store->place_of(key).hash.low);
}

}  // namespace

TEST_CASE("unsafe purge: of what reclaim has freed, it is written down") {
  TestStore store(formatted_disk());
  put(*store.store, "k", body_for("k", 1, 5000));
  store.flush();
  REQUIRE(is_indexed(store, "k"));
  for (uint64_t cold = 0; is_indexed(store, "k"); cold++) {
    REQUIRE(cold < 1000);
    put(*store.store, "cold" + std::to_string(cold), body_for("cold", cold, 900000));
    store.settle();
    wait_until([&] { return store->volume().ring().free_count() > 0; });
  }
  store.flush();
  // Nothing has overwritten its segment yet.
  REQUIRE(is_found_by_next_life(store.device->snapshot(), "k"));
  REQUIRE(purge_unsafe(*store.store, "k").ok());
  CHECK(store->total(&Counters::purges_unknown) == 0);
  CHECK(!is_found_by_next_life(store.device->snapshot(), "k"));
}

TEST_CASE("unsafe purge: of what a full index has given up, it is written down") {
  StoreOptions options;
  options.memory_limit = 64 * kMiB;
  options.l1_budget = 0;
  options.index_memory_limit = 16 * kKiB;  // fewer words than objects
  options.admit_everything = true;
  constexpr uint32_t kObjects = 3000;
  auto device = std::make_unique<FaultDevice>(formatted_disk());
  FaultDevice* disk = device.get();
  Result<Ref<Store>> opened = Store::open(options, std::move(device));
  REQUIRE(opened.ok());
  Store& store = *opened.value();
  REQUIRE(store.wait_until_warm(120000));
  const auto key_for = [](uint32_t number) { return "k" + std::to_string(number); };
  for (uint32_t i = 0; i < kObjects; i++) put(store, key_for(i), body_for("k", i, 100));
  wait_until([&] { return store.staging()->bytes() == 0; });
  wait_until([&] {
    return store.total(&Counters::records_flushed) == store.total(&Counters::records_appended);
  });
  std::vector<std::string> given_up;
  for (uint32_t i = 0; i < kObjects; i++) {
    if (find(store, key_for(i)).found == Found::miss) given_up.push_back(key_for(i));
  }
  REQUIRE(given_up.size() > 100);
  for (const std::string& key : given_up) REQUIRE(purge_unsafe(store, key).ok());
  const bool are_all_known = store.total(&Counters::purges_unknown) == 0;
  CHECK(are_all_known);
  const uint64_t not_durable = store.total(&Counters::purges_not_durable);
  const DiskImage image = disk->snapshot();
  store.close();
  // With more room for words.
  TestStore next(image);
  uint64_t found = 0;
  for (const std::string& key : given_up) found += find(*next.store, key).found == Found::hit;
  INFO("of ", given_up.size(), " purged");
  CHECK(found <= not_durable);
}

}  // namespace millrace::test
