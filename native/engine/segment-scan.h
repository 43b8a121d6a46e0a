// What a segment holds, from its footer or, where it has none of its own, by reading it forward. For recovery
// and inspection; on a thread that may block.
#pragma once

#include <vector>

#include "device/device.h"
#include "engine/index.h"
#include "layout/segment.h"

namespace millrace {

// The upper bound of the index's last size class: no record is longer.
inline const ByteCount kLongestRecord = size_class_bytes(63);

struct FoundFooter {
  SegmentHeader header{};
  bool is_sealed = false;  // false: the entries come from reading the segment forward
  std::vector<FooterEntry> entries;
};

// Reads and checks the footer of a segment. not_found or corrupt when there is none that fits; io when the
// device fails.
Result<SegmentFooter> read_footer(Device& device, const Geometry& geometry, const DeviceUuid& uuid,
                                  SegmentId segment);

// Where the entries of the footer stand that ends with `trailer`.
ByteCount footer_entries_size(const FooterTrailer& trailer);
ByteOffset footer_entries_offset(const Geometry& geometry, const FooterTrailer& trailer);

// Reads and checks them.
Result<std::vector<FooterEntry>> read_footer_entries(Device& device, const Geometry& geometry,
                                                     const FooterTrailer& trailer);

// Reads a segment forward in pieces and collects every record of the given sequence. A gap (padding, a
// torn or lost write) is stepped over grain by grain: what lies behind it was written by the same lap.
struct ScannedSegment {
  std::vector<FooterEntry> entries;
  bool has_unreadable = false;  // what lies there may turn up at another start
};
ScannedSegment scan_segment(Device& device, const Geometry& geometry, SegmentId segment,
                            Sequence sequence);

// Header, then footer of the same lap, else scan. not_found: the segment was never written.
Result<FoundFooter> find_footer(Device& device, const Geometry& geometry, const DeviceUuid& uuid,
                                SegmentId segment);

}  // namespace millrace
