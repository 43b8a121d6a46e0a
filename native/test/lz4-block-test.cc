// LZ4 blocks: every size and kind of contents comes back, the form is lz4-napi's, and hostile blocks are
// refused without touching a byte outside the spans (the sanitizers watch).
#include "base/lz4-block.h"

#include <memory>

#include "base/endian.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr size_t kSizes[] = {1, 2, 12, 13, 100, 4095, 4096, 65534, 65535, 65536};

// Empty where it does not fit `room`.
std::vector<uint8_t> compressed(Bytes raw, size_t room) {
  const auto state = std::make_unique<Lz4State>();
  // Exactly as long as it is, so that a sanitizer sees a write behind the end.
  std::vector<uint8_t> out(room);
  out.resize(lz4_compress(*state, raw, out));
  return out;
}

}  // namespace

TEST_CASE("lz4: text, zeros and noise of every size come back") {
  const uint64_t seed = 300;
  INFO("seed ", seed);
  Random random(seed);
  for (const size_t size : kSizes) {
    INFO("size ", size);
    const std::vector<uint8_t> bodies[] = {text_for(1, size), std::vector<uint8_t>(size),
                                           random.bytes(size)};
    for (const std::vector<uint8_t>& raw : bodies) {
      const std::vector<uint8_t> stored = compressed(raw, size + size / 255 + 32);
      REQUIRE(stored.size() > kLz4PrefixSize);
      REQUIRE(load_le<uint32_t>(stored, 0) == size);
      std::vector<uint8_t> back(size, 0xee);
      REQUIRE(lz4_decompress(stored, back));
      REQUIRE(back == raw);
    }
  }
}

TEST_CASE("lz4: text shrinks to less than half, noise does not fit its own size") {
  Random random(301);
  CHECK(compressed(text_for(1, 65536), 65535).size() < 65536 / 2);
  CHECK(compressed(random.bytes(65536), 65535).empty());
  CHECK(compressed(random.bytes(100), 0).empty());
  CHECK(compressed(random.bytes(100), kLz4PrefixSize).empty());
}

TEST_CASE("lz4: a block of another length is refused") {
  Random random(302);
  const std::vector<uint8_t> raw = text_for(1, 5000);
  std::vector<uint8_t> stored = compressed(raw, 6000);
  for (const size_t wrong : {1, 4999, 5001, 65536}) {
    std::vector<uint8_t> back(wrong);
    REQUIRE(!lz4_decompress(stored, back));
    // The same with a prefix that agrees: then the block itself does not.
    store_le<uint32_t>(stored, 0, static_cast<uint32_t>(wrong));
    REQUIRE(!lz4_decompress(stored, back));
    store_le<uint32_t>(stored, 0, 5000);
  }
  for (size_t length = 0; length < stored.size(); length++) {
    std::vector<uint8_t> back(5000);
    const std::vector<uint8_t> part(stored.begin(),
                                    stored.begin() + static_cast<ptrdiff_t>(length));
    REQUIRE(!lz4_decompress(part, back));
  }
}

TEST_CASE("lz4: damaged and random blocks never reach outside their spans") {
  const uint64_t seed = 303;
  INFO("seed ", seed);
  Random random(seed);
  const std::vector<uint8_t> raw = text_for(1, 20000);
  const std::vector<uint8_t> good = compressed(raw, 20000);
  uint32_t refused = 0;
  for (uint32_t round = 0; round < 20000; round++) {
    std::vector<uint8_t> stored =
        round % 2 == 0 ? good : random.bytes(5 + random.below(round % 50 == 1 ? 40000 : 300));
    for (uint64_t change = random.below(4) + 1; change > 0; change--) {
      stored[kLz4PrefixSize + random.below(stored.size() - kLz4PrefixSize)] ^=
          static_cast<uint8_t>(1 + random.below(255));
    }
    const size_t size = round % 2 == 0 ? raw.size() : 1 + random.below(65536);
    store_le<uint32_t>(stored, 0, static_cast<uint32_t>(size));
    std::vector<uint8_t> back(size);
    if (!lz4_decompress(stored, back)) refused++;
  }
  // Random tokens nearly never decode to exactly the length; changed literals do.
  CHECK(refused > 10000);
  CHECK(refused < 20000);
}

}  // namespace millrace::test
