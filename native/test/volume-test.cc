// Several devices as one store: how keys are spread, that a device that fails or is away costs its own share,
// and that what it missed is never served.
#include <doctest/doctest.h>

#include <array>

#include "test/lent-device.h"
#include "test/stored-objects.h"
#include "test/support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint64_t kObjects = 400;

struct Several {
  Ref<Store> store;
  std::vector<std::shared_ptr<FaultDevice>> devices;
  std::vector<LeftOutVolume> left_out;
  Status status{};

  // Of the first device every write fails from `failing_write` on; 0: none.
  explicit Several(const std::vector<DiskImage>& disks, uint32_t unreadable = ~uint32_t{0},
                   uint64_t failing_write = 0) {
    StoreOptions options;
    options.memory_limit = 128 * kMiB;
    options.l1_budget = 0;
    options.index_memory_limit = 4 * kMiB;
    options.poison_pages = true;
    std::vector<std::unique_ptr<Device>> owned;
    for (const DiskImage& disk : disks) {
      auto device = std::make_shared<FaultDevice>(disk);
      if (devices.size() == unreadable) device->fail_reads(1, 1000000);
      if (devices.empty() && failing_write > 0) device->fail_writes(failing_write, 1000000);
      devices.push_back(device);
      owned.push_back(std::make_unique<LentDevice>(device));
    }
    Result<Ref<Store>> opened = Store::open(options, std::move(owned), &left_out);
    status = opened.status();
    if (opened.ok()) store = std::move(opened.value());
    if (store) REQUIRE(store->wait_until_warm(120000));
  }
  ~Several() {
    if (store) store->close();
  }
  std::vector<DiskImage> close() {
    store->close();
    std::vector<DiskImage> disks;
    for (const auto& device : devices) disks.push_back(device->snapshot());
    return disks;
  }
  void put_all(uint64_t version) {
    for (uint64_t i = 0; i < kObjects; i++) put(*store, key_for(i), body_for("f", version + i, 3000));
  }
  // How many are served, each with the bytes of this version.
  uint64_t count_right(uint64_t version) {
    uint64_t right = 0;
    for (uint64_t i = 0; i < kObjects; i++) {
      if (is_right_or_miss(*store, key_for(i), body_for("f", version + i, 3000))) right++;
    }
    return right;
  }
};

}  // namespace

TEST_CASE("rendezvous: shares follow the weights, and only the keys of a lost place move") {
  const uint64_t seed = 7;
  INFO("seed ", seed);
  Random random(seed);
  constexpr std::array<uint32_t, 3> kWeights{1000, 2000, 5000};
  std::array<uint64_t, 3> share{};
  uint64_t moved = 0;
  constexpr uint64_t kKeys = 80000;
  for (uint64_t i = 0; i < kKeys; i++) {
    std::array<uint64_t, 3> scores{};
    for (size_t place = 0; place < 3; place++) {
      scores[place] = rendezvous_score(random.next(), kWeights[place]);
    }
    const auto all = static_cast<size_t>(std::min_element(scores.begin(), scores.end()) - scores.begin());
    const size_t without_last = scores[0] <= scores[1] ? 0 : 1;
    share[all]++;
    if (all != 2 && all != without_last) moved++;
  }
  CHECK(moved == 0);
  for (size_t place = 0; place < 3; place++) {
    const double expected = static_cast<double>(kKeys) * kWeights[place] / 8000;
    CHECK(static_cast<double>(share[place]) > 0.95 * expected);
    CHECK(static_cast<double>(share[place]) < 1.05 * expected);
  }
}

TEST_CASE("rendezvous: a greater hash never scores worse, over the whole range") {
  uint64_t last = rendezvous_score(1, 1);
  for (uint32_t shift = 0; shift < 64; shift++) {
    for (const uint64_t part : {0, 1, 2, 3}) {
      const uint64_t hash = (uint64_t{1} << shift) + (shift < 2 ? 0 : part << (shift - 2));
      const uint64_t score = rendezvous_score(hash, 1);
      CHECK(score <= last);
      last = score;
    }
  }
  CHECK(rendezvous_score(0, 1) == rendezvous_score(1, 1));
  CHECK(rendezvous_score(~uint64_t{0}, 1) < rendezvous_score(uint64_t{1} << 63, 1));
}

