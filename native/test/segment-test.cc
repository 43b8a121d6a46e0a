// Segment headers and footers: round trips, single-byte damage, forged counts and entries.
#include "layout/segment.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "layout/record.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr ByteCount kSegment = 4 * kMiB;

DeviceUuid uuid_of(uint8_t first) {
  DeviceUuid uuid;
  for (uint8_t i = 0; i < 16; i++) uuid[i] = static_cast<uint8_t>(first + i);
  return uuid;
}

SegmentFooter sample_footer(uint64_t entries, Random& random) {
  SegmentFooter footer;
  footer.header = SegmentHeader{7, 99, uuid_of(3), 1234};
  uint32_t grain = kSegmentHeaderSize / kRecordGrain;
  for (uint64_t i = 0; i < entries; i++) {
    FooterEntry entry;
    entry.hash = random.next();
    entry.birth = 5 + random.below(100);
    entry.offset_grains = grain;
    entry.length_grains = 1 + static_cast<uint32_t>(random.below(4));
    entry.kind = static_cast<uint8_t>(1 + random.below(3));
    grain += entry.length_grains;
    footer.entries.push_back(entry);
  }
  footer.minimum_birth = 5;
  footer.maximum_birth = 105;
  return footer;
}

struct Decoded {
  Code code = Code::ok;
  FooterTrailer trailer{};
  std::vector<FooterEntry> entries;
};

Decoded decode_footer(Bytes bytes) {
  Decoded out;
  const auto trailer = decode_footer_trailer(bytes.last(kFooterTrailerSize), uuid_of(3), kSegment);
  if (!trailer.ok()) {
    out.code = trailer.status().code();
    return out;
  }
  out.trailer = trailer.value();
  if (footer_size(out.trailer.entry_count) != bytes.size()) {
    out.code = Code::corrupt;
    return out;
  }
  auto entries =
      decode_footer_entries(out.trailer, bytes.first(bytes.size() - kFooterTrailerSize), kSegment);
  out.code = entries.status().code();
  if (entries.ok()) out.entries = entries.value();
  return out;
}

}  // namespace

TEST_CASE("segment: a header comes back, and only for its own store") {
  const SegmentHeader header{12, 345, uuid_of(9), 678};
  std::vector<uint8_t> bytes(kSegmentHeaderSize, 0xee);
  encode_segment_header(header, bytes);
  const auto decoded = decode_segment_header(bytes, uuid_of(9));
  REQUIRE(decoded.ok());
  CHECK(decoded.value().segment == 12);
  CHECK(decoded.value().segment_sequence == 345);
  CHECK(decoded.value().uuid == uuid_of(9));
  CHECK(decoded.value().opened_ms == 678);
  CHECK(decode_segment_header(bytes, uuid_of(10)).status().code() == Code::corrupt);
  const std::vector<uint8_t> zeros(kSegmentHeaderSize);
  CHECK(decode_segment_header(zeros, uuid_of(9)).status().code() == Code::not_found);
}

TEST_CASE("segment: no changed byte of a header is believed") {
  std::vector<uint8_t> bytes(kSegmentHeaderSize);
  encode_segment_header(SegmentHeader{12, 345, uuid_of(9), 678}, bytes);
  for (size_t at = 0; at < bytes.size(); at++) {
    for (const uint8_t mask : std::initializer_list<uint8_t>{0x01, 0x40, 0xff}) {
      bytes[at] ^= mask;
      INFO("byte ", at);
      REQUIRE(!decode_segment_header(bytes, uuid_of(9)).ok());
      bytes[at] ^= mask;
    }
  }
}

TEST_CASE("segment: a footer page is no segment header and the other way round") {
  Random random(60);
  const SegmentFooter footer = sample_footer(0, random);
  std::vector<uint8_t> bytes(footer_size(0));
  encode_footer(footer, bytes);
  CHECK(decode_segment_header(bytes, uuid_of(3)).status().code() == Code::not_found);
  encode_segment_header(footer.header, bytes);
  CHECK(decode_footer_trailer(bytes, uuid_of(3), kSegment).status().code() == Code::not_found);
}

