// The golden image of each format version that was ever shipped, opened by this one: everything that is
// listed is found byte for byte, nothing else is on it, and the encoders still write every structure of the
// newest version as it lies there. A failure means that the format changed.
#include <map>
#include <set>

#include "base/crc32c.h"
#include "base/siphash.h"
#include "engine/inspect.h"
#include "engine/recovery.h"
#include "engine/segment-scan.h"
#include "engine/store.h"
#include "layout/purge-journal.h"
#include "test/golden-image.h"
#include "test/support.h"

namespace millrace::test {

namespace {

const std::string kChanged =
    "The on-disk format changed: devices in the field would not be read any more, or be read wrongly. "
    "Undo it; or raise kFormatMajor or kFormatMinor in layout/superblock.h, say in docs/ON-DISK-FORMAT.md "
    "what is different, and write the new version's image as docs/TESTING.md tells.";

std::string golden_path(const char* suffix) {
  return std::string(MILLRACE_GOLDEN) + "/format-" + std::to_string(kFormatMajor) + "." +
         std::to_string(kFormatMinor) + suffix;
}

struct Golden {
  DiskImage disk = image_of(file_text(golden_path(".image.txt")));
  std::vector<GoldenObject> objects = objects_of(file_text(golden_path(".objects.txt")));
  FaultDevice device{disk};
  Superblock superblock = read_superblock(device).value();

