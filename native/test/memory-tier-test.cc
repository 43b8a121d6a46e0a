// L1: publishing, replacing, evicting by generation, events and pressure, and records as they lie
// in memory.
#include "engine/memory-tier.h"

#include <map>

#include "test/support.h"

namespace millrace::test {

namespace {

struct Bench {
  Ref<PagePool> pool = Ref<PagePool>::adopt(new PagePool(16 * kMiB, true));
  MemoryTier tier;
  Ref<CountingSink> sink = Ref<CountingSink>::adopt(new CountingSink());

  explicit Bench(ByteCount budget) : tier(budget) {}

  Ref<MemoryRecord> record(uint64_t number, size_t size, uint64_t version = 0) {
    const std::vector<uint8_t> body = body_for("tier", number * 1000 + version, size);
    RecordHeader header;
    header.kind = RecordKind::chunk;
    header.hash = KeyHash{number * 0x9e3779b97f4a7c15u, number};
    header.incarnation = version;
    header.body_length = header.stored_length = header.interval_end = static_cast<uint32_t>(size);
    const Bytes parts[] = {body};
    return copy_record(*pool, header, "", Bytes(), parts);
  }
  KeyHash hash(uint64_t number) const { return KeyHash{number * 0x9e3779b97f4a7c15u, number}; }
  std::map<uint32_t, uint32_t> events() {
    std::map<uint32_t, uint32_t> out;
    uint32_t pairs[200];
    for (;;) {
      const uint32_t count = tier.take_events(pairs, 100);
      if (count == 0) return out;
      for (uint32_t i = 0; i < count; i++) out[pairs[2 * i]] = pairs[2 * i + 1];
    }
  }
};

}  // namespace

TEST_CASE("memory record: heads and bodies of any size are copied, charged and sliced") {
  const uint64_t seed = 110;
  INFO("seed ", seed);
  Random random(seed);
  const auto pool = Ref<PagePool>::adopt(new PagePool(16 * kMiB, true));
  for (const size_t size : {0, 1, 500, 1024, 32000, 32767, 32768, 32769, 65535, 65536, 65537, 98304,
                            131072, 131073, 1048575, 1048576}) {
    for (const size_t head_size : {0, 128, 3000, 40000}) {
      const std::vector<uint8_t> body = random.bytes(size);
      const std::vector<uint8_t> head = random.bytes(head_size);
      RecordHeader header;
      header.body_length = static_cast<uint32_t>(size);
      const size_t split = size == 0 ? 0 : random.below(size);
      const Bytes parts[] = {Bytes(body).first(split), Bytes(body).subspan(split)};
      const Ref<MemoryRecord> record = copy_record(*pool, header, "key", head, parts);
      REQUIRE(record);
      INFO("body ", size, " head ", head_size);
      REQUIRE(joined(record->body) == body);
      REQUIRE(text_of(record->head_bytes()) == text_of(head));
      // The charge is what the pool has given away, plus the fixed part.
      REQUIRE(record->charge() == pool->used() + MemoryRecord::kOverhead);
      for (uint32_t round = 0; round < 20; round++) {
        const size_t begin = random.below(size + 1);
        const size_t length = random.below(size - begin + 1);
        const std::vector<uint8_t> part = joined(record->slice(begin, length));
        REQUIRE(same_bytes(part, Bytes(body).subspan(begin, length)));
        REQUIRE(part.size() == length);
      }
    }
  }
  CHECK(pool->used() == 0);
}

TEST_CASE("memory record: without room nothing leaks") {
  const auto pool = Ref<PagePool>::adopt(new PagePool(4 * kPageSize, true));
  const std::vector<uint8_t> body(5 * kPageSize);
  RecordHeader header;
  header.body_length = static_cast<uint32_t>(body.size());
  const Bytes parts[] = {body};
  CHECK(!copy_record(*pool, header, "key", bytes_of("head"), parts));
  CHECK(pool->used() == 0);
}

TEST_CASE("memory tier: what was published is found and charged to the byte") {
  Bench bench(1 * kMiB);
  const auto record = bench.record(1, 5000);
  REQUIRE(bench.tier.publish(record));
  CHECK(bench.tier.used() == record->charge());
  CHECK(bench.tier.records() == 1);
  CHECK(bench.tier.find(bench.hash(1)).get() == record.get());
  CHECK(!bench.tier.find(bench.hash(2)));
  bench.tier.remove(bench.hash(1));
  CHECK(!bench.tier.find(bench.hash(1)));
  CHECK(bench.tier.used() == 0);
  CHECK(bench.tier.records() == 0);
  bench.tier.remove(bench.hash(1));
}

TEST_CASE("memory tier: a later version takes the place of the earlier one") {
  Bench bench(1 * kMiB);
  bench.tier.publish(bench.record(1, 5000, 1));
  const auto later = bench.record(1, 9000, 2);
  bench.tier.publish(later);
  CHECK(bench.tier.find(bench.hash(1)).get() == later.get());
  CHECK(bench.tier.used() == later->charge());
  CHECK(bench.tier.records() == 1);
}

TEST_CASE("memory tier: the budget is never passed and refusals are counted") {
  Bench bench(100 * kKiB);
  uint32_t published = 0;
  for (uint64_t i = 0; i < 200; i++) {
    if (bench.tier.publish(bench.record(i, 3000))) published++;
    REQUIRE(bench.tier.used() <= bench.tier.budget());
  }
  CHECK(published > 10);
  CHECK(bench.tier.refused() == 200 - published);
  CHECK(bench.tier.records() == published);
  Bench none(0);
  CHECK(!none.tier.publish(none.record(1, 10)));
}

TEST_CASE("memory tier: slots run out before the budget for tiny records") {
  Bench bench(256 * kKiB);
  for (uint64_t i = 0; i < 300; i++) bench.tier.publish(bench.record(i, 10));
  CHECK(bench.tier.records() == bench.tier.slot_count());
  bench.tier.remove(bench.hash(0));
  CHECK(bench.tier.publish(bench.record(999, 10)));
}

TEST_CASE("memory tier: hits are counted up to three, looks by the engine are not") {
  Bench bench(1 * kMiB);
  bench.tier.publish(bench.record(1, 100));
  const uint32_t slot = bench.events().begin()->first;
  bench.tier.peek(bench.hash(1));
  CHECK(bench.tier.hits()[slot] == 0);
  for (uint32_t i = 0; i < 5; i++) bench.tier.find(bench.hash(1));
  CHECK(bench.tier.hits()[slot] == MemoryTier::kMaximumHits);
}

TEST_CASE("memory tier: an eviction meets only the generation that it was decided for") {
  Bench bench(1 * kMiB);
  bench.tier.publish(bench.record(1, 100, 1));
  const auto before = bench.events();
  REQUIRE(before.size() == 1);
  const uint32_t slot = before.begin()->first;
  const uint32_t generation = before.begin()->second;
  CHECK(bench.tier.sizes()[slot] == bench.record(1, 100)->charge());
  CHECK(bench.tier.hashes()[slot] == static_cast<uint32_t>(bench.hash(1).high));
  bench.tier.remove(bench.hash(1));
  bench.tier.publish(bench.record(2, 100));
  bench.tier.evict(slot, generation);
  CHECK(bench.tier.find(bench.hash(2)));
  bench.tier.evict(slot, bench.tier.generations()[slot]);
  CHECK(!bench.tier.find(bench.hash(2)));
  bench.tier.evict(slot, bench.tier.generations()[slot]);
  bench.tier.evict(bench.tier.slot_count(), 0);
  bench.tier.evict(~uint32_t{0}, 0);
}

TEST_CASE("memory tier: events tell the final state of every changed slot once") {
  Bench bench(1 * kMiB);
  CHECK(bench.events().empty());
  bench.tier.publish(bench.record(1, 100));
  bench.tier.publish(bench.record(2, 100));
  bench.tier.remove(bench.hash(1));
  const auto events = bench.events();
  CHECK(events.size() == 2);
  uint32_t removed = 0;
  for (const auto& [slot, generation] : events) {
    if ((slot & MemoryTier::kRemovedEvent) != 0) removed++;
    CHECK(bench.tier.generations()[slot & ~MemoryTier::kRemovedEvent] == generation);
  }
  CHECK(removed == 1);
  CHECK(bench.events().empty());
}

TEST_CASE("memory tier: one policy at a time, told of pressure once until it looks") {
  Bench bench(100 * kKiB);
  REQUIRE(bench.tier.attach_policy(notice(bench.sink, 0), 20 * kKiB));
  CHECK(!bench.tier.attach_policy(notice(bench.sink, 1), 0));
  uint64_t number = 0;
  while (bench.tier.used() + 20 * kKiB <= 100 * kKiB)
    bench.tier.publish(bench.record(number++, 3000));
  CHECK(bench.sink->count(0) == 1);
  bench.tier.publish(bench.record(number++, 3000));
  CHECK(bench.sink->count(0) == 1);
  bench.events();
  bench.tier.publish(bench.record(number++, 3000));
  CHECK(bench.sink->count(0) == 2);
  bench.tier.detach_policy();
  CHECK(bench.events().size() == bench.tier.slot_count());
  CHECK(bench.tier.attach_policy(notice(bench.sink, 1), 0));
}

TEST_CASE("memory tier: readers, publishers and evictors race without mixing records") {
  Bench bench(300 * kKiB);
  std::atomic<uint32_t> wrong{0};
  std::atomic<uint32_t> found{0};
  run_threads(4, [&](uint32_t thread) {
    Random random(120 + thread);
    uint32_t pairs[64];
    for (uint32_t round = 0; round < 1500; round++) {
      const uint64_t number = random.below(60);
      const uint64_t kind = random.below(8);
      if (kind < 3) {
        const auto record = bench.record(number, 2000 + number);
        if (record) bench.tier.publish(record);
      } else if (kind == 3) {
        bench.tier.remove(bench.hash(number));
      } else if (kind == 4) {
        const uint32_t count = bench.tier.take_events(pairs, 32);
        for (uint32_t i = 0; i < count; i += 2) bench.tier.evict(pairs[2 * i], pairs[2 * i + 1]);
      } else {
        const Ref<MemoryRecord> record = bench.tier.find(bench.hash(number));
        if (!record) continue;
        found.fetch_add(1);
        if (!(record->header.hash == bench.hash(number)) ||
            joined(record->body) != body_for("tier", number * 1000, 2000 + number)) {
          wrong.fetch_add(1);
        }
      }
    }
  });
  CHECK(wrong.load() == 0);
  CHECK(found.load() > 100);
  for (uint64_t number = 0; number < 60; number++) bench.tier.remove(bench.hash(number));
  CHECK(bench.tier.used() == 0);
  CHECK(bench.tier.records() == 0);
}

}  // namespace millrace::test
