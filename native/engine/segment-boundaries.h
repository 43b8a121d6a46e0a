// Reads what stands at both ends of every segment, its header and the trailer of its footer, many at a time:
// the trailer of one segment and the header of the next lie side by side and are one read. For a start; on a
// thread that may block.
#pragma once

#include <vector>

#include "device/device.h"
#include "engine/counters.h"
#include "engine/recovery.h"

namespace millrace {

struct SegmentEnds {
  FoundSegment found{};        // of sequence 0 where there is no header of ours
  bool is_unreadable = false;  // the device could not read the header
};

// Of every segment, by number.
std::vector<SegmentEnds> read_segment_ends(Device& device, const Superblock& superblock,
                                           Counters& counters);

}  // namespace millrace
