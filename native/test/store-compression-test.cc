// Compressed bodies through the whole store: every size and kind of contents comes back from the buffers, the
// device and after a crash; ranges read only their blocks; what does not shrink is stored as it is; damage
// and forgery anywhere in a record are a miss and never a wrong byte.
#include "base/crc32c.h"
#include "base/endian.h"
#include "base/lz4-block.h"
#include "engine/store.h"
#include "engine/stored-body.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr size_t kSizes[] = {0,       1,       512,     1023,    1024,    3000,   16384,   32768,
                             40000,   65535,   65536,   65537,   131072,  400000, 1000000, 1048575,
                             1048576, 1048577, 1049000, 1500000, 2097152, 3000001};

enum class Contents : uint8_t { text, zeros, noise, mixed };
constexpr Contents kContents[] = {Contents::text, Contents::zeros, Contents::noise,
                                  Contents::mixed};

std::vector<uint8_t> contents_for(Contents contents, size_t size) {
  switch (contents) {
    case Contents::text:
      return text_for(size, size);
    case Contents::zeros:
      return std::vector<uint8_t>(size);
    case Contents::noise:
      return body_for("noise", size, size);
    case Contents::mixed: {
      // Every third block is noise: such a block stays raw in a compressed record.
      std::vector<uint8_t> body = text_for(size, size);
      Random random(size);
      for (size_t at = kPageSize; at < size; at += 3 * kPageSize) {
        random.fill(MutableBytes(body).subspan(at, std::min<size_t>(kPageSize, size - at)));
      }
      return body;
    }
  }
  MR_UNREACHABLE();
}

std::string key_for(Contents contents, size_t size) {
  return "http://h/" + std::to_string(static_cast<int>(contents)) + "/" + std::to_string(size);
}

void put_all(Store& store) {
  for (const Contents contents : kContents) {
    for (const size_t size : kSizes)
      put(store, key_for(contents, size), contents_for(contents, size));
  }
}

void check_all(Store& store) {
  for (const Contents contents : kContents) {
    for (const size_t size : kSizes) {
      const std::string key = key_for(contents, size);
      INFO("key ", key);
      const Lookup lookup = find(store, key);
      REQUIRE(lookup.found == Found::hit);
      REQUIRE(!is_compressed(lookup.record->header));
      REQUIRE(lookup.record->header.stored_length == lookup.record->header.body_length);
      std::vector<uint8_t> got;
      REQUIRE(body_of(store, lookup.record, &got));
      REQUIRE(got.size() == size);
      REQUIRE(same_bytes(got, contents_for(contents, size)));
    }
  }
  REQUIRE(store.total(&Counters::corrupt_records) == 0);
}

TestStore compressing(const DiskImage& disk) { return TestStore(disk, 0, 64 * kMiB, true); }

// One chunk or single with its header, as it would lie on a device.
std::vector<uint8_t> stored_record(RecordKind kind, Bytes body) {
  RecordHeader header;
  header.kind = kind;
  header.segment_sequence = 1;
  header.hash = KeyHash{7, 8};
  header.flags = kRecordLz4;
  header.body_length = header.interval_end = static_cast<uint32_t>(body.size());
  header.object_length = body.size();
  const auto state = std::make_unique<Lz4State>();
  std::vector<uint32_t> crcs;
  std::vector<uint32_t> lengths;
  std::vector<uint8_t> stored;
  for (uint32_t block = 0; block < body_block_count(header); block++) {
    const Bytes raw = body.subspan(ByteCount{block} * kPageSize, raw_block_length(header, block));
    std::vector<uint8_t> out(raw.size() - 1);
    out.resize(lz4_compress(*state, raw, out));
    if (out.empty()) out.assign(raw.begin(), raw.end());
    crcs.push_back(crc32c(out));
    lengths.push_back(static_cast<uint32_t>(out.size()));
    stored.insert(stored.end(), out.begin(), out.end());
  }
  header.stored_length = static_cast<uint32_t>(stored.size());
  std::vector<uint8_t> meta;
  std::string key;
  if (kind == RecordKind::single) {
    HeadOptions head;
    head.body_length = body.size();
    meta = make_head(head);
    key = "k";
  }
  header.key_length = static_cast<uint32_t>(key.size());
  header.meta_length = static_cast<uint32_t>(meta.size());
  std::vector<uint8_t> out(record_body_distance(header));
  encode_record_header(header, crcs, bytes_of(key), meta, out, lengths);
  out.insert(out.end(), stored.begin(), stored.end());
  return out;
}

void reseal(std::vector<uint8_t>* bytes, ByteCount distance) {
  store_le<uint32_t>(*bytes, 100, 0);
  store_le<uint32_t>(*bytes, 100, crc32c(Bytes(*bytes).first(distance)));
}

}  // namespace

