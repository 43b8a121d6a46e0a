// Crashes: a workload is recorded write by write, and a store is opened on what every prefix of it
// left on the disk, the last write whole or torn. What was wholly written is found with its latest
// version, what was not is a miss, and nothing else is ever returned.
#include <map>

#include "engine/segment-scan.h"
#include "engine/recovery.h"
#include "engine/store.h"
#include "layout/record.h"
#include "layout/segment.h"
#include "test/support.h"

namespace millrace::test {

namespace {

struct Version {
  uint64_t number = 0;
  size_t size = 0;
};

// One record of the log, in the order of the log.
struct Event {
  std::string key;  // empty for chunks
  RecordKind kind = RecordKind::single;
  uint64_t incarnation = 0;
  ByteOffset segment_start = 0;
  ByteOffset begin = 0;
  ByteOffset header_end = 0;
  ByteOffset end = 0;
};

// How many writes the log had when a purge was asked for, and when it was acknowledged.
struct Purged {
  size_t begun = 0;
  size_t acknowledged = 0;
};

struct Workload {
  DiskImage before{0};  // after the open that precedes it
  DiskImage after{0};   // after the clean close that ends it
  std::vector<LoggedWrite> writes;
  std::map<uint64_t, Version> versions;  // by incarnation
  std::map<uint64_t, Purged> purged;     // by incarnation
  std::vector<std::string> keys;
  std::vector<Event> events;
};

void read_events(Workload* workload) {
  FaultDevice device(workload->after);
  const Geometry geometry = geometry_of(kDiskSize).value();
  const Superblock superblock = read_superblock(device).value();
  std::map<Sequence, SegmentFooter> footers;
  for (SegmentId segment = 0; segment < geometry.segment_count; segment++) {
    const auto footer = read_footer(device, geometry, superblock.uuid, segment);
    if (footer.ok()) footers[footer.value().header.segment_sequence] = footer.value();
  }
  for (const auto& [sequence, footer] : footers) {
    const ByteOffset start = geometry.segment_offset(footer.header.segment);
    for (const FooterEntry& entry : footer.entries) {
      Event event;
      event.segment_start = start;
      event.begin = start + ByteOffset{entry.offset_grains} * kRecordGrain;
      event.end = event.begin + ByteCount{entry.length_grains} * kRecordGrain;
      std::vector<uint8_t> bytes(event.end - event.begin);
      workload->after.read(event.begin, bytes);
      const Result<RecordView> view = decode_record(bytes);
      REQUIRE(view.ok());
      event.key = text_of(view.value().key);
      event.kind = view.value().header.kind;
      event.incarnation = view.value().header.incarnation;
      event.header_end = event.begin + record_body_distance(view.value().header);
      workload->events.push_back(event);
    }
  }
}

Workload run_workload(uint64_t seed) {
  Random random(seed);
  Workload workload;
  TestStore store(formatted_disk());
  workload.before = store.device->snapshot();
  store.device->log_writes();
  std::map<std::string, std::vector<uint64_t>> current;  // not purged yet
  for (uint32_t i = 0; i < 9; i++) workload.keys.push_back("http://h/c" + std::to_string(i));
  for (uint64_t round = 0; round < 44; round++) {
    const std::string& key = workload.keys[random.below(workload.keys.size())];
    if (random.below(5) == 0) {
      const size_t begun = store.device->logged_writes().size();
      CHECK(purge_key(*store.store, key).ok());
      for (const uint64_t incarnation : current[key]) {
        workload.purged[incarnation] = Purged{begun, store.device->logged_writes().size()};
      }
      current.erase(key);
    } else {
      const size_t limits[] = {600, 30000, 400000, 1048577, 2500000};
      const Version version{round, random.below(limits[random.below(5)])};
      const uint64_t incarnation =
          put(*store.store, key, body_for(key, version.number, version.size));
      workload.versions[incarnation] = version;
      current[key].push_back(incarnation);
    }
    // So that no record is replaced while it is written: the footers then list all there is.
    store.settle();
    if (round % 15 == 7) store.flush();
  }
  store->close();
  workload.writes = store.device->logged_writes();
  workload.after = store.device->snapshot();
  read_events(&workload);
  return workload;
}

class Coverage {
 public:
  Coverage() : grains_(kDiskSize / kRecordGrain, false) {}
  void add(ByteOffset offset, ByteCount length) {
    for (ByteOffset at = offset; at < offset + length; at += kRecordGrain)
      grains_[at / kRecordGrain] = true;
  }
  bool holds(ByteOffset begin, ByteOffset end) const {
    for (ByteOffset at = begin; at < end; at += kRecordGrain) {
      if (!grains_[at / kRecordGrain]) return false;
    }
    return true;
  }

