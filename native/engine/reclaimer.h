// Frees the oldest segment for the write head: keeps readers out and takes its records out of the index.
// Called by the appender's thread. Reinsertion of hit records has its place here, between reading the
// footer and dropping the words.
#pragma once

#include "device/device.h"
#include "engine/counters.h"
#include "engine/index.h"
#include "engine/ring.h"
#include "layout/segment.h"

namespace millrace {

// True when the segment is ready to be written; false when it stayed pinned for longer than the limit and
// must be skipped this lap. A footer that cannot be read costs nothing: its index words point at records
// of another sequence and fail their check when they are used.
bool reclaim_segment(Device& device, Ring& ring, Index& index, Counters& counters,
                     const DeviceUuid& uuid, SegmentId segment);

}  // namespace millrace
