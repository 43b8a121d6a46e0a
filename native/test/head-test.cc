// Stored heads: round trips, and hostile bytes that must be refused without reading outside of
// them.
#include "layout/head.h"

#include "base/endian.h"
#include "test/support.h"

namespace millrace::test {

namespace {

HeadView sample() {
  HeadView head;
  head.status = 206;
  head.flags = kHeadMustRevalidate | kHeadStrongValidator | kHeadAuthorized;
  head.response_ms = 1700000000123;
  head.initial_age_ms = 4567;
  head.fresh_until_ms = 1700000999999;
  head.stale_while_revalidate_until_ms = 1700001000000;
  head.stale_if_error_until_ms = 1700002000000;
  head.body_length = 987654321;
  head.last_modified_s = 1600000000;
  head.date_s = 1700000000;
  head.etag = bytes_of("\"abc\"");
  head.vary = bytes_of(std::string_view("accept-encoding\0origin\0", 23));
  head.tags = bytes_of("0123456789abcdef");
  head.fields = bytes_of("Content-Type: text/plain\r\nX-Empty: \r\n");
  head.reason = bytes_of("Partial Content");
  return head;
}

std::vector<uint8_t> encoded(const HeadView& head) {
  std::vector<uint8_t> out(encoded_head_size(head), 0xee);
  encode_head(head, out);
  return out;
}

bool same(const HeadView& a, const HeadView& b) {
  return a.status == b.status && a.flags == b.flags && a.response_ms == b.response_ms &&
         a.initial_age_ms == b.initial_age_ms && a.fresh_until_ms == b.fresh_until_ms &&
         a.stale_while_revalidate_until_ms == b.stale_while_revalidate_until_ms &&
         a.stale_if_error_until_ms == b.stale_if_error_until_ms && a.body_length == b.body_length &&
         a.last_modified_s == b.last_modified_s && a.date_s == b.date_s &&
         text_of(a.etag) == text_of(b.etag) && text_of(a.vary) == text_of(b.vary) &&
         text_of(a.tags) == text_of(b.tags) && text_of(a.fields) == text_of(b.fields) &&
         text_of(a.reason) == text_of(b.reason);
}

}  // namespace

TEST_CASE("head: a full and an empty head come back") {
  const std::vector<uint8_t> full = encoded(sample());
  REQUIRE(decode_head(full).ok());
  CHECK(same(decode_head(full).value(), sample()));
  HeadView bare;
  bare.status = 200;
  const std::vector<uint8_t> empty = encoded(bare);
  CHECK(empty.size() == kHeadFixedSize);
  REQUIRE(decode_head(empty).ok());
  CHECK(same(decode_head(empty).value(), bare));
}

TEST_CASE("head: tags are 8-aligned whatever lies before them") {
  for (size_t length = 1; length < 20; length++) {
    HeadView head = sample();
    const std::string etag(length, 'e');
    head.etag = bytes_of(etag);
    const std::vector<uint8_t> bytes = encoded(head);
    REQUIRE(load_le<uint32_t>(bytes, 88) % 8 == 0);
    REQUIRE(decode_head(bytes).ok());
    REQUIRE(same(decode_head(bytes).value(), head));
  }
}

TEST_CASE("head: a changed byte is refused or changes exactly what it says") {
  // A head has no checksum of its own (its record has one), so a changed number decodes to that
  // number.
  const std::vector<uint8_t> good = encoded(sample());
  for (size_t at = 0; at < good.size(); at++) {
    for (const uint8_t mask : std::initializer_list<uint8_t>{0x01, 0x80, 0xff}) {
      std::vector<uint8_t> bad = good;
      bad[at] ^= mask;
      const Result<HeadView> decoded = decode_head(bad);
      if (!decoded.ok()) continue;
      INFO("byte ", at, " mask ", int{mask});
      REQUIRE(!same(decoded.value(), sample()));
      // What decodes encodes to the same bytes: nothing hides in a field that nobody reads.
      REQUIRE(encoded(decoded.value()) == bad);
    }
  }
}

TEST_CASE("head: lengths, offsets and reserved bytes are checked") {
  const std::vector<uint8_t> good = encoded(sample());
  for (size_t at = 72; at < kHeadFixedSize; at++) {
    std::vector<uint8_t> bad = good;
    bad[at] ^= 0x10;
    INFO("byte ", at);
    CHECK(!decode_head(bad).ok());
  }
  for (size_t length = 0; length < good.size(); length++) {
    REQUIRE(!decode_head(Bytes(good).first(length)).ok());
  }
  std::vector<uint8_t> longer = good;
  longer.push_back(0);
  CHECK(!decode_head(longer).ok());
}

TEST_CASE("head: status and flags outside the format are refused") {
  std::vector<uint8_t> bytes = encoded(sample());
  for (const uint16_t status : std::initializer_list<uint16_t>{0, 99, 1000, 65535}) {
    store_le<uint16_t>(bytes, 4, status);
    CHECK(!decode_head(bytes).ok());
  }
  store_le<uint16_t>(bytes, 4, 999);
  CHECK(decode_head(bytes).ok());
  store_le<uint16_t>(bytes, 6, kHeadKnownFlags + 1);
  CHECK(!decode_head(bytes).ok());
}

TEST_CASE("head: only whole field lines, header injection is refused") {
  const struct {
    std::string_view fields;
    bool valid;
  } cases[] = {
      {"A: b\r\n", true},
      {"A: \r\n", true},
      {"A: b\r\nC: d\r\n", true},
      {"A: caf\xe9\r\n", true},
      {"A: b", false},
      {"A: b\r", false},
      {"A: b\n", false},
      {"A:b\r\n", false},
      {": b\r\n", false},
      {"A b: c\r\n", false},
      {"A: b\r\n\r\n", false},
      {"A: b\rX: c\r\n", false},
      {"A: b\nX: c\r\n", false},
      {std::string_view("A: b\0c\r\n", 8), false},
      {"\r\n", false},
      {" A: b\r\n", false},
  };
  for (const auto& item : cases) {
    HeadView head = sample();
    head.fields = bytes_of(item.fields);
    INFO("fields ", std::string(item.fields));
    CHECK(decode_head(encoded(head)).ok() == item.valid);
  }
}

TEST_CASE("head: etag and reason hold no line break") {
  for (const char byte : {'\r', '\n', '\0'}) {
    HeadView head = sample();
    const std::string text = std::string("a") + byte + "b";
    head.etag = bytes_of(text);
    CHECK(!decode_head(encoded(head)).ok());
    head = sample();
    head.reason = bytes_of(text);
    CHECK(!decode_head(encoded(head)).ok());
  }
}

TEST_CASE("head: vary names are sorted lower-case tokens, each once") {
  const struct {
    std::string vary;
    bool valid;
  } cases[] = {
      {std::string("accept\0", 7), true},   {std::string("a\0ab\0b\0", 7), true},
      {std::string("a\0a\0", 4), false},    {std::string("b\0a\0", 4), false},
      {std::string("ab\0a\0", 5), false},   {std::string("Accept\0", 7), false},
      {std::string("acc ept\0", 8), false}, {std::string("accept", 6), false},
      {std::string("\0", 1), false},        {std::string("a\0\0", 3), false},
  };
  for (const auto& item : cases) {
    HeadView head = sample();
    head.vary = bytes_of(item.vary);
    INFO("vary ", item.vary);
    CHECK(decode_head(encoded(head)).ok() == item.valid);
  }
}

TEST_CASE("head: random bytes behind the magic never read outside") {
  const uint64_t seed = 80;
  INFO("seed ", seed);
  Random random(seed);
  uint32_t accepted = 0;
  for (uint32_t round = 0; round < 20000; round++) {
    std::vector<uint8_t> bytes = random.bytes(random.below(400));
    if (bytes.size() >= 4) store_le<uint32_t>(bytes, 0, kHeadMagic);
    if (bytes.size() >= 108) {
      store_le<uint16_t>(bytes, 4, 200);
      store_le<uint16_t>(bytes, 6, 0);
      for (const size_t at : {76, 78, 84, 86}) {
        store_le<uint16_t>(bytes, at, static_cast<uint16_t>(random.below(40)));
      }
      store_le<uint32_t>(bytes, 96, static_cast<uint32_t>(random.below(200)));
    }
    if (decode_head(bytes).ok()) accepted++;
  }
  CHECK(accepted == 0);
}

}  // namespace millrace::test
