// Whole disks whose checksums are right and whose contents no store has written: whoever can write the device
// can do that. A field of a superblock, of the purge journal, of a segment header, of a footer or of a record
// gets a value at the edge of what it holds. The store opens or says why not; it finds, reads, stores, purges
// and closes. Nothing stops the process.
#include <doctest/doctest.h>

#include <algorithm>

#include "base/crc32c.h"
#include "base/endian.h"
#include "engine/inspect.h"
#include "layout/purge-journal.h"
#include "layout/record.h"
#include "layout/segment.h"
#include "layout/superblock.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr uint64_t kRounds = 3;
constexpr size_t kLarge = 3 * kMiB - 200000;
constexpr size_t kPageCrc = 4092;  // of every page that has a checksum

std::string name_of(const char* kind, uint64_t round) {
  return std::string("http://h/") + kind + std::to_string(round);
}

// A small body, one that shrinks, a large one that does not, and a part of a body.
void put_round(Store& store, uint64_t round) {
  PutOptions tagged;
  tagged.head.tags = {round % 5 + 1};
  put(store, name_of("small", round), body_for("s", round, 700), tagged);
  put(store, name_of("text", round), text_for(round, 1500000), tagged);
  PutOptions raw;
  raw.may_compress = false;
  put(store, name_of("large", round), body_for("l", round, kLarge), raw);
  HeadOptions part;
  part.flags = kHeadStrongValidator | kHeadAcceptsRanges | kHeadIncomplete;
  part.body_length = kLarge;
  FillHead head;
  head.key = name_of("part", round);
  head.head = make_head(part);
  head.body_length = kLarge;
  head.keep = true;
  head.part_begin = 100;
  head.part_end = kChunkSize + 70000;
  const Ref<Fill> fill = store.begin_fill(head.key, Notice{});
  REQUIRE(fill->begin(std::move(head)).ok());
  const std::vector<uint8_t> body = body_for("p", round, kChunkSize + 69900);
  REQUIRE(fill->append(body).accepted == body.size());
  REQUIRE(fill->finish().ok());
}

const DiskImage& honest_disk() {
  static const DiskImage disk = [] {
    TestStore store(formatted_disk(), 0, 64 * kMiB, true);
    for (uint64_t round = 0; round < kRounds; round++) put_round(*store.store, round);
    REQUIRE(purge_key(*store.store, name_of("text", 1)).ok());
    REQUIRE(purge(*store.store, PurgeRequest{PurgeKind::tag, "", 2, true, false}).ok());
    REQUIRE(purge(*store.store, PurgeRequest{PurgeKind::prefix, "http://h/small1", 0, false, false}).ok());
    store->close();
    return store.device->snapshot();
  }();
  return disk;
}

struct Field {
  ByteOffset at = 0;
  uint32_t bytes = 8;
};

class Forger {
 public:
  Forger(DiskImage* disk, uint64_t seed)
      : disk_(*disk), geometry_(geometry_of(disk->size()).value()), random_(seed) {
    disk_.read(geometry_.superblock_offset(0) + 16, uuid_);
  }

