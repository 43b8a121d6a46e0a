// Segment states and pins. See ring.h.
#include "engine/ring.h"

namespace millrace {

void SegmentPin::reset() {
  Ring* ring = std::exchange(ring_, nullptr);
  if (ring == nullptr) return;
  const uint32_t before = ring->segments_[segment_].pins.fetch_sub(1);
  MR_ASSERT(before > 0);
}

Ring::Ring(const Geometry& geometry) : geometry_(geometry), segments_(geometry.segment_count) {}

SegmentId Ring::segment_at(ByteOffset offset) const {
  if (offset < geometry_.segments_offset) return geometry_.segment_count;
  const ByteOffset number = (offset - geometry_.segments_offset) / geometry_.segment_size;
  return number < geometry_.segment_count ? static_cast<SegmentId>(number)
                                          : geometry_.segment_count;
}

SegmentPin Ring::pin(SegmentId segment) {
  MR_ASSERT_OP(segment, <, geometry_.segment_count);
  Segment& item = segments_[segment];
  // Count first, look second; begin_reclaim does it the other way round. Sequential consistency makes at
  // least one of the two see the other.
  item.pins.fetch_add(1);
  const SegmentState state = item.state.load();
  if (state == SegmentState::open || state == SegmentState::sealed) {
    return SegmentPin(this, segment);
  }
  const uint32_t before = item.pins.fetch_sub(1);
  MR_ASSERT(before > 0);
  return SegmentPin();
}

void Ring::set(SegmentId segment, SegmentState state, Sequence sequence) {
  MR_ASSERT_OP(segment, <, geometry_.segment_count);
  segments_[segment].sequence.store(sequence);
  segments_[segment].state.store(state);
}

void Ring::begin_reclaim(SegmentId segment) {
  MR_ASSERT(segments_[segment].state.load() == SegmentState::sealed);
  segments_[segment].state.store(SegmentState::reclaiming);
}

void Ring::cancel_reclaim(SegmentId segment) {
  MR_ASSERT(segments_[segment].state.load() == SegmentState::reclaiming);
  segments_[segment].state.store(SegmentState::sealed);
}

}  // namespace millrace
