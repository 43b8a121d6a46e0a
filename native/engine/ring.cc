// Segment states and pins. See ring.h.
#include "engine/ring.h"

namespace millrace {

void SegmentPin::reset() {
  Ring* ring = std::exchange(ring_, nullptr);
  if (ring == nullptr) return;
  const uint32_t before = ring->segments_[segment_].pins.fetch_sub(1);
  MR_ASSERT(before > 0);
}

Ring::Ring(const Geometry& geometry)
    : geometry_(geometry),
      segments_(geometry.segment_count),
      free_count_(geometry.segment_count) {}

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
  const SegmentState before = segments_[segment].state.exchange(state);
  if (before == state) return;
  if (state == SegmentState::free) free_count_.fetch_add(1);
  if (before == SegmentState::free) free_count_.fetch_sub(1);
}

void Ring::begin_reclaim(SegmentId segment) {
  MR_ASSERT(segments_[segment].state.load() == SegmentState::sealed);
  segments_[segment].state.store(SegmentState::reclaiming);
}

void Ring::cancel_reclaim(SegmentId segment) {
  MR_ASSERT(segments_[segment].state.load() == SegmentState::reclaiming);
  segments_[segment].state.store(SegmentState::sealed);
}

void Ring::note_birth(SegmentId segment, Sequence birth) {
  MutexLock lock(births_mutex_);
  Segment& item = segments_[segment];
  // A lap that was over and not flushed yet is still there beside the one that begins.
  item.overwritten = 0;
  if (birth < item.oldest.load()) item.oldest.store(birth);
}

void Ring::note_overwritten(SegmentId segment, Sequence oldest) {
  MutexLock lock(births_mutex_);
  segments_[segment].next_oldest = oldest == 0 ? kNothing : oldest;
  segments_[segment].overwritten = ++overwrites_;
}

uint64_t Ring::flush_mark() {
  MutexLock lock(births_mutex_);
  return overwrites_;
}

void Ring::flushed(uint64_t mark) {
  MutexLock lock(births_mutex_);
  for (Segment& segment : segments_) {
    if (segment.overwritten == 0 || segment.overwritten > mark) continue;
    segment.overwritten = 0;
    segment.oldest.store(segment.next_oldest);
  }
}

void Ring::flush_failed() {
  MutexLock lock(births_mutex_);
  for (Segment& segment : segments_) segment.overwritten = 0;
}

Sequence Ring::oldest_birth() const {
  Sequence oldest = kNothing;
  for (const Segment& segment : segments_) {
    const Sequence birth = segment.oldest.load();
    if (birth < oldest) oldest = birth;
  }
  return oldest;
}

}  // namespace millrace
