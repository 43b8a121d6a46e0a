// Random lives of two or three devices as one store: any may be away at a start, unreadable, or refuse
// writes from some moment on; each life ends with a close or without one. Whatever is found has the right
// bytes and was stored after every purge that was acknowledged. One device that has heard of all purges is
// always there: what cannot be promised without one is in docs/decisions/0008-several-devices-one-store.md.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "test/lent-device.h"

namespace millrace::test {

namespace {

constexpr uint64_t kKeys = 40;
constexpr uint64_t kLives = 12;
constexpr uint64_t kGroups = 4;  // of keys, each with a prefix
constexpr uint64_t kForGood = 1000000;

std::string name_of(uint64_t key) {
  return "http://h/" + std::to_string(key % kGroups) + "/k" + std::to_string(key);
}

class Lives {
 public:
  explicit Lives(uint64_t seed) : random_(seed) {
    const size_t count = 2 + random_.below(2);
    for (uint8_t i = 0; i < count; i++) {
      disks_.push_back(disk_number(i));
      knowing_.insert(i);
    }
  }
  uint64_t purges = 0;
  uint64_t hits = 0;
  uint64_t away = 0;

  // False once no device knows all purges.
  bool live() {
    open(some_devices());
    for (uint64_t key = 0; key < kKeys; key++) look_up(key);
    const uint64_t steps = random_.below(100);
    for (uint64_t i = 0; i < steps; i++) step();
    std::set<size_t> knowing;
    for (uint32_t volume = 0; volume < store_->volume_count(); volume++) {
      if (!store_->volume(volume).is_off()) knowing.insert(number_of(volume));
    }
    if (random_.below(2) == 0) store_->close();
    for (size_t i = 0; i < disks_.size(); i++) {
      if (devices_[i]) disks_[i] = devices_[i]->snapshot();
    }
    store_->close();
    store_.reset();
    knowing_ = std::move(knowing);
    return !knowing_.empty();
  }

 private:
  std::vector<size_t> some_devices() {
    for (;;) {
      std::vector<size_t> some;
      for (size_t i = 0; i < disks_.size(); i++) {
        if (random_.below(4) != 0) some.push_back(i);
      }
      if (std::any_of(some.begin(), some.end(), [&](size_t i) { return knowing_.count(i) != 0; })) {
        return some;
      }
    }
  }

  void open(std::vector<size_t> here) {
    StoreOptions options;
    options.memory_limit = 160 * kMiB;
    options.l1_budget = random_.below(2) == 0 ? 0 : 8 * kMiB;
    options.index_memory_limit = 4 * kMiB;
    options.warm_grace_ms = random_.below(2) == 0 ? 0 : 100;
    options.admit_everything = true;
    const size_t sound =
        *std::find_if(here.begin(), here.end(), [&](size_t i) { return knowing_.count(i) != 0; });
    if (random_.below(2) == 0) std::reverse(here.begin(), here.end());
    devices_.assign(disks_.size(), nullptr);
    std::vector<std::unique_ptr<Device>> owned;
    for (const size_t i : here) {
      devices_[i] = std::make_shared<FaultDevice>(disks_[i]);
      owned.push_back(std::make_unique<LentDevice>(devices_[i]));
      if (i == sound) continue;
      if (random_.below(6) == 0) devices_[i]->fail_writes(1 + random_.below(6), kForGood);
      if (random_.below(12) == 0) devices_[i]->fail_reads(1, kForGood);
    }
    std::vector<LeftOutVolume> left_out;
    Result<Ref<Store>> opened = Store::open(options, std::move(owned), &left_out);
    REQUIRE(opened.ok());
    store_ = std::move(opened.value());
    REQUIRE(store_->volume_count() + left_out.size() == here.size());
    away += disks_.size() - store_->volume_count();
    if (random_.below(2) == 0) REQUIRE(store_->wait_until_warm(120000));
  }

  size_t number_of(uint32_t volume) const { return store_->volume(volume).superblock().uuid[0]; }

  void step() {
    const uint64_t key = random_.below(kKeys);
    const uint64_t choice = random_.below(100);
    if (choice < 45) {
      const size_t size = 500 + random_.below(3000);
      sizes_[key][++version_] = size;
      put(*store_, name_of(key), body_for("v", version_, size));
    } else if (choice < 75) {
      look_up(key);
    } else if (choice < 98) {
      purge_some(key);
    } else if (store_->volume_count() > 1) {
      devices_[number_of(static_cast<uint32_t>(random_.below(store_->volume_count())))]->fail_writes(
          1, kForGood);
    }
  }

  void look_up(uint64_t key) {
    const Lookup lookup = find(*store_, name_of(key));
    if (lookup.found != Found::hit) return;
    const std::vector<uint8_t> body = joined(lookup.record->body);
    const auto& sizes = sizes_[key];
    const auto version = std::find_if(sizes.begin(), sizes.end(), [&](const auto& item) {
      return item.second == body.size() && body_for("v", item.first, item.second) == body;
    });
    REQUIRE(version != sizes.end());
    INFO("key ", key);
    REQUIRE(version->first > gone_[key]);
    hits++;
  }

  void purge_some(uint64_t key) {
    PurgeRequest request;
    std::vector<uint64_t> keys;
    const uint64_t kind = random_.below(12);
    if (kind == 0) request.kind = PurgeKind::all;
    if (kind == 1) {
      request.kind = PurgeKind::prefix;
      request.text = "http://h/" + std::to_string(key % kGroups) + "/";
    }
    if (kind > 1) {
      request.text = name_of(key);
      request.unsafe_method = random_.below(3) == 0;
    }
    for (uint64_t other = 0; other < kKeys; other++) {
      if (kind == 0 || (kind == 1 && other % kGroups == key % kGroups) || other == key) {
        keys.push_back(other);
      }
    }
    if (!purge(*store_, request).ok()) return;
    purges++;
    for (const uint64_t purged : keys) gone_[purged] = version_;
  }

  Random random_;
  std::vector<DiskImage> disks_;
  std::set<size_t> knowing_;  // devices that have heard of every acknowledged purge
  std::vector<std::shared_ptr<FaultDevice>> devices_;
  Ref<Store> store_;
  uint64_t version_ = 0;
  std::map<uint64_t, std::map<uint64_t, size_t>> sizes_;  // by key and version
  std::map<uint64_t, uint64_t> gone_;                     // by key: versions up to it are purged
};

}  // namespace

TEST_CASE("volumes: random lives with devices away and failing bring no wrong byte and nothing purged") {
  uint64_t hits = 0;
  uint64_t purges = 0;
  uint64_t away = 0;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    INFO("seed ", seed);
    Lives lives(seed);
    for (uint64_t life = 0; life < kLives; life++) {
      INFO("life ", life);
      if (!lives.live()) break;
    }
    hits += lives.hits;
    purges += lives.purges;
    away += lives.away;
  }
  CHECK(hits > 100);
  CHECK(purges > 100);
  CHECK(away > 10);
}

}  // namespace millrace::test
