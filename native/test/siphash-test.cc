// SipHash-2-4 with 128 bits against the authors' vectors (key 00 .. 0f, message 00 01 02 ...).
#include "base/siphash.h"

#include <bit>
#include <set>

#include "base/endian.h"
#include "test/support.h"

namespace millrace::test {

namespace {

HashKey rising_key() {
  HashKey key;
  for (uint8_t i = 0; i < 16; i++) key[i] = i;
  return key;
}

int distance(const KeyHash& a, const KeyHash& b) {
  return std::popcount(a.low ^ b.low) + std::popcount(a.high ^ b.high);
}

}  // namespace

TEST_CASE("siphash: the authors' 128-bit vectors") {
  constexpr uint8_t kVectors[9][16] = {
      {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
       0x93},
      {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
       0x45},
      {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
       0xe4},
      {0x9c, 0x70, 0xb6, 0x0c, 0x52, 0x67, 0xa9, 0x4e, 0x5f, 0x33, 0xb6, 0xb0, 0x29, 0x85, 0xed,
       0x51},
      {0xf8, 0x81, 0x64, 0xc1, 0x2d, 0x9c, 0x8f, 0xaf, 0x7d, 0x0f, 0x6e, 0x7c, 0x7b, 0xcd, 0x55,
       0x79},
      {0x13, 0x68, 0x87, 0x59, 0x80, 0x77, 0x6f, 0x88, 0x54, 0x52, 0x7a, 0x07, 0x69, 0x0e, 0x96,
       0x27},
      {0x14, 0xee, 0xca, 0x33, 0x8b, 0x20, 0x86, 0x13, 0x48, 0x5e, 0xa0, 0x30, 0x8f, 0xd7, 0xa1,
       0x5e},
      {0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f, 0xf0, 0x82,
       0x39},
      {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97,
       0xb4},
  };
  uint8_t message[9];
  for (uint8_t i = 0; i < 9; i++) message[i] = i;
  for (size_t length = 0; length < 9; length++) {
    const KeyHash hash = siphash_128(rising_key(), Bytes(message, length));
    CHECK(hash.low == load_le<uint64_t>(Bytes(kVectors[length]), 0));
    CHECK(hash.high == load_le<uint64_t>(Bytes(kVectors[length]), 8));
  }
}

TEST_CASE("siphash: each bit of message and key changes about half of the result") {
  Random random(30);
  std::vector<uint8_t> message = random.bytes(61);
  const KeyHash before = siphash_128(rising_key(), message);
  for (size_t bit = 0; bit < message.size() * 8; bit++) {
    message[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const int changed = distance(before, siphash_128(rising_key(), message));
    message[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    REQUIRE(changed > 32);
    REQUIRE(changed < 96);
  }
  for (size_t bit = 0; bit < 128; bit++) {
    HashKey key = rising_key();
    key[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const int changed = distance(before, siphash_128(key, message));
    REQUIRE(changed > 32);
    REQUIRE(changed < 96);
  }
}

TEST_CASE("siphash: messages of zeroes that differ in length only have different hashes") {
  const std::vector<uint8_t> zeros(2048);
  std::set<uint64_t> low;
  std::set<uint64_t> high;
  for (size_t length = 0; length <= zeros.size(); length++) {
    const KeyHash hash = siphash_128(rising_key(), Bytes(zeros).first(length));
    CHECK(hash == siphash_128(rising_key(), Bytes(zeros).first(length)));
    low.insert(hash.low);
    high.insert(hash.high);
  }
  CHECK(low.size() == zeros.size() + 1);
  CHECK(high.size() == zeros.size() + 1);
}

}  // namespace millrace::test
