// The decisions of the disk tier: what is admitted, what survives its segment, and what the ghost remembers.
#include "engine/policy.h"

#include <algorithm>

#include "engine/ghost.h"
#include "layout/geometry.h"
#include "test/support.h"

namespace millrace::test {

namespace {

KeyHash key_hash(Random& random) { return KeyHash{random.next(), random.next()}; }

}  // namespace

TEST_CASE("policy: everything is admitted while segments were never used, then the second miss") {
  CHECK(admits(AdmissionView{.free_segments = 3, .clean_ahead = 2}));
  CHECK(!admits(AdmissionView{.free_segments = 2, .clean_ahead = 2}));
  CHECK(!admits(AdmissionView{.free_segments = 0, .clean_ahead = 2}));
  CHECK(admits(AdmissionView{.clean_ahead = 2, .was_refused = true}));
  CHECK(admits(AdmissionView{.clean_ahead = 2, .is_indexed = true}));
}

TEST_CASE("policy: two clean segments at least, a sixteenth of the ring at most") {
  CHECK(clean_segments_ahead(47, 4 * kMiB) == 2);
  CHECK(clean_segments_ahead(256, 4 * kMiB) == 16);
  CHECK(clean_segments_ahead(1000, 4 * kMiB) == 32);
  CHECK(clean_segments_ahead(16384, 64 * kMiB) == 2);
  for (ByteCount size = kMinimumDeviceSize; size < kMaximumDeviceSize; size *= 2) {
    const Geometry geometry = geometry_of(size).value();
    CHECK(clean_segments_ahead(geometry.segment_count, geometry.segment_size) * 8 <
          geometry.segment_count);
  }
}

TEST_CASE("policy: survivors are the hottest records, half a segment of them") {
  std::vector<Survivor> records;
  for (uint32_t i = 0; i < 40; i++) records.push_back(Survivor{i, i % 4, 100 * kKiB});
  choose_survivors(&records, 2 * kMiB);
  // 10 of 40 were hit three times, 10 twice, 10 once; 1 MiB holds ten of 100 KiB.
  REQUIRE(records.size() == 10);
  for (uint32_t i = 0; i < 10; i++) {
    CHECK(records[i].hits == 3);
    CHECK(records[i].entry == 4 * i + 3);
  }
}

TEST_CASE("policy: what was never hit does not survive, and a large record does not end the choice") {
  std::vector<Survivor> records = {{0, 0, 512}, {1, 1, 600 * kKiB}, {2, 1, 900 * kKiB},
                                   {3, 1, 300 * kKiB}, {4, 0, 512}};
  choose_survivors(&records, 2 * kMiB);
  REQUIRE(records.size() == 2);
  CHECK(records[0].entry == 1);
  CHECK(records[1].entry == 3);
  records.clear();
  choose_survivors(&records, 2 * kMiB);
  CHECK(records.empty());
}

TEST_CASE("ghost: remembers what it promises, forgets the rest, and rarely takes one key for another") {
  const uint64_t seed = 210;
  INFO("seed ", seed);
  Random random(seed);
  Ghost ghost(256 * kKiB);
  CHECK(ghost.memory() == 256 * kKiB);
  const uint64_t remembered = ghost.remembered();
  CHECK(remembered * Ghost::kBitsPerKey * 2 <= ghost.memory() * 8 * 101 / 100);
  CHECK(remembered * Ghost::kBitsPerKey * 2 >= ghost.memory() * 8 * 99 / 100);
  std::vector<KeyHash> added;
  // Every phase of a rotation, several times over.
  for (uint64_t i = 0; i < 5 * remembered + 1234; i++) {
    added.push_back(key_hash(random));
    ghost.add(added.back());
    CHECK(ghost.contains(added.back()));
    if (i % 997 != 0 || i < remembered) continue;
    for (uint64_t back = 0; back < remembered; back += 61) {
      REQUIRE(ghost.contains(added[i - back]));
    }
  }
  uint64_t strangers = 0;
  uint64_t old = 0;
  for (uint64_t i = 0; i < 50000; i++) {
    if (ghost.contains(key_hash(random))) strangers++;
    if (i < added.size() - 2 * remembered && ghost.contains(added[i])) old++;
  }
  INFO("false positives ", strangers, " of 50000; of forgotten keys ", old);
  CHECK(strangers * 100 < 3 * 50000);
  CHECK(old * 100 < 3 * 50000);
  CHECK(strangers > 0);
}

TEST_CASE("ghost: remembers as many as it is told, however much memory it has") {
  const uint64_t seed = 213;
  INFO("seed ", seed);
  Random random(seed);
  Ghost ghost(256 * kKiB);
  const uint64_t most = ghost.remembered();
  for (const uint64_t wanted : {most / 50, most / 3, most * 10, uint64_t{300}}) {
    ghost.remember(wanted);
    const uint64_t remembered = std::min(wanted, most);
    CHECK(ghost.remembered() >= remembered);
    CHECK(ghost.remembered() <= remembered * 2);
    std::vector<KeyHash> added;
    for (uint64_t i = 0; i < 6 * remembered + 777; i++) {
      added.push_back(key_hash(random));
      ghost.add(added.back());
    }
    for (uint64_t back = 1; back <= remembered; back += 7) {
      REQUIRE(ghost.contains(added[added.size() - back]));
    }
    uint64_t old = 0;
    const uint64_t first = added.size() - 5 * remembered;
    for (uint64_t i = 0; i < first; i++) old += ghost.contains(added[i]);
    INFO("told to remember ", wanted, ", ", old, " of ", first, " forgotten ones known");
    CHECK(old * 20 <= first);
  }
}

TEST_CASE("policy: the ghost remembers about as long as a record stays") {
  CHECK(ghost_keys(1000000) == 750000);
  CHECK(ghost_keys(0) == 256);
}

TEST_CASE("ghost: without memory it still works, for few keys") {
  Ghost ghost(0);
  CHECK(ghost.memory() == 256);
  CHECK(ghost.remembered() == 84);
  Random random(211);
  for (uint32_t i = 0; i < 1000; i++) {
    const KeyHash hash = key_hash(random);
    ghost.add(hash);
    REQUIRE(ghost.contains(hash));
  }
}

TEST_CASE("ghost: threads that add at once lose next to nothing") {
  Ghost ghost(64 * kKiB);
  std::atomic<uint64_t> lost{0};
  const uint64_t rounds = ghost.remembered() * 2;
  run_threads(4, [&](uint32_t thread) {
    Random random(212 + thread);
    for (uint64_t i = 0; i < rounds; i++) {
      const KeyHash hash = key_hash(random);
      ghost.add(hash);
      if (!ghost.contains(hash)) lost.fetch_add(1);
    }
  });
  INFO("lost ", lost.load(), " of ", 4 * rounds);
  CHECK(lost.load() * 1000 < 4 * rounds);
}

}  // namespace millrace::test
