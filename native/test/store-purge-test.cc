// Purges of a store over a fault device: what was purged and acknowledged is never found again, whatever
// write the store dies at, and whatever becomes of the journal.
#include <map>
#include <set>

#include "base/endian.h"
#include "layout/key.h"
#include "layout/purge-journal.h"
#include "test/support.h"

namespace millrace::test {

namespace {

PurgeRequest by_key(const std::string& key, bool soft = false) {
  return PurgeRequest{PurgeKind::key, key, 0, soft, false};
}
PurgeRequest by_prefix(const std::string& text, bool soft = false) {
  return PurgeRequest{PurgeKind::prefix, text, 0, soft, false};
}
PurgeRequest by_tag(const std::string& tag, bool soft = false) {
  return PurgeRequest{PurgeKind::tag, "", tag_hash(tag), soft, false};
}
PurgeRequest everything() { return PurgeRequest{PurgeKind::all, "", 0, false, false}; }

PutOptions tagged(const std::string& tag) {
  PutOptions options;
  options.head.tags = {tag_hash("other"), tag_hash(tag)};
  return options;
}

std::string key_for(uint64_t number) {
  return "http://h/" + std::string(1, static_cast<char>('a' + number % 3)) + "/" +
         std::to_string(number);
}

PurgeVerdict state_of(Store& store, const std::string& key) {
  const Lookup lookup = find(store, key);
  return lookup.found == Found::hit ? store.verdict(*lookup.record) : PurgeVerdict::gone;
}

void fill_keys(TestStore& store, uint64_t count, size_t size = 5000) {
  for (uint64_t i = 0; i < count; i++) {
    put(*store.store, key_for(i), body_for(key_for(i), 1, size), tagged("t" + std::to_string(i % 2)));
  }
}

}  // namespace

TEST_CASE("store purge: each kind takes what it names, in memory and on the device, now and later") {
  for (const ByteCount l1 : {ByteCount{0}, 8 * kMiB}) {
    INFO("memory tier of ", l1);
    DiskImage disk = formatted_disk();
    for (const bool reopened : {false, true}) {
      TestStore store(disk, l1);
      if (!reopened) {
        fill_keys(store, 12);
        store.flush();
        CHECK(purge(*store.store, by_key(key_for(0))).ok());
        CHECK(purge(*store.store, by_prefix("http://h/b/")).ok());
        CHECK(purge(*store.store, by_tag("t1")).ok());
        CHECK(purge(*store.store, by_key(key_for(2), true)).ok());
        put(*store.store, key_for(1), body_for(key_for(1), 2, 100));
        store.flush();
        disk = store.device->snapshot();
      }
      for (uint64_t i = 0; i < 12; i++) {
        INFO("reopened ", reopened, " object ", i);
        const bool gone = i == 0 || (i % 3 == 1 && i != 1) || (i % 2 == 1 && i != 1);
        const PurgeVerdict expected = gone     ? PurgeVerdict::gone
                                      : i == 2 ? PurgeVerdict::soft
                                               : PurgeVerdict::keep;
        CHECK(state_of(*store.store, key_for(i)) == expected);
      }
      if (!reopened) continue;
      CHECK(purge(*store.store, everything()).ok());
      for (uint64_t i = 0; i < 12; i++) CHECK(find(*store.store, key_for(i)).found == Found::miss);
      TestStore again(store.device->snapshot(), l1);
      for (uint64_t i = 0; i < 12; i++) CHECK(find(*again.store, key_for(i)).found == Found::miss);
    }
  }
}

TEST_CASE("store purge: after a crash at any write nothing that was acknowledged comes back") {
  struct Acknowledged {
    size_t writes = 0;            // of the log at that time
    std::set<uint64_t> versions;  // incarnations that it took
    bool soft = false;
  };
  const uint64_t seed = 190;
  INFO("seed ", seed);
  Random random(seed);
  std::vector<Acknowledged> purges;
  std::vector<LoggedWrite> writes;
  DiskImage disk(0);
  {
    TestStore store(formatted_disk());
    disk = store.device->snapshot();
    store.device->log_writes();
    std::map<std::string, std::pair<uint64_t, uint64_t>> current;  // key: incarnation, tag
    for (uint32_t round = 0; round < 160; round++) {
      const std::string key = key_for(random.below(9));
      const uint64_t tag = random.below(3);
      if (random.below(3) != 0) {
        const uint64_t incarnation =
            put(*store.store, key, body_for(key, round, random.below(30000)),
                tagged("t" + std::to_string(tag)));
        current[key] = {incarnation, tag};
        if (random.below(3) == 0) store.flush();
        continue;
      }
      const bool soft = random.below(4) == 0;
      const uint64_t kind = random.below(12);
      const std::string prefix = key.substr(0, key.rfind('/') + 1);
      Acknowledged acknowledged;
      acknowledged.soft = soft;
      for (const auto& [name, version] : current) {
        const bool taken = kind == 0  ? true
                           : kind < 4 ? name.starts_with(prefix)
                           : kind < 7 ? version.second == tag
                                      : name == key;
        if (taken) acknowledged.versions.insert(version.first);
      }
      PurgeRequest request = kind == 0  ? everything()
                             : kind < 4 ? by_prefix(prefix, soft)
                             : kind < 7 ? by_tag("t" + std::to_string(tag), soft)
                                        : by_key(key, soft);
      request.soft = soft;
      REQUIRE(purge(*store.store, request).ok());
      acknowledged.writes = store.device->logged_writes().size();
      purges.push_back(acknowledged);
    }
    store->close();
    writes = store.device->logged_writes();
  }
  REQUIRE(purges.size() > 30);
  uint32_t hits = 0;
  const auto check = [&](const DiskImage& image, size_t landed) {
    TestStore store(image);
    for (uint64_t i = 0; i < 9; i++) {
      const Lookup lookup = find(*store.store, key_for(i));
      if (lookup.found != Found::hit) continue;
      hits++;
      const uint64_t version = lookup.record->header.incarnation;
      for (const Acknowledged& purge : purges) {
        if (purge.writes > landed || !purge.versions.contains(version)) continue;
        REQUIRE(purge.soft);
        REQUIRE(store->verdict(*lookup.record) == PurgeVerdict::soft);
      }
    }
  };
  for (size_t n = 0; n < writes.size(); n++) {
    INFO("write ", n, " at ", writes[n].offset);
    const uint64_t sectors = writes[n].bytes.size() / 512;
    DiskImage torn = disk;
    torn.write(writes[n].offset, Bytes(writes[n].bytes).first((1 + random.below(sectors)) * 512));
    check(torn, n);
    disk.write(writes[n].offset, writes[n].bytes);
    check(disk, n + 1);
  }
  CHECK(hits > 100);
}

TEST_CASE("store purge: a journal that has changed halves several times forgets nothing") {
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk, 0);
    fill_keys(store, 6);
    store.flush();
    CHECK(purge(*store.store, by_key(key_for(0))).ok());
    CHECK(purge(*store.store, by_prefix("http://h/b/")).ok());
    // One after the other, so that each has a block of its own.
    for (uint32_t i = 0; i < 14000; i++) {
      REQUIRE(purge(*store.store, by_key("http://elsewhere/" + std::to_string(i % 50))).ok());
    }
    CHECK(store->total(&Counters::purge_journal_changes) >= 3);
    disk = store.device->snapshot();
  }
  TestStore store(disk);
  CHECK(store->total(&Counters::purge_journal_damaged) == 0);
  for (uint64_t i = 0; i < 6; i++) {
    INFO("object ", i);
    const bool gone = i == 0 || i % 3 == 1;
    CHECK((find(*store.store, key_for(i)).found == Found::hit) == !gone);
  }
}

