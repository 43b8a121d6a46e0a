// Record headers. See record.h.
//
//   offset size field                 offset size field
//      0    4   magic "MRR1"             56    4   interval_end
//      4    1   kind                     60    4   key_length
//      5    1   flags                    64    8   object_length (~0 = unknown)
//      6    1   chunk_shift              72    8   created_ms
//      7    1   zero                     80    8   expires_ms
//      8    8   segment_sequence         88    4   meta_length
//     16    8   birth                    92    4   body_length
//     24   16   key hash, low half first 96    4   stored_length
//     40    8   incarnation             100    4   CRC32C of the header through its padding,
//     48    4   chunk_number                       with this field as zero
//     52    4   interval_begin          104   24   zero
#include "layout/record.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "layout/bounds.h"

namespace millrace {

namespace {

constexpr uint32_t kMagic = 0x3152524d;  // "MRR1"
constexpr size_t kSequenceOffset = 8;
constexpr size_t kChecksumOffset = 100;
constexpr size_t kFixedEnd = 104;
constexpr uint8_t kMinimumChunkShift = 18;
constexpr uint8_t kMaximumChunkShift = 22;

uint32_t header_crc(Bytes header) {
  constexpr uint8_t kZero[4] = {};
  uint32_t crc = crc32c(header.first(kChecksumOffset));
  crc = crc32c(Bytes(kZero), crc);
  return crc32c(header.subspan(kChecksumOffset + 4), crc);
}

// The rules between the fields, the same for what is written and what is read.
Status check_fields(const RecordHeader& header) {
  const auto kind = static_cast<uint8_t>(header.kind);
  if (kind < static_cast<uint8_t>(RecordKind::single) ||
      kind > static_cast<uint8_t>(RecordKind::chunk)) {
    return Status(Code::corrupt, "a record of unknown kind");
  }
  if ((header.flags & ~kRecordLz4) != 0) {
    return Status(Code::corrupt, "a record with unknown flags");
  }
  if (header.chunk_shift < kMinimumChunkShift || header.chunk_shift > kMaximumChunkShift) {
    return Status(Code::corrupt, "a record's chunk size is out of range");
  }
  if (header.key_length > kMaximumKeyLength || header.meta_length > kMaximumMetaLength ||
      header.body_length > kChunkSize ||
      (is_compressed(header) ? header.stored_length >= header.body_length
                             : header.stored_length != header.body_length)) {
    return Status(Code::corrupt, "a record's lengths are out of range");
  }
  const bool is_chunk = header.kind == RecordKind::chunk;
  if (is_chunk != (header.key_length == 0)) {
    return Status(Code::corrupt, "a record's key length does not fit its kind");
  }
  const bool has_meta = header.kind == RecordKind::single || header.kind == RecordKind::head;
  if (has_meta != (header.meta_length > 0)) {
    return Status(Code::corrupt, "a record's head length does not fit its kind");
  }
  const bool may_have_body = is_chunk || header.kind == RecordKind::single;
  if (!may_have_body && header.body_length > 0) {
    return Status(Code::corrupt, "a record's body length does not fit its kind");
  }
  if (header.interval_begin > header.interval_end ||
      header.interval_end - header.interval_begin != header.body_length ||
      header.interval_end > uint32_t{1} << header.chunk_shift ||
      (!is_chunk && (header.interval_begin != 0 || header.chunk_number != 0))) {
    return Status(Code::corrupt, "a record's interval is out of range");
  }
  return Status();
}

RecordHeader get_fields(Bytes bytes) {
  RecordHeader header;
  header.kind = static_cast<RecordKind>(bytes[4]);
  header.flags = bytes[5];
  header.chunk_shift = bytes[6];
  header.segment_sequence = load_le<uint64_t>(bytes, 8);
  header.birth = load_le<uint64_t>(bytes, 16);
  header.hash.low = load_le<uint64_t>(bytes, 24);
  header.hash.high = load_le<uint64_t>(bytes, 32);
  header.incarnation = load_le<uint64_t>(bytes, 40);
  header.chunk_number = load_le<uint32_t>(bytes, 48);
  header.interval_begin = load_le<uint32_t>(bytes, 52);
  header.interval_end = load_le<uint32_t>(bytes, 56);
  header.key_length = load_le<uint32_t>(bytes, 60);
  header.object_length = load_le<uint64_t>(bytes, 64);
  header.created_ms = load_le<uint64_t>(bytes, 72);
  header.expires_ms = load_le<uint64_t>(bytes, 80);
  header.meta_length = load_le<uint32_t>(bytes, 88);
  header.body_length = load_le<uint32_t>(bytes, 92);
  header.stored_length = load_le<uint32_t>(bytes, 96);
  return header;
}

Result<RecordHeader> peek_fields(Bytes bytes) {
  if (bytes.size() < kRecordFixedSize) {
    return Status(Code::corrupt, "a record shorter than its header");
  }
  if (load_le<uint32_t>(bytes, 0) != kMagic) return Status(Code::not_found, "no record");
  const RecordHeader header = get_fields(bytes);
  const Status status = check_fields(header);
  if (!status.ok()) return status;
  if (header.birth > kLargestCounter) {
    return Status(Code::corrupt, "a record's birth is out of range");
  }
  return header;
}

// A checksum keeps out accidents, not a forger: whoever reads blocks relies on this.
bool lengths_fit(const RecordView& view) {
  if (view.block_lengths.empty()) return true;
  ByteCount stored = 0;
  for (uint32_t block = 0; block < body_block_count(view.header); block++) {
    const uint32_t length = view.stored_block_length(block);
    if (length == 0 || length > raw_block_length(view.header, block)) return false;
    stored += length;
  }
  return stored == view.header.stored_length;
}

}  // namespace

uint32_t body_block_count(const RecordHeader& header) {
  return static_cast<uint32_t>((ByteCount{header.body_length} + kPageSize - 1) / kPageSize);
}

uint32_t raw_block_length(const RecordHeader& header, uint32_t block) {
  MR_ASSERT_OP(block, <, body_block_count(header));
  const ByteCount left = header.body_length - ByteCount{block} * kPageSize;
  return static_cast<uint32_t>(left < kPageSize ? left : kPageSize);
}

ByteCount record_header_bytes(const RecordHeader& header) {
  const ByteCount per_block = is_compressed(header) ? 8 : 4;
  return kRecordFixedSize + body_block_count(header) * per_block + header.key_length +
         header.meta_length;
}

ByteCount record_body_distance(const RecordHeader& header) {
  return round_up(record_header_bytes(header), kRecordGrain);
}

ByteCount record_length(const RecordHeader& header) {
  return record_body_distance(header) + round_up(header.stored_length, kRecordGrain);
}

ByteOffset place_record(ByteOffset write_offset, const RecordHeader& header) {
  const ByteOffset packed = round_up(write_offset, kRecordGrain);
  const ByteCount length = record_length(header);
  if (header.stored_length >= kAlignedBodyThreshold && !is_compressed(header)) {
    const ByteCount distance = record_body_distance(header);
    return round_up(packed + distance, kBlockAlignment) - distance;
  }
  if (length <= kBlockAlignment &&
      packed / kBlockAlignment != (packed + length - 1) / kBlockAlignment) {
    return round_up(packed, kBlockAlignment);
  }
  return packed;
}

void encode_record_header(const RecordHeader& header, std::span<const uint32_t> block_crcs,
                          Bytes key, Bytes meta, MutableBytes out,
                          std::span<const uint32_t> block_lengths) {
  MR_ASSERT(check_fields(header).ok());
  MR_ASSERT_OP(out.size(), ==, record_body_distance(header));
  MR_ASSERT_OP(block_crcs.size(), ==, body_block_count(header));
  MR_ASSERT_OP(block_lengths.size(), ==, is_compressed(header) ? block_crcs.size() : 0);
  MR_ASSERT_OP(key.size(), ==, header.key_length);
  MR_ASSERT_OP(meta.size(), ==, header.meta_length);
  std::memset(out.data(), 0, out.size());
  store_le<uint32_t>(out, 0, kMagic);
  out[4] = static_cast<uint8_t>(header.kind);
  out[5] = header.flags;
  out[6] = header.chunk_shift;
  store_le<uint64_t>(out, 8, header.segment_sequence);
  store_le<uint64_t>(out, 16, header.birth);
  store_le<uint64_t>(out, 24, header.hash.low);
  store_le<uint64_t>(out, 32, header.hash.high);
  store_le<uint64_t>(out, 40, header.incarnation);
  store_le<uint32_t>(out, 48, header.chunk_number);
  store_le<uint32_t>(out, 52, header.interval_begin);
  store_le<uint32_t>(out, 56, header.interval_end);
  store_le<uint32_t>(out, 60, header.key_length);
  store_le<uint64_t>(out, 64, header.object_length);
  store_le<uint64_t>(out, 72, header.created_ms);
  store_le<uint64_t>(out, 80, header.expires_ms);
  store_le<uint32_t>(out, 88, header.meta_length);
  store_le<uint32_t>(out, 92, header.body_length);
  store_le<uint32_t>(out, 96, header.stored_length);
  size_t at = kRecordFixedSize;
  for (const uint32_t crc : block_crcs) {
    store_le<uint32_t>(out, at, crc);
    at += 4;
  }
  ByteCount stored = 0;
  for (const uint32_t length : block_lengths) {
    store_le<uint32_t>(out, at, length);
    at += 4;
    stored += length;
  }
  MR_ASSERT_OP(stored, ==, is_compressed(header) ? header.stored_length : 0);
  if (!key.empty()) std::memcpy(out.data() + at, key.data(), key.size());
  at += key.size();
  if (!meta.empty()) std::memcpy(out.data() + at, meta.data(), meta.size());
  store_le<uint32_t>(out, kChecksumOffset, header_crc(out));
}

Result<ByteCount> peek_record_distance(Bytes fixed_part) {
  const Result<RecordHeader> header = peek_fields(fixed_part);
  if (!header.ok()) return header.status();
  return record_body_distance(header.value());
}

uint32_t RecordView::block_crc(uint32_t block) const {
  return load_le<uint32_t>(block_crcs, size_t{block} * 4);
}

uint32_t RecordView::stored_block_length(uint32_t block) const {
  return block_lengths.empty() ? raw_block_length(header, block)
                               : load_le<uint32_t>(block_lengths, size_t{block} * 4);
}

ByteCount RecordView::stored_block_begin(uint32_t block) const {
  if (block_lengths.empty()) return ByteCount{block} * kPageSize;
  ByteCount begin = 0;
  for (uint32_t before = 0; before < block; before++) begin += stored_block_length(before);
  return begin;
}

Result<RecordView> decode_record(Bytes bytes) {
  const Result<RecordHeader> fields = peek_fields(bytes);
  if (!fields.ok()) return fields.status();
  RecordView view;
  view.header = fields.value();
  const ByteCount distance = record_body_distance(view.header);
  if (bytes.size() < distance) return Status(Code::corrupt, "a record shorter than its header");
  const Bytes header = bytes.first(distance);
  size_t at = kRecordFixedSize;
  view.block_crcs = header.subspan(at, size_t{body_block_count(view.header)} * 4);
  at += view.block_crcs.size();
  if (is_compressed(view.header)) {
    view.block_lengths = header.subspan(at, view.block_crcs.size());
    at += view.block_lengths.size();
  }
  view.key = header.subspan(at, view.header.key_length);
  at += view.key.size();
  view.meta = header.subspan(at, view.header.meta_length);
  at += view.meta.size();
  if (bytes[7] != 0 || !all_zero(header.subspan(kFixedEnd, kRecordFixedSize - kFixedEnd)) ||
      !all_zero(header.subspan(at))) {
    return Status(Code::corrupt, "a record's padding is not zero");
  }
  if (load_le<uint32_t>(header, kChecksumOffset) != header_crc(header)) {
    return Status(Code::corrupt, "a record's header does not match its checksum");
  }
  if (!lengths_fit(view)) {
    return Status(Code::corrupt, "a record's block lengths do not add up");
  }
  return view;
}

bool body_matches(const RecordView& view, Bytes stored) {
  MR_ASSERT_OP(stored.size(), ==, view.header.stored_length);
  ByteCount begin = 0;
  for (uint32_t block = 0; block < body_block_count(view.header); block++) {
    const ByteCount length = view.stored_block_length(block);
    if (crc32c(stored.subspan(begin, length)) != view.block_crc(block)) return false;
    begin += length;
  }
  return begin == stored.size();
}

void restamp_record(MutableBytes header, Sequence segment_sequence) {
  MR_ASSERT(decode_record(header).ok());
  store_le<uint64_t>(header, kSequenceOffset, segment_sequence);
  store_le<uint32_t>(header, kChecksumOffset, header_crc(header));
}

}  // namespace millrace
