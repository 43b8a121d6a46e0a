// The index: words that lead to records, replaced by later ones, removed exactly, and a fill that
// loses almost nothing. Also the ring's pins, which keep what a word leads to.
#include "engine/index.h"

#include <set>

#include "engine/ring.h"
#include "test/support.h"

namespace millrace::test {

namespace {

// A hash whose fingerprint is not that of another number below 65535.
uint64_t hash_of(uint64_t number) {
  Random random(number);
  return (number + 1) << 48 | random.next() >> 16;
}

bool leads_to(const Index& index, uint64_t hash, ByteOffset address) {
  IndexHit hits[Index::kMaximumHits];
  const uint32_t count = index.lookup(hash, hits);
  for (uint32_t i = 0; i < count; i++) {
    if (Index::address_of(hits[i].word) == address) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("index: size classes cover every record by at most an eighth more") {
  for (ByteCount length = 1; length <= kChunkSize + 64 * kKiB; length += 509) {
    const ByteCount bound = size_class_bytes(size_class_of(length));
    REQUIRE(bound >= length);
    REQUIRE(bound <= round_up(length, kRecordGrain) * 1132 / 1000 + kRecordGrain);
    REQUIRE(size_class_of(length) < 64);
  }
}

TEST_CASE("index: a word carries address, kind and length") {
  Index index(1024);
  const ByteOffset far = kMaximumDeviceSize - kRecordGrain;
  for (const RecordKind kind : {RecordKind::single, RecordKind::head, RecordKind::chunk}) {
    const auto number = static_cast<uint64_t>(kind);
    index.insert(hash_of(number), far, 5000, kind, 0);
    IndexHit hits[Index::kMaximumHits];
    REQUIRE(index.lookup(hash_of(number), hits) == 1);
    CHECK(Index::address_of(hits[0].word) == far);
    CHECK(Index::kind_of(hits[0].word) == kind);
    CHECK(Index::length_bound_of(hits[0].word) >= 5000);
    CHECK(!Index::is_verified(hits[0].word));
    CHECK(Index::unchanged(hits[0]));
    CHECK(index.remove(hash_of(number), far));
    CHECK(!Index::unchanged(hits[0]));
    CHECK(!index.remove(hash_of(number), far));
  }
  CHECK(index.records() == 0);
}

TEST_CASE("index: a later record of the same key replaces the earlier, chunks beside heads stay") {
  Index index(1024);
  const uint64_t hash = hash_of(5);
  index.insert(hash, 4096, 1000, RecordKind::single, 4096);
  index.insert(hash, 8192, 1000, RecordKind::head, 8192);
  index.insert(hash, 12288, 1000, RecordKind::chunk, 12288);
  CHECK(!leads_to(index, hash, 4096));
  CHECK(leads_to(index, hash, 8192));
  CHECK(leads_to(index, hash, 12288));
  CHECK(index.records() == 2);
  CHECK(!index.remove(hash, 4096));
  index.remove_heads(hash);
  CHECK(!leads_to(index, hash, 8192));
  CHECK(leads_to(index, hash, 12288));
  CHECK(index.records() == 1);
}

TEST_CASE("index: marks survive each other and die with their word") {
  Index index(1024);
  const uint64_t hash = hash_of(6);
  index.insert(hash, 4096, 1000, RecordKind::single, 4096);
  IndexHit hits[Index::kMaximumHits];
  REQUIRE(index.lookup(hash, hits) == 1);
  const IndexHit first = hits[0];
  for (uint32_t i = 0; i < 6; i++) index.mark_hit(first);
  index.mark_verified(first);
  index.mark_hit(first);
  REQUIRE(index.lookup(hash, hits) == 1);
  CHECK(Index::is_verified(hits[0].word));
  CHECK(Index::unchanged(first));
  // A new record in the same slot inherits nothing, and old hits cannot mark it.
  index.insert(hash, 8192, 1000, RecordKind::single, 8192);
  CHECK(!Index::unchanged(first));
  index.mark_verified(first);
  REQUIRE(index.lookup(hash, hits) == 1);
  CHECK(!Index::is_verified(hits[0].word));
  CHECK(index.remove(hash, 8192));
}

TEST_CASE("index: filled to 85 percent it loses less than one percent") {
  const uint64_t seed = 130;
  INFO("seed ", seed);
  Random random(seed);
  Index index(uint64_t{1} << 16);
  CHECK(index.capacity() == uint64_t{1} << 16);
  CHECK(index.memory() == index.capacity() * 8);
  const uint64_t count = index.capacity() * 85 / 100;
  std::vector<uint64_t> hashes;
  for (uint64_t i = 0; i < count; i++) {
    hashes.push_back(random.next());
    const ByteOffset address = (i + 1) * kRecordGrain;
    index.insert(hashes.back(), address, 512, RecordKind::single, address);
  }
  uint64_t lost = 0;
  uint64_t strangers = 0;
  for (uint64_t i = 0; i < count; i++) {
    IndexHit hits[Index::kMaximumHits];
    const uint32_t found = index.lookup(hashes[i], hits);
    bool here = false;
    for (uint32_t k = 0; k < found; k++) {
      if (Index::address_of(hits[k].word) == (i + 1) * kRecordGrain) {
        here = true;
      } else {
        strangers++;
      }
    }
    if (!here) lost++;
  }
  INFO("lost ", lost, " of ", count, ", false positives ", strangers);
  CHECK(lost * 100 < count);
  CHECK(strangers * 1000 < count);
  CHECK(index.records() + lost == count);
}

TEST_CASE("index: when full, the word that reclaim would take next gives way") {
  Index index(8);
  REQUIRE(index.capacity() == 8);
  for (uint64_t i = 0; i < 8; i++) {
    index.insert(hash_of(i), (i + 1) * 4096, 512, RecordKind::single, (i + 1) * 4096);
  }
  CHECK(index.records() == 8);
  // The head stands behind record 3: record 4 (address 5 * 4096) is the next to be reclaimed.
  index.insert(hash_of(100), 4 * 4096 + 512, 512, RecordKind::single, 4 * 4096 + 512);
  CHECK(index.overwritten() == 1);
  CHECK(index.records() == 8);
  CHECK(!leads_to(index, hash_of(4), 5 * 4096));
  for (const uint64_t i : {0, 1, 2, 3, 5, 6, 7}) CHECK(leads_to(index, hash_of(i), (i + 1) * 4096));
  CHECK(leads_to(index, hash_of(100), 4 * 4096 + 512));
}

TEST_CASE("index: when full, a word without hits gives way before an older one with hits") {
  Index index(8);
  for (uint64_t i = 0; i < 8; i++) {
    index.insert(hash_of(i), (i + 1) * 4096, 512, RecordKind::single, (i + 1) * 4096);
    if (i != 5 && i != 6) index.mark_hit(hash_of(i), false);
  }
  index.mark_hit(hash_of(0), true);  // no chunk of this hash: marks nothing
  const ByteOffset head = 9 * 4096;
  index.insert(hash_of(100), head, 512, RecordKind::single, head);
  CHECK(!leads_to(index, hash_of(5), 6 * 4096));
  index.mark_hit(hash_of(100), false);
  index.insert(hash_of(101), head + 512, 512, RecordKind::single, head + 512);
  CHECK(!leads_to(index, hash_of(6), 7 * 4096));
  index.mark_hit(hash_of(101), false);
  // Everything is warm now: the oldest goes.
  index.insert(hash_of(102), head + 1024, 512, RecordKind::single, head + 1024);
  CHECK(!leads_to(index, hash_of(0), 4096));
  CHECK(index.overwritten() == 3);
  CHECK(index.records() == 8);
}

TEST_CASE("index: any number of buckets is used to the last") {
  Index index(1000 * 8 + 7);
  CHECK(index.capacity() == 8000);
  CHECK(index.memory() == 64000);
  Random random(131);
  for (uint64_t i = 0; i < 40000; i++) {
    index.insert(random.next(), (i + 1) * 512, 512, RecordKind::single, (i + 1) * 512);
  }
  // Five times as many as fit: a bucket that no hash leads to would keep free slots.
  CHECK(index.records() == 8000);
}

TEST_CASE("index: a moved word keeps its slot, loses its marks, and is not moved twice") {
  Index index(1024);
  const uint64_t hash = hash_of(7);
  index.insert(hash, 4096, 1000, RecordKind::single, 4096);
  IndexHit hits[Index::kMaximumHits];
  REQUIRE(index.lookup(hash, hits) == 1);
  index.mark_hit(hits[0]);
  index.mark_verified(hits[0]);
  CHECK(Index::hits_of(index.word_at(hash, 4096)) == 1);
  CHECK(index.has_head(hash));
  CHECK(index.move(hash, 4096, 8192, 0));
  CHECK(!Index::unchanged(hits[0]));
  CHECK(index.word_at(hash, 4096) == 0);
  const uint64_t word = index.word_at(hash, 8192);
  REQUIRE(word != 0);
  CHECK(Index::hits_of(word) == 0);
  CHECK(!Index::is_verified(word));
  CHECK(Index::kind_of(word) == RecordKind::single);
  CHECK(Index::length_bound_of(word) >= 1000);
  CHECK(!index.move(hash, 4096, 12288, 0));
  CHECK(index.records() == 1);
  index.remove_heads(hash);
  CHECK(!index.move(hash, 8192, 12288, 0));
  CHECK(!index.has_head(hash));
  CHECK(index.records() == 0);
}

TEST_CASE("index: a removal of heads catches a word that moves at the same time") {
  Index index(1024);
  const uint64_t hash = hash_of(8);
  for (uint32_t round = 0; round < 400; round++) {
    index.insert(hash, 4096, 1000, RecordKind::head, 4096);
    run_threads(2, [&](uint32_t thread) {
      if (thread == 0) {
        index.remove_heads(hash);
        return;
      }
      for (uint64_t i = 1; i < 40; i++) index.move(hash, i * 4096, (i + 1) * 4096, 0);
    });
    REQUIRE(!index.has_head(hash));
    REQUIRE(index.records() == 0);
  }
}

TEST_CASE("index: writers and readers race and the count stays right") {
  Index index(4096);
  std::atomic<uint32_t> wrong{0};
  run_threads(4, [&](uint32_t thread) {
    Random random(140 + thread);
    for (uint32_t round = 0; round < 20000; round++) {
      const uint64_t number = random.below(400) * 4 + thread;
      const uint64_t hash = hash_of(number);
      const ByteOffset address = (number + 1) * 4096;
      IndexHit hits[Index::kMaximumHits];
      const uint64_t kind = random.below(4);
      if (kind == 0) {
        index.insert(hash, address, 600, RecordKind::single, address);
      } else if (kind == 1) {
        index.remove(hash, address);
      } else {
        const uint32_t count = index.lookup(hash_of(random.below(1600)), hits);
        for (uint32_t i = 0; i < count; i++) {
          if (Index::address_of(hits[i].word) % 4096 != 0) wrong.fetch_add(1);
          index.mark_hit(hits[i]);
          index.mark_verified(hits[i]);
        }
      }
    }
  });
  CHECK(wrong.load() == 0);
  uint64_t present = 0;
  for (uint64_t number = 0; number < 1600; number++) {
    if (leads_to(index, hash_of(number), (number + 1) * 4096)) present++;
  }
  CHECK(index.records() == present);
}

TEST_CASE("ring: offsets map to segments, journals and tail to none") {
  const Geometry geometry = geometry_of(kDiskSize).value();
  const Ring ring(geometry);
  CHECK(ring.segment_at(0) == ring.segment_count());
  CHECK(ring.segment_at(geometry.segments_offset - 1) == ring.segment_count());
  for (SegmentId i = 0; i < ring.segment_count(); i++) {
    CHECK(ring.segment_at(geometry.segment_offset(i)) == i);
    CHECK(ring.segment_at(geometry.segment_offset(i) + geometry.segment_size - 1) == i);
  }
  CHECK(ring.segment_at(geometry.device_size - 1) == ring.segment_count());
  CHECK(ring.segment_at(~uint64_t{0}) == ring.segment_count());
}

TEST_CASE("ring: pins hold open and sealed segments only") {
  Ring ring(geometry_of(kDiskSize).value());
  CHECK(!ring.pin(3));
  ring.set(3, SegmentState::open, 9);
  {
    SegmentPin first = ring.pin(3);
    SegmentPin second = ring.pin(3);
    CHECK(first);
    CHECK(first.segment() == 3);
    CHECK(ring.pins(3) == 2);
    SegmentPin moved = std::move(first);
    CHECK(ring.pins(3) == 2);
    second = std::move(moved);
    CHECK(ring.pins(3) == 1);
  }
  CHECK(ring.pins(3) == 0);
  ring.set(3, SegmentState::sealed, 9);
  SegmentPin pin = ring.pin(3);
  ring.begin_reclaim(3);
  CHECK(!ring.pin(3));
  CHECK(ring.pins(3) == 1);
  ring.cancel_reclaim(3);
  CHECK(ring.pin(3));
  CHECK(ring.sequence(3) == 9);
  pin.reset();
  pin.reset();
  CHECK(ring.pins(3) == 0);
}

TEST_CASE("ring: no pin is given once a reclaim has seen none") {
  Ring ring(geometry_of(kDiskSize).value());
  ring.set(0, SegmentState::sealed, 1);
  std::atomic<bool> reclaimed{false};
  std::atomic<bool> stop{false};
  std::atomic<uint32_t> wrong{0};
  run_threads(3, [&](uint32_t number) {
    if (number == 0) {
      for (uint32_t round = 0; round < 300; round++) {
        ring.begin_reclaim(0);
        while (ring.pins(0) > 0) sched_yield();
        reclaimed.store(true);
        sched_yield();
        reclaimed.store(false);
        ring.set(0, SegmentState::sealed, round + 2);
      }
      stop.store(true);
      return;
    }
    while (!stop.load()) {
      const SegmentPin pin = ring.pin(0);
      if (pin && reclaimed.load()) wrong.fetch_add(1);
    }
  });
  CHECK(wrong.load() == 0);
}

TEST_CASE("index: a walk in parts sees every word once, with its hits") {
  Index index(1024);
  for (uint64_t number = 1; number <= 100; number++) {
    index.insert(hash_of(number), number * kRecordGrain, 1000, RecordKind::single, 0);
    if (number % 4 == 0) index.mark_hit(hash_of(number), false);
  }
  std::set<ByteOffset> seen;
  uint64_t hits = 0;
  uint32_t parts = 0;
  for (uint64_t at = 0; at < index.capacity(); parts++) {
    at = index.visit(at, 100, [&](uint64_t word) {
      CHECK(seen.insert(Index::address_of(word)).second);
      hits += Index::hits_of(word) > 0 ? 1 : 0;
    });
  }
  CHECK(parts == 11);
  CHECK(seen.size() == index.records());
  CHECK(hits == 25);
}

}  // namespace millrace::test
