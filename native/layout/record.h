// Records: what a segment is filled with. A fixed header, a CRC32C per 64 KiB block of the body, key and
// meta (the stored HTTP head), then the body. Pure encode, decode and placement; fuzzed as hostile input.
//
//   | fixed 128 B | block CRCs | block lengths | key | meta | zeros to 512 B | body ... | zeros to 512 B |
//
// The body is the origin's bytes, or (flag kRecordLz4) its 64 KiB blocks one after the other, each LZ4 in
// the form of base/lz4-block.h or, where that would not be shorter, as it is. CRCs are 4 bytes a block and
// of the stored bytes: a reader checks before it decompresses, and can do both for a single block. Lengths
// are 4 bytes a block and there only with the flag.
//
// A raw body of 16 KiB or more starts on a 4096 boundary and its header ends exactly there; a record of at
// most 4096 bytes never straddles a 4 KiB page; everything else, and every compressed body, is packed at
// 512 B: nobody serves those in place.
#pragma once

#include "base/status.h"
#include "base/units.h"

namespace millrace {

enum class RecordKind : uint8_t {
  single = 1,  // head and whole body of an object of at most one chunk
  head = 2,    // head of an object whose body lies in chunk records
  chunk = 3,   // one body part; no key, no meta
};

inline constexpr ByteCount kRecordFixedSize = 128;
inline constexpr ByteCount kAlignedBodyThreshold = kPageSize / 4;
static_assert(kAlignedBodyThreshold + kBlockAlignment <= kPageSize,
              "a packed body, with the block it begins in, is read into one page");
inline constexpr ByteCount kMaximumKeyLength = 16 * kKiB;
inline constexpr ByteCount kMaximumMetaLength = 128 * kKiB;
inline constexpr uint64_t kUnknownLength = ~uint64_t{0};

enum RecordFlag : uint8_t {
  kRecordLz4 = 1 << 0,  // the body's blocks are compressed
};

struct RecordHeader {
  RecordKind kind = RecordKind::single;
  uint8_t flags = 0;             // RecordFlag; never set in a MemoryRecord, whose body is raw
  uint8_t chunk_shift = 20;      // log2 of the chunk size
  Sequence segment_sequence = 0; // rejects leftovers of the previous lap
  Sequence birth = 0;            // the global sequence when the origin request was sent
  KeyHash hash{};                // of the record: object hash for single and head
  uint64_t incarnation = 0;      // version of the object; a chunk never answers for another one
  uint32_t chunk_number = 0;
  uint32_t interval_begin = 0;   // first byte of the chunk that the body holds; 0 but for a piece
  uint32_t interval_end = 0;     // one past the last; body_length == interval_end - interval_begin
  uint64_t object_length = kUnknownLength;
  uint64_t created_ms = 0;
  uint64_t expires_ms = 0;       // hint for reclaim
  uint32_t key_length = 0;
  uint32_t meta_length = 0;
  uint32_t body_length = 0;      // raw bytes of the body, at most kChunkSize
  // Bytes of the body on the device: with kRecordLz4 less than body_length, else equal. Whoever moves a
  // record on the device as it is (reclaim) copies record_length(header) bytes and changes nothing but
  // segment_sequence and the header's checksum; blocks, their checksums and lengths know no place.
  uint32_t stored_length = 0;
};

// The same record with its body as it is in memory.
inline RecordHeader raw_form(RecordHeader header) {
  header.flags = 0;
  header.stored_length = header.body_length;
  return header;
}
inline bool is_compressed(const RecordHeader& header) { return (header.flags & kRecordLz4) != 0; }
// Number of 64 KiB blocks of the body.
uint32_t body_block_count(const RecordHeader& header);
// Raw bytes of one of them.
uint32_t raw_block_length(const RecordHeader& header, uint32_t block);
// Fixed part + block CRCs and lengths + key + meta, not padded.
ByteCount record_header_bytes(const RecordHeader& header);
// The same padded to kRecordGrain: the distance from the record's start to its body.
ByteCount record_body_distance(const RecordHeader& header);
// Start to end of body, padded to kRecordGrain.
ByteCount record_length(const RecordHeader& header);

// Where a record goes when the write head stands at `write_offset` (relative to the segment's start,
// which is 4096-aligned): the smallest start >= write_offset that obeys the rules above.
ByteOffset place_record(ByteOffset write_offset, const RecordHeader& header);

// Fills `out` (record_body_distance(header) bytes): fixed part, CRCs, lengths (of a compressed body only),
// key, meta, zero padding, header CRC.
void encode_record_header(const RecordHeader& header, std::span<const uint32_t> block_crcs,
                          Bytes key, Bytes meta, MutableBytes out,
                          std::span<const uint32_t> block_lengths = {});

// Puts another segment_sequence into an encoded header (record_body_distance bytes) and signs it again: for
// a record that is copied as it is.
void restamp_record(MutableBytes header, Sequence segment_sequence);

// How many bytes (record_body_distance) must be read before decode_record can work; checks magic, kind
// and the length fields only. not_found: no magic. corrupt: impossible fields.
Result<ByteCount> peek_record_distance(Bytes fixed_part);

struct RecordView {
  RecordHeader header{};
  Bytes block_crcs;     // 4 bytes each, little endian
  Bytes block_lengths;  // the same; empty unless the body is compressed
  Bytes key;
  Bytes meta;
  uint32_t block_crc(uint32_t block) const;
  // Stored bytes of one block, and of all before it.
  uint32_t stored_block_length(uint32_t block) const;
  ByteCount stored_block_begin(uint32_t block) const;
};

// `bytes` begins at the record's start and holds at least record_body_distance bytes. Checks everything,
// the CRC last. The view points into `bytes`.
Result<RecordView> decode_record(Bytes bytes);

// Whether every block of a stored body (stored_length bytes) matches its checksum.
bool body_matches(const RecordView& view, Bytes stored);

}  // namespace millrace