TEST_CASE("compression: every size and kind comes back from buffers, device and after a crash") {
  DiskImage crashed = formatted_disk();
  DiskImage closed = crashed;
  {
    TestStore store = compressing(crashed);
    put_all(*store.store);
    store.settle();
    check_all(*store.store);
    store.flush();
    const Counters& counters = store->volume().counters();
    CHECK(counters.stored_bytes.load() < counters.admitted_bytes.load() * 7 / 10);
    CHECK(counters.lz4_bytes_after.load() < counters.lz4_bytes_before.load() / 2);
    CHECK(counters.admitted_bytes.load() - counters.stored_bytes.load() ==
          counters.lz4_bytes_before.load() - counters.lz4_bytes_after.load());
    CHECK(counters.lz4_blocks_kept_raw.load() > 20);
    CHECK(counters.lz4_skipped_by_sample.load() > 100);
    crashed = store.device->snapshot();
    store->close();
    closed = store.device->snapshot();
  }
  for (const DiskImage* disk : {&crashed, &closed}) {
    for (const bool compress : {true, false}) {
      // What is on the disk says how it is read, not the option.
      TestStore store(*disk, 0, 64 * kMiB, compress);
      for (uint32_t round = 0; round < 2; round++) check_all(*store.store);
    }
  }
}

TEST_CASE("compression: without the option, or for a body that may not be, nothing is compressed") {
  for (const bool compress : {false, true}) {
    TestStore store(formatted_disk(), 0, 64 * kMiB, compress);
    PutOptions options;
    options.may_compress = !compress;
    for (const size_t size : {3000, 65536, 3000000}) {
      put(*store.store, "k" + std::to_string(size), text_for(1, size), options);
    }
    store.flush();
    const Counters& counters = store->volume().counters();
    CHECK(counters.stored_bytes.load() == counters.admitted_bytes.load());
    CHECK(counters.lz4_blocks.load() == 0);
    CHECK(counters.lz4_skipped_by_type.load() == (compress ? 1 + 1 + 46 : 0));
  }
}

TEST_CASE("compression: an object that does not shrink is sampled once, not in every chunk") {
  TestStore store = compressing(formatted_disk());
  std::vector<uint8_t> body = body_for("n", 1, 5 * kMiB);
  const std::vector<uint8_t> text = text_for(2, kMiB);
  std::copy(text.begin(), text.end(), body.begin() + 3 * kMiB);
  put(*store.store, "noise first", body);
  store.flush();
  const Counters& counters = store->volume().counters();
  CHECK(counters.lz4_blocks.load() == 0);
  CHECK(counters.lz4_skipped_by_sample.load() == 5 * kPagesPerChunk);
  // The same chunk of text in an object that began well.
  std::copy(text.begin(), text.end(), body.begin());
  put(*store.store, "text first", body);
  store.flush();
  CHECK(counters.lz4_blocks.load() == kPagesPerChunk);
  for (const char* key : {"noise first", "text first"}) {
    const Lookup lookup = find(*store.store, key);
    REQUIRE(lookup.found == Found::hit);
    std::vector<uint8_t> got;
    REQUIRE(body_of(*store.store, lookup.record, &got));
  }
}

TEST_CASE("compression: ranges read and decompress only their blocks") {
  const uint64_t seed = 310;
  INFO("seed ", seed);
  const size_t size = 5 * kMiB + 12345;
  const std::vector<uint8_t> body = contents_for(Contents::mixed, size);
  uint64_t read_bytes[2] = {};
  for (const bool compress : {false, true}) {
    DiskImage disk = formatted_disk();
    {
      TestStore store(disk, 0, 64 * kMiB, compress);
      put(*store.store, "k", body);
      store->close();
      disk = store.device->snapshot();
    }
    TestStore store(disk);
    const Lookup lookup = find(*store.store, "k");
    REQUIRE(lookup.found == Found::hit);
    const RecordHeader& header = lookup.record->header;
    Random random(seed);
    const uint64_t start = store->total(&Counters::device_read_bytes);
    for (uint32_t round = 0; round < 300; round++) {
      const ByteOffset offset = random.below(size);
      const ByteCount length = 1 + random.below(std::min<ByteCount>(size - offset, 300000));
      const uint64_t before = store->total(&Counters::device_read_bytes);
      std::vector<uint8_t> got;
      REQUIRE(read_body(*store.store, header.hash, header.incarnation, size, offset, length, &got));
      REQUIRE(same_bytes(got, Bytes(body).subspan(offset, length)));
      const uint64_t bytes = store->total(&Counters::device_read_bytes) - before;
      REQUIRE(bytes <= length + 2 * (2 * kPageSize + 3 * kBlockAlignment));
    }
    read_bytes[compress ? 1 : 0] = store->total(&Counters::device_read_bytes) - start;
    CHECK(store->total(&Counters::corrupt_records) == 0);
  }
  CHECK(read_bytes[1] < read_bytes[0] * 8 / 10);
}