TEST_CASE("volumes: objects spread over two devices and are all found after a restart, in any order") {
  std::vector<DiskImage> disks;
  {
    Several two({disk_number(1), disk_number(2)});
    REQUIRE(two.status.ok());
    two.put_all(0);
    put(*two.store, "http://h/large", body_for("large", 1, 3 * kMiB + 5));
    CHECK(two.count_right(0) == kObjects);
    disks = two.close();
  }
  Several again({disks[1], disks[0]});
  REQUIRE(again.status.ok());
  CHECK(again.count_right(0) == kObjects);
  CHECK(is_right_or_miss(*again.store, "http://h/large", body_for("large", 1, 3 * kMiB + 5)));
  for (uint32_t volume = 0; volume < 2; volume++) {
    const uint64_t records = again.store->volume(volume).index().records();
    CHECK(records > kObjects / 4);
    CHECK(records < kObjects);
  }
}

TEST_CASE("volumes: a device that returns nothing but errors costs its share and no wrong byte") {
  std::vector<DiskImage> disks;
  {
    Several two({disk_number(1), disk_number(2)});
    two.put_all(0);
    disks = two.close();
  }
  Several two(disks);
  two.devices[0]->fail_reads(1, 1000000);
  two.devices[0]->fail_writes(1, 1000000);
  const uint64_t right = two.count_right(0);
  CHECK(right > kObjects / 4);
  CHECK(right < kObjects * 3 / 4);
  // What belongs to the healthy one is written and found again.
  two.put_all(1000);
  wait_until([&] { return two.store->total(&Counters::write_errors) > 0; });
  CHECK(two.count_right(1000) > kObjects / 4);
}

TEST_CASE("volumes: a device that cannot be read at the start is left out, and named") {
  std::vector<DiskImage> disks;
  {
    Several two({disk_number(1), disk_number(2)});
    two.put_all(0);
    disks = two.close();
  }
  Several one(disks, 0);
  REQUIRE(one.status.ok());
  REQUIRE(one.left_out.size() == 1);
  CHECK(one.left_out[0].status.code() == Code::io);
  CHECK(one.store->volume_count() == 1);
  // The keys of the one that is there have not moved.
  const uint64_t right = one.count_right(0);
  CHECK(right > kObjects / 4);
  CHECK(right < kObjects * 3 / 4);
}

// What most SSDs do at their end. The first write is that of superblock copy 0, the second that of copy 1:
// where only the second fails, one copy names the group that the start began with.
TEST_CASE("volumes: a device that cannot be written at the start is left out, and starts empty later") {
  for (const uint64_t failing : {1, 2, 4}) {
    INFO("writes fail from number ", failing);
    std::vector<DiskImage> disks;
    {
      Several two({disk_number(1), disk_number(2)});
      two.put_all(0);
      disks = two.close();
    }
    {
      Several one(disks, ~uint32_t{0}, failing);
      REQUIRE(one.status.ok());
      if (failing > 2) {
        // Two copies suffice; what fails later is seen when something is written.
        CHECK(one.left_out.empty());
        CHECK(one.store->volume_count() == 2);
        continue;
      }
      REQUIRE(one.left_out.size() == 1);
      CHECK(one.left_out[0].status.code() == Code::io);
      CHECK(one.store->volume_count() == 1);
      const uint64_t right = one.count_right(0);
      CHECK(right > kObjects / 4);
      CHECK(right < kObjects * 3 / 4);
      for (uint64_t i = 0; i < kObjects; i++) CHECK(purge_key(*one.store, key_for(i)).ok());
      disks = one.close();
    }
    Several two(disks);
    REQUIRE(two.status.ok());
    CHECK(two.count_right(0) == 0);
  }
}

TEST_CASE("volumes: what a device held while it was away is never found again") {
  std::vector<DiskImage> disks;
  {
    Several two({disk_number(1), disk_number(2)});
    two.put_all(0);
    disks = two.close();
  }
  {
    Several one({disks[1]});
    for (uint64_t i = 0; i < kObjects; i++) CHECK(purge_key(*one.store, key_for(i)).ok());
    disks[1] = one.close()[0];
  }
  {
    Several two(disks);
    REQUIRE(two.status.ok());
    CHECK(two.count_right(0) == 0);
    two.put_all(2000);
    disks = two.close();
  }
  // The mark outlives the start that made it, and spares what came later.
  Several two(disks);
  CHECK(two.count_right(2000) == kObjects);
}

