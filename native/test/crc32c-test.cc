// CRC32C against the published vectors, and the two implementations against each other.
#include "base/crc32c.h"

#include "test/support.h"

namespace millrace::test {

TEST_CASE("crc32c: RFC 3720 appendix B.4 examples") {
  uint8_t zeros[32] = {};
  uint8_t ones[32];
  uint8_t rising[32];
  uint8_t falling[32];
  for (uint8_t i = 0; i < 32; i++) {
    ones[i] = 0xff;
    rising[i] = i;
    falling[i] = static_cast<uint8_t>(31 - i);
  }
  const uint8_t command[48] = {0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0,    0, 0, 0, 0,
                               0x14, 0,    0, 0, 0, 0, 4, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
                               0x28, 0,    0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0,    0, 0, 0, 0};
  for (const auto sum : {&crc32c, &crc32c_portable}) {
    CHECK(sum(Bytes(zeros), 0) == 0x8a9136aa);
    CHECK(sum(Bytes(ones), 0) == 0x62a8ab43);
    CHECK(sum(Bytes(rising), 0) == 0x46dd794e);
    CHECK(sum(Bytes(falling), 0) == 0x113fdb5c);
    CHECK(sum(Bytes(command), 0) == 0xd9963a56);
    CHECK(sum(bytes_of("123456789"), 0) == 0xe3069283);
    CHECK(sum(Bytes(), 0) == 0);
  }
}

TEST_CASE("crc32c: instruction and table agree at every small length and alignment") {
  Random random(1);
  const std::vector<uint8_t> data = random.bytes(600);
  for (size_t offset = 0; offset < 9; offset++) {
    for (size_t length = 0; length + offset <= data.size(); length++) {
      const Bytes part = Bytes(data).subspan(offset, length);
      if (crc32c(part) != crc32c_portable(part)) {
        INFO("offset ", offset, " length ", length);
        REQUIRE(crc32c(part) == crc32c_portable(part));
      }
    }
  }
}

TEST_CASE("crc32c: instruction and table agree on long runs with a seed") {
  const uint64_t seed = 20;
  INFO("seed ", seed);
  Random random(seed);
  const std::vector<uint8_t> data = random.bytes(200000);
  for (uint32_t round = 0; round < 300; round++) {
    const size_t offset = random.below(data.size());
    const size_t length = random.below(data.size() - offset + 1);
    const auto start = static_cast<uint32_t>(random.next());
    const Bytes part = Bytes(data).subspan(offset, length);
    REQUIRE(crc32c(part, start) == crc32c_portable(part, start));
  }
}

TEST_CASE("crc32c: a sum continues over any split") {
  const uint64_t seed = 21;
  INFO("seed ", seed);
  Random random(seed);
  const std::vector<uint8_t> data = random.bytes(50000);
  const uint32_t whole = crc32c(data);
  for (uint32_t round = 0; round < 300; round++) {
    const size_t first = random.below(data.size() + 1);
    const size_t second = first + random.below(data.size() - first + 1);
    const Bytes all(data);
    uint32_t crc = crc32c(all.first(first));
    crc = crc32c(all.subspan(first, second - first), crc);
    REQUIRE(crc32c(all.subspan(second), crc) == whole);
  }
}

TEST_CASE("crc32c: every single-bit change shows") {
  Random random(22);
  std::vector<uint8_t> data = random.bytes(512);
  const uint32_t before = crc32c(data);
  for (size_t bit = 0; bit < data.size() * 8; bit++) {
    data[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    REQUIRE(crc32c(data) != before);
    data[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
  }
}

}  // namespace millrace::test
