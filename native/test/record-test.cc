// Record headers and where records go: round trips, damage, forged fields, and the placement rules
// as properties over random records.
#include "layout/record.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "test/support.h"

namespace millrace::test {

namespace {

struct Sample {
  RecordHeader header{};
  std::vector<uint32_t> crcs;
  std::vector<uint32_t> lengths;
  std::vector<uint8_t> key;
  std::vector<uint8_t> meta;

  std::vector<uint8_t> encode() const {
    std::vector<uint8_t> out(record_body_distance(header), 0xee);
    encode_record_header(header, crcs, key, meta, out, lengths);
    return out;
  }
};

Sample random_sample(Random& random) {
  Sample sample;
  RecordHeader& header = sample.header;
  header.kind = static_cast<RecordKind>(1 + random.below(3));
  header.segment_sequence = random.next();
  header.birth = random.next() >> 2;
  header.hash = KeyHash{random.next(), random.next()};
  header.incarnation = random.next();
  header.object_length = random.next();
  header.created_ms = random.next();
  header.expires_ms = random.next();
  const bool is_chunk = header.kind == RecordKind::chunk;
  if (!is_chunk) header.key_length = 1 + static_cast<uint32_t>(random.below(600));
  if (header.kind == RecordKind::single || header.kind == RecordKind::head) {
    header.meta_length = 128 + static_cast<uint32_t>(random.below(3000));
  }
  if (is_chunk || header.kind == RecordKind::single) {
    const ByteCount limits[] = {600, 5000, 20000, kChunkSize + 1};
    header.body_length = static_cast<uint32_t>(random.below(limits[random.below(4)]));
  }
  if (is_chunk) header.chunk_number = static_cast<uint32_t>(random.next());
  header.interval_end = header.body_length;
  header.stored_length = header.body_length;
  // Compressed where every block can be shorter by a byte at least.
  const bool fits = header.body_length > 0 && header.body_length % kPageSize != 1;
  if (fits && random.below(2) == 0) {
    header.flags = kRecordLz4;
    header.stored_length = 0;
  }
  for (uint32_t i = 0; i < body_block_count(header); i++) {
    sample.crcs.push_back(static_cast<uint32_t>(random.next()));
    if (!is_compressed(header)) continue;
    const auto length = 1 + static_cast<uint32_t>(random.below(raw_block_length(header, i) - 1));
    sample.lengths.push_back(length);
    header.stored_length += length;
  }
  sample.key = random.bytes(header.key_length);
  sample.meta = random.bytes(header.meta_length);
  return sample;
}

bool same(const RecordHeader& a, const RecordHeader& b) {
  return a.kind == b.kind && a.flags == b.flags && a.chunk_shift == b.chunk_shift &&
         a.segment_sequence == b.segment_sequence && a.birth == b.birth && a.hash == b.hash &&
         a.incarnation == b.incarnation && a.chunk_number == b.chunk_number &&
         a.interval_begin == b.interval_begin && a.interval_end == b.interval_end &&
         a.object_length == b.object_length && a.created_ms == b.created_ms &&
         a.expires_ms == b.expires_ms && a.key_length == b.key_length &&
         a.meta_length == b.meta_length && a.body_length == b.body_length &&
         a.stored_length == b.stored_length;
}

void reseal(std::vector<uint8_t>* bytes) {
  store_le<uint32_t>(*bytes, 100, 0);
  store_le<uint32_t>(*bytes, 100, crc32c(*bytes));
}

}  // namespace

TEST_CASE("record: every kind comes back with key, head and checksums") {
  const uint64_t seed = 70;
  INFO("seed ", seed);
  Random random(seed);
  for (uint32_t round = 0; round < 2000; round++) {
    const Sample sample = random_sample(random);
    const std::vector<uint8_t> bytes = sample.encode();
    const Result<ByteCount> distance = peek_record_distance(Bytes(bytes).first(kRecordFixedSize));
    REQUIRE(distance.ok());
    REQUIRE(distance.value() == bytes.size());
    const Result<RecordView> view = decode_record(bytes);
    REQUIRE(view.ok());
    REQUIRE(same(view.value().header, sample.header));
    REQUIRE(same_bytes(view.value().key, sample.key));
    REQUIRE(same_bytes(view.value().meta, sample.meta));
    for (uint32_t i = 0; i < sample.crcs.size(); i++) {
      REQUIRE(view.value().block_crc(i) == sample.crcs[i]);
      REQUIRE(view.value().stored_block_length(i) ==
              (sample.lengths.empty() ? raw_block_length(sample.header, i) : sample.lengths[i]));
    }
  }
}

TEST_CASE("record: no changed byte of a header is believed") {
  Random random(71);
  for (uint32_t round = 0; round < 12; round++) {
    std::vector<uint8_t> bytes = random_sample(random).encode();
    for (size_t at = 0; at < bytes.size(); at++) {
      for (const uint8_t mask : std::initializer_list<uint8_t>{0x01, 0x80, 0xff}) {
        bytes[at] ^= mask;
        INFO("byte ", at);
        REQUIRE(!decode_record(bytes).ok());
        bytes[at] ^= mask;
      }
    }
  }
}

TEST_CASE("record: a header that is cut off anywhere is refused") {
  Random random(72);
  const std::vector<uint8_t> bytes = random_sample(random).encode();
  for (size_t length = 0; length < bytes.size(); length++) {
    REQUIRE(!decode_record(Bytes(bytes).first(length)).ok());
  }
}

TEST_CASE("record: random bytes behind the magic never decode and never read too far") {
  const uint64_t seed = 73;
  INFO("seed ", seed);
  Random random(seed);
  for (uint32_t round = 0; round < 20000; round++) {
    // Exactly as long as it is, so that a sanitizer sees a read behind the end.
    std::vector<uint8_t> bytes = random.bytes(random.below(700));
    if (bytes.size() >= 8) {
      store_le<uint32_t>(bytes, 0, 0x3152524d);
      bytes[4] = static_cast<uint8_t>(random.below(6));
      bytes[5] = static_cast<uint8_t>(random.below(2));
      bytes[6] = 20;
    }
    if (bytes.size() >= 104) {
      for (const size_t at : {60, 88, 92, 96}) {
        store_le<uint32_t>(bytes, at, static_cast<uint32_t>(random.below(400)));
      }
    }
    REQUIRE(!decode_record(bytes).ok());
    if (bytes.size() >= kRecordFixedSize) {
      const Result<ByteCount> distance = peek_record_distance(bytes);
      if (distance.ok()) REQUIRE(distance.value() <= kRecordFixedSize + 128 + 16384 + 131072 + 512);
    }
  }
}

TEST_CASE("record: a valid checksum does not excuse impossible fields") {
  struct Forgery {
    const char* what;
    RecordKind kind;
    size_t at;
    size_t width;
    uint64_t value;
  };
  const Forgery forgeries[] = {
      {"kind 0", RecordKind::single, 4, 1, 0},
      {"kind 4", RecordKind::single, 4, 1, 4},
      {"unknown flag", RecordKind::single, 5, 1, 2},
      {"compressed without a body", RecordKind::single, 5, 1, kRecordLz4},
      {"chunk shift too small", RecordKind::single, 6, 1, 17},
      {"chunk shift too large", RecordKind::single, 6, 1, 23},
      {"reserved byte", RecordKind::single, 7, 1, 1},
      {"reserved tail", RecordKind::single, 120, 1, 1},
      {"single with a chunk number", RecordKind::single, 48, 4, 1},
      {"interval that begins later than its body", RecordKind::chunk, 52, 4, 1},
      {"interval of another length", RecordKind::chunk, 56, 4, 99},
      {"chunk with a key", RecordKind::chunk, 60, 4, 5},
      {"chunk with a head", RecordKind::chunk, 88, 4, 5},
      {"single without a key", RecordKind::single, 60, 4, 0},
      {"single without a head", RecordKind::single, 88, 4, 0},
      {"head with a body", RecordKind::head, 92, 4, 5},
      {"stored length of its own", RecordKind::single, 96, 4, 5},
      {"key too long", RecordKind::single, 60, 4, kMaximumKeyLength + 1},
      {"head too long", RecordKind::single, 88, 4, kMaximumMetaLength + 1},
      {"body too long", RecordKind::single, 92, 4, kChunkSize + 1},
  };
  for (const Forgery& forgery : forgeries) {
    Sample sample;
    sample.header.kind = forgery.kind;
    if (forgery.kind != RecordKind::chunk) sample.key = {'k'};
    if (forgery.kind == RecordKind::single || forgery.kind == RecordKind::head) sample.meta = {'m'};
    sample.header.key_length = static_cast<uint32_t>(sample.key.size());
    sample.header.meta_length = static_cast<uint32_t>(sample.meta.size());
    std::vector<uint8_t> bytes = sample.encode();
    REQUIRE(decode_record(bytes).ok());
    if (forgery.width == 1) {
      bytes[forgery.at] = static_cast<uint8_t>(forgery.value);
    } else {
      store_le<uint32_t>(bytes, forgery.at, static_cast<uint32_t>(forgery.value));
    }
    reseal(&bytes);
    INFO(forgery.what);
    CHECK(decode_record(bytes).status().code() == Code::corrupt);
  }
}

TEST_CASE("record: a valid checksum does not excuse block lengths that do not add up") {
  Sample sample;
  sample.header.kind = RecordKind::chunk;
  sample.header.flags = kRecordLz4;
  sample.header.body_length = sample.header.interval_end = 150000;
  sample.header.stored_length = 65536 + 30000 + 18928;
  sample.crcs = {1, 2, 3};
  sample.lengths = {65536, 30000, 18928};  // the first and the last did not shrink
  const std::vector<uint8_t> good = sample.encode();
  REQUIRE(decode_record(good).ok());
  CHECK(decode_record(good).value().stored_block_begin(2) == 95536);
  struct Forgery {
    const char* what;
    uint32_t lengths[3];
  };
  const Forgery forgeries[] = {
      {"a block of nothing", {65536, 48928, 0}},
      {"a block longer than raw", {65537, 29999, 18928}},
      {"a last block longer than raw", {65536, 29999, 18929}},
      {"a sum below", {65536, 30000, 18927}},
      {"a sum above", {65536, 30001, 18928}},
      {"a sum that overflows 32 bits", {65536, 0xffffffff, 18929}},
  };
  for (const Forgery& forgery : forgeries) {
    std::vector<uint8_t> bytes = good;
    for (size_t i = 0; i < 3; i++) {
      store_le<uint32_t>(bytes, kRecordFixedSize + 12 + 4 * i, forgery.lengths[i]);
    }
    reseal(&bytes);
    INFO(forgery.what);
    CHECK(decode_record(bytes).status().code() == Code::corrupt);
  }
  for (const uint32_t stored : {0u, 114463u, 150000u, 150001u, 0xffffffffu}) {
    std::vector<uint8_t> bytes = good;
    store_le<uint32_t>(bytes, 96, stored);
    reseal(&bytes);
    CHECK(decode_record(bytes).status().code() == Code::corrupt);
  }
}

TEST_CASE("record: zeroes are no record") {
  const std::vector<uint8_t> zeros(4096);
  CHECK(decode_record(zeros).status().code() == Code::not_found);
  CHECK(peek_record_distance(zeros).status().code() == Code::not_found);
}

TEST_CASE("record: placement obeys the alignment rules with the least waste") {
  const uint64_t seed = 74;
  INFO("seed ", seed);
  Random random(seed);
  ByteOffset head = 4096;
  for (uint32_t round = 0; round < 20000; round++) {
    const RecordHeader header = random_sample(random).header;
    if (random.below(20) == 0) head += random.below(5000);
    const ByteOffset start = place_record(head, header);
    const ByteCount distance = record_body_distance(header);
    const ByteCount length = record_length(header);
    REQUIRE(start >= head);
    REQUIRE(is_aligned(start, kRecordGrain));
    REQUIRE(is_aligned(length, kRecordGrain));
    REQUIRE(distance >= record_header_bytes(header));
    REQUIRE(distance - record_header_bytes(header) < kRecordGrain);
    REQUIRE(length >= distance + header.stored_length);
    if (header.body_length >= kAlignedBodyThreshold && !is_compressed(header)) {
      REQUIRE(is_aligned(start + distance, kBlockAlignment));
      REQUIRE(start < round_up(head, kRecordGrain) + kBlockAlignment);
    } else if (length <= kBlockAlignment) {
      REQUIRE(start / kBlockAlignment == (start + length - 1) / kBlockAlignment);
      // It moves to the next page only where it would straddle this one.
      const ByteOffset packed = round_up(head, kRecordGrain);
      const bool fits = packed / kBlockAlignment == (packed + length - 1) / kBlockAlignment;
      REQUIRE(start == (fits ? packed : round_up(packed, kBlockAlignment)));
    } else {
      REQUIRE(start == round_up(head, kRecordGrain));
    }
    head = start + length;
  }
}

}  // namespace millrace::test
