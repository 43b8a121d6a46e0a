// Reclaim of one segment. See reclaimer.h.
#include "engine/reclaimer.h"

#include "base/sync.h"
#include "engine/aligned-buffer.h"
#include "layout/segment.h"

namespace millrace {

namespace {
// Reads hold a pin for one device read; one that takes longer than this is stuck, and the lap goes on.
constexpr uint64_t kPinWaitMs = 5000;
}  // namespace

Result<SegmentFooter> read_footer(Device& device, const Geometry& geometry, const DeviceUuid& uuid,
                                  SegmentId segment) {
  const ByteOffset end = geometry.segment_offset(segment) + geometry.segment_size;
  AlignedBuffer page(kFooterTrailerSize);
  Status status = device.read(end - kFooterTrailerSize, page.bytes());
  if (!status.ok()) return status;
  Result<FooterTrailer> trailer = decode_footer_trailer(page.bytes(), uuid, geometry.segment_size);
  if (!trailer.ok()) return trailer.status();
  if (trailer.value().header.segment != segment) {
    return Status(Code::corrupt, "the footer belongs to another segment");
  }
  const uint64_t count = trailer.value().entry_count;
  const ByteCount array_size = footer_size(count) - kFooterTrailerSize;
  SegmentFooter footer;
  footer.header = trailer.value().header;
  footer.minimum_birth = trailer.value().minimum_birth;
  footer.maximum_birth = trailer.value().maximum_birth;
  if (array_size == 0) return footer;
  AlignedBuffer array(array_size);
  status = device.read(end - kFooterTrailerSize - array_size, array.bytes());
  if (!status.ok()) return status;
  auto entries = decode_footer_entries(trailer.value(), array.bytes(), geometry.segment_size);
  if (!entries.ok()) return entries.status();
  footer.entries = std::move(entries.value());
  return footer;
}

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
