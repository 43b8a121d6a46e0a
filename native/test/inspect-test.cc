// Looking at a device: what is reported of a good one, a damaged one and one that was cut off.
#include <doctest/doctest.h>

#include "engine/inspect.h"
#include "test/parts.h"
#include "test/stored-objects.h"
#include "test/support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

DiskImage some_disk() {
  TestStore store(formatted_disk());
  put(*store.store, "http://h/small", body_for("s", 1, 900));
  put(*store.store, "http://h/single", body_for("m", 1, 200000));
  put(*store.store, "http://h/large", body_for("l", 1, 3 * kMiB + 77));
  // A staged record would be replaced, and never be written.
  store.flush();
  put(*store.store, "http://h/small", body_for("s", 2, 901));
  store->close();
  return store.device->snapshot();
}

}  // namespace

TEST_CASE("inspect: segments, records by kind and superblock copies are reported") {
  FaultDevice device(some_disk());
  DeviceReport report;
  InspectProgress progress;
  REQUIRE(inspect_device(device, &report, &progress).ok());
  CHECK(progress.done.load() == report.segments.size());
  CHECK(report.superblock.clean);
  for (const Status& copy : report.copies) CHECK(copy.ok());
  CHECK(report.records_by_kind[1] == 3);
  CHECK(report.records_by_kind[2] == 1);
  CHECK(report.records_by_kind[3] == 4);
  CHECK(report.segments[0].finding == SegmentFinding::sealed);
  CHECK(report.segments[0].used > 3 * kMiB);
  CHECK(report.segments.back().finding == SegmentFinding::empty);
}

TEST_CASE("inspect: a key gives every version that is still there, the newest last") {
  FaultDevice device(some_disk());
  std::vector<StoredRecord> found;
  InspectProgress progress;
  REQUIRE(find_on_device(device, "http://h/small", &found, &progress).ok());
  REQUIRE(found.size() == 2);
  CHECK(found[0].header.body_length == 900);
  CHECK(found[1].header.body_length == 901);
  CHECK(found[1].header.incarnation > found[0].header.incarnation);
  found.clear();
  REQUIRE(find_on_device(device, "http://h/large", &found, &progress).ok());
  REQUIRE(found.size() == 1);
  CHECK(found[0].chunks_found == 4);
  CHECK(found[0].chunks_wanted == 4);
  found.clear();
  REQUIRE(find_on_device(device, "http://h/none", &found, &progress).ok());
  CHECK(found.empty());
}

TEST_CASE("inspect: a head that tells of more than any device holds is looked at no longer") {
  constexpr uint64_t kForged = uint64_t{1} << 52;
  TestStore store(formatted_disk());
  const std::vector<uint8_t> body = body_for("f", 1, kChunkSize);
  const Ref<Fill> fill =
      begin_part(*store.store, "http://h/forged", 0, kChunkSize, {}, kForged);
  REQUIRE(fill->append(body).accepted == body.size());
  REQUIRE(fill->finish().ok());
  store->close();
  FaultDevice device(store.device->snapshot());
  std::vector<StoredRecord> found;
  InspectProgress progress;
  REQUIRE(find_on_device(device, "http://h/forged", &found, &progress).ok());
  REQUIRE(found.size() == 1);
  CHECK(found[0].chunks_wanted == ~uint32_t{0});
  CHECK(found[0].chunks_found == 1);
}

TEST_CASE("verify: everything matches, until any stored byte of a record changes") {
  const DiskImage good = some_disk();
  {
    FaultDevice device(good);
    VerifyReport report;
    InspectProgress progress;
    REQUIRE(verify_device(device, &report, &progress).ok());
    CHECK(report.damaged == 0);
    CHECK(report.records == 8);
    CHECK(report.bytes > 3 * kMiB);
  }
  std::vector<StoredRecord> found;
  {
    FaultDevice device(good);
    InspectProgress progress;
    REQUIRE(find_on_device(device, "http://h/single", &found, &progress).ok());
    REQUIRE(found.size() == 1);
  }
  const ByteCount length = record_length(found[0].header);
  const ByteCount body = record_body_distance(found[0].header);
  for (const ByteCount at : {ByteCount{0}, ByteCount{40}, body - 1, body, body + 100000, body + 199999}) {
    REQUIRE(at < length);
    FaultDevice device(good);
    device.flip_on_disk(found[0].offset + at, 0x10);
    VerifyReport report;
    InspectProgress progress;
    INFO("byte ", at);
    REQUIRE(verify_device(device, &report, &progress).ok());
    CHECK(report.damaged == 1);
    REQUIRE(report.listed.size() == 1);
    CHECK(report.listed[0].offset == found[0].offset);
  }
}

TEST_CASE("verify: stops when asked, and a foreign device is told from a damaged one") {
  InspectProgress progress;
  VerifyReport report;
  {
    FaultDevice device(some_disk());
    progress.cancelled.store(true);
    CHECK(verify_device(device, &report, &progress).code() == Code::closed);
  }
  progress.cancelled.store(false);
  FaultDevice device((DiskImage(kDiskSize)));
  CHECK(verify_device(device, &report, &progress).code() == Code::foreign);
}
