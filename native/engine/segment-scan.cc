// Footers and forward scans of segments. See segment-scan.h.
#include "engine/segment-scan.h"

#include <algorithm>

#include "engine/aligned-buffer.h"
#include "layout/record.h"

namespace millrace {

namespace {

class SegmentScan {
 public:
  SegmentScan(Device& device, const Geometry& geometry, SegmentId segment, Sequence sequence)
      : device_(device),
        start_(geometry.segment_offset(segment)),
        size_(geometry.segment_size),
        sequence_(sequence),
        buffer_(kPiece + kOverlap) {}

  ScannedSegment run() {
    ByteOffset at = kSegmentHeaderSize;
    while (at + kRecordFixedSize <= size_) {
      if (!load(at)) {
        scanned_.has_unreadable = true;
        at = round_down(at, kBlockAlignment) + kBlockAlignment;  // an unreadable block: go round it
        continue;
      }
      at = step(at);
    }
    return std::move(scanned_);
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
    if (at + length > size_ || length > kLongestRecord) return at + kRecordGrain;
    if (at + length > begin_ + length_) {
      // Once more from here on, with the whole of it: a piece is longer than any record.
      loaded_ = false;
      if (!load(at) || at + length > begin_ + length_) return at + kRecordGrain;
      return step(at);
    }
    // A header that landed without its body must not hide an older copy of the record, which is whole.
    const Bytes body = rest.subspan(record_body_distance(header), header.stored_length);
    if (!body_matches(view.value(), body)) return at + kRecordGrain;
    scanned_.entries.push_back(FooterEntry{header.hash.low, header.birth,
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
  ByteOffset begin_ = 0;
  ByteCount length_ = 0;
  ScannedSegment scanned_;
};

}  // namespace

Result<SegmentFooter> read_footer(Device& device, const Geometry& geometry, const DeviceUuid& uuid,
                                  SegmentId segment) {
  const ByteOffset end = geometry.segment_offset(segment) + geometry.segment_size;
  AlignedBuffer page(kFooterTrailerSize);
  const Status status = device.read(end - kFooterTrailerSize, page.bytes());
  if (!status.ok()) return status;
  Result<FooterTrailer> trailer = decode_footer_trailer(page.bytes(), uuid, geometry.segment_size);
  if (!trailer.ok()) return trailer.status();
  if (trailer.value().header.segment != segment) {
    return Status(Code::corrupt, "the footer belongs to another segment");
  }
  SegmentFooter footer;
  footer.header = trailer.value().header;
  footer.minimum_birth = trailer.value().minimum_birth;
  footer.maximum_birth = trailer.value().maximum_birth;
  auto entries = read_footer_entries(device, geometry, trailer.value());
  if (!entries.ok()) return entries.status();
  footer.entries = std::move(entries.value());
  return footer;
}

ByteCount footer_entries_size(const FooterTrailer& trailer) {
  return footer_size(trailer.entry_count) - kFooterTrailerSize;
}

ByteOffset footer_entries_offset(const Geometry& geometry, const FooterTrailer& trailer) {
  const ByteOffset end =
      geometry.segment_offset(trailer.header.segment) + geometry.segment_size;
  return end - kFooterTrailerSize - footer_entries_size(trailer);
}

Result<std::vector<FooterEntry>> read_footer_entries(Device& device, const Geometry& geometry,
                                                     const FooterTrailer& trailer) {
  const ByteCount size = footer_entries_size(trailer);
  if (size == 0) return std::vector<FooterEntry>();
  AlignedBuffer array(size);
  const Status status = device.read(footer_entries_offset(geometry, trailer), array.bytes());
  if (!status.ok()) return status;
  return decode_footer_entries(trailer, array.bytes(), geometry.segment_size);
}

ScannedSegment scan_segment(Device& device, const Geometry& geometry, SegmentId segment,
                            Sequence sequence) {
  return SegmentScan(device, geometry, segment, sequence).run();
}

Result<FoundFooter> find_footer(Device& device, const Geometry& geometry, const DeviceUuid& uuid,
                                SegmentId segment) {
  AlignedBuffer page(kSegmentHeaderSize);
  const Status status = device.read(geometry.segment_offset(segment), page.bytes());
  if (!status.ok()) return status;
  const Result<SegmentHeader> header = decode_segment_header(page.bytes(), uuid);
  if (!header.ok()) return header.status();
  if (header.value().segment != segment) {
    return Status(Code::corrupt, "the segment has another one's header");
  }
  FoundFooter found;
  found.header = header.value();
  Result<SegmentFooter> footer = read_footer(device, geometry, uuid, segment);
  if (footer.ok() && footer.value().header.segment_sequence == found.header.segment_sequence) {
    found.is_sealed = true;
    found.entries = std::move(footer.value().entries);
  } else {
    ScannedSegment scanned =
        scan_segment(device, geometry, segment, found.header.segment_sequence);
    found.entries = std::move(scanned.entries);
  }
  return found;
}

}  // namespace millrace
