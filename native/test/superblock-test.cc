// Superblocks: what is written comes back, and nothing that was damaged is believed.
#include "layout/superblock.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "test/support.h"

namespace millrace::test {

namespace {

Superblock sample() {
  Superblock superblock;
  for (uint8_t i = 0; i < 16; i++) {
    superblock.uuid[i] = static_cast<uint8_t>(i + 1);
    superblock.hash_key[i] = static_cast<uint8_t>(0xf0 - i);
  }
  superblock.block_size = 16384;
  superblock.geometry = geometry_of(3 * kGiB).value();
  superblock.superblock_sequence = 77;
  superblock.next_incarnation = uint64_t{5} << 32;
  superblock.birth_sequence = 123456789;
  superblock.minimum_birth = 12345;
  superblock.group_generation = 9;
  superblock.group_id = 0x1122334455667788;
  superblock.clean = false;
  superblock.lazy_zero = true;
  superblock.created_ms = 1700000000000;
  superblock.feature_compatible = 6;
  return superblock;
}

bool same(const Superblock& a, const Superblock& b) {
  return a.format_major == b.format_major && a.format_minor == b.format_minor && a.uuid == b.uuid &&
         a.hash_key == b.hash_key && a.block_size == b.block_size && a.geometry == b.geometry &&
         a.superblock_sequence == b.superblock_sequence &&
         a.next_incarnation == b.next_incarnation && a.birth_sequence == b.birth_sequence &&
         a.minimum_birth == b.minimum_birth && a.group_generation == b.group_generation &&
         a.group_id == b.group_id && a.clean == b.clean && a.lazy_zero == b.lazy_zero &&
         a.created_ms == b.created_ms &&
         a.feature_compatible == b.feature_compatible &&
         a.feature_read_only == b.feature_read_only &&
         a.feature_incompatible == b.feature_incompatible;
}

std::vector<uint8_t> encoded(const Superblock& superblock, uint32_t copy = 0) {
  std::vector<uint8_t> bytes(kSuperblockSize, 0xee);
  encode_superblock(superblock, copy, bytes);
  return bytes;
}

// Makes a forged page's checksum right again, to reach the checks behind it.
void reseal(std::vector<uint8_t>* bytes) {
  store_le<uint32_t>(*bytes, 4092, crc32c(Bytes(*bytes).first(4088)));
}

}  // namespace

TEST_CASE("superblock: every copy decodes to what was encoded") {
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    const Result<Superblock> decoded = decode_superblock(encoded(sample(), copy));
    REQUIRE(decoded.ok());
    CHECK(same(decoded.value(), sample()));
  }
}

TEST_CASE("superblock: no changed byte is believed") {
  const std::vector<uint8_t> good = encoded(sample(), 1);
  for (size_t at = 0; at < good.size(); at++) {
    for (const uint8_t mask : std::initializer_list<uint8_t>{0x01, 0x80, 0xff}) {
      std::vector<uint8_t> bad = good;
      bad[at] ^= mask;
      const Result<Superblock> decoded = decode_superblock(bad);
      INFO("byte ", at, " mask ", int{mask});
      // The copy number alone is outside the checksum.
      if (decoded.ok()) {
        REQUIRE(at >= 4088);
        REQUIRE(at < 4092);
        REQUIRE(same(decoded.value(), sample()));
      } else {
        const Code code = decoded.status().code();
        REQUIRE((code == Code::corrupt || (code == Code::foreign && at < 8)));
      }
    }
  }
}

TEST_CASE("superblock: random bytes and random bytes behind the magic are refused") {
  const uint64_t seed = 50;
  INFO("seed ", seed);
  Random random(seed);
  for (uint32_t round = 0; round < 2000; round++) {
    std::vector<uint8_t> bytes = random.bytes(kSuperblockSize);
    if (round % 2 == 1) store_le<uint64_t>(bytes, 0, 0x454341524c4c494d);
    if (round % 4 == 3) reseal(&bytes);
    REQUIRE(!decode_superblock(bytes).ok());
  }
  CHECK(decode_superblock(std::vector<uint8_t>(kSuperblockSize)).status().code() == Code::foreign);
}

TEST_CASE("superblock: a valid checksum does not excuse impossible values") {
  struct Forgery {
    size_t at;
    uint64_t value;
    Code expected;
  };
  const Forgery forgeries[] = {
      {8, 2, Code::unsupported},    // major
      {128, 1, Code::unsupported},  // read-only feature
      {132, 8, Code::unsupported},  // incompatible feature
      {12, 1000, Code::corrupt},    // block size: no power of two
      {12, 256, Code::corrupt},
      {12, 131072, Code::corrupt},
      {48, 1 * kGiB, Code::corrupt},  // another device size than the geometry's
      {56, 4 * kMiB + 1, Code::corrupt},
      {64, 12345, Code::corrupt},
      {72, 3, Code::corrupt},
      {88, 0, Code::corrupt},
      {96, 0, Code::corrupt},
      {104, 0, Code::corrupt},
      {120, 0x10, Code::corrupt},  // unknown state
      {160, 1, Code::corrupt},     // padding
      {4080, 1, Code::corrupt},
  };
  for (const Forgery& forgery : forgeries) {
    std::vector<uint8_t> bytes = encoded(sample());
    if (forgery.at == 8) {
      store_le<uint16_t>(bytes, 8, static_cast<uint16_t>(forgery.value));
    } else if (forgery.at == 12 || forgery.at == 72 || (forgery.at >= 120 && forgery.at <= 132)) {
      store_le<uint32_t>(bytes, forgery.at, static_cast<uint32_t>(forgery.value));
    } else {
      store_le<uint64_t>(bytes, forgery.at, forgery.value);
    }
    reseal(&bytes);
    INFO("offset ", forgery.at, " value ", forgery.value);
    const Result<Superblock> decoded = decode_superblock(bytes);
    CHECK(!decoded.ok());
    CHECK(decoded.status().code() == forgery.expected);
  }
}

TEST_CASE("superblock: a newer minor may use what this version leaves zero") {
  std::vector<uint8_t> bytes = encoded(sample());
  store_le<uint16_t>(bytes, 10, 1);
  store_le<uint64_t>(bytes, 200, 42);
  reseal(&bytes);
  CHECK(decode_superblock(bytes).ok());
}

TEST_CASE("superblock: the identification sector is recognised and names the uuid") {
  std::vector<uint8_t> sector(512, 0xee);
  encode_identification(sample().uuid, sector);
  CHECK(is_identification(sector));
  CHECK(text_of(sector).find("0102030405060708090a0b0c0d0e0f10\n") != std::string::npos);
  sector[0] ^= 1;
  CHECK(!is_identification(sector));
  CHECK(!is_identification(Bytes(sector).first(10)));
}

}  // namespace millrace::test
