// What footers bring into an index that is in use: always older than what it knows or has known.
#include "engine/index.h"
#include "test/support.h"

namespace millrace::test {

namespace {

// A hash whose fingerprint is not that of another number below 65535.
uint64_t hash_of(uint64_t number) {
  Random random(number);
  return (number + 1) << 48 | random.next() >> 16;
}

void load(Index& index, uint64_t number, ByteOffset address, RecordKind kind = RecordKind::single) {
  const LoadedRecord record{hash_of(number), address, 1000, kind};
  index.load(std::span<const LoadedRecord>(&record, 1));
}

bool leads_to(const Index& index, uint64_t number, ByteOffset address) {
  return index.word_at(hash_of(number), address) != 0;
}

}  // namespace

TEST_CASE("index loading: what is loaded is found, and the latest comes first") {
  Index index(1024);
  index.begin_loading();
  load(index, 1, 5120);
  load(index, 1, 1024);
  load(index, 1, 2048, RecordKind::chunk);
  CHECK(leads_to(index, 1, 5120));
  CHECK(!leads_to(index, 1, 1024));
  CHECK(leads_to(index, 1, 2048));
  CHECK(index.records() == 2);
  index.end_loading();
  CHECK(leads_to(index, 1, 5120));
}

TEST_CASE("index loading: nothing comes in the place of what is there or was") {
  Index index(1024);
  index.begin_loading();
  index.insert(hash_of(1), 51200, 1000, RecordKind::single, 0);
  index.insert(hash_of(2), 52224, 1000, RecordKind::single, 0);
  CHECK(index.remove(hash_of(2), 52224));
  index.remove_heads(hash_of(3));  // never known
  for (uint64_t number = 1; number <= 4; number++) {
    load(index, number, number * 1024);
    load(index, number, 100 * kKiB + number * 1024, RecordKind::chunk);
  }
  for (uint64_t number = 1; number <= 3; number++) CHECK(!leads_to(index, number, number * 1024));
  CHECK(leads_to(index, 1, 51200));
  CHECK(leads_to(index, 4, 4096));
  // A head that went says nothing about chunks.
  for (uint64_t number = 1; number <= 4; number++) {
    CHECK(leads_to(index, number, 100 * kKiB + number * 1024));
  }
  index.end_loading();
  // From then on everything is as ever.
  index.insert(hash_of(3), 61440, 1000, RecordKind::single, 0);
  CHECK(leads_to(index, 3, 61440));
}

TEST_CASE("index loading: in a full index nothing is overwritten, and what was stays away") {
  Index index(16);
  index.begin_loading();
  for (uint64_t number = 1; number <= 100; number++) {
    index.insert(hash_of(number), number * 1024, 1000, RecordKind::single, 0);
  }
  const uint64_t overwritten = index.overwritten();
  REQUIRE(overwritten > 0);
  std::vector<uint64_t> gone;
  std::vector<uint64_t> there;
  for (uint64_t number = 1; number <= 100; number++) {
    (leads_to(index, number, number * 1024) ? there : gone).push_back(number);
  }
  // Room for one of those that went: it stays free all the same.
  for (const uint64_t number : there) CHECK(index.remove(hash_of(number), number * 1024));
  for (const uint64_t number : gone) load(index, number, 200 * kKiB + number * 1024);
  CHECK(index.records() == 0);
  // What nobody knew comes in, until it is full.
  for (uint64_t number = 1000; number < 1100; number++) load(index, number, number * 1024);
  CHECK(index.records() > 8);
  CHECK(index.records() <= index.capacity());
  CHECK(index.overwritten() > overwritten);
  for (uint64_t number = 1000; number < 1003; number++) CHECK(leads_to(index, number, number * 1024));
  index.end_loading();
}

TEST_CASE("index loading: with the write head at work no record gets two words") {
  constexpr uint64_t kKeys = 20000;
  Index index(65536);
  index.begin_loading();
  run_threads(2, [&](uint32_t thread) {
    for (uint64_t number = 0; number < kKeys; number++) {
      const ByteOffset address = (thread * kKeys + number + 1) * kRecordGrain;
      if (thread == 0) {
        index.insert(hash_of(number), address, 1000, RecordKind::single, 0);
      } else {
        load(index, number, address);
      }
    }
  });
  index.end_loading();
  uint64_t newer = 0;
  for (uint64_t number = 0; number < kKeys; number++) {
    IndexHit hits[Index::kMaximumHits];
    REQUIRE(index.lookup(hash_of(number), hits) <= 1);
    newer += leads_to(index, number, (number + 1) * kRecordGrain) ? 1 : 0;
  }
  // Where it was inserted before it was loaded and where after, it is the same.
  CHECK(newer == kKeys - index.overwritten());
}

}  // namespace millrace::test