 private:
  std::vector<bool> grains_;
};

struct Expectation {
  const Event* last = nullptr;  // the last wholly written record of the key
  bool torn_follows = false;    // a later one of which at least the header is there
};

Expectation expectation_of(const Workload& workload, const Coverage& coverage,
                           const std::string& key) {
  Expectation expected;
  for (const Event& event : workload.events) {
    if (event.key != key) continue;
    if (!coverage.holds(event.segment_start, event.segment_start + kSegmentHeaderSize)) continue;
    if (!coverage.holds(event.begin, event.header_end)) continue;
    if (coverage.holds(event.begin, event.end)) {
      expected = Expectation{&event, false};
    } else {
      expected.torn_follows = true;
    }
  }
  return expected;
}

// `landed` writes are wholly on the disk.
uint32_t check_crash(const Workload& workload, size_t landed, const Coverage& coverage,
                     const DiskImage& disk) {
  TestStore store(disk);
  uint32_t hits = 0;
  for (const std::string& key : workload.keys) {
    INFO("key ", key);
    const Expectation expected = expectation_of(workload, coverage, key);
    const bool exists = expected.last != nullptr;
    const auto purged =
        exists ? workload.purged.find(expected.last->incarnation) : workload.purged.end();
    const bool is_purged = purged != workload.purged.end();
    const Lookup lookup = find(*store.store, key);
    if (lookup.found != Found::hit) {
      CHECK((!exists || expected.torn_follows || (is_purged && purged->second.begun <= landed)));
      continue;
    }
    REQUIRE(exists);
    REQUIRE((!is_purged || purged->second.acknowledged > landed));
    hits++;
    REQUIRE(lookup.record->header.incarnation == expected.last->incarnation);
    const Version version = workload.versions.at(expected.last->incarnation);
    std::vector<uint8_t> got;
    REQUIRE(body_of(*store.store, lookup.record, &got));
    REQUIRE(got == body_for(key, version.number, version.size));
  }
  return hits;
}

}  // namespace

TEST_CASE("store crash: after every write, whole or torn, what was written is found") {
  const uint64_t seed = 180;
  INFO("seed ", seed);
  const Workload workload = run_workload(seed);
  REQUIRE(workload.writes.size() > 20);
  REQUIRE(workload.events.size() > 30);
  REQUIRE(workload.purged.size() > 3);
  Random random(seed);
  DiskImage disk = workload.before;
  Coverage coverage;
  uint32_t hits = 0;
  for (size_t n = 0; n < workload.writes.size(); n++) {
    const LoggedWrite& write = workload.writes[n];
    INFO("write ", n, " at ", write.offset, " of ", write.bytes.size());
    const uint64_t sectors = write.bytes.size() / 512;
    for (const uint64_t torn : {uint64_t{1}, random.below(sectors), sectors - 1}) {
      INFO("torn after ", torn, " sectors");
      DiskImage torn_disk = disk;
      torn_disk.write(write.offset, Bytes(write.bytes).first(torn * 512));
      Coverage torn_coverage = coverage;
      torn_coverage.add(write.offset, torn * 512);
      // A header page of which a part is there is no header.
      check_crash(workload, n, torn_coverage, torn_disk);
    }
    disk.write(write.offset, write.bytes);
    coverage.add(write.offset, write.bytes.size());
    hits = check_crash(workload, n + 1, coverage, disk);
  }
  CHECK(hits >= 5);
}

TEST_CASE("store crash: a later write that overtook an earlier one is never believed") {
  const uint64_t seed = 181;
  INFO("seed ", seed);
  const Workload workload = run_workload(seed);
  Random random(seed);
  for (uint32_t round = 0; round < 25; round++) {
    // Power fails with several writes under way, of which any subset has landed.
    const size_t count = random.below(workload.writes.size());
    DiskImage disk = workload.before;
    for (size_t n = 0; n < count; n++) {
      const LoggedWrite& write = workload.writes[n];
      if (n + 8 >= count && random.below(2) == 0) continue;
      disk.write(write.offset, write.bytes);
    }
    TestStore store(disk);
    for (const std::string& key : workload.keys) {
      const Lookup lookup = find(*store.store, key);
      if (lookup.found != Found::hit) continue;
      const Version version = workload.versions.at(lookup.record->header.incarnation);
      std::vector<uint8_t> got;
      if (!body_of(*store.store, lookup.record, &got)) continue;
      INFO("round ", round, " key ", key);
      REQUIRE(got == body_for(key, version.number, version.size));
    }
  }
}

TEST_CASE("store crash: leftovers of a segment whose header was lost do not come back") {
  const std::vector<uint8_t> old_body = body_for("a", 1, 5000);
  const std::vector<uint8_t> new_body = body_for("a", 2, 3000);
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk);
    store.device->drop_write(1);  // the first window, header included, never lands
    put(*store.store, "pad", body_for("pad", 1, 1040000));
    store.settle();
    put(*store.store, "a", old_body);
    put(*store.store, "b", old_body);
    store.flush();
    disk = store.device->snapshot();
  }
  {
    TestStore store(disk);
    CHECK(find(*store.store, "a").found == Found::miss);
    put(*store.store, "a", new_body);
    put(*store.store, "b", new_body);
    store.settle();
    CHECK(purge_key(*store.store, "b").ok());
    store.flush();
    disk = store.device->snapshot();
  }
  TestStore store(disk);
  const Lookup lookup = find(*store.store, "a");
  REQUIRE(lookup.found == Found::hit);
  CHECK(joined(lookup.record->body) == new_body);
  CHECK(find(*store.store, "b").found == Found::miss);
}

