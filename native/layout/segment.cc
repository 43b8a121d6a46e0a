// Segment header and footer. See segment.h.
//
//   header page              trailer page
//   0   4 magic "MRS1"       0   4 magic "MRF1"
//   4   4 segment            4   4 segment
//   8   8 segment_sequence   8   8 segment_sequence
//   16 16 uuid               16 16 uuid
//   32  8 opened_ms          32  8 opened_ms
//                            40  8 entry_count
//                            48  8 minimum_birth
//                            56  8 maximum_birth
//                            64  4 CRC32C of the entry array, its padding included
//   .. zero                  .. zero
//   4092 4 CRC32C of the page before it, in both
//
//   entry, 24 bytes: hash 8 | birth 8 | offset_grains 4 | length_grains 28 bits, kind 4 bits
#include "layout/segment.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/endian.h"
#include "layout/bounds.h"
#include "layout/record.h"

namespace millrace {

namespace {

constexpr uint32_t kHeaderMagic = 0x3153524d;   // "MRS1"
constexpr uint32_t kTrailerMagic = 0x3146524d;  // "MRF1"
constexpr size_t kHeaderEnd = 40;
constexpr size_t kTrailerEnd = 68;
constexpr size_t kChecksumOffset = 4092;
constexpr uint32_t kLengthMask = (uint32_t{1} << 28) - 1;

static_assert(kChecksumOffset + 4 == kSegmentHeaderSize);
static_assert(kSegmentHeaderSize == kFooterTrailerSize);

void put_header(const SegmentHeader& header, uint32_t magic, MutableBytes out) {
  MR_ASSERT_OP(out.size(), ==, kSegmentHeaderSize);
  MR_ASSERT(header.segment_sequence > 0);
  std::memset(out.data(), 0, out.size());
  store_le<uint32_t>(out, 0, magic);
  store_le<uint32_t>(out, 4, header.segment);
  store_le<uint64_t>(out, 8, header.segment_sequence);
  std::copy(header.uuid.begin(), header.uuid.end(), out.begin() + 16);
  store_le<uint64_t>(out, 32, header.opened_ms);
}

void seal_page(MutableBytes out) {
  store_le<uint32_t>(out, kChecksumOffset, crc32c(out.first(kChecksumOffset)));
}

Result<SegmentHeader> get_header(Bytes bytes, uint32_t magic, const DeviceUuid& uuid,
                                 size_t fields_end) {
  MR_ASSERT_OP(bytes.size(), ==, kSegmentHeaderSize);
  if (load_le<uint32_t>(bytes, 0) != magic) return Status(Code::not_found, "no segment page");
  if (load_le<uint32_t>(bytes, kChecksumOffset) != crc32c(bytes.first(kChecksumOffset))) {
    return Status(Code::corrupt, "a segment page does not match its checksum");
  }
  SegmentHeader header;
  header.segment = load_le<uint32_t>(bytes, 4);
  header.segment_sequence = load_le<uint64_t>(bytes, 8);
  std::copy_n(bytes.begin() + 16, header.uuid.size(), header.uuid.begin());
  header.opened_ms = load_le<uint64_t>(bytes, 32);
  if (header.uuid != uuid) return Status(Code::corrupt, "a segment page of another store");
  if (header.segment_sequence == 0 || header.segment_sequence > kLargestCounter) {
    return Status(Code::corrupt, "a segment page's sequence is out of range");
  }
  if (!all_zero(bytes.subspan(fields_end, kChecksumOffset - fields_end))) {
    return Status(Code::corrupt, "a segment page's padding is not zero");
  }
  return header;
}

}  // namespace

void encode_segment_header(const SegmentHeader& header, MutableBytes out) {
  put_header(header, kHeaderMagic, out);
  seal_page(out);
}

Result<SegmentHeader> decode_segment_header(Bytes bytes, const DeviceUuid& uuid) {
  return get_header(bytes, kHeaderMagic, uuid, kHeaderEnd);
}

ByteCount footer_size(uint64_t entry_count) {
  return round_up(entry_count * kFooterEntrySize, kBlockAlignment) + kFooterTrailerSize;
}

void encode_footer(const SegmentFooter& footer, MutableBytes out) {
  MR_ASSERT_OP(out.size(), ==, footer_size(footer.entries.size()));
  const MutableBytes array = out.first(out.size() - kFooterTrailerSize);
  const MutableBytes trailer = out.last(kFooterTrailerSize);
  if (!array.empty()) std::memset(array.data(), 0, array.size());
  size_t at = 0;
  for (const FooterEntry& entry : footer.entries) {
    MR_ASSERT_OP(entry.length_grains, <=, kLengthMask);
    MR_ASSERT_OP(entry.kind, <=, 15u);
    store_le<uint64_t>(array, at, entry.hash);
    store_le<uint64_t>(array, at + 8, entry.birth);
    store_le<uint32_t>(array, at + 16, entry.offset_grains);
    store_le<uint32_t>(array, at + 20, entry.length_grains | uint32_t{entry.kind} << 28);
    at += kFooterEntrySize;
  }
  put_header(footer.header, kTrailerMagic, trailer);
  store_le<uint64_t>(trailer, 40, footer.entries.size());
  store_le<uint64_t>(trailer, 48, footer.minimum_birth);
  store_le<uint64_t>(trailer, 56, footer.maximum_birth);
  store_le<uint32_t>(trailer, 64, crc32c(array));
  seal_page(trailer);
}

Result<FooterTrailer> decode_footer_trailer(Bytes trailer_page, const DeviceUuid& uuid,
                                            ByteCount segment_size) {
  const Result<SegmentHeader> header = get_header(trailer_page, kTrailerMagic, uuid, kTrailerEnd);
  if (!header.ok()) return header.status();
  FooterTrailer trailer;
  trailer.header = header.value();
  trailer.entry_count = load_le<uint64_t>(trailer_page, 40);
  trailer.minimum_birth = load_le<uint64_t>(trailer_page, 48);
  trailer.maximum_birth = load_le<uint64_t>(trailer_page, 56);
  trailer.entries_crc = load_le<uint32_t>(trailer_page, 64);
  // The smallest record takes one grain beside its entry.
  const uint64_t limit = segment_size / (kRecordGrain + kFooterEntrySize);
  if (trailer.entry_count > limit || trailer.minimum_birth > trailer.maximum_birth ||
      trailer.maximum_birth > kLargestCounter) {
    return Status(Code::corrupt, "a footer's counts are out of range");
  }
  return trailer;
}

Result<std::vector<FooterEntry>> decode_footer_entries(const FooterTrailer& trailer, Bytes entry_bytes,
                                                       ByteCount segment_size) {
  const ByteCount size = footer_size(trailer.entry_count);
  MR_ASSERT_OP(entry_bytes.size(), ==, size - kFooterTrailerSize);
  if (crc32c(entry_bytes) != trailer.entries_crc) {
    return Status(Code::corrupt, "a footer's entries do not match their checksum");
  }
  const uint64_t first_grain = kSegmentHeaderSize / kRecordGrain;
  const uint64_t last_grain = (segment_size - size) / kRecordGrain;
  std::vector<FooterEntry> entries(trailer.entry_count);
  size_t at = 0;
  for (FooterEntry& entry : entries) {
    entry.hash = load_le<uint64_t>(entry_bytes, at);
    entry.birth = load_le<uint64_t>(entry_bytes, at + 8);
    entry.offset_grains = load_le<uint32_t>(entry_bytes, at + 16);
    const uint32_t packed = load_le<uint32_t>(entry_bytes, at + 20);
    entry.length_grains = packed & kLengthMask;
    entry.kind = static_cast<uint8_t>(packed >> 28);
    at += kFooterEntrySize;
    const uint64_t end = uint64_t{entry.offset_grains} + entry.length_grains;
    if (entry.kind < static_cast<uint8_t>(RecordKind::single) ||
        entry.kind > static_cast<uint8_t>(RecordKind::chunk) ||
        entry.offset_grains < first_grain || entry.length_grains == 0 || end > last_grain) {
      return Status(Code::corrupt, "a footer's entry is out of range");
    }
  }
  if (!all_zero(entry_bytes.subspan(at))) {
    return Status(Code::corrupt, "a footer's padding is not zero");
  }
  return entries;
}

}  // namespace millrace
