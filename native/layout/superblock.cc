// Superblock and identification sector. See superblock.h.
//
//   offset size field                          offset size field
//      0    8   magic "MILLRACE"                  96    8   next_incarnation
//      8    2   format major                     104    8   birth_sequence
//     10    2   format minor                     112    8   created_ms
//     12    4   block_size                       120    4   state: 1 clean, 2 lazy_zero
//     16   16   uuid                             124    4   feature_compatible
//     32   16   hash_key                         128    4   feature_read_only
//     48    8   device_size                      132    4   feature_incompatible
//     56    8   segment_size                     136    8   group_generation
//     64    8   segments_offset                  144    8   group_id
//     72    4   segment_count                    152    8   minimum_birth
//     76    4   zero                             160    .   zero
//     80    8   zero                            4088    4   copy number (outside the checksum)
//     88    8   superblock_sequence             4092    4   CRC32C of bytes 0 .. 4087
#include "layout/superblock.h"

#include <algorithm>
#include <cstdio>

#include "base/crc32c.h"
#include "base/endian.h"
#include "layout/bounds.h"

namespace millrace {

namespace {

constexpr uint64_t kMagic = 0x454341524c4c494d;  // "MILLRACE"
constexpr uint32_t kStateClean = 1;
constexpr uint32_t kStateLazyZero = 2;
constexpr size_t kFieldsEnd = 160;
constexpr size_t kCopyOffset = 4088;
constexpr size_t kChecksumOffset = 4092;
constexpr char kIdentification[] = "millrace cache store; see ON-DISK-FORMAT.md; uuid ";
constexpr ByteCount kIdentificationSize = 512;

static_assert(kChecksumOffset + 4 == kSuperblockSize);

Status check_ranges(const Superblock& superblock) {
  const Result<Geometry> expected = geometry_of(superblock.geometry.device_size);
  if (!expected.ok() || !(expected.value() == superblock.geometry)) {
    return Status(Code::corrupt, "a superblock's geometry does not fit its device size");
  }
  if (!is_power_of_two(superblock.block_size) || superblock.block_size < 512 ||
      superblock.block_size > kPageSize) {
    return Status(Code::corrupt, "a superblock's block size is out of range");
  }
  if (superblock.superblock_sequence == 0 || superblock.birth_sequence == 0 ||
      superblock.next_incarnation == 0) {
    return Status(Code::corrupt, "a superblock's sequences are zero");
  }
  return Status();
}

}  // namespace

void encode_superblock(const Superblock& superblock, uint32_t copy, MutableBytes out) {
  MR_ASSERT_OP(out.size(), ==, kSuperblockSize);
  MR_ASSERT_OP(copy, <, kSuperblockCopies);
  MR_ASSERT(check_ranges(superblock).ok());
  std::memset(out.data(), 0, out.size());
  store_le<uint64_t>(out, 0, kMagic);
  store_le<uint16_t>(out, 8, superblock.format_major);
  store_le<uint16_t>(out, 10, superblock.format_minor);
  store_le<uint32_t>(out, 12, superblock.block_size);
  std::copy(superblock.uuid.begin(), superblock.uuid.end(), out.begin() + 16);
  std::copy(superblock.hash_key.begin(), superblock.hash_key.end(), out.begin() + 32);
  store_le<uint64_t>(out, 48, superblock.geometry.device_size);
  store_le<uint64_t>(out, 56, superblock.geometry.segment_size);
  store_le<uint64_t>(out, 64, superblock.geometry.segments_offset);
  store_le<uint32_t>(out, 72, superblock.geometry.segment_count);
  store_le<uint64_t>(out, 88, superblock.superblock_sequence);
  store_le<uint64_t>(out, 96, superblock.next_incarnation);
  store_le<uint64_t>(out, 104, superblock.birth_sequence);
  store_le<uint64_t>(out, 112, superblock.created_ms);
  const uint32_t state =
      (superblock.clean ? kStateClean : 0) | (superblock.lazy_zero ? kStateLazyZero : 0);
  store_le<uint32_t>(out, 120, state);
  store_le<uint32_t>(out, 124, superblock.feature_compatible);
  store_le<uint32_t>(out, 128, superblock.feature_read_only);
  store_le<uint32_t>(out, 132, superblock.feature_incompatible);
  store_le<uint64_t>(out, 136, superblock.group_generation);
  store_le<uint64_t>(out, 144, superblock.group_id);
  store_le<uint64_t>(out, 152, superblock.minimum_birth);
  store_le<uint32_t>(out, kCopyOffset, copy);
  store_le<uint32_t>(out, kChecksumOffset, crc32c(out.first(kCopyOffset)));
}

Result<Superblock> decode_superblock(Bytes bytes) {
  MR_ASSERT_OP(bytes.size(), ==, kSuperblockSize);
  if (load_le<uint64_t>(bytes, 0) != kMagic) {
    return Status(Code::foreign, "no millrace superblock");
  }
  if (load_le<uint32_t>(bytes, kChecksumOffset) != crc32c(bytes.first(kCopyOffset))) {
    return Status(Code::corrupt, "a superblock does not match its checksum");
  }
  Superblock superblock;
  superblock.format_major = load_le<uint16_t>(bytes, 8);
  superblock.format_minor = load_le<uint16_t>(bytes, 10);
  if (superblock.format_major != kFormatMajor) {
    return Status(Code::unsupported, "the store has a format that this version does not know");
  }
  superblock.block_size = load_le<uint32_t>(bytes, 12);
  std::copy_n(bytes.begin() + 16, superblock.uuid.size(), superblock.uuid.begin());
  std::copy_n(bytes.begin() + 32, superblock.hash_key.size(), superblock.hash_key.begin());
  superblock.geometry.device_size = load_le<uint64_t>(bytes, 48);
  superblock.geometry.segment_size = load_le<uint64_t>(bytes, 56);
  superblock.geometry.segments_offset = load_le<uint64_t>(bytes, 64);
  superblock.geometry.segment_count = load_le<uint32_t>(bytes, 72);
  superblock.superblock_sequence = load_le<uint64_t>(bytes, 88);
  superblock.next_incarnation = load_le<uint64_t>(bytes, 96);
  superblock.birth_sequence = load_le<uint64_t>(bytes, 104);
  superblock.created_ms = load_le<uint64_t>(bytes, 112);
  const uint32_t state = load_le<uint32_t>(bytes, 120);
  superblock.clean = (state & kStateClean) != 0;
  superblock.lazy_zero = (state & kStateLazyZero) != 0;
  superblock.feature_compatible = load_le<uint32_t>(bytes, 124);
  superblock.feature_read_only = load_le<uint32_t>(bytes, 128);
  superblock.feature_incompatible = load_le<uint32_t>(bytes, 132);
  superblock.group_generation = load_le<uint64_t>(bytes, 136);
  superblock.group_id = load_le<uint64_t>(bytes, 144);
  superblock.minimum_birth = load_le<uint64_t>(bytes, 152);
  if (superblock.feature_incompatible == kFeatureFormatting) {
    return Status(Code::corrupt, "the format of this store was interrupted; format it again");
  }
  // Unknown compatible features may be ignored.
  if (superblock.feature_incompatible != 0 || superblock.feature_read_only != 0) {
    return Status(Code::unsupported, "the store uses a feature that this version does not know");
  }
  if (superblock.format_minor == kFormatMinor &&
      (!all_zero(bytes.subspan(76, 12)) ||
       !all_zero(bytes.subspan(kFieldsEnd, kCopyOffset - kFieldsEnd)) ||
       (state & ~(kStateClean | kStateLazyZero)) != 0)) {
    return Status(Code::corrupt, "a superblock's padding is not zero");
  }
  if (load_le<uint32_t>(bytes, kCopyOffset) >= kSuperblockCopies) {
    return Status(Code::corrupt, "a superblock's copy number is out of range");
  }
  const Status ranges = check_ranges(superblock);
  if (!ranges.ok()) return ranges;
  if (superblock.superblock_sequence > kLargestSuperblockSequence ||
      std::max({superblock.next_incarnation, superblock.birth_sequence, superblock.minimum_birth,
                superblock.group_generation}) > kLargestCounter) {
    return Status(Code::corrupt, "a superblock's sequences are out of range");
  }
  return superblock;
}

void encode_identification(const DeviceUuid& uuid, MutableBytes out) {
  MR_ASSERT_OP(out.size(), ==, kIdentificationSize);
  std::memset(out.data(), 0, out.size());
  size_t at = sizeof kIdentification - 1;
  std::memcpy(out.data(), kIdentification, at);
  for (const uint8_t byte : uuid) {
    constexpr char kDigits[] = "0123456789abcdef";
    out[at++] = static_cast<uint8_t>(kDigits[byte >> 4]);
    out[at++] = static_cast<uint8_t>(kDigits[byte & 15]);
  }
  out[at] = '\n';
}

bool is_identification(Bytes bytes) {
  const size_t length = sizeof kIdentification - 1;
  return bytes.size() >= length && std::memcmp(bytes.data(), kIdentification, length) == 0;
}

}  // namespace millrace
