// Start of a store: the newest valid superblock, then the header and the footer's trailer of every segment,
// and a forward scan of those that have no footer (open when the process died). That is what has to be known
// before anything is served or written: where the write head goes, and the births of what is there. The
// entries of the footers come later (warmer.h). Runs on the opening thread. Damage costs records, never the
// start.
#pragma once

#include <optional>
#include <vector>

#include "device/device.h"
#include "engine/counters.h"
#include "engine/ring.h"
#include "layout/segment.h"
#include "layout/superblock.h"

namespace millrace {

// The valid copy with the highest sequence. foreign: no copy of ours, or something else was made of the
// device since. Otherwise the status of the copy that came closest.
Result<Superblock> read_superblock(Device& device);

// Writes all copies and flushes; io when fewer than two were written.
Status write_superblock(Device& device, const Superblock& superblock);

// A segment that an earlier life wrote, and how to learn what it holds.
struct FoundSegment {
  SegmentId segment = 0;
  Sequence sequence = 0;
  std::optional<FooterTrailer> trailer{};  // of this very lap; none: it has to be scanned
  std::vector<FooterEntry> entries{};      // of the latest segment where it was scanned already
};

struct RecoveredRing {
  SegmentId next_segment = 0;      // where the write head goes
  Sequence next_sequence = 1;
  Sequence maximum_birth = 0;
  std::vector<FoundSegment> segments;  // in the order in which they were written
};

// Fills the ring from the device. Segments without a footer get one.
RecoveredRing recover_ring(Device& device, const Superblock& superblock, Ring& ring,
                           Counters& counters);

// Reads a segment forward and gives it the footer that it has not: the next start then need not scan it, and
// reclaim finds its records. *trailer is set where that could be written.
std::vector<FooterEntry> scan_and_seal(Device& device, const Superblock& superblock,
                                       SegmentId segment, Sequence sequence, Ring& ring,
                                       std::optional<FooterTrailer>* trailer);

}  // namespace millrace
