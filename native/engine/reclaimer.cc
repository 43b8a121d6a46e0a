// Reclaim of one segment. See reclaimer.h.
#include "engine/reclaimer.h"

#include "base/sync.h"
#include "engine/segment-scan.h"

namespace millrace {

namespace {
// Reads hold a pin for one device read; one that takes longer than this is stuck, and the lap goes on.
constexpr uint64_t kPinWaitMs = 5000;
}  // namespace

bool reclaim_segment(Device& device, Ring& ring, Index& index, Counters& counters,
                     const DeviceUuid& uuid, SegmentId segment) {
  ring.begin_reclaim(segment);
  Mutex mutex;
  Condition condition;
  for (uint64_t waited = 0; ring.pins(segment) > 0; waited++) {
    if (waited >= kPinWaitMs) {
      ring.cancel_reclaim(segment);
      Counters::add(counters.segments_skipped);
      return false;
    }
    MutexLock lock(mutex);
    condition.wait_for(mutex, 1);
  }
  Result<SegmentFooter> footer = read_footer(device, ring.geometry(), uuid, segment);
  if (footer.ok() && footer.value().header.segment_sequence == ring.sequence(segment)) {
    const ByteOffset start = ring.geometry().segment_offset(segment);
    for (const FooterEntry& entry : footer.value().entries) {
      index.remove(entry.hash, start + ByteCount{entry.offset_grains} * kRecordGrain);
    }
  }
  ring.set(segment, SegmentState::free, 0);
  Counters::add(counters.segments_reclaimed);
  return true;
}

}  // namespace millrace
