// Blocks of the purge journal. See purge-journal.h for the tables of offsets.
#include "layout/purge-journal.h"

#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"
#include "layout/bounds.h"

namespace millrace {

namespace {

constexpr uint32_t kMagic = 0x3150524d;  // "MRP1"
constexpr size_t kEntriesOffset = 64;
constexpr size_t kCrcOffset = kPurgeBlockSize - 4;
constexpr ByteCount kEntryRoom = kCrcOffset - kEntriesOffset;
constexpr uint8_t kSoftFlag = 1;
constexpr uint8_t kUnsafeFlag = 2;

static_assert(kPurgeEntryFixedSize + kMaximumPurgePrefix <= kEntryRoom);

bool has_hash(PurgeKind kind) { return kind == PurgeKind::key || kind == PurgeKind::tag; }

ByteCount entry_size(PurgeKind kind, ByteCount prefix_length) {
  if (has_hash(kind)) return kPurgeEntryFixedSize + sizeof(uint64_t);
  return kPurgeEntryFixedSize + round_up(prefix_length, 8);
}

// The entry at the start of `rest`, and its length in *length.
Result<PurgeEntry> decode_entry(Bytes rest, ByteCount* length) {
  const Status damaged(Code::corrupt, "a purge journal entry is malformed");
  if (rest.size() < kPurgeEntryFixedSize) return damaged;
  const uint8_t kind = rest[0];
  const uint8_t flags = rest[1];
  const ByteCount prefix_length = load_le<uint16_t>(rest, 2);
  if (kind < 1 || kind > 4 || (flags & ~(kSoftFlag | kUnsafeFlag)) != 0) return damaged;
  PurgeEntry entry;
  entry.kind = static_cast<PurgeKind>(kind);
  entry.soft = (flags & kSoftFlag) != 0;
  entry.unsafe_method = (flags & kUnsafeFlag) != 0;
  entry.bound = load_le<uint64_t>(rest, 8);
  const bool is_prefix = entry.kind == PurgeKind::prefix;
  if (is_prefix != (prefix_length > 0) || prefix_length > kMaximumPurgePrefix) return damaged;
  if (entry.bound == 0 || load_le<uint32_t>(rest, 4) != 0) return damaged;
  if (entry.unsafe_method && (entry.kind != PurgeKind::key || entry.soft)) return damaged;
  *length = entry_size(entry.kind, prefix_length);
  if (*length > rest.size()) return damaged;
  if (has_hash(entry.kind)) entry.hash = load_le<uint64_t>(rest, kPurgeEntryFixedSize);
  if (is_prefix) {
    const Bytes text = rest.subspan(kPurgeEntryFixedSize, prefix_length);
    const ByteCount text_end = kPurgeEntryFixedSize + prefix_length;
    entry.prefix.assign(text.begin(), text.end());
    if (!is_purge_prefix(entry.prefix)) return damaged;
    if (!all_zero(rest.subspan(text_end, *length - text_end))) return damaged;
  }
  return entry;
}

void encode_entry(const PurgeEntry& entry, MutableBytes out) {
  MR_ASSERT_OP(entry.bound, >, 0u);
  MR_ASSERT((entry.kind == PurgeKind::prefix) == !entry.prefix.empty());
  MR_ASSERT_OP(entry.prefix.size(), <=, kMaximumPurgePrefix);
  const unsigned flags =
      (entry.soft ? kSoftFlag : 0u) | (entry.unsafe_method ? kUnsafeFlag : 0u);
  out[0] = static_cast<uint8_t>(entry.kind);
  out[1] = static_cast<uint8_t>(flags);
  store_le<uint16_t>(out, 2, static_cast<uint16_t>(entry.prefix.size()));
  store_le<uint64_t>(out, 8, entry.bound);
  if (has_hash(entry.kind)) store_le<uint64_t>(out, kPurgeEntryFixedSize, entry.hash);
  if (!entry.prefix.empty()) {
    std::memcpy(out.data() + kPurgeEntryFixedSize, entry.prefix.data(), entry.prefix.size());
  }
}

}  // namespace

bool is_purge_prefix(std::string_view text) {
  if (text.empty() || text.size() > kMaximumPurgePrefix) return false;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte <= 0x20 || byte == 0x7f) return false;
  }
  return true;
}

ByteCount purge_entry_size(const PurgeEntry& entry) {
  return entry_size(entry.kind, entry.prefix.size());
}

