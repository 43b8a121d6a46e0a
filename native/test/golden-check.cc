// Comparison of a golden image with its list and with today's encoders. See golden-check.h.
#include "test/golden-check.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/siphash.h"
#include "engine/recovery.h"
#include "engine/segment-scan.h"
#include "layout/head.h"
#include "layout/key.h"
#include "test/parts.h"

namespace millrace::test {

const std::string kFormatChanged =
    "The on-disk format changed: devices in the field would not be read any more, or be read wrongly. "
    "Undo it; or raise kFormatMajor or kFormatMinor in layout/superblock.h, say in docs/ON-DISK-FORMAT.md "
    "what is different, and write the new version's images as docs/TESTING.md tells.";

Golden::Golden(const std::string& name)
    : disk(image_of(file_text(golden_path(name + ".image.txt")))),
      objects(objects_of(file_text(golden_path(name + ".objects.txt")))),
      device(disk),
      superblock(read_superblock(device).value()) {}

std::vector<uint8_t> Golden::bytes(ByteOffset offset, ByteCount length) const {
  std::vector<uint8_t> out(length);
  disk.read(offset, out);
  return out;
}

namespace {

// A request's fields out of the key that they make: "\nname:value\nname".
std::vector<Field> fields_of(std::string_view suffix) {
  std::vector<Field> fields;
  while (!suffix.empty()) {
    suffix.remove_prefix(1);
    const std::string_view line = suffix.substr(0, suffix.find('\n'));
    suffix.remove_prefix(line.size());
    const size_t colon = line.find(':');
    if (colon != line.npos) fields.push_back(Field{line.substr(0, colon), line.substr(colon + 1)});
  }
  return fields;
}

// The strings of one line `variant: ["...","..."]` of a marker.
std::vector<std::string> strings_of(std::string_view json) {
  std::vector<std::string> strings;
  bool is_open = false;
  for (size_t at = 0; at < json.size(); at++) {
    if (json[at] == '"') {
      is_open = !is_open;
      if (is_open) strings.emplace_back();
    } else if (is_open) {
      if (json[at] == '\\') at++;
      strings.back().push_back(json[at] == 'n' && json[at - 1] == '\\' ? '\n' : json[at]);
    }
  }
  return strings;
}

// "name\0" of each line of a choice.
std::string names_of(std::string_view choice) {
  std::string names;
  for (size_t at = 0; at < choice.size();) {
    const std::string_view line = choice.substr(at + 1, choice.find('\n', at + 1) - at - 1);
    names.append(line.substr(0, line.find(':'))).push_back('\0');
    at += 1 + line.size();
  }
  return names;
}

// What follows the primary key in the key of the variant that a request with these fields gets, as
// ts/store/variants.ts reads the marker.
std::string place_for(const HeadView& marker, const std::string& primary,
                      const std::vector<Field>& fields) {
  const std::string lines = text_of(marker.fields);
  const std::string name = "variant: ";
  for (size_t at = 0; at < lines.size();) {
    const size_t end = lines.find("\r\n", at);
    REQUIRE(lines.compare(at, name.size(), name) == 0);
    const std::vector<std::string> parts =
        strings_of(std::string_view(lines).substr(at + name.size(), end - at - name.size()));
    REQUIRE(parts.size() >= 2);
    const std::string vary = names_of(parts[0]);
    if (at == 0) CHECK(text_of(marker.vary) == vary);
    const Result<std::string> key = variant_key(primary, bytes_of(vary), fields);
    REQUIRE(key.ok());
    if (key.value() == primary + parts[0]) return parts[parts.size() == 3 ? 2 : 0];
    at = end + 2;
  }
  return "-";
}

// The second look-up: by the key that the marker names, among what the marker vouches for.
void check_lead(const Golden& golden, TestStore& store, const GoldenObject& object) {
  const std::string primary(primary_of(object.key));
  const Lookup marker = find(*store.store, primary);
  REQUIRE(marker.found == Found::hit);
  const HeadView view = decode_head(marker.record->head_bytes()).value();
  REQUIRE((view.flags & kHeadVaryMarker) != 0);
  const std::vector<Field> fields = fields_of(std::string_view(object.key).substr(primary.size()));
  CHECK(place_for(view, primary, fields) == object.detail);
  if (object.detail == "-") return;
  const std::string key = primary + object.detail;
  const auto target = std::find_if(
      golden.objects.begin(), golden.objects.end(), [&](const GoldenObject& other) {
        return other.key == key && other.finding != GoldenFinding::leads;
      });
  REQUIRE(target != golden.objects.end());
  const bool is_there = target->finding != GoldenFinding::gone;
  const Lookup found = find(*store.store, key, marker.record->header.incarnation);
  CHECK(found.found == (is_there ? Found::hit : Found::miss));
  if (is_there) CHECK(crc32c(found.record->head_bytes()) == target->head_crc);
}

bool is_stored(Store& store, const RecordHeader& header, ByteOffset offset) {
  std::vector<uint8_t> ignored;
  return read_body(store, header.hash, header.incarnation, header.object_length, offset, 1, &ignored);
}

// Which bytes are there and which are missing, and the bytes themselves.
void check_parts(TestStore& store, const Ref<MemoryRecord>& record, const GoldenObject& object) {
  CHECK(is_incomplete(*record));
  const RecordHeader& header = record->header;
  CHECK(header.object_length == object.body_length);
  const auto runs = stored_runs(*store.store, record);
  CHECK(runs_text(runs) == object.detail);
  std::vector<uint8_t> stored;
  for (const auto& [begin, end] : runs) {
    CHECK(read_body(*store.store, header.hash, header.incarnation, header.object_length, begin,
                    end - begin, &stored));
    if (begin > 0) CHECK_FALSE(is_stored(*store.store, header, begin - 1));
    if (end < header.object_length) CHECK_FALSE(is_stored(*store.store, header, end));
  }
  CHECK(crc32c(stored) == object.body_crc);
}

void check_object(TestStore& store, const GoldenObject& object) {
  const Lookup lookup = find(*store.store, object.key);
  if (object.finding == GoldenFinding::gone) {
    CHECK(lookup.found == Found::miss);
    return;
  }
  REQUIRE(lookup.found == Found::hit);
  const PurgeVerdict wanted =
      object.finding == GoldenFinding::stale ? PurgeVerdict::soft : PurgeVerdict::keep;
  CHECK(store->verdict(*lookup.record) == wanted);
  CHECK(crc32c(lookup.record->head_bytes()) == object.head_crc);
  if (object.finding == GoldenFinding::parts) return check_parts(store, lookup.record, object);
  CHECK_FALSE(is_incomplete(*lookup.record));
  std::vector<uint8_t> body;
  REQUIRE(body_of(*store.store, lookup.record, &body));
  CHECK(body.size() == object.body_length);
  CHECK(crc32c(body) == object.body_crc);
}

// A record as it lies on the disk is what the encoders make of what the decoders read. `objects`: the
// hashes of heads by their incarnation.
void check_record(const Golden& golden, const FooterEntry& entry, ByteOffset start,
                  const std::map<uint64_t, KeyHash>& objects) {
  const ByteOffset offset = ByteOffset{entry.offset_grains} * kRecordGrain;
  const std::vector<uint8_t> bytes =
      golden.bytes(start + offset, ByteCount{entry.length_grains} * kRecordGrain);
  const RecordView view = decode_record(bytes).value();
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
  const HashKey& hash_key = golden.superblock.hash_key;
  if (header.kind == RecordKind::chunk) {
    REQUIRE(objects.count(header.incarnation) == 1);
    const uint32_t name = header.chunk_number | (is_piece(header) ? kPieceName : 0);
    CHECK(chunk_hash(hash_key, objects.at(header.incarnation), header.incarnation, name) == header.hash);
    return;
  }
  CHECK(siphash_128(hash_key, view.key) == header.hash);
  const Result<HeadView> head = decode_head(view.meta);
  REQUIRE(head.ok());
  std::vector<uint8_t> meta(encoded_head_size(head.value()));
  encode_head(head.value(), meta);
  CHECK(same_bytes(meta, view.meta));
}

void check_segment(const Golden& golden, Device& device, SegmentId segment, const FoundFooter& found) {
  const Geometry& geometry = golden.superblock.geometry;
  const ByteOffset start = geometry.segment_offset(segment);
  std::vector<uint8_t> header(kSegmentHeaderSize);
  encode_segment_header(found.header, header);
  CHECK(header == golden.bytes(start, kSegmentHeaderSize));
  if (!found.is_sealed) return;
  const Result<SegmentFooter> footer = read_footer(device, geometry, golden.superblock.uuid, segment);
  REQUIRE(footer.ok());
  std::vector<uint8_t> encoded(footer_size(footer.value().entries.size()));
  encode_footer(footer.value(), encoded);
  CHECK(encoded == golden.bytes(start + geometry.segment_size - encoded.size(), encoded.size()));
}

void count_record(const RecordView& view, GoldenRecords* records) {
  const RecordHeader& header = view.header;
  records->kinds[header.kind]++;
  records->compressed += is_compressed(header);
  if (header.kind == RecordKind::chunk) {
    records->pieces += is_piece(header);
    return;
  }
  records->keys.insert(text_of(view.key));
  records->incomplete += (head_flags(view.meta) & kHeadIncomplete) != 0;
  records->markers += (head_flags(view.meta) & kHeadVaryMarker) != 0;
}

}  // namespace

std::string runs_text(const std::vector<std::pair<ByteOffset, ByteOffset>>& runs) {
  std::string text;
  for (const auto& [begin, end] : runs) {
    text += (text.empty() ? "" : ",") + std::to_string(begin) + "-" + std::to_string(end);
  }
  return text;
}

bool is_piece(const RecordHeader& header) {
  const ByteOffset begin = ByteOffset{header.chunk_number} * kChunkSize;
  return header.kind == RecordKind::chunk &&
         (header.interval_begin > 0 ||
          header.interval_end < std::min(kChunkSize, header.object_length - begin));
}

std::map<GoldenFinding, uint32_t> check_objects(const Golden& golden, TestStore& store) {
  std::map<GoldenFinding, uint32_t> counts;
  for (const GoldenObject& object : golden.objects) {
    INFO("key ", object.key);
    counts[object.finding]++;
    if (object.finding == GoldenFinding::leads) {
      check_lead(golden, store, object);
    } else {
      check_object(store, object);
    }
  }
  CHECK(store->total(&Counters::corrupt_records) == 0);
  CHECK(store->total(&Counters::purge_journal_damaged) == 0);
  return counts;
}

GoldenRecords check_records(Golden* golden) {
  const Geometry& geometry = golden->superblock.geometry;
  GoldenRecords records;
  std::map<uint64_t, KeyHash> objects;
  std::vector<std::pair<ByteOffset, FooterEntry>> entries;
  for (SegmentId segment = 0; segment < geometry.segment_count; segment++) {
    const Result<FoundFooter> found =
        find_footer(golden->device, geometry, golden->superblock.uuid, segment);
    if (!found.ok()) continue;
    records.segments++;
    records.sealed += found.value().is_sealed;
    check_segment(*golden, golden->device, segment, found.value());
    const ByteOffset start = geometry.segment_offset(segment);
    for (const FooterEntry& entry : found.value().entries) {
      const auto bytes = golden->bytes(start + ByteOffset{entry.offset_grains} * kRecordGrain,
                                       ByteCount{entry.length_grains} * kRecordGrain);
      const Result<RecordView> view = decode_record(bytes);
      REQUIRE(view.ok());
      const RecordHeader& header = view.value().header;
      count_record(view.value(), &records);
      // The incarnation of a marker is a birth.
      const bool has_chunks = header.kind == RecordKind::head &&
                              (head_flags(view.value().meta) & kHeadVaryMarker) == 0;
      if (has_chunks) objects[header.incarnation] = header.hash;
      entries.emplace_back(start, entry);
    }
  }
  for (const auto& [start, entry] : entries) check_record(*golden, entry, start, objects);
  std::set<std::string> listed;
  for (const GoldenObject& object : golden->objects) {
    if (object.finding != GoldenFinding::leads) listed.insert(object.key);
  }
  CHECK(records.keys == listed);
  return records;
}

void check_superblocks(const Golden& golden, uint64_t lives) {
  const Superblock& superblock = golden.superblock;
  CHECK(superblock.format_major == kFormatMajor);
  CHECK(superblock.format_minor == kFormatMinor);
  CHECK(superblock.geometry == geometry_of(golden.disk.size()).value());
  CHECK(superblock.group_generation == lives);
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
}

std::vector<PurgeEntry> check_purge_journal(const Golden& golden) {
  const auto& uuid = golden.superblock.uuid;
  std::vector<PurgeEntry> entries;
  for (uint64_t generation = 1; generation <= 2; generation++) {
    for (uint32_t number = 0; number < kPurgeBlocksPerHalf; number++) {
      const std::vector<uint8_t> bytes =
          golden.bytes(purge_block_offset(generation, number), kPurgeBlockSize);
      const Result<PurgeBlock> block = decode_purge_block(bytes, uuid);
      if (!block.ok()) {
        CHECK(block.status().code() == Code::not_found);
        break;
      }
      std::vector<uint8_t> encoded(kPurgeBlockSize);
      encode_purge_block(block.value(), block.value().entries, uuid, encoded);
      CHECK(encoded == bytes);
      entries.insert(entries.end(), block.value().entries.begin(), block.value().entries.end());
    }
  }
  return entries;
}

}  // namespace millrace::test
