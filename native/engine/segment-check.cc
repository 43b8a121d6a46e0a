// Records against their checksums. See segment-check.h.
#include "engine/segment-check.h"

#include <algorithm>

#include "engine/segment-scan.h"
#include "layout/record.h"

namespace millrace {

SegmentWindow::SegmentWindow(Device& device, ByteOffset start, ByteCount size, MutableBytes memory)
    : device_(device), start_(start), size_(size), memory_(memory) {
  MR_ASSERT_OP(memory.size(), >, kLongestRecord + kBlockAlignment);
}

Bytes SegmentWindow::at(ByteOffset at, ByteCount length) {
  MR_ASSERT_OP(at + length, <=, size_);
  MR_ASSERT_OP(length, <=, memory_.size() - kBlockAlignment);
  if (!holds(at, length)) {
    begin_ = round_down(at, kBlockAlignment);
    length_ = std::min<ByteCount>(memory_.size(), size_ - begin_);
    bytes_read_ += length_;
    if (!device_.read(start_ + begin_, memory_.first(length_)).ok()) {
      length_ = 0;
      return Bytes();
    }
  }
  return Bytes(memory_).subspan(at - begin_, length);
}

RecordCheck check_record(SegmentWindow& window, const FooterEntry& entry, Sequence sequence,
                         std::string* key) {
  const ByteOffset at = ByteCount{entry.offset_grains} * kRecordGrain;
  const ByteCount length = ByteCount{entry.length_grains} * kRecordGrain;
  if (length > kLongestRecord) return {"the footer gives it an impossible length"};
  const Bytes bytes = window.at(at, length);
  if (bytes.empty()) return {"the device cannot read it", true};
  const Result<ByteCount> distance = peek_record_distance(bytes);
  if (!distance.ok()) return {distance.status().message()};
  if (distance.value() > length) return {"its header is longer than the record"};
  const Result<RecordView> decoded = decode_record(bytes);
  if (!decoded.ok()) return {decoded.status().message()};
  const RecordView& view = decoded.value();
  if (key != nullptr) key->assign(view.key.begin(), view.key.end());
  if (view.header.segment_sequence != sequence) return {"it belongs to an earlier lap"};
  if (view.header.hash.low != entry.hash) return {"the footer names another record"};
  if (record_length(view.header) != length) return {"the footer gives it another length"};
  const Bytes body = bytes.subspan(distance.value(), view.header.stored_length);
  if (!body_matches(view, body)) return {"its body does not match its checksums"};
  return {};
}

}  // namespace millrace