  std::vector<uint8_t> bytes(ByteOffset offset, ByteCount length) const {
    std::vector<uint8_t> out(length);
    disk.read(offset, out);
    return out;
  }
};

// A record as it lies on the disk is what the encoders make of what the decoders read.
void check_record(const Golden& golden, const FooterEntry& entry, ByteOffset start) {
  const ByteOffset offset = ByteOffset{entry.offset_grains} * kRecordGrain;
  const std::vector<uint8_t> bytes =
      golden.bytes(start + offset, ByteCount{entry.length_grains} * kRecordGrain);
  const Result<RecordView> decoded = decode_record(bytes);
  REQUIRE(decoded.ok());
  const RecordView& view = decoded.value();
  const RecordHeader& header = view.header;
  CHECK(record_length(header) == bytes.size());
  CHECK(place_record(offset, header) == offset);
  CHECK(header.hash.low == entry.hash);
  CHECK(header.birth == entry.birth);
  std::vector<uint32_t> crcs;
  std::vector<uint32_t> lengths;
  for (uint32_t block = 0; block < body_block_count(header); block++) {
    crcs.push_back(view.block_crc(block));
    if (is_compressed(header)) lengths.push_back(view.stored_block_length(block));
  }
  std::vector<uint8_t> encoded(record_body_distance(header));
  encode_record_header(header, crcs, view.key, view.meta, encoded, lengths);
  CHECK(same_bytes(encoded, Bytes(bytes).first(encoded.size())));
  const Bytes body = Bytes(bytes).subspan(encoded.size());
  CHECK(body_matches(view, body.first(header.stored_length)));
  if (header.kind == RecordKind::chunk) return;
  CHECK(siphash_128(golden.superblock.hash_key, view.key) == header.hash);
  const Result<HeadView> head = decode_head(view.meta);
  REQUIRE(head.ok());
  std::vector<uint8_t> meta(encoded_head_size(head.value()));
  encode_head(head.value(), meta);
  CHECK(same_bytes(meta, view.meta));
}

}  // namespace

TEST_CASE("golden: an image of this format version is there") {
  INFO("The format version was raised: write its image as docs/TESTING.md tells, and keep the older ones.");
  CHECK(!file_text(golden_path(".image.txt")).empty());
}

TEST_CASE("golden: everything listed is found byte for byte, what was purged is not") {
  INFO(kChanged);
  const Golden golden;
  TestStore store(golden.disk);
  std::map<GoldenFinding, uint32_t> counts;
  for (const GoldenObject& object : golden.objects) {
    INFO("key ", object.key);
    counts[object.finding]++;
    const Lookup lookup = find(*store.store, object.key);
    if (object.finding == GoldenFinding::gone) {
      CHECK(lookup.found == Found::miss);
      continue;
    }
    REQUIRE(lookup.found == Found::hit);
    const PurgeVerdict wanted =
        object.finding == GoldenFinding::stale ? PurgeVerdict::soft : PurgeVerdict::keep;
    CHECK(store->verdict(*lookup.record) == wanted);
    CHECK(crc32c(lookup.record->head_bytes()) == object.head_crc);
    std::vector<uint8_t> body;
    REQUIRE(body_of(*store.store, lookup.record, &body));
    CHECK(body.size() == object.body_length);
    CHECK(crc32c(body) == object.body_crc);
  }
  CHECK(counts[GoldenFinding::found] >= 10);
  CHECK(counts[GoldenFinding::stale] == 4);
  CHECK(counts[GoldenFinding::gone] == 6);
  CHECK(store->total(&Counters::corrupt_records) == 0);
  CHECK(store->total(&Counters::purge_journal_damaged) == 0);
  store->close();
}

TEST_CASE("golden: every record on the image is sound, placed and encoded as today") {
  INFO(kChanged);
  Golden golden;
  const Geometry& geometry = golden.superblock.geometry;
  std::set<std::string> listed;
  for (const GoldenObject& object : golden.objects) listed.insert(object.key);
  std::set<std::string> stored;
  std::map<RecordKind, uint32_t> kinds;
  uint32_t compressed = 0;
  uint32_t sealed = 0;
  uint32_t segments = 0;
  for (SegmentId segment = 0; segment < geometry.segment_count; segment++) {
    const Result<FoundFooter> found =
        find_footer(golden.device, geometry, golden.superblock.uuid, segment);
    if (!found.ok()) continue;
    segments++;
    const ByteOffset start = geometry.segment_offset(segment);
    std::vector<uint8_t> header(kSegmentHeaderSize);
    encode_segment_header(found.value().header, header);
    CHECK(header == golden.bytes(start, kSegmentHeaderSize));
    if (found.value().is_sealed) {
      sealed++;
      const Result<SegmentFooter> footer =
          read_footer(golden.device, geometry, golden.superblock.uuid, segment);
      REQUIRE(footer.ok());
      std::vector<uint8_t> encoded(footer_size(footer.value().entries.size()));
      encode_footer(footer.value(), encoded);
      CHECK(encoded == golden.bytes(start + geometry.segment_size - encoded.size(), encoded.size()));
    }
    for (const FooterEntry& entry : found.value().entries) {
      check_record(golden, entry, start);
      const auto bytes = golden.bytes(start + ByteOffset{entry.offset_grains} * kRecordGrain,
                                      ByteCount{entry.length_grains} * kRecordGrain);
      const RecordView view = decode_record(bytes).value();
      kinds[view.header.kind]++;
      compressed += is_compressed(view.header);
      if (view.header.kind != RecordKind::chunk) stored.insert(text_of(view.key));
    }
  }
  CHECK(segments == 2);
  CHECK(sealed == 1);
  CHECK(stored == listed);
  CHECK(kinds[RecordKind::single] >= 15);
  CHECK(kinds[RecordKind::head] == 5);  // two of them Vary markers
  CHECK(kinds[RecordKind::chunk] == 7);
  CHECK(compressed >= 3);
}

TEST_CASE("golden: superblocks, identification and purge journal are encoded as today") {
  INFO(kChanged);
  const Golden golden;
  const Superblock& superblock = golden.superblock;
  CHECK(superblock.format_major == kFormatMajor);
  CHECK(superblock.format_minor == kFormatMinor);
  CHECK(superblock.geometry == geometry_of(golden.disk.size()).value());
  CHECK(superblock.group_generation == 2);
  CHECK(superblock.group_id != 0);
  CHECK(!superblock.clean);
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    std::vector<uint8_t> encoded(kSuperblockSize);
    encode_superblock(superblock, copy, encoded);
    CHECK(encoded == golden.bytes(superblock.geometry.superblock_offset(copy), kSuperblockSize));
  }
  std::vector<uint8_t> identification(512);
  encode_identification(superblock.uuid, identification);
  CHECK(identification == golden.bytes(0, 512));
  std::set<std::pair<PurgeKind, bool>> kinds;
  uint32_t unsafe_methods = 0;
  for (uint64_t generation = 1; generation <= 2; generation++) {
    for (uint32_t number = 0; number < kPurgeBlocksPerHalf; number++) {
      const std::vector<uint8_t> bytes =
          golden.bytes(purge_block_offset(generation, number), kPurgeBlockSize);
      const Result<PurgeBlock> block = decode_purge_block(bytes, superblock.uuid);
      if (!block.ok()) {
        CHECK(block.status().code() == Code::not_found);
        break;
      }
      std::vector<uint8_t> encoded(kPurgeBlockSize);
      encode_purge_block(block.value(), block.value().entries, superblock.uuid, encoded);
      CHECK(encoded == bytes);
      for (const PurgeEntry& entry : block.value().entries) {
        kinds.insert({entry.kind, entry.soft});
        unsafe_methods += entry.unsafe_method;
      }
    }
  }
  CHECK(kinds.size() == 8);
  CHECK(unsafe_methods == 1);
}

}  // namespace millrace::test
