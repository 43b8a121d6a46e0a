// Many threads on one store with a small L1 and a small ring: no reader ever sees a byte that was
// not written for that key and version, nor a version that was purged before it asked. Made for
// ThreadSanitizer.
#include "engine/store.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr uint32_t kKeys = 24;

struct KeyState {
  std::atomic<uint64_t> lowest{0};  // versions below were purged, and the purge has returned
};

std::string key_for(uint64_t number) { return "http://h/t" + std::to_string(number); }

size_t size_for(uint64_t key, uint64_t version) {
  const size_t sizes[] = {10, 3000, 20000, 70000, 300000, 1300000};
  return sizes[(key + version) % 6] + version % 7;
}

struct Outcomes {
  std::atomic<uint32_t> wrong{0};
  std::atomic<uint32_t> purged{0};
  std::atomic<uint32_t> hits{0};
};

void write_keys(TestStore& store, KeyState* states, uint32_t writer, uint32_t rounds) {
  Random random(200 + writer);
  uint64_t versions[kKeys] = {};
  for (uint32_t round = 0; round < rounds; round++) {
    const uint64_t key = random.below(kKeys / 2) * 2 + writer;
    if (random.below(4) == 0) {
      CHECK(purge_key(*store.store, key_for(key)).ok());
      states[key].lowest.store(versions[key] + 1);
      continue;
    }
    const uint64_t version = ++versions[key];
    PutOptions options;
    options.head.etag = "\"" + std::to_string(version) + "\"";
    put(*store.store, key_for(key), body_for(key_for(key), version, size_for(key, version)),
        options);
  }
}

void read_keys(TestStore& store, KeyState* states, uint32_t reader,
               const std::atomic<uint32_t>& writers, Outcomes* outcomes) {
  Random random(300 + reader);
  while (writers.load() > 0) {
    const uint64_t key = random.below(kKeys);
    const uint64_t lowest = states[key].lowest.load();
    const Lookup lookup = find(*store.store, key_for(key));
    if (lookup.found != Found::hit) continue;
    const Result<HeadView> head = decode_head(lookup.record->head_bytes());
    const std::string etag = head.ok() ? text_of(head.value().etag) : "\"0\"";
    const uint64_t version = std::stoull(etag.substr(1));
    if (version < lowest) outcomes->purged.fetch_add(1);
    std::vector<uint8_t> got;
    if (!body_of(*store.store, lookup.record, &got)) continue;
    outcomes->hits.fetch_add(1);
    if (got != body_for(key_for(key), version, size_for(key, version)))
      outcomes->wrong.fetch_add(1);
  }
}

}  // namespace

TEST_CASE("store threads: readers and writers share a store without a wrong or a purged byte") {
  TestStore store(formatted_disk(), 600 * kKiB);
  const auto states = std::make_unique<KeyState[]>(kKeys);
  Outcomes outcomes;
  std::atomic<uint32_t> writers{2};
  run_threads(5, [&](uint32_t number) {
    if (number < 2) {
      write_keys(store, states.get(), number, 250);
      writers.fetch_sub(1);
    } else if (number < 4) {
      read_keys(store, states.get(), number, writers, &outcomes);
    } else {
      // The policy's part: evicts whatever changes, so that reads come from the disk too.
      std::vector<uint32_t> pairs(64);
      while (writers.load() > 0) {
        const uint32_t count = store->tier().take_events(pairs.data(), 32);
        for (uint32_t i = 0; i < count; i++) store->tier().evict(pairs[2 * i], pairs[2 * i + 1]);
        sched_yield();
      }
    }
  });
  CHECK(outcomes.wrong.load() == 0);
  CHECK(outcomes.purged.load() == 0);
  CHECK(outcomes.hits.load() > 50);
  CHECK(store->total(&Counters::corrupt_records) == 0);
  store->close();
}

TEST_CASE("store threads: a close while others read and write ends all of it") {
  for (uint32_t round = 0; round < 6; round++) {
    TestStore store(formatted_disk(), 600 * kKiB);
    std::atomic<uint32_t> writers{1};
    std::atomic<uint32_t> progress{0};
    Outcomes outcomes;
    const auto states = std::make_unique<KeyState[]>(kKeys);
    run_threads(3, [&](uint32_t number) {
      if (number == 0) {
        for (uint64_t version = 1; version < 25; version++) {
          PutOptions options;
          options.head.etag = "\"" + std::to_string(version) + "\"";
          put(*store.store, key_for(0), body_for(key_for(0), version, size_for(0, version)),
              options);
          progress.fetch_add(1);
        }
        writers.store(0);
      } else if (number == 1) {
        read_keys(store, states.get(), number, writers, &outcomes);
      } else {
        wait_until([&] { return progress.load() >= 2 * round; });
        store->close();
      }
    });
    CHECK(outcomes.wrong.load() == 0);
    CHECK(find(*store.store, "nothing").found == Found::miss);
  }
}

}  // namespace millrace::test
