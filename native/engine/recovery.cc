// Superblocks, footers and the scan of open segments. See recovery.h.
#include "engine/recovery.h"

#include <algorithm>
#include <vector>

#include "engine/aligned-buffer.h"
#include "engine/segment-scan.h"
#include "layout/record.h"

namespace millrace {

namespace {

struct FoundSegment {
  SegmentId segment = 0;
  Sequence sequence = 0;
};

// Gives a segment that was open at the crash the footer that it never got, so that the next start need
// not scan it and reclaim finds its records.
void seal_recovered(Device& device, const Geometry& geometry, const SegmentHeader& header,
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
  if (last_end + size > geometry.segment_size) return;
  footer.entries = entries;
  AlignedBuffer bytes(size);
  encode_footer(footer, bytes.bytes());
  const ByteOffset end = geometry.segment_offset(header.segment) + geometry.segment_size;
  // A failure here only means another scan at the next start.
  static_cast<void>(device.write(end - size, bytes.bytes()));
}

}  // namespace

Result<Superblock> read_superblock(Device& device) {
  const Result<Geometry> geometry = geometry_of(device.facts().size);
  if (!geometry.ok()) return geometry.status();
  AlignedBuffer page(kSuperblockSize);
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
    if (!found || decoded.value().superblock_sequence > newest.superblock_sequence) {
      newest = decoded.value();
      found = true;
    }
  }
  if (!found) return best;
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

RecoveredRing recover_ring(Device& device, const Superblock& superblock, const Purges& purges,
                           Ring& ring, Index& index, Counters& counters) {
  const Geometry& geometry = superblock.geometry;
  std::vector<FoundSegment> found;
  AlignedBuffer page(kSegmentHeaderSize);
  for (SegmentId segment = 0; segment < geometry.segment_count; segment++) {
    if (!device.read(geometry.segment_offset(segment), page.bytes()).ok()) {
      Counters::add(counters.read_errors);
      // It may be readable at the next start, with records of any age.
      ring.note_birth(segment, 1);
      continue;
    }
    const Result<SegmentHeader> header = decode_segment_header(page.bytes(), superblock.uuid);
    if (!header.ok() || header.value().segment != segment) continue;
    found.push_back(FoundSegment{segment, header.value().segment_sequence});
  }
  std::sort(found.begin(), found.end(),
            [](const FoundSegment& a, const FoundSegment& b) { return a.sequence < b.sequence; });
  RecoveredRing recovered;
  for (const FoundSegment& item : found) {
    const ByteOffset start = geometry.segment_offset(item.segment);
    const Result<SegmentFooter> footer =
        read_footer(device, geometry, superblock.uuid, item.segment);
    std::vector<FooterEntry> entries;
    if (footer.ok() && footer.value().header.segment_sequence == item.sequence) {
      entries = footer.value().entries;
    } else {
      ScannedSegment scanned = scan_segment(device, geometry, item.segment, item.sequence);
      entries = std::move(scanned.entries);
      if (scanned.has_unreadable) ring.note_birth(item.segment, 1);
      seal_recovered(device, geometry,
                     SegmentHeader{item.segment, item.sequence, superblock.uuid, 0}, entries);
    }
    for (const FooterEntry& entry : entries) {
      if (entry.birth > recovered.maximum_birth) recovered.maximum_birth = entry.birth;
      if (entry.birth < superblock.minimum_birth) continue;
      ring.note_birth(item.segment, entry.birth);
      const auto kind = static_cast<RecordKind>(entry.kind);
      // Variants and whatever a prefix or tag names are judged when they are read.
      PurgeSubject subject;
      subject.birth = entry.birth;
      if (kind != RecordKind::chunk) subject.primary_hash = entry.hash;
      if (purges.verdict(subject) == PurgeVerdict::gone) continue;
      const ByteOffset address = start + ByteCount{entry.offset_grains} * kRecordGrain;
      const ByteCount length = ByteCount{entry.length_grains} * kRecordGrain;
      // Longer than any record that is written: a forged footer, not a reason to stop.
      if (length > kLongestRecord) continue;
      index.insert(entry.hash, address, length, kind, address);
      Counters::add(counters.recovered_records);
    }
    ring.set(item.segment, SegmentState::sealed, item.sequence);
    Counters::add(counters.recovered_segments);
    recovered.next_segment = (item.segment + 1) % geometry.segment_count;
    recovered.next_sequence = item.sequence + 1;
  }
  return recovered;
}

}  // namespace millrace
