// Superblocks, segments and the scan of open ones. See recovery.h.
#include "engine/recovery.h"

#include <algorithm>
#include <vector>

#include "base/endian.h"
#include "device/posix-device.h"
#include "engine/aligned-buffer.h"
#include "engine/segment-boundaries.h"
#include "engine/segment-scan.h"
#include "layout/record.h"

namespace millrace {

namespace {

// Gives a segment that was open at the crash the footer that it never got.
std::optional<FooterTrailer> seal_recovered(Device& device, const Geometry& geometry,
                                            const SegmentHeader& header,
                                            const std::vector<FooterEntry>& entries) {
  const ByteCount size = footer_size(entries.size());
  ByteOffset last_end = kSegmentHeaderSize;
  SegmentFooter footer;
  footer.header = header;
  for (const FooterEntry& entry : entries) {
    const ByteOffset end =
        (ByteOffset{entry.offset_grains} + entry.length_grains) * kRecordGrain;
    if (end > last_end) last_end = end;
    if (footer.minimum_birth == 0 || entry.birth < footer.minimum_birth) {
      footer.minimum_birth = entry.birth;
    }
    if (entry.birth > footer.maximum_birth) footer.maximum_birth = entry.birth;
  }
  if (last_end + size > geometry.segment_size) return std::nullopt;
  footer.entries = entries;
  AlignedBuffer bytes(size);
  encode_footer(footer, bytes.bytes());
  const ByteOffset end = geometry.segment_offset(header.segment) + geometry.segment_size;
  // A failure here only means another scan at the next start.
  if (!device.write(end - size, bytes.bytes()).ok()) return std::nullopt;
  const Result<FooterTrailer> trailer = decode_footer_trailer(
      bytes.bytes().last(kFooterTrailerSize), header.uuid, geometry.segment_size);
  MR_ASSERT(trailer.ok());
  return trailer.value();
}

// Whether somebody has made something else of a store since: the tools that do leave superblocks alone that
// they do not happen to write over, and do not know ours. `is_front_lost`: neither copy at the front is ours.
bool is_taken_over(Device& device, bool is_front_lost) {
  AlignedBuffer head(kMiB);
  if (!device.read(0, head.bytes()).ok()) return false;
  std::string found;
  if (find_foreign_signature(head.bytes(), &found)) return true;
  const Bytes sector = head.bytes().first(512);
  return is_front_lost && !is_identification(sector) && !all_zero(sector);
}

}  // namespace

Result<Superblock> read_superblock(Device& device) {
  const Result<Geometry> geometry = geometry_of(device.facts().size);
  if (!geometry.ok()) return geometry.status();
  AlignedBuffer page(kSuperblockSize);
  bool is_front_lost = true;
  Status best(Code::foreign, "no millrace superblock");
  Superblock newest;
  bool found = false;
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    const Status status = device.read(geometry.value().superblock_offset(copy), page.bytes());
    if (!status.ok()) {
      if (best.code() == Code::foreign) best = status;
      continue;
    }
    const Result<Superblock> decoded = decode_superblock(page.bytes());
    if (!decoded.ok()) {
      if (decoded.status().code() != Code::foreign) best = decoded.status();
      continue;
    }
    if (copy < kSuperblockCopies / 2) is_front_lost = false;
    if (!found || decoded.value().superblock_sequence > newest.superblock_sequence) {
      newest = decoded.value();
      found = true;
    }
  }
  if (!found) return best;
  if (is_taken_over(device, is_front_lost)) {
    return Status(Code::foreign, "something else was written over a millrace store");
  }
  if (!(newest.geometry == geometry.value())) {
    return Status(Code::corrupt, "the superblock was written for a device of another size");
  }
  return newest;
}

Status write_superblock(Device& device, const Superblock& superblock) {
  AlignedBuffer page(kSuperblockSize);
  uint32_t written = 0;
  Status last;
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    encode_superblock(superblock, copy, page.bytes());
    const Status status = device.write(superblock.geometry.superblock_offset(copy), page.bytes());
    if (status.ok()) {
      written++;
    } else {
      last = status;
    }
    // Half of the copies lie on the disk before the others are touched: a power failure may tear every page
    // that was not flushed.
    if (copy + 1 == kSuperblockCopies / 2) {
      const Status flushed = device.flush();
      if (!flushed.ok()) return flushed;
    }
  }
  if (written < 2) return last;
  return device.flush();
}

std::vector<FooterEntry> scan_and_seal(Device& device, const Superblock& superblock,
                                       SegmentId segment, Sequence sequence, Ring& ring,
                                       std::optional<FooterTrailer>* trailer) {
  ScannedSegment scanned = scan_segment(device, superblock.geometry, segment, sequence);
  // What cannot be read now may be readable at the next start, with records of any age.
  if (scanned.has_unreadable) ring.note_birth(segment, 1);
  for (const FooterEntry& entry : scanned.entries) {
    if (entry.birth >= superblock.minimum_birth) ring.note_birth(segment, entry.birth);
  }
  *trailer = seal_recovered(device, superblock.geometry,
                            SegmentHeader{segment, sequence, superblock.uuid, 0}, scanned.entries);
  return std::move(scanned.entries);
}

RecoveredRing recover_ring(Device& device, const Superblock& superblock, Ring& ring,
                           Counters& counters) {
  const Geometry& geometry = superblock.geometry;
  RecoveredRing recovered;
  const std::vector<SegmentEnds> ends = read_segment_ends(device, superblock, counters);
  for (SegmentId segment = 0; segment < geometry.segment_count; segment++) {
    // It may be readable at the next start, with records of any age.
    if (ends[segment].is_unreadable) ring.note_birth(segment, 1);
    if (ends[segment].found.sequence > 0) recovered.segments.push_back(ends[segment].found);
  }
  std::sort(recovered.segments.begin(), recovered.segments.end(),
            [](const FoundSegment& a, const FoundSegment& b) { return a.sequence < b.sequence; });
  for (FoundSegment& found : recovered.segments) {
    if (found.trailer) {
      const FooterTrailer& trailer = *found.trailer;
      recovered.maximum_birth = std::max(recovered.maximum_birth, trailer.maximum_birth);
      if (trailer.entry_count > 0 && trailer.maximum_birth >= superblock.minimum_birth) {
        ring.note_birth(found.segment, std::max(trailer.minimum_birth, superblock.minimum_birth));
      }
    } else {
      std::vector<FooterEntry> entries = scan_and_seal(device, superblock, found.segment,
                                                       found.sequence, ring, &found.trailer);
      for (const FooterEntry& entry : entries) {
        recovered.maximum_birth = std::max(recovered.maximum_birth, entry.birth);
      }
      if (&found == &recovered.segments.back()) found.entries = std::move(entries);
    }
    ring.set(found.segment, SegmentState::sealed, found.sequence);
    recovered.next_segment = (found.segment + 1) % geometry.segment_count;
    recovered.next_sequence = found.sequence + 1;
  }
  return recovered;
}

}  // namespace millrace
