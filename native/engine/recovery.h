// Start of a store: the newest valid superblock, then footers in the order of their segments, then a forward
// scan of segments that have no footer (open when the process died). Runs on the opening thread, before
// anything is served. Damage costs records, never the start.
#pragma once

#include "device/device.h"
#include "engine/counters.h"
#include "engine/index.h"
#include "engine/purges.h"
#include "engine/ring.h"
#include "layout/superblock.h"

namespace millrace {

// The valid copy with the highest sequence. foreign: no copy of ours. Otherwise the status of the copy
// that came closest.
Result<Superblock> read_superblock(Device& device);

// Writes all copies and flushes; io when fewer than two were written.
Status write_superblock(Device& device, const Superblock& superblock);

struct RecoveredRing {
  SegmentId next_segment = 0;      // where the write head goes
  Sequence next_sequence = 1;
  Sequence maximum_birth = 0;
};

// Fills index and ring from the device, but for what the purge tables say is gone.
RecoveredRing recover_ring(Device& device, const Superblock& superblock, const Purges& purges,
                           Ring& ring, Index& index, Counters& counters);

}  // namespace millrace
