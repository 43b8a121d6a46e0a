// The golden images of the format version, opened by this build: everything that is listed is found byte for
// byte, nothing else is on them, and the encoders still write every structure as it lies there. A failure
// means that the format changed. The first image has a bit of everything; the second one what came later
// without a change of version: incomplete objects, and Vary markers that list the variants.
#include "test/golden-check.h"

namespace millrace::test {

TEST_CASE("golden: the images of this format version are there") {
  INFO("The format version was raised: write its images as docs/TESTING.md tells, and keep the older ones.");
  for (const char* name : {"", "-parts"}) {
    CHECK(!file_text(golden_path(std::string(name) + ".image.txt")).empty());
  }
}

TEST_CASE("golden: everything listed is found byte for byte, what was purged is not") {
  INFO(kFormatChanged);
  const Golden golden("");
  TestStore store(golden.disk);
  std::map<GoldenFinding, uint32_t> counts = check_objects(golden, store);
  CHECK(counts[GoldenFinding::found] >= 10);
  CHECK(counts[GoldenFinding::stale] == 4);
  CHECK(counts[GoldenFinding::gone] == 6);
  store->close();
}

TEST_CASE("golden: every record on the image is sound, placed and encoded as today") {
  INFO(kFormatChanged);
  Golden golden("");
  GoldenRecords records = check_records(&golden);
  CHECK(records.segments == 2);
  CHECK(records.sealed == 1);
  CHECK(records.kinds[RecordKind::single] >= 15);
  CHECK(records.kinds[RecordKind::head] == 5);
  CHECK(records.markers == 2);
  CHECK(records.kinds[RecordKind::chunk] == 7);
  CHECK(records.compressed >= 3);
}

TEST_CASE("golden: superblocks, identification and purge journal are encoded as today") {
  INFO(kFormatChanged);
  const Golden golden("");
  check_superblocks(golden, 2);
  std::set<std::pair<PurgeKind, bool>> kinds;
  uint32_t unsafe_methods = 0;
  for (const PurgeEntry& entry : check_purge_journal(golden)) {
    kinds.insert({entry.kind, entry.soft});
    unsafe_methods += entry.unsafe_method;
  }
  CHECK(kinds.size() == 8);
  CHECK(unsafe_methods == 1);
}

TEST_CASE("golden: of incomplete objects the listed bytes are there, and markers lead to their variants") {
  INFO(kFormatChanged);
  const Golden golden("-parts");
  TestStore store(golden.disk, 8 * kMiB);
  std::map<GoldenFinding, uint32_t> counts = check_objects(golden, store);
  CHECK(counts[GoldenFinding::parts] >= 8);
  CHECK(counts[GoldenFinding::leads] >= 8);
  CHECK(counts[GoldenFinding::found] >= 8);
  CHECK(counts[GoldenFinding::gone] >= 3);
  store->close();
}

TEST_CASE("golden: pieces, heads that promise nothing and markers are encoded as today") {
  INFO(kFormatChanged);
  Golden golden("-parts");
  GoldenRecords records = check_records(&golden);
  CHECK(records.segments == 3);
  CHECK(records.sealed == 2);
  CHECK(records.pieces >= 10);
  CHECK(records.kinds[RecordKind::chunk] > records.pieces);
  CHECK(records.incomplete >= 10);
  CHECK(records.markers >= 5);
  CHECK(records.compressed >= 1);
  check_superblocks(golden, 3);
  CHECK(check_purge_journal(golden).size() >= 3);
}

}  // namespace millrace::test
