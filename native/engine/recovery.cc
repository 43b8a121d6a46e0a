// Superblocks, footers and the scan of open segments. See recovery.h.
#include "engine/recovery.h"

#include <algorithm>
#include <vector>

#include "engine/aligned-buffer.h"
#include "engine/reclaimer.h"
#include "layout/record.h"
#include "layout/segment.h"

namespace millrace {

namespace {

const ByteCount kLongestRecord = size_class_bytes(63);

struct FoundSegment {
  SegmentId segment = 0;
  Sequence sequence = 0;
};

// Reads a segment forward in pieces and collects every record of the given sequence. A gap (padding, a
// torn or lost write) is stepped over grain by grain: what lies behind it was written by the same lap.
class SegmentScan {
 public:
  SegmentScan(Device& device, const Geometry& geometry, const FoundSegment& found)
      : device_(device),
        start_(geometry.segment_offset(found.segment)),
        size_(geometry.segment_size),
        sequence_(found.sequence),
        buffer_(kPiece + kOverlap) {}

  // Some part could not be read: what lies there may turn up at another start.
  bool has_unreadable() const { return has_unreadable_; }

  std::vector<FooterEntry> run() {
    ByteOffset at = kSegmentHeaderSize;
    while (at + kRecordFixedSize <= size_) {
      if (!load(at)) {
        has_unreadable_ = true;
        at = round_down(at, kBlockAlignment) + kBlockAlignment;  // an unreadable block: go round it
        continue;
      }
      at = step(at);
    }
    return std::move(entries_);
  }

 private:
  static constexpr ByteCount kPiece = 1 * kMiB;
  // Room for the longest header behind the piece's last grain.
  static constexpr ByteCount kOverlap = 192 * kKiB;

  bool load(ByteOffset at) {
    const ByteOffset wanted_end = std::min(at + kOverlap, size_);
    if (loaded_ && at >= begin_ && wanted_end <= begin_ + length_) return true;
    begin_ = round_down(at, kBlockAlignment);
    length_ = std::min(kPiece + kOverlap, size_ - begin_);
    loaded_ = device_.read(start_ + begin_, buffer_.bytes().first(length_)).ok();
    if (loaded_) return true;
    // Fall back to a single block, so that one bad sector does not hide its neighbours.
    length_ = std::min(kBlockAlignment, size_ - begin_);
    loaded_ = device_.read(start_ + begin_, buffer_.bytes().first(length_)).ok();
    return loaded_;
  }

  ByteOffset step(ByteOffset at) {
    const Bytes rest = buffer_.bytes().subspan(at - begin_, length_ - (at - begin_));
    if (rest.size() < kRecordFixedSize) return at + kRecordGrain;
    const Result<ByteCount> distance = peek_record_distance(rest);
    if (!distance.ok() || distance.value() > rest.size()) return at + kRecordGrain;
    const Result<RecordView> view = decode_record(rest);
    if (!view.ok() || view.value().header.segment_sequence != sequence_) return at + kRecordGrain;
    const RecordHeader& header = view.value().header;
    const ByteCount length = record_length(header);
    if (at + length > size_) return at + kRecordGrain;
    entries_.push_back(FooterEntry{header.hash.low, header.birth,
                                   static_cast<uint32_t>(at / kRecordGrain),
                                   static_cast<uint32_t>(length / kRecordGrain),
                                   static_cast<uint8_t>(header.kind)});
    return at + length;
  }

  Device& device_;
  const ByteOffset start_;
  const ByteCount size_;
  const Sequence sequence_;
  AlignedBuffer buffer_;
  bool loaded_ = false;
  bool has_unreadable_ = false;
  ByteOffset begin_ = 0;
  ByteCount length_ = 0;
  std::vector<FooterEntry> entries_;
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
      SegmentScan scan(device, geometry, item);
      entries = scan.run();
      if (scan.has_unreadable()) ring.note_birth(item.segment, 1);
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