TEST_CASE("store purge: a block that was lost from the journal purges more, not less, and only once") {
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk);
    fill_keys(store, 6);
    store.flush();
    for (uint64_t i = 0; i < 3; i++) CHECK(purge(*store.store, by_key(key_for(i))).ok());
    put(*store.store, "http://h/new", body_for("new", 1, 100));
    store.flush();
    disk = store.device->snapshot();
  }
  // The second purge's block; the first one begins the generation.
  disk.flip(purge_block_offset(1, 1) + 100, 1);
  for (uint32_t start = 0; start < 2; start++) {
    TestStore store(disk);
    INFO("start ", start);
    CHECK(store->total(&Counters::purge_journal_damaged) == (start == 0 ? 1u : 0u));
    for (uint64_t i = 0; i < 6; i++) CHECK(find(*store.store, key_for(i)).found == Found::miss);
    CHECK(find(*store.store, "http://h/new").found == Found::hit);
    disk = store.device->snapshot();
  }
}

TEST_CASE("store purge: a torn last block costs nothing that was acknowledged") {
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk);
    fill_keys(store, 4);
    store.flush();
    for (uint64_t i = 0; i < 2; i++) CHECK(purge(*store.store, by_key(key_for(i))).ok());
    disk = store.device->snapshot();
  }
  disk.flip(purge_block_offset(1, 2) + 20, 0xff);
  TestStore store(disk);
  CHECK(find(*store.store, key_for(0)).found == Found::miss);
  CHECK(find(*store.store, key_for(1)).found == Found::miss);
  CHECK(find(*store.store, key_for(2)).found == Found::hit);
  CHECK(purge(*store.store, by_key(key_for(2))).ok());
  TestStore again(store.device->snapshot());
  CHECK(find(*again.store, key_for(2)).found == Found::miss);
  CHECK(find(*again.store, key_for(3)).found == Found::hit);
  CHECK(again->total(&Counters::purge_journal_damaged) == 0);
}