TEST_CASE("segment: footers of any length come back") {
  const uint64_t seed = 61;
  INFO("seed ", seed);
  Random random(seed);
  for (const uint64_t count : {0, 1, 2, 170, 171, 341, 342, 1000}) {
    const SegmentFooter footer = sample_footer(count, random);
    REQUIRE(is_aligned(footer_size(count), kBlockAlignment));
    std::vector<uint8_t> bytes(footer_size(count), 0xee);
    encode_footer(footer, bytes);
    const Decoded decoded = decode_footer(bytes);
    REQUIRE(decoded.code == Code::ok);
    CHECK(decoded.trailer.entry_count == count);
    CHECK(decoded.trailer.minimum_birth == 5);
    CHECK(decoded.trailer.maximum_birth == 105);
    CHECK(decoded.entries == footer.entries);
  }
}

TEST_CASE("segment: no changed byte of a footer is believed") {
  Random random(62);
  std::vector<uint8_t> bytes(footer_size(40));
  encode_footer(sample_footer(40, random), bytes);
  for (size_t at = 0; at < bytes.size(); at++) {
    const auto mask = static_cast<uint8_t>(1 << at % 8);
    bytes[at] ^= mask;
    INFO("byte ", at);
    REQUIRE(decode_footer(bytes).code != Code::ok);
    bytes[at] ^= mask;
  }
}

TEST_CASE("segment: forged entries with valid checksums are refused") {
  Random random(63);
  const FooterEntry good{1, 5, 8, 1, 1};
  FooterEntry entries[6] = {good, good, good, good, good, good};
  entries[0].kind = 0;
  entries[1].kind = 4;
  entries[2].offset_grains = 7;  // inside the segment's header
  entries[3].length_grains = 0;
  entries[4].offset_grains = static_cast<uint32_t>((kSegment - footer_size(1)) / kRecordGrain);
  entries[5].length_grains = (1 << 28) - 1;
  for (const FooterEntry& entry : entries) {
    SegmentFooter footer = sample_footer(0, random);
    footer.entries.push_back(entry);
    std::vector<uint8_t> bytes(footer_size(1));
    encode_footer(footer, bytes);
    INFO("kind ", int{entry.kind}, " offset ", entry.offset_grains, " length ",
         entry.length_grains);
    CHECK(decode_footer(bytes).code == Code::corrupt);
  }
}

TEST_CASE("segment: a forged count that no segment can hold is refused before it is used") {
  Random random(64);
  std::vector<uint8_t> bytes(footer_size(1));
  encode_footer(sample_footer(1, random), bytes);
  const MutableBytes trailer = MutableBytes(bytes).last(kFooterTrailerSize);
  for (const uint64_t count : {kSegment / 24, uint64_t{1} << 40, ~uint64_t{0}}) {
    store_le<uint64_t>(trailer, 40, count);
    store_le<uint32_t>(trailer, 4092, crc32c(Bytes(trailer).first(4092)));
    CHECK(decode_footer_trailer(trailer, uuid_of(3), kSegment).status().code() == Code::corrupt);
  }
}

TEST_CASE("segment: random pages behind a magic never decode") {
  const uint64_t seed = 65;
  INFO("seed ", seed);
  Random random(seed);
  for (uint32_t round = 0; round < 1000; round++) {
    std::vector<uint8_t> page = random.bytes(4096);
    store_le<uint32_t>(page, 0, round % 2 == 0 ? 0x3153524du : 0x3146524du);
    if (round % 3 == 0) store_le<uint32_t>(page, 4092, crc32c(Bytes(page).first(4092)));
    REQUIRE(!decode_segment_header(page, uuid_of(3)).ok());
    REQUIRE(!decode_footer_trailer(page, uuid_of(3), kSegment).ok());
  }
}

}  // namespace millrace::test