size_t purge_entries_that_fit(std::span<const PurgeEntry> entries) {
  ByteCount used = 0;
  size_t count = 0;
  while (count < entries.size()) {
    used += purge_entry_size(entries[count]);
    if (used > kEntryRoom) break;
    count++;
  }
  return count;
}

size_t purge_block_count(std::span<const PurgeEntry> entries) {
  size_t blocks = 0;
  for (; !entries.empty(); blocks++) entries = entries.subspan(purge_entries_that_fit(entries));
  return blocks;
}

void encode_purge_block(const PurgeBlock& head, std::span<const PurgeEntry> entries,
                        const DeviceUuid& uuid, MutableBytes out) {
  MR_ASSERT_OP(out.size(), ==, kPurgeBlockSize);
  MR_ASSERT_OP(head.generation, >, 0u);
  MR_ASSERT_OP(head.number, <, kPurgeBlocksPerHalf);
  MR_ASSERT_OP(head.snapshot_blocks, <=, kPurgeBlocksPerHalf);
  MR_ASSERT_OP(head.previous, <, head.generation);
  MR_ASSERT_OP(head.commit_first, <=, head.number);
  std::memset(out.data(), 0, out.size());
  store_le<uint32_t>(out, 0, kMagic);
  store_le<uint32_t>(out, 4, head.number);
  store_le<uint64_t>(out, 8, head.generation);
  std::memcpy(out.data() + 16, uuid.data(), uuid.size());
  store_le<uint64_t>(out, 32, head.sequence);
  store_le<uint32_t>(out, 40, head.snapshot_blocks);
  store_le<uint64_t>(out, 48, head.previous);
  store_le<uint32_t>(out, 56, head.commit_first);
  ByteOffset at = kEntriesOffset;
  for (const PurgeEntry& entry : entries) {
    MR_ASSERT_OP(entry.bound, <=, head.sequence);
    const ByteCount size = purge_entry_size(entry);
    MR_ASSERT_OP(at + size, <=, kCrcOffset);
    encode_entry(entry, out.subspan(at, size));
    at += size;
  }
  store_le<uint32_t>(out, 44, static_cast<uint32_t>(at - kEntriesOffset));
  store_le<uint32_t>(out, kCrcOffset, crc32c(Bytes(out).first(kCrcOffset)));
}

Result<PurgeBlock> decode_purge_block(Bytes bytes, const DeviceUuid& uuid) {
  if (bytes.size() != kPurgeBlockSize || load_le<uint32_t>(bytes, 0) != kMagic) {
    return Status(Code::not_found, "not a purge journal block");
  }
  if (load_le<uint32_t>(bytes, kCrcOffset) != crc32c(bytes.first(kCrcOffset))) {
    return Status(Code::corrupt, "a purge journal block does not match its checksum");
  }
  if (std::memcmp(bytes.data() + 16, uuid.data(), uuid.size()) != 0) {
    return Status(Code::not_found, "a purge journal block of another store");
  }
  PurgeBlock block;
  block.number = load_le<uint32_t>(bytes, 4);
  block.generation = load_le<uint64_t>(bytes, 8);
  block.sequence = load_le<uint64_t>(bytes, 32);
  block.snapshot_blocks = load_le<uint32_t>(bytes, 40);
  const ByteCount entry_bytes = load_le<uint32_t>(bytes, 44);
  block.previous = load_le<uint64_t>(bytes, 48);
  block.commit_first = load_le<uint32_t>(bytes, 56);
  if (block.number >= kPurgeBlocksPerHalf || block.generation == 0 ||
      block.generation > kLargestCounter || block.sequence > kLargestCounter ||
      block.snapshot_blocks > kPurgeBlocksPerHalf || entry_bytes > kEntryRoom ||
      block.previous >= block.generation || block.commit_first > block.number ||
      !all_zero(bytes.subspan(60, kEntriesOffset - 60)) ||
      !all_zero(bytes.subspan(kEntriesOffset + entry_bytes, kEntryRoom - entry_bytes))) {
    return Status(Code::corrupt, "a purge journal block with impossible fields");
  }
  Bytes rest = bytes.subspan(kEntriesOffset, entry_bytes);
  while (!rest.empty()) {
    ByteCount length = 0;
    Result<PurgeEntry> entry = decode_entry(rest, &length);
    if (!entry.ok()) return entry.status();
    if (entry.value().bound > block.sequence) {
      return Status(Code::corrupt, "a purge journal entry from after its block");
    }
    block.entries.push_back(std::move(entry.value()));
    rest = rest.subspan(length);
  }
  return block;
}

}  // namespace millrace
