// Segment header (first 4 KiB of a segment) and footer (last pages; the only persistent index). Pure.
//
//   segment: | header 4 KiB | records ... | free | footer: header page, entries ... |  end of segment
//
// The footer is page aligned and ends with the segment; its last 4 KiB page is its trailer, which tells
// where the entry array starts:
//
//   | entry[0] entry[1] ... zero padding to 4 KiB | trailer 4 KiB |
#pragma once

#include <vector>

#include "base/status.h"
#include "layout/superblock.h"

namespace millrace {

inline constexpr ByteCount kSegmentHeaderSize = 4096;
inline constexpr ByteCount kFooterTrailerSize = 4096;
inline constexpr ByteCount kFooterEntrySize = 24;

struct SegmentHeader {
  SegmentId segment = 0;
  Sequence segment_sequence = 0;  // global, monotonic, never 0 in a written header
  DeviceUuid uuid{};
  uint64_t opened_ms = 0;
};

// Exactly kSegmentHeaderSize bytes, rest zero.
void encode_segment_header(const SegmentHeader& header, MutableBytes out);
// not_found: no magic (never written, or zero). corrupt: magic but a wrong checksum, padding or uuid.
Result<SegmentHeader> decode_segment_header(Bytes bytes, const DeviceUuid& uuid);

// One record as the index needs it: 24 bytes on disk.
struct FooterEntry {
  uint64_t hash = 0;          // low half of the record's key hash
  Sequence birth = 0;
  uint32_t offset_grains = 0; // from the segment's start, in kRecordGrain
  uint32_t length_grains = 0; // header through end of body, in kRecordGrain; 28 bits
  uint8_t kind = 0;           // RecordKind; 4 bits, shares a word with length_grains
  friend bool operator==(const FooterEntry&, const FooterEntry&) = default;
};

struct SegmentFooter {
  SegmentHeader header{};
  Sequence minimum_birth = 0;
  Sequence maximum_birth = 0;
  std::vector<FooterEntry> entries;
};

// Bytes that a footer with this many entries takes: multiple of 4096, trailer included.
ByteCount footer_size(uint64_t entry_count);

// Writes footer_size(entries.size()) bytes; zero padding.
void encode_footer(const SegmentFooter& footer, MutableBytes out);

// What the trailer page says, before the entries are read.
struct FooterTrailer {
  SegmentHeader header{};
  uint64_t entry_count = 0;
  Sequence minimum_birth = 0;
  Sequence maximum_birth = 0;
  uint32_t entries_crc = 0;
};
// not_found: no magic. corrupt: checksum, padding, uuid, or an entry count that cannot fit segment_size.
Result<FooterTrailer> decode_footer_trailer(Bytes trailer_page, const DeviceUuid& uuid,
                                            ByteCount segment_size);
// `entry_bytes` = the footer_size(n) - kFooterTrailerSize bytes before the trailer. Every entry is checked:
// known kind, offset and length inside the segment (after the header, before the footer). corrupt otherwise.
Result<std::vector<FooterEntry>> decode_footer_entries(const FooterTrailer& trailer, Bytes entry_bytes,
                                                       ByteCount segment_size);

}  // namespace millrace
