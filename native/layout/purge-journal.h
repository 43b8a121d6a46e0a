// Blocks of the purge journal: what was purged, written before a purge is acknowledged. Two halves of
// 32 MiB take turns: generation g lies in half g % 2, block n at n x 4 KiB of it. A block is written once
// and never again within its generation, so a torn write can only cost a purge that nobody was told of.
// Pure encode and decode; input is hostile until it decoded.
//
//   offset size field of a block
//      0    4   magic "MRP1"
//      4    4   block number within its half
//      8    8   generation        grows by one with each change of halves, never 0
//     16   16   uuid              that of the superblock
//     32    8   sequence          birth sequence at the time of writing: no bound in or before it is higher
//     40    4   snapshot_blocks   so many blocks at the start repeat what was alive at the change of halves
//     44    4   entry_bytes       used of the entry area
//     48    8   previous          generation that this one replaced, 0: none
//     56    4   commit_first      number of the first block that was written together with this one
//     60    4   zero
//     64    .   entries, zero up to 4091
//   4092    4   crc32c            of bytes 0 to 4091
//
//   offset size field of an entry; its length is a multiple of 8
//      0    1   kind (PurgeKind)
//      1    1   flags: 1 soft, 2 caused by an unsafe method (a hard key only)
//      2    2   prefix_length     0 but in a prefix
//      4    4   zero
//      8    8   bound             what was born below it is purged
//     16    .   key, tag: low half of the hash, 8 bytes; prefix: its text, zeros; all: nothing
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "layout/superblock.h"

namespace millrace {

inline constexpr ByteCount kPurgeBlockSize = 4096;
inline constexpr uint32_t kPurgeBlocksPerHalf = kJournalSize / kPurgeBlockSize;
inline constexpr ByteCount kPurgeEntryFixedSize = 16;
// Beginning of a canonical URL. Longer ones name single objects, for which there is the key.
inline constexpr ByteCount kMaximumPurgePrefix = 2048;

enum class PurgeKind : uint8_t { key = 1, prefix = 2, tag = 3, all = 4 };

struct PurgeEntry {
  PurgeKind kind = PurgeKind::key;
  bool soft = false;           // stale from now on instead of gone
  bool unsafe_method = false;  // nobody asked for it: a POST, PUT, DELETE ... succeeded
  Sequence bound = 0;
  uint64_t hash = 0;   // low half of the key's or tag's hash
  std::string prefix;  // 1 to kMaximumPurgePrefix bytes in a prefix, else empty
  friend bool operator==(const PurgeEntry&, const PurgeEntry&) = default;
};

struct PurgeBlock {
  uint32_t number = 0;
  uint64_t generation = 0;
  Sequence sequence = 0;
  uint32_t snapshot_blocks = 0;
  uint64_t previous = 0;
  uint32_t commit_first = 0;
  std::vector<PurgeEntry> entries;
};

// Offset on the device of a block.
constexpr ByteOffset purge_block_offset(uint64_t generation, uint32_t number) {
  return kJournalOffset + (generation % 2) * kJournalSize + number * kPurgeBlockSize;
}

// A prefix is text of a canonical URL: no control bytes, no space, not too long.
bool is_purge_prefix(std::string_view text);
ByteCount purge_entry_size(const PurgeEntry& entry);
// How many of these entries, from the first on, one block holds.
size_t purge_entries_that_fit(std::span<const PurgeEntry> entries);
// How many blocks all of them take.
size_t purge_block_count(std::span<const PurgeEntry> entries);
// Fills kPurgeBlockSize bytes. The entries must fit.
void encode_purge_block(const PurgeBlock& head, std::span<const PurgeEntry> entries,
                        const DeviceUuid& uuid, MutableBytes out);
// not_found: no magic, or another device's uuid. corrupt: anything else that was not written by us.
Result<PurgeBlock> decode_purge_block(Bytes bytes, const DeviceUuid& uuid);

}  // namespace millrace