  // Some field of something.
  void forge() {
    const Field of_superblock[] = {{12, 4}, {56}, {72, 4}, {88}, {96}, {104}, {120, 4}, {136}, {152}};
    const Field of_block[] = {{4, 4}, {8}, {32}, {40, 4}, {44, 4}, {48}, {56, 4}, {64, 4}, {72}};
    const Field of_trailer[] = {{8}, {40}, {48}, {56}, {64, 4}};
    const uint64_t choice = random_.below(6);
    if (choice == 0) superblock(some_of(of_superblock), edge());
    if (choice == 1) journal(some_of(of_block), edge());
    if (choice == 2) page(header_at(some_segment()), Field{8}, edge());
    if (choice == 3) page(trailer_at(some_segment()), some_of(of_trailer), edge());
    if (choice == 4) footer(some_segment(), static_cast<uint32_t>(random_.below(2000)));
    if (choice == 5) record();
  }
  void superblock(const Field& field, uint64_t value) {
    std::vector<uint8_t> bytes = read(geometry_.superblock_offset(0), kSuperblockSize);
    set(bytes, field, value);
    for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
      store_le<uint32_t>(bytes, 4088, copy);
      store_le<uint32_t>(bytes, kPageCrc, crc32c(Bytes(bytes).first(4088)));
      disk_.write(geometry_.superblock_offset(copy), bytes);
    }
  }
  // The last block that was written: generation 1 lies in the second half.
  void journal(const Field& field, uint64_t value) {
    page(kJournalOffset + kJournalSize + 3 * kPurgeBlockSize, field, value);
  }
  ByteOffset header_at(SegmentId segment) const { return geometry_.segment_offset(segment); }
  ByteOffset trailer_at(SegmentId segment) const {
    return header_at(segment) + geometry_.segment_size - kFooterTrailerSize;
  }
  void page(ByteOffset offset, const Field& field, uint64_t value) {
    std::vector<uint8_t> bytes = read(offset, kBlockAlignment);
    set(bytes, field, value);
    store_le<uint32_t>(bytes, kPageCrc, crc32c(Bytes(bytes).first(kPageCrc)));
    disk_.write(offset, bytes);
  }
  // Its records are said to be so many grains shorter than they are.
  void footer(SegmentId segment, uint32_t grains) {
    std::vector<uint8_t> last = read(trailer_at(segment), kFooterTrailerSize);
    const auto trailer = decode_footer_trailer(last, uuid_, geometry_.segment_size);
    if (!trailer.ok()) return;
    const ByteCount size = footer_size(trailer.value().entry_count) - kFooterTrailerSize;
    std::vector<uint8_t> array = read(trailer_at(segment) - size, size);
    for (uint64_t i = 0; i < trailer.value().entry_count; i++) {
      const size_t at = i * kFooterEntrySize + 20;
      const auto packed = load_le<uint32_t>(array, at);
      if ((packed & 0xfffffff) > grains) store_le<uint32_t>(array, at, packed - grains);
    }
    store_le<uint32_t>(last, 64, crc32c(array));
    store_le<uint32_t>(last, kPageCrc, crc32c(Bytes(last).first(kPageCrc)));
    disk_.write(trailer_at(segment) - size, array);
    disk_.write(trailer_at(segment), last);
  }

 private:
  template <size_t N>
  const Field& some_of(const Field (&fields)[N]) {
    return fields[random_.below(N)];
  }
  uint64_t edge() {
    const uint64_t edges[] = {0, 1, 16, 4096, uint64_t{1} << 20, uint64_t{1} << 31, ~uint64_t{0} - 1,
                              uint64_t{1} << 36, uint64_t{1} << 62, uint64_t{1} << 63, ~uint64_t{0}};
    return edges[random_.below(std::size(edges))];
  }
  SegmentId some_segment() { return static_cast<SegmentId>(random_.below(2 * kRounds)); }
  std::vector<uint8_t> read(ByteOffset offset, ByteCount length) const {
    std::vector<uint8_t> bytes(length);
    disk_.read(offset, bytes);
    return bytes;
  }
  static void set(MutableBytes bytes, const Field& field, uint64_t value) {
    if (field.bytes == 8) store_le<uint64_t>(bytes, field.at, value);
    if (field.bytes == 4) store_le<uint32_t>(bytes, field.at, static_cast<uint32_t>(value));
    if (field.bytes == 1) bytes[field.at] = static_cast<uint8_t>(value);
  }
  // Any record of a segment, which are found by their first bytes.
  void record() {
    constexpr uint8_t kZero[4] = {};
    const Field fields[] = {{4, 1},  {5, 1},  {6, 1},  {16},    {24},    {40},   {48, 4},  {52, 4},
                            {56, 4}, {60, 4}, {64},    {88, 4}, {92, 4}, {96, 4}, {128, 4}, {192, 4}};
    const ByteOffset start = header_at(some_segment()) + kSegmentHeaderSize;
    ByteOffset at = start + random_.below(geometry_.segment_size / 2) / kRecordGrain * kRecordGrain;
    for (uint32_t tries = 0; tries < 4096; tries++, at += kRecordGrain) {
      std::vector<uint8_t> bytes = read(at, 64 * kKiB);
      if (!decode_record(bytes).ok()) continue;
      set(bytes, some_of(fields), random_.below(2) == 0 ? edge() : random_.below(4 * kMiB));
      const Result<ByteCount> distance = peek_record_distance(bytes);
      if (!distance.ok() || distance.value() > bytes.size()) return;
      const uint32_t crc = crc32c(Bytes(kZero), crc32c(Bytes(bytes).first(100)));
      store_le<uint32_t>(bytes, 100,
                         crc32c(Bytes(bytes).subspan(104, distance.value() - 104), crc));
      disk_.write(at, bytes);
      return;
    }
  }

  DiskImage& disk_;
  const Geometry geometry_;
  Random random_;
  DeviceUuid uuid_{};
};

