// The store under pressure: held writes, full queues, no pages, purges meanwhile, and damaged superblocks at
// open. What cannot be done is refused or dropped and counted; nobody waits for ever.
#include "engine/store.h"
#include "test/stored-objects.h"

namespace millrace::test {

TEST_CASE("store pressure: held writes drop what does not fit and block nobody") {
  TestStore store(formatted_disk());
  store.device->hold_writes(true);
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  const std::vector<uint8_t> body = body_for("f", 0, 1000000);
  // Fills that do not ask: the queue fills up and then refuses.
  for (uint64_t i = 0; i < 40; i++) {
    const Ref<Fill> fill = store->begin_fill(key_for(i), notice(sink, 0));
    REQUIRE(fill->begin(FillHead{key_for(i), make_head(), body.size(), true}).ok());
    for (Bytes rest(body); !rest.empty();) {
      const auto appended = fill->append(rest);
      rest = rest.subspan(appended.accepted);
      REQUIRE(appended.pause != FillPause::pages);
    }
    REQUIRE(fill->finish().ok());
  }
  CHECK(store->total(&Counters::writes_dropped) > 0);
  CHECK(store->staging()->bytes() <= 8 * kMiB);
  CHECK(is_right_or_miss(*store.store, key_for(0), body));
  store.device->hold_writes(false);
  store.flush();
  CHECK(is_right_or_miss(*store.store, key_for(0), body));
}

TEST_CASE("store pressure: a full device queue delays reads and writes and loses none") {
  DiskImage disk = disk_with(6, 300000);
  TestStore store(disk);
  store.device->set_queue_limit(1);
  for (uint64_t i = 100; i < 112; i++) put(*store.store, key_for(i), body_for("f", i, 900000));
  store.flush();
  for (uint64_t i = 0; i < 6; i++) {
    const Lookup lookup = find(*store.store, key_for(i));
    CHECK((lookup.found == Found::hit || lookup.status.code() == Code::again));
  }
  store->close();
  CHECK(store->total(&Counters::write_errors) == 0);
  TestStore reopened(store.device->snapshot());
  for (uint64_t i = 100; i < 112; i++) {
    CHECK(is_right_or_miss(*reopened.store, key_for(i), body_for("f", i, 900000)));
  }
}

TEST_CASE("store pressure: without a free page a read is refused and the record stays") {
  TestStore store(disk_with(1, 500000));
  std::vector<PageRef> hoard;
  for (PageRef page = store->pool().allocate(); page; page = store->pool().allocate()) {
    hoard.push_back(std::move(page));
  }
  const Lookup lookup = find(*store.store, key_for(0));
  CHECK(lookup.found == Found::miss);
  CHECK(lookup.status.code() == Code::again);
  hoard.clear();
  CHECK(is_right_or_miss(*store.store, key_for(0), body_for("f", 0, 500000)));
}

TEST_CASE("store pressure: a purge without a free page survives a restart") {
  TestStore store(disk_with(1, 1000));
  {
    std::vector<PageRef> hoard;
    for (PageRef page = store->pool().allocate(1); page; page = store->pool().allocate(1)) {
      hoard.push_back(std::move(page));
    }
    CHECK(purge_key(*store.store, key_for(0)).ok());
  }
  CHECK(find(*store.store, key_for(0)).found == Found::miss);
  store->close();
  TestStore reopened(store.device->snapshot());
  CHECK(find(*reopened.store, key_for(0)).found == Found::miss);
}

TEST_CASE("store pressure: purges while the disk is behind survive a restart") {
  constexpr uint64_t kObjects = 200;
  TestStore store(disk_with(kObjects, 1000));
  store.device->hold_writes(true);
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  const auto offer = [&](const std::string& key, Bytes body) {
    const uint64_t dropped = store->total(&Counters::writes_dropped);
    const Ref<Fill> fill = store->begin_fill(key, notice(sink, 0));
    REQUIRE(fill->begin(FillHead{key, make_head(), body.size(), true}).ok());
    REQUIRE(fill->append(body).accepted == body.size());
    REQUIRE(fill->finish().ok());
    return store->total(&Counters::writes_dropped) == dropped;
  };
  // Far more than the open segment and the queue hold: the appender ends up waiting to seal it.
  const std::vector<uint8_t> body = body_for("f", 0, 1000000);
  for (uint64_t i = 0; i < 40; i++) {
    offer("large" + std::to_string(i), body);
    sched_yield();
  }
  REQUIRE(store.device->queued() > 0);
  for (uint64_t i = 0; offer("large again" + std::to_string(i), body); i++) continue;
  for (uint64_t i = 0; offer("small" + std::to_string(i), Bytes()); i++) continue;
  for (uint64_t i = 0; i < kObjects; i++) {
    store->purge(PurgeRequest{PurgeKind::key, key_for(i), 0, false, false}, nullptr, nullptr);
  }
  store.device->hold_writes(false);
  store.flush();
  CHECK(purge_key(*store.store, "the last one").ok());
  store->close();
  TestStore reopened(store.device->snapshot());
  uint64_t back = 0;
  for (uint64_t i = 0; i < kObjects; i++) {
    if (find(*reopened.store, key_for(i)).found == Found::hit) back++;
  }
  CHECK(back == 0);
}

TEST_CASE(
    "store pressure: a disk that reads nothing at open is refused, one bad superblock is not") {
  const DiskImage good = disk_with(2, 1000);
  StoreOptions options;
  options.memory_limit = 64 * kMiB;
  options.l1_budget = 0;
  {
    auto device = std::make_unique<FaultDevice>(good);
    device->fail_reads(1, 1000000);
    const Result<Ref<Store>> opened = Store::open(options, std::move(device));
    CHECK(opened.status().code() == Code::io);
  }
  {
    auto device = std::make_unique<FaultDevice>(DiskImage(kDiskSize));
    CHECK(Store::open(options, std::move(device)).status().code() == Code::foreign);
  }
  const Geometry geometry = geometry_of(kDiskSize).value();
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    DiskImage damaged = good;
    damaged.flip(geometry.superblock_offset(copy) + 40, 1);
    TestStore store(damaged);
    CHECK(is_right_or_miss(*store.store, key_for(0), body_for("f", 0, 1000)));
  }
  DiskImage none = good;
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    none.flip(geometry.superblock_offset(copy) + 40, 1);
  }
  CHECK(Store::open(options, std::make_unique<FaultDevice>(none)).status().code() == Code::corrupt);
}

}  // namespace millrace::test