TEST_CASE("store purge: a journal that cannot be read at a start counts as a purge of everything") {
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk);
    fill_keys(store, 4);
    CHECK(purge(*store.store, by_key(key_for(0))).ok());
    store.flush();
    disk = store.device->snapshot();
  }
  auto device = std::make_unique<FaultDevice>(disk);
  // Four superblocks, then the halves, 256 blocks each after the failure of the whole piece.
  device->fail_reads(5, 1 + 256);
  FaultDevice* raw = device.get();
  StoreOptions options;
  options.memory_limit = 64 * kMiB;
  options.l1_budget = 0;
  Result<Ref<Store>> opened = Store::open(options, std::move(device));
  REQUIRE(opened.ok());
  for (uint64_t i = 0; i < 4; i++) CHECK(find(*opened.value(), key_for(i)).found == Found::miss);
  put(*opened.value(), key_for(1), body_for(key_for(1), 2, 100));
  opened.value()->close();
  TestStore store(raw->snapshot());
  CHECK(find(*store.store, key_for(0)).found == Found::miss);
  CHECK(find(*store.store, key_for(1)).found == Found::hit);
}

TEST_CASE("store purge: one failed write is made good in the other half") {
  TestStore store(formatted_disk());
  fill_keys(store, 3);
  store.flush();
  CHECK(purge(*store.store, by_key(key_for(0))).ok());
  store.device->fail_writes(1, 1);
  CHECK(purge(*store.store, by_key(key_for(1))).ok());
  CHECK(!store->volume().is_off());
  TestStore again(store.device->snapshot());
  CHECK(find(*again.store, key_for(0)).found == Found::miss);
  CHECK(find(*again.store, key_for(1)).found == Found::miss);
  CHECK(find(*again.store, key_for(2)).found == Found::hit);
}

TEST_CASE("store purge: a journal that cannot be written is said, and its volume is not read any more") {
  TestStore store(formatted_disk());
  fill_keys(store, 3);
  store.flush();
  store.device->fail_writes(1, 1000000);
  CHECK(purge(*store.store, by_key(key_for(0))).code() == Code::io);
  CHECK(store->volume().is_off());
  CHECK(store->total(&Counters::purges_failed) == 1);
  for (uint64_t i = 0; i < 3; i++) CHECK(find(*store.store, key_for(i)).found == Found::miss);
  // It goes on without, and does not claim anything later either.
  put(*store.store, key_for(1), body_for(key_for(1), 2, 100));
  CHECK(purge(*store.store, everything()).code() == Code::io);
}

TEST_CASE("store purge: many at once share writes") {
  TestStore store(formatted_disk());
  constexpr uint32_t kThreads = 8;
  constexpr uint32_t kEach = 100;
  run_threads(kThreads, [&](uint32_t thread) {
    for (uint32_t i = 0; i < kEach; i++) {
      const std::string key = "http://h/" + std::to_string(thread) + "/" + std::to_string(i);
      CHECK(purge(*store.store, by_key(key)).ok());
    }
  });
  CHECK(store->total(&Counters::purge_journal_blocks) < kThreads * kEach);
  TestStore again(store.device->snapshot());
  CHECK(again->purges().stats().entries == kThreads * kEach);
}

TEST_CASE("store purge: a soft purge makes stale until a later answer of the origin") {
  TestStore store(formatted_disk(), 8 * kMiB);
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  put(*store.store, key_for(0), body_for(key_for(0), 1, 100));
  const Lookup before = find(*store.store, key_for(0));
  const Ref<Fill> early = store->begin_fill(key_for(0), notice(sink, 0));
  CHECK(purge(*store.store, by_key(key_for(0), true)).ok());
  CHECK(early->is_purged());
  CHECK(state_of(*store.store, key_for(0)) == PurgeVerdict::soft);
  // A 304 that was asked for before the purge proves nothing.
  REQUIRE(store->refresh(before.record, make_head(), early->birth()).ok());
  CHECK(state_of(*store.store, key_for(0)) == PurgeVerdict::soft);
  const Ref<Fill> late = store->begin_fill(key_for(0), notice(sink, 0));
  CHECK(!late->is_purged());
  REQUIRE(store->refresh(find(*store.store, key_for(0)).record, make_head(), late->birth()).ok());
  CHECK(state_of(*store.store, key_for(0)) == PurgeVerdict::keep);
  early->fail();
  late->fail();
}