// Every half of a chunk that begins with a block, and some odd ranges.
void read_some(Store& store, const MemoryRecord& record) {
  const RecordHeader& header = record.header;
  if (header.kind == RecordKind::single) return;
  uint32_t unread = 0;
  static_cast<void>(store.stored_end(record, 0, kLarge, &unread));
  static_cast<void>(store.missing_end(record, 0, kLarge));
  static_cast<void>(store.first_missing_chunk(record, 0, kLarge));
  const ByteOffset offsets[] = {0, 100, kPageSize, 4 * kPageSize, 8 * kPageSize, kChunkSize + 3 * kPageSize};
  for (const ByteOffset offset : offsets) {
    std::vector<uint8_t> out;
    static_cast<void>(read_body(store, header.hash, header.incarnation, header.object_length, offset,
                                kChunkSize / 2, &out));
  }
}

// What everybody does with a store; false where it does not open. *disk is what is there afterwards.
bool use(DiskImage* disk) {
  StoreOptions options;
  options.memory_limit = 64 * kMiB;
  options.index_memory_limit = 4 * kMiB;
  options.l1_budget = 0;
  options.poison_pages = true;
  options.compress = true;
  options.admit_everything = true;
  options.scrub_interval_ms = 10;
  options.scrub_rate = 10000 * kMiB;
  auto owned = std::make_unique<FaultDevice>(*disk);
  FaultDevice* device = owned.get();
  const Result<Ref<Store>> opened = Store::open(options, std::move(owned));
  if (!opened.ok()) return false;
  Store& store = *opened.value();
  REQUIRE(store.wait_until_warm(120000));
  for (uint64_t round = 0; round < kRounds; round++) {
    for (const char* kind : {"small", "text", "large", "part"}) {
      const Lookup lookup = find(store, name_of(kind, round));
      if (lookup.record) read_some(store, *lookup.record);
    }
  }
  CHECK(purge_key(store, name_of("small", 0)).ok());
  CHECK(purge(store, PurgeRequest{PurgeKind::tag, "", 3, false, false}).ok());
  CHECK(purge_unsafe(store, name_of("large", 2)).ok());
  put(store, name_of("small", 100), body_for("s", 100, 700));
  store.close();
  *disk = device->snapshot();
  return true;
}

}  // namespace

TEST_CASE("hostile image: numbers near their end overflow nothing") {
  for (const uint64_t value : {~uint64_t{0}, ~uint64_t{0} - 1, uint64_t{1} << 63}) {
    INFO("value ", value);
    // The superblock's sequence, incarnation, birth, group and lowest birth.
    for (const ByteOffset field : {88, 96, 104, 136, 152}) {
      INFO("superblock ", field);
      DiskImage disk = honest_disk();
      Forger(&disk, 0).superblock(Field{field}, value);
      CHECK(!use(&disk));
    }
    // A block's generation and sequence.
    for (const ByteOffset field : {8, 32}) {
      INFO("purge journal ", field);
      DiskImage disk = honest_disk();
      Forger(&disk, 0).journal(Field{field}, value);
      CHECK(use(&disk));
      CHECK(use(&disk));
    }
    // The sequence of a header, with and without its footer, and the highest birth of a footer.
    DiskImage disk = honest_disk();
    Forger forger(&disk, 0);
    forger.page(forger.header_at(0), Field{8}, value);
    forger.page(forger.header_at(1), Field{8}, value);
    forger.page(forger.trailer_at(1), Field{8}, value);
    forger.page(forger.trailer_at(2), Field{56}, value);
    CHECK(use(&disk));
    CHECK(use(&disk));
  }
}

TEST_CASE("hostile image: a footer that promises shorter records than there are costs at most misses") {
  for (const uint32_t grains : {1, 130, 260, 1000}) {
    INFO("shorter by ", grains);
    DiskImage disk = honest_disk();
    Forger forger(&disk, 0);
    for (SegmentId segment = 0; segment < 2 * kRounds; segment++) forger.footer(segment, grains);
    CHECK(use(&disk));
  }
}

TEST_CASE("hostile image: forged fields under right checksums stop nothing") {
  for (uint64_t seed = 1; seed <= 16; seed++) {
    INFO("seed ", seed);
    DiskImage disk = honest_disk();
    Forger forger(&disk, seed);
    for (uint64_t i = 0; i <= seed % 4; i++) forger.forge();
    if (use(&disk)) static_cast<void>(use(&disk));
    FaultDevice device(disk);
    InspectProgress progress;
    VerifyReport report;
    static_cast<void>(verify_device(device, &report, &progress));
    device.close();
  }
}

}  // namespace millrace::test
