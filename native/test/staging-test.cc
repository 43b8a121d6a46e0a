// The bounded queue in front of the disk: limit, order, cancel, replace, settle, relief.
#include "engine/staging.h"

#include "test/support.h"

namespace millrace::test {

namespace {

struct Bench {
  Ref<PagePool> pool = Ref<PagePool>::adopt(new PagePool(16 * kMiB, true));
  Staging staging;
  std::atomic<uint32_t> reliefs{0};

  explicit Bench(ByteCount limit) : staging(limit) {
    staging.on_relief([](void* self) { static_cast<Bench*>(self)->reliefs.fetch_add(1); }, this);
  }
  Ref<MemoryRecord> record(uint64_t number, size_t size = 1000) {
    const std::vector<uint8_t> body(size, static_cast<uint8_t>(number));
    RecordHeader header;
    header.kind = RecordKind::chunk;
    header.hash = KeyHash{number, number};
    header.body_length = header.stored_length = header.interval_end = static_cast<uint32_t>(size);
    const Bytes parts[] = {body};
    return copy_record(*pool, header, "", Bytes(), parts);
  }
};

}  // namespace

TEST_CASE("staging: records leave in the order they came and are found until they are settled") {
  Bench bench(1 * kMiB);
  for (uint64_t i = 1; i <= 5; i++) REQUIRE(bench.staging.offer(bench.record(i)));
  for (uint64_t i = 1; i <= 5; i++) {
    const Ref<MemoryRecord> record = bench.staging.take(0);
    REQUIRE(record);
    CHECK(record->header.hash.low == i);
    CHECK(bench.staging.find(record->header.hash).get() == record.get());
    CHECK(bench.staging.is_current(record));
    CHECK(bench.staging.settle(record));
    CHECK(!bench.staging.find(record->header.hash));
  }
  CHECK(!bench.staging.take(0));
  CHECK(bench.staging.bytes() == 0);
}

TEST_CASE("staging: the limit counts taken records until they are settled") {
  Bench bench(5000);
  REQUIRE(bench.record(1)->charge() == 1536);
  CHECK(bench.staging.offer(bench.record(1)));
  CHECK(bench.staging.offer(bench.record(2)));
  CHECK(bench.staging.offer(bench.record(3)));
  CHECK(!bench.staging.offer(bench.record(4)));
  CHECK(!bench.staging.find(KeyHash{4, 4}));
  const Ref<MemoryRecord> taken = bench.staging.take(0);
  CHECK(!bench.staging.offer(bench.record(4)));
  bench.staging.settle(taken);
  CHECK(bench.staging.offer(bench.record(4)));
}

TEST_CASE("staging: a cancelled record is not published") {
  Bench bench(1 * kMiB);
  bench.staging.offer(bench.record(1));
  const Ref<MemoryRecord> taken = bench.staging.take(0);
  bench.staging.cancel(taken->header.hash);
  CHECK(!bench.staging.find(taken->header.hash));
  CHECK(!bench.staging.is_current(taken));
  bool published = false;
  CHECK(!bench.staging.settle(taken, [&] { published = true; }));
  CHECK(!published);
  CHECK(bench.staging.bytes() == 0);
}

TEST_CASE("staging: a later record of the same hash takes the earlier one's place") {
  Bench bench(1 * kMiB);
  const auto first = bench.record(1);
  const auto second = bench.record(1, 2000);
  bench.staging.offer(first);
  bench.staging.offer(second);
  CHECK(bench.staging.find(first->header.hash).get() == second.get());
  const Ref<MemoryRecord> taken = bench.staging.take(0);
  CHECK(taken.get() == first.get());
  CHECK(!bench.staging.is_current(taken));
  CHECK(!bench.staging.settle(taken));
  // The settled old one must not take the new one along.
  CHECK(bench.staging.find(first->header.hash).get() == second.get());
  CHECK(bench.staging.settle(bench.staging.take(0)));
  CHECK(bench.staging.bytes() == 0);
}

TEST_CASE("staging: relief comes once, when half of a full queue is gone") {
  Bench bench(10 * 1536);
  for (uint64_t i = 0; i < 10; i++) REQUIRE(bench.staging.offer(bench.record(i)));
  CHECK(bench.staging.backlogged());
  for (uint64_t i = 0; i < 4; i++) bench.staging.settle(bench.staging.take(0));
  CHECK(bench.reliefs.load() == 0);
  for (uint64_t i = 0; i < 6; i++) bench.staging.settle(bench.staging.take(0));
  CHECK(bench.reliefs.load() == 1);
  CHECK(!bench.staging.backlogged());
}

TEST_CASE("staging: work is announced when the queue stops being empty") {
  Bench bench(1 * kMiB);
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  bench.staging.on_work(notice(sink, 0));
  bench.staging.offer(bench.record(1));
  bench.staging.offer(bench.record(2));
  CHECK(sink->count(0) == 1);
  bench.staging.settle(bench.staging.take(0));
  bench.staging.settle(bench.staging.take(0));
  bench.staging.offer(bench.record(3));
  CHECK(sink->count(0) == 2);
  bench.staging.settle(bench.staging.take(0));
}

TEST_CASE("staging: after close what is queued can still be taken, and nothing more comes") {
  Bench bench(1 * kMiB);
  bench.staging.offer(bench.record(1));
  bench.staging.close();
  CHECK(bench.staging.closed());
  CHECK(!bench.staging.offer(bench.record(2)));
  const Ref<MemoryRecord> record = bench.staging.take(100000);
  REQUIRE(record);
  bench.staging.settle(record);
  CHECK(!bench.staging.take(100000));
  Bench refusing(1 * kMiB);
  refusing.staging.refuse_offers();
  CHECK(!refusing.staging.offer(refusing.record(1)));
  CHECK(!refusing.staging.closed());
}

TEST_CASE("staging: two takers and two offerers lose nothing") {
  Bench bench(64 * kKiB);
  std::atomic<uint32_t> offered{0};
  std::atomic<uint32_t> settled{0};
  std::atomic<uint32_t> finished{0};
  run_threads(4, [&](uint32_t number) {
    if (number < 2) {
      for (uint64_t i = 0; i < 2000; i++) {
        const auto record = bench.record(i * 2 + number);
        if (record && bench.staging.offer(record)) offered.fetch_add(1);
      }
      if (finished.fetch_add(1) == 1) bench.staging.close();
      return;
    }
    for (;;) {
      const Ref<MemoryRecord> record = bench.staging.take(50);
      if (record) {
        bench.staging.settle(record, [&] { settled.fetch_add(1); });
      } else if (bench.staging.closed()) {
        return;
      }
    }
  });
  while (const Ref<MemoryRecord> record = bench.staging.take(0)) {
    bench.staging.settle(record, [&] { settled.fetch_add(1); });
  }
  CHECK(offered.load() > 0);
  CHECK(settled.load() == offered.load());
  CHECK(bench.staging.bytes() == 0);
  CHECK(bench.pool->used() == 0);
}

}  // namespace millrace::test
