// The ring of segments: which one is free, open or sealed, its sequence, and pins that keep a segment from
// being reclaimed while a read from it is under way. Callable from any thread; state changes come from
// the appender's thread, the reclaim thread and recovery, each of segments that are its own at that time.
#pragma once

#include <atomic>
#include <vector>

#include "base/sync.h"
#include "layout/geometry.h"

namespace millrace {

enum class SegmentState : uint8_t { free, open, sealed, reclaiming };

class Ring;

// Keeps one segment from reclaim while it lives. Move-only.
class SegmentPin {
 public:
  SegmentPin() = default;
  SegmentPin(SegmentPin&& other) noexcept
      : ring_(std::exchange(other.ring_, nullptr)), segment_(other.segment_) {}
  SegmentPin& operator=(SegmentPin&& other) noexcept {
    if (this != &other) {
      reset();
      ring_ = std::exchange(other.ring_, nullptr);
      segment_ = other.segment_;
    }
    return *this;
  }
  ~SegmentPin() { reset(); }
  void reset();
  explicit operator bool() const { return ring_ != nullptr; }
  SegmentId segment() const { return segment_; }

 private:
  friend class Ring;
  SegmentPin(Ring* ring, SegmentId segment) : ring_(ring), segment_(segment) {}
  Ring* ring_ = nullptr;
  SegmentId segment_ = 0;
};

class Ring {
 public:
  explicit Ring(const Geometry& geometry);

  const Geometry& geometry() const { return geometry_; }
  uint32_t segment_count() const { return geometry_.segment_count; }
  uint32_t free_count() const { return free_count_.load(); }
  // Segment that holds this device offset; segment_count() when none does.
  SegmentId segment_at(ByteOffset offset) const;

  // Empty when the segment is free or being reclaimed.
  SegmentPin pin(SegmentId segment);
  uint32_t pins(SegmentId segment) const { return segments_[segment].pins.load(); }
  SegmentState state(SegmentId segment) const { return segments_[segment].state.load(); }
  Sequence sequence(SegmentId segment) const { return segments_[segment].sequence.load(); }

  // A free segment of sequence 0 was never written in this ring.
  void set(SegmentId segment, SegmentState state, Sequence sequence);
  // Stops new pins. The caller then waits until pins() is 0, or gives up with cancel_reclaim.
  void begin_reclaim(SegmentId segment);
  void cancel_reclaim(SegmentId segment);

  // What a start might find in a segment: the lowest birth among its records, those of an earlier lap
  // included until a flush has made it certain that their segment header is overwritten. Purges are
  // forgotten by it.
  void note_birth(SegmentId segment, Sequence birth);
  // Nothing of the earlier lap can be found any more once the next flush is done: `oldest` is all there is.
  void note_overwritten(SegmentId segment, Sequence oldest);
  // Before a flush; then, when it succeeded, with its result; or when it failed.
  uint64_t flush_mark();
  void flushed(uint64_t mark);
  void flush_failed();
  // Of all segments; the highest possible where there is nothing.
  Sequence oldest_birth() const;

 private:
  friend class SegmentPin;
  static constexpr Sequence kNothing = ~Sequence{0};
  struct Segment {
    std::atomic<uint32_t> pins{0};
    std::atomic<SegmentState> state{SegmentState::free};
    std::atomic<Sequence> sequence{0};
    std::atomic<Sequence> oldest{kNothing};
    Sequence next_oldest = kNothing;  // under births_mutex_: becomes `oldest` with the flush after
    uint64_t overwritten = 0;         // this mark; 0: nothing waits
  };

  Geometry geometry_;
  std::vector<Segment> segments_;
  std::atomic<uint32_t> free_count_;
  Mutex births_mutex_;
  uint64_t overwrites_ = 0;
};

}  // namespace millrace
