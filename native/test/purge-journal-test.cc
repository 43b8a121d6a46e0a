// Purge journal blocks: what is written comes back, and nothing that was damaged or forged is believed.
#include "layout/purge-journal.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr DeviceUuid kUuid{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

std::vector<PurgeEntry> sample() {
  return {
      PurgeEntry{PurgeKind::key, false, false, 7, 0x1122334455667788, ""},
      PurgeEntry{PurgeKind::key, false, true, 8, 1, ""},
      PurgeEntry{PurgeKind::prefix, false, false, 9, 0, "http://example.com/a"},
      PurgeEntry{PurgeKind::prefix, true, false, 9, 0, "http://example.com/12345678"},
      PurgeEntry{PurgeKind::tag, false, false, 10, ~uint64_t{0}, ""},
      PurgeEntry{PurgeKind::all, true, false, 11, 0, ""},
  };
}

std::vector<uint8_t> encoded(const std::vector<PurgeEntry>& entries) {
  std::vector<uint8_t> bytes(kPurgeBlockSize, 0xee);
  encode_purge_block(PurgeBlock{3, 5, 12, 2, 4, 3, {}}, entries, kUuid, bytes);
  return bytes;
}

// Makes a forged block's checksum right again, to reach the checks behind it.
void reseal(std::vector<uint8_t>* bytes) {
  store_le<uint32_t>(*bytes, 4092, crc32c(Bytes(*bytes).first(4092)));
}

}  // namespace

TEST_CASE("purge journal: a block decodes to what was encoded") {
  const Result<PurgeBlock> decoded = decode_purge_block(encoded(sample()), kUuid);
  REQUIRE(decoded.ok());
  CHECK(decoded.value().number == 3);
  CHECK(decoded.value().generation == 5);
  CHECK(decoded.value().sequence == 12);
  CHECK(decoded.value().snapshot_blocks == 2);
  CHECK(decoded.value().previous == 4);
  CHECK(decoded.value().commit_first == 3);
  CHECK(decoded.value().entries == sample());
}

TEST_CASE("purge journal: generations take turns in the two reserved regions") {
  CHECK(purge_block_offset(2, 0) == kJournalOffset);
  CHECK(purge_block_offset(1, 0) == kJournalOffset + kJournalSize);
  CHECK(purge_block_offset(1, kPurgeBlocksPerHalf - 1) + kPurgeBlockSize ==
        kJournalOffset + 2 * kJournalSize);
}

TEST_CASE("purge journal: no changed byte is believed") {
  const std::vector<uint8_t> good = encoded(sample());
  for (size_t at = 0; at < good.size(); at++) {
    for (const uint8_t mask : std::initializer_list<uint8_t>{0x01, 0x80, 0xff}) {
      std::vector<uint8_t> bad = good;
      bad[at] ^= mask;
      INFO("byte ", at, " mask ", int{mask});
      REQUIRE(!decode_purge_block(bad, kUuid).ok());
    }
  }
}

TEST_CASE("purge journal: another store's block, zeros and half a block are nothing of ours") {
  DeviceUuid other = kUuid;
  other[15] ^= 1;
  CHECK(decode_purge_block(encoded(sample()), other).status().code() == Code::not_found);
  CHECK(decode_purge_block(std::vector<uint8_t>(kPurgeBlockSize), kUuid).status().code() ==
        Code::not_found);
  CHECK(!decode_purge_block(Bytes(encoded(sample())).first(2048), kUuid).ok());
  CHECK(!decode_purge_block(Bytes(), kUuid).ok());
}

TEST_CASE("purge journal: a block torn at any sector is not believed") {
  const std::vector<uint8_t> good = encoded(sample());
  const std::vector<uint8_t> before = encoded({sample().front()});
  for (size_t sectors = 1; sectors < 8; sectors++) {
    std::vector<uint8_t> torn = before;
    std::copy_n(good.begin(), sectors * 512, torn.begin());
    INFO("sectors ", sectors);
    CHECK(!decode_purge_block(torn, kUuid).ok());
  }
}

TEST_CASE("purge journal: entries fill a block and no more are said to fit") {
  const std::vector<PurgeEntry> keys(1000, sample().front());
  const size_t count = purge_entries_that_fit(keys);
  CHECK(count == (4092 - 64) / 24);
  std::vector<uint8_t> bytes(kPurgeBlockSize);
  encode_purge_block(PurgeBlock{0, 1, 12, 0, 0, 0, {}}, std::span(keys).first(count), kUuid, bytes);
  const Result<PurgeBlock> decoded = decode_purge_block(bytes, kUuid);
  REQUIRE(decoded.ok());
  CHECK(decoded.value().entries.size() == count);
  const PurgeEntry longest{PurgeKind::prefix, false, false, 1, 0,
                           std::string(kMaximumPurgePrefix, 'x')};
  CHECK(purge_entries_that_fit(std::vector<PurgeEntry>(3, longest)) == 1);
  CHECK(purge_entries_that_fit({}) == 0);
  CHECK(purge_block_count({}) == 0);
  CHECK(purge_block_count(keys) == 6);
}

TEST_CASE("purge journal: a valid checksum does not excuse impossible values") {
  struct Forgery {
    size_t at;
    uint8_t value;
  };
  const Forgery forgeries[] = {
      {5, 0xff},   // block number beyond its half
      {8, 0},      // generation 0 (it was 5)
      {41, 0xff},  // more snapshot blocks than a half has
      {45, 0xff},  // more entry bytes than there is room
      {48, 5},     // replaces itself
      {56, 4},     // written together with a later block
      {60, 1},     // padding
      {64, 0},     // kind
      {64, 5},
      {65, 4},     // unknown flag
      {65, 3},     // soft by an unsafe method
      {66, 1},     // a key with a prefix's length
      {68, 1},     // padding of an entry
      {72, 0},     // bound 0 (it was 7)
      {73, 1},     // bound above the block's sequence
      {4000, 1},   // behind the entries
  };
  for (const Forgery& forgery : forgeries) {
    std::vector<uint8_t> bytes = encoded(sample());
    bytes[forgery.at] = forgery.value;
    reseal(&bytes);
    INFO("offset ", forgery.at, " value ", int{forgery.value});
    CHECK(decode_purge_block(bytes, kUuid).status().code() == Code::corrupt);
  }
  std::vector<uint8_t> line_feed = encoded({sample()[2]});
  line_feed[64 + 16] = '\n';
  reseal(&line_feed);
  CHECK(!decode_purge_block(line_feed, kUuid).ok());
}

TEST_CASE("purge journal: random entry bytes neither crash nor decode to what no encoder writes") {
  const uint64_t seed = 71;
  INFO("seed ", seed);
  Random random(seed);
  for (uint32_t round = 0; round < 20000; round++) {
    std::vector<uint8_t> bytes = encoded(sample());
    const size_t flips = 1 + random.below(6);
    for (size_t i = 0; i < flips; i++) {
      bytes[32 + random.below(300)] = static_cast<uint8_t>(random.next() >> 56);
    }
    reseal(&bytes);
    const Result<PurgeBlock> decoded = decode_purge_block(bytes, kUuid);
    if (!decoded.ok()) continue;
    std::vector<uint8_t> again(kPurgeBlockSize);
    encode_purge_block(decoded.value(), decoded.value().entries, kUuid, again);
    REQUIRE(again == bytes);
  }
}

}  // namespace millrace::test
