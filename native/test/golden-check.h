// What every golden image is asked: is each listed object found as it was, and are records, footers,
// superblocks and purge journal encoded today as they lie there? The test cases of each image add what has
// to be on it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/store.h"
#include "layout/purge-journal.h"
#include "layout/superblock.h"
#include "test/golden-image.h"
#include "test/support.h"

namespace millrace::test {

extern const std::string kFormatChanged;

// An image of this format version and the list of what is on it.
struct Golden {
  DiskImage disk;
  std::vector<GoldenObject> objects;
  FaultDevice device;
  Superblock superblock;

  explicit Golden(const std::string& name);
  std::vector<uint8_t> bytes(ByteOffset offset, ByteCount length) const;
};

// "0-100,200-300", as the list has it.
std::string runs_text(const std::vector<std::pair<ByteOffset, ByteOffset>>& runs);
// A chunk record that does not hold its whole chunk.
bool is_piece(const RecordHeader& header);

// Looks everything up in a store that was opened on the image. Returns how often each finding was there.
std::map<GoldenFinding, uint32_t> check_objects(const Golden& golden, TestStore& store);

struct GoldenRecords {
  std::set<std::string> keys;
  std::map<RecordKind, uint32_t> kinds;
  uint32_t pieces = 0;      // of the chunks
  uint32_t incomplete = 0;  // of the heads
  uint32_t markers = 0;     // of the heads
  uint32_t compressed = 0;
  uint32_t segments = 0;
  uint32_t sealed = 0;
};
// Decodes every structure in the segments and encodes it again.
GoldenRecords check_records(Golden* golden);

// The same of superblocks and identification; of the purge journal, whose entries are returned.
void check_superblocks(const Golden& golden, uint64_t lives);
std::vector<PurgeEntry> check_purge_journal(const Golden& golden);

}  // namespace millrace::test