TEST_CASE("volumes: two that each went on without the other have both missed purges") {
  for (const size_t first : {0, 1}) {
    std::vector<DiskImage> disks;
    {
      Several two({disk_number(1), disk_number(2)});
      two.put_all(0);
      disks = two.close();
    }
    // Each alone has an object of every key; what the second one purges the first one never hears of.
    for (const size_t number : {first, 1 - first}) {
      Several one({disks[number]});
      one.put_all(0);
      CHECK(one.count_right(0) == kObjects);
      if (number != first) {
        for (uint64_t i = 0; i < kObjects; i++) CHECK(purge_key(*one.store, key_for(i)).ok());
      }
      disks[number] = one.close()[0];
    }
    Several two(disks);
    REQUIRE(two.status.ok());
    CHECK(two.count_right(0) == 0);
    two.put_all(3000);
    CHECK(two.count_right(3000) == kObjects);
  }
}

TEST_CASE("volumes: a key that moved to a new device is purged from its old one too") {
  std::vector<DiskImage> disks;
  {
    Several one({disk_number(1)});
    one.put_all(0);
    disks = one.close();
  }
  disks.push_back(disk_number(2));
  {
    Several two(disks);
    for (uint64_t i = 0; i < kObjects; i++) CHECK(purge_key(*two.store, key_for(i)).ok());
    disks = two.close();
  }
  Several one({disks[0]});
  CHECK(one.count_right(0) == 0);
}

TEST_CASE("volumes: a share of index_memory_limit that is too small for anything makes the smallest index") {
  for (const ByteCount limit : {0, 100, 250}) {
    StoreOptions options;
    options.index_memory_limit = limit;
    const Result<Ref<Store>> opened =
        Store::open(options, std::make_unique<FaultDevice>(disk_number(1)));
    REQUIRE(opened.ok());
    CHECK(opened.value()->volume().index().capacity() == Index::kSlotsPerBucket);
    put(*opened.value(), key_for(0), body_for("f", 0, 3000));
    CHECK(purge_key(*opened.value(), key_for(0)).ok());
    opened.value()->close();
  }
}

TEST_CASE("volumes: copies of one device, foreign ones and too many are refused") {
  CHECK(Several({disk_number(1), disk_number(1)}).status.code() == Code::invalid);
  const Several foreign({disk_number(1), DiskImage(kDiskSize)});
  CHECK(foreign.status.code() == Code::foreign);
  REQUIRE(foreign.left_out.size() == 1);
  std::vector<DiskImage> many;
  for (uint8_t i = 1; i <= 6; i++) many.push_back(disk_number(i));
  CHECK(Several(many).status.code() == Code::invalid);
}

TEST_CASE("volumes: one that was given up starts empty, and purges are durable without it") {
  std::vector<DiskImage> disks;
  {
    Several two({disk_number(1), disk_number(2)});
    two.put_all(0);
    wait_until([&] {
      return two.store->staging(0)->bytes() + two.store->staging(1)->bytes() == 0 &&
             two.store->total(&Counters::records_flushed) == kObjects;
    });
    two.devices[1]->fail_writes(1, 1000000);
    // Who comes first is told: it holds, and is not durable.
    CHECK(purge_key(*two.store, key_for(0)).code() == Code::io);
    CHECK(two.store->volume(1).is_off());
    wait_until([&] { return two.store->volume(1).is_abandoned(); });
    CHECK(!two.store->volume(0).is_off());
    for (uint64_t i = 0; i < kObjects; i++) CHECK(purge_key(*two.store, key_for(i)).ok());
    for (const auto& device : two.devices) disks.push_back(device->snapshot());
  }
  Several again(disks);
  REQUIRE(again.status.ok());
  CHECK(again.count_right(0) == 0);
  for (uint32_t volume = 0; volume < 2; volume++) CHECK(!again.store->volume(volume).is_off());
  again.put_all(500);
  CHECK(again.count_right(500) == kObjects);
}