TEST_CASE("store crash: a start that crashes itself loses nothing") {
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk);
    for (uint32_t i = 0; i < 8; i++) {
      put(*store.store, "k" + std::to_string(i), body_for("k", i, 900000));
    }
    store.flush();
    disk = store.device->snapshot();
  }
  // The writes of the next start: seal of the open segment, then superblocks.
  for (uint64_t landed = 0; landed < 8; landed++) {
    DiskImage crashed(0);
    {
      auto device = std::make_unique<FaultDevice>(disk);
      device->fail_writes(landed + 1, 1000000);
      FaultDevice* raw = device.get();
      StoreOptions options;
      options.memory_limit = 64 * kMiB;
      options.l1_budget = 0;
      const Ref<CountingSink> sink;
      Result<Ref<Store>> opened = Store::open(options, std::move(device));
      if (!opened.ok()) continue;
      crashed = raw->snapshot();
      opened.value()->close();
    }
    TestStore store(crashed);
    for (uint32_t i = 0; i < 8; i++) {
      INFO("landed ", landed, " object ", i);
      const Lookup lookup = find(*store.store, "k" + std::to_string(i));
      REQUIRE(lookup.found == Found::hit);
      REQUIRE(joined(lookup.record->body) == body_for("k", i, 900000));
    }
  }
}

}  // namespace millrace::test
