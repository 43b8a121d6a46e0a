// The superblock: identity, version, geometry and clean flag of a device; four copies, written only at
// format, open, clean close and upgrade. Pure encode and decode; docs/ON-DISK-FORMAT.md has the table.
#pragma once

#include <array>
#include <string_view>

#include "base/siphash.h"
#include "base/status.h"
#include "layout/geometry.h"

namespace millrace {

inline constexpr uint16_t kFormatMajor = 1;
inline constexpr uint16_t kFormatMinor = 0;

// feature_incompatible: format began and has not ended. Nothing else on the device means anything then.
inline constexpr uint32_t kFeatureFormatting = 1;

using DeviceUuid = std::array<uint8_t, 16>;

struct Superblock {
  uint16_t format_major = kFormatMajor;
  uint16_t format_minor = kFormatMinor;
  DeviceUuid uuid{};
  HashKey hash_key{};
  uint32_t block_size = 4096;       // write padding and alignment, power of two, 512 B to 64 KiB
  Geometry geometry{};
  uint64_t superblock_sequence = 0; // raised by every superblock write; the highest valid copy wins
  uint64_t next_incarnation = 1;    // upper bound given out so far; raised in steps at open
  Sequence birth_sequence = 1;      // lower bound for new births after this open
  Sequence minimum_birth = 0;       // records of earlier births count as not there
  uint64_t group_generation = 0;    // of the set of volumes that was open last; raised at each start
  uint64_t group_id = 0;            // random name of that set
  bool clean = true;                // set by a clean close, cleared at open
  bool lazy_zero = false;           // segments were not zeroed at format; the appender zeroes ahead
  uint64_t created_ms = 0;          // Unix time in ms
  uint32_t feature_compatible = 0;  // unknown bits: ignore
  uint32_t feature_read_only = 0;   // unknown bits: must not write
  uint32_t feature_incompatible = 0;// unknown bits: refuse
};

// Writes exactly kSuperblockSize bytes. The copy number is stored outside the checksum, so that the
// copies of one write are comparable.
void encode_superblock(const Superblock& superblock, uint32_t copy, MutableBytes out);

// foreign: no magic (nothing of ours). corrupt: magic but checksum, padding or ranges are wrong.
// unsupported: a format major or an incompatible feature that this version does not know.
Result<Superblock> decode_superblock(Bytes bytes);

// The readable sector at offset 0: name, what it is, and the uuid. Exactly 512 bytes.
void encode_identification(const DeviceUuid& uuid, MutableBytes out);
bool is_identification(Bytes bytes);

}  // namespace millrace
