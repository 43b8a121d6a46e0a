// Footers that are read ahead: given out in their order, whatever the device answers first, and bounded.
#include "engine/footers-ahead.h"

#include "engine/recovery.h"
#include "engine/segment-scan.h"
#include "test/gated-device.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr size_t kSize = 900000;

struct Footers {
  DiskImage disk{0};
  Superblock superblock{};
  std::vector<FooterTrailer> trailers;
};

Footers some_footers(uint64_t objects) {
  Footers footers;
  TestStore store(formatted_disk());
  for (uint64_t i = 0; i < objects; i++) {
    const std::string key = "http://h/f" + std::to_string(i);
    put(*store.store, key, body_for(key, 1, kSize));
    store.settle();
  }
  store->close();
  footers.disk = store.device->snapshot();
  FaultDevice device(footers.disk);
  footers.superblock = read_superblock(device).value();
  const Geometry& geometry = footers.superblock.geometry;
  for (SegmentId segment = 0; segment < geometry.segment_count; segment++) {
    AlignedBuffer page(kFooterTrailerSize);
    const ByteOffset end = geometry.segment_offset(segment) + geometry.segment_size;
    REQUIRE(device.read(end - kFooterTrailerSize, page.bytes()).ok());
    const auto trailer =
        decode_footer_trailer(page.bytes(), footers.superblock.uuid, geometry.segment_size);
    if (trailer.ok()) footers.trailers.push_back(trailer.value());
  }
  return footers;
}

}  // namespace

TEST_CASE("footers ahead: in the order in which they were asked for") {
  const Footers footers = some_footers(12);
  REQUIRE(footers.trailers.size() == 3);
  const Geometry& geometry = footers.superblock.geometry;
  GatedDevice device(footers.disk);
  device.hold_all();
  FootersAhead ahead(device, geometry);
  for (const FooterTrailer& trailer : footers.trailers) REQUIRE(ahead.ask(trailer));
  wait_until([&] { return device.held() == 3; });
  device.let_through(2);
  device.let_through(1);
  device.let_through(0);
  for (const FooterTrailer& trailer : footers.trailers) {
    const auto entries = ahead.take();
    REQUIRE(entries.ok());
    CHECK(entries.value() == read_footer_entries(device, geometry, trailer).value());
  }
}

TEST_CASE("footers ahead: no more than eight at a time, and always one") {
  const Footers footers = some_footers(4);
  REQUIRE(footers.trailers.size() == 1);
  const FooterTrailer& trailer = footers.trailers[0];
  GatedDevice device(footers.disk);
  FootersAhead ahead(device, footers.superblock.geometry);
  for (int i = 0; i < 8; i++) CHECK(ahead.ask(trailer));
  CHECK(!ahead.ask(trailer));
  CHECK(ahead.take().ok());
  CHECK(ahead.ask(trailer));
  // The rest is waited for when it is given up.
}

TEST_CASE("footers ahead: what the device fails is said of that one alone") {
  const Footers footers = some_footers(12);
  FaultDevice device(footers.disk);
  FootersAhead ahead(device, footers.superblock.geometry);
  device.fail_reads(2, 1);
  for (const FooterTrailer& trailer : footers.trailers) REQUIRE(ahead.ask(trailer));
  CHECK(ahead.take().ok());
  CHECK(ahead.take().status().code() == Code::io);
  CHECK(ahead.take().ok());
}

TEST_CASE("footers ahead: what a full queue refuses is read when it is its turn") {
  const Footers footers = some_footers(12);
  FaultDevice device(footers.disk);
  FootersAhead ahead(device, footers.superblock.geometry);
  device.set_queue_limit(1);
  device.hold_reads(true);
  for (const FooterTrailer& trailer : footers.trailers) REQUIRE(ahead.ask(trailer));
  const uint64_t queued = device.queued();
  CHECK(queued < 3);
  device.hold_reads(false);
  for (size_t i = 0; i < 3; i++) CHECK(ahead.take().ok());
  CHECK(device.reads() == 3);
}

}  // namespace millrace::test