TEST_CASE("compression: a refreshed head keeps the body compressed and right") {
  DiskImage disk = formatted_disk();
  const std::vector<uint8_t> body = text_for(5, 200000);
  {
    TestStore store = compressing(disk);
    put(*store.store, "k", body);
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store = compressing(disk);
  const Lookup lookup = find(*store.store, "k");
  REQUIRE(lookup.found == Found::hit);
  HeadOptions head;
  head.body_length = body.size();
  head.fields = "X: new\r\n";
  REQUIRE(store->refresh(lookup.record, make_head(head), 1).ok());
  store.flush();
  CHECK(store->total(&Counters::lz4_blocks) == 4);
  std::vector<uint8_t> got;
  REQUIRE(body_of(*store.store, find(*store.store, "k").record, &got));
  CHECK(same_bytes(got, body));
}

TEST_CASE("compression: no changed byte of a stored record is believed") {
  Random random(311);
  TestStore store(formatted_disk());
  const std::vector<uint8_t> body = text_for(3, 6000);
  std::vector<uint8_t> bytes = stored_record(RecordKind::single, body);
  const Result<Ref<MemoryRecord>> good = store->adopt(bytes, KeyHash{7, 8}, "k");
  REQUIRE(good.ok());
  REQUIRE(same_bytes(joined(good.value()->body), body));
  for (size_t at = 0; at < bytes.size(); at++) {
    const auto mask = static_cast<uint8_t>(1 + random.below(255));
    bytes[at] ^= mask;
    INFO("byte ", at);
    REQUIRE(!store->adopt(bytes, KeyHash{7, 8}, "k").ok());
    bytes[at] ^= mask;
  }
  for (size_t length = 0; length < bytes.size(); length += 7) {
    REQUIRE(!store->adopt(Bytes(bytes).first(length), KeyHash{7, 8}, "k").ok());
  }
}

TEST_CASE("compression: damage on the device is a miss, never a wrong byte") {
  const uint64_t seed = 312;
  INFO("seed ", seed);
  Random random(seed);
  DiskImage disk = formatted_disk();
  const std::vector<uint8_t> small = text_for(4, 30000);
  const std::vector<uint8_t> large = contents_for(Contents::mixed, 1600000);
  {
    TestStore store = compressing(disk);
    put(*store.store, "small", small);
    put(*store.store, "large", large);
    store->close();
    disk = store.device->snapshot();
  }
  const ByteOffset segment = TestStore(disk)->volume().ring().geometry().segment_offset(0);
  uint32_t misses = 0;
  for (uint32_t round = 0; round < 200; round++) {
    TestStore store(disk);
    store.device->flip_on_read(segment + kSegmentHeaderSize + random.below(900000),
                               static_cast<uint8_t>(1 + random.below(255)));
    for (const bool is_small : {true, false}) {
      const Lookup lookup = find(*store.store, is_small ? "small" : "large");
      std::vector<uint8_t> got;
      if (lookup.found == Found::hit && body_of(*store.store, lookup.record, &got)) {
        REQUIRE(same_bytes(got, is_small ? small : large));
      } else {
        misses++;
      }
    }
  }
  CHECK(misses > 100);
}

TEST_CASE("compression: a forger's checksums do not lead outside a block or its page") {
  const uint64_t seed = 313;
  INFO("seed ", seed);
  Random random(seed);
  TestStore store(formatted_disk());
  const std::vector<uint8_t> body = contents_for(Contents::mixed, 200000);
  const std::vector<uint8_t> good = stored_record(RecordKind::chunk, body);
  const RecordView view = decode_record(good).value();
  const ByteCount distance = record_body_distance(view.header);
  uint32_t believed = 0;
  for (uint32_t round = 0; round < 4000; round++) {
    std::vector<uint8_t> bytes = good;
    for (uint64_t change = 1 + random.below(3); change > 0; change--) {
      // Mostly tables and the beginnings of blocks, where lengths stand.
      const size_t block = random.below(4);
      const size_t places[] = {
          kRecordFixedSize + random.below(32),
          distance + view.stored_block_begin(static_cast<uint32_t>(block)) + random.below(12),
          distance + random.below(bytes.size() - distance), 92 + random.below(8)};
      bytes[places[random.below(4)]] ^= static_cast<uint8_t>(1u << random.below(8));
    }
    // Right checksums everywhere, as far as the tables still tell where the blocks are.
    for (uint32_t block = 0; block < 4; block++) {
      ByteCount begin = distance;
      for (uint32_t before = 0; before < block; before++) {
        begin += load_le<uint32_t>(bytes, kRecordFixedSize + 16 + 4 * before);
      }
      const ByteCount length = load_le<uint32_t>(bytes, kRecordFixedSize + 16 + 4 * block);
      if (begin > bytes.size() || length > bytes.size() - begin) break;
      store_le<uint32_t>(bytes, kRecordFixedSize + 4 * block,
                         crc32c(Bytes(bytes).subspan(begin, length)));
    }
    reseal(&bytes, distance);
    const Result<Ref<MemoryRecord>> record = store->adopt(bytes, KeyHash{7, 8}, std::string());
    if (record.ok()) believed++;
  }
  // A changed literal under a right checksum is a valid record; a changed length is not.
  CHECK(believed > 100);
  CHECK(believed < 3900);
}

TEST_CASE("compression: what it works with is part of the memory limit") {
  const TestStore plain(formatted_disk());
  const TestStore packed = compressing(formatted_disk());
  CHECK(plain->pool().limit() == packed->pool().limit() + BodyCompressor::kMemory);
}

}  // namespace millrace::test