TEST_CASE("store purge: fills of every kind of purge publish nothing that was asked for before") {
  for (const PurgeRequest& request :
       {by_key(key_for(0)), by_prefix("http://h/a/"), by_tag("t"), everything()}) {
    INFO("kind ", static_cast<int>(request.kind));
    TestStore store(formatted_disk(), 8 * kMiB);
    const auto sink = Ref<CountingSink>::adopt(new CountingSink());
    const Ref<Fill> fill = store->begin_fill(key_for(0), notice(sink, 0));
    FillHead head;
    head.key = key_for(0);
    head.head = make_head(tagged("t").head);
    head.keep = true;
    REQUIRE(fill->begin(std::move(head)).ok());
    CHECK(!fill->is_purged());
    CHECK(purge(*store.store, request).ok());
    CHECK(fill->is_purged());
    const std::vector<uint8_t> body = body_for("x", 1, 1000);
    CHECK(fill->append(body).accepted == 1000);
    CHECK(fill->finish().ok());
    CHECK(find(*store.store, key_for(0)).found == Found::miss);
    store.flush();
    TestStore again(store.device->snapshot());
    CHECK(find(*again.store, key_for(0)).found == Found::miss);
  }
}

TEST_CASE("store purge: a variant goes with its primary key, from the device as well") {
  TestStore store(formatted_disk());
  PutOptions variant;
  variant.primary = key_for(0);
  variant.head.vary = std::string("accept\0", 7);
  put(*store.store, key_for(0) + "\naccept:a", body_for("v", 1, 100), variant);
  store.flush();
  const Lookup found = find(*store.store, key_for(0) + "\naccept:a");
  REQUIRE(found.found == Found::hit);
  CHECK(purge_unsafe(*store.store, key_for(0)).ok());
  CHECK(find(*store.store, key_for(0) + "\naccept:a").found == Found::miss);
  CHECK(store->verdict(*found.record) == PurgeVerdict::gone);
  TestStore again(store.device->snapshot());
  CHECK(find(*again.store, key_for(0) + "\naccept:a").found == Found::miss);
}

TEST_CASE("store purge: purges are forgotten when the ring has gone round, and not before") {
  TestStore store(formatted_disk());
  fill_keys(store, 4);
  store.flush();
  CHECK(purge(*store.store, by_key(key_for(0))).ok());
  CHECK(purge(*store.store, by_prefix("http://h/b/")).ok());
  const std::vector<uint8_t> big = body_for("big", 1, kChunkSize);
  Ring& ring = store->volume().ring();
  CHECK(ring.oldest_birth() == 1);
  // Twice round: 47 segments of 4 MiB.
  for (uint32_t i = 0; i < 400; i++) {
    put(*store.store, "http://big/" + std::to_string(i), big);
    // A purge flushes, which makes the overwriting certain.
    if (i % 50 == 49) CHECK(purge(*store.store, by_key("http://elsewhere/" + std::to_string(i))).ok());
  }
  store.flush();
  CHECK(purge(*store.store, by_key("http://elsewhere/last")).ok());
  CHECK(ring.oldest_birth() > 3);
}

TEST_CASE("ring: what an earlier lap held counts until a flush has made its overwriting certain") {
  Ring ring(geometry_of(kDiskSize).value());
  const Sequence nothing = ~Sequence{0};
  CHECK(ring.oldest_birth() == nothing);
  ring.note_birth(3, 10);
  ring.note_birth(4, 20);
  CHECK(ring.oldest_birth() == 10);
  // Segment 3 is written anew with births from 50 on.
  ring.note_birth(3, 50);
  ring.note_overwritten(3, 50);
  CHECK(ring.oldest_birth() == 10);
  const uint64_t mark = ring.flush_mark();
  ring.note_overwritten(4, 60);  // after the flush began: not covered by it
  ring.flushed(mark);
  CHECK(ring.oldest_birth() == 20);
  ring.flush_failed();
  ring.flushed(ring.flush_mark());
  CHECK(ring.oldest_birth() == 20);
  ring.note_overwritten(4, 60);
  ring.note_birth(4, 70);  // the next lap began before the flush
  ring.flushed(ring.flush_mark());
  CHECK(ring.oldest_birth() == 20);
  ring.note_overwritten(4, 70);
  ring.flushed(ring.flush_mark());
  CHECK(ring.oldest_birth() == 50);
}

}  // namespace millrace::test
