// The life of the open segment: opening it at the write head, sealing it with its footer, giving it up
// after a write error, and zeroing the next one ahead in files that format did not zero.
#include <cstring>

#include "base/clock.h"
#include "engine/aligned-buffer.h"
#include "engine/appender.h"
#include "engine/reclaimer.h"

namespace millrace {

bool Appender::open_segment() {
  MR_ASSERT(!is_open_);
  for (uint32_t tried = 0; tried < ring_.segment_count(); tried++) {
    const SegmentId candidate = next_segment_;
    next_segment_ = (next_segment_ + 1) % ring_.segment_count();
    if (ring_.state(candidate) == SegmentState::sealed &&
        !reclaim_segment(device_, ring_, index_, counters_, options_.uuid, candidate)) {
      continue;
    }
    MR_ASSERT(ring_.state(candidate) == SegmentState::free);
    {
      MutexLock lock(mutex_);
      // Zeroes that are still on their way must not land on the records of this lap.
      zero_ahead_.end = zero_ahead_.next;
      while (zero_ahead_.busy) condition_.wait(mutex_);
      segment_ = candidate;
      sequence_ = next_sequence_++;
      failed_from_ = ~uint64_t{0};
    }
    is_open_ = true;
    head_ = 0;
    footer_ = SegmentFooter{};
    footer_.header = SegmentHeader{segment_, sequence_, options_.uuid, wall_clock_ms()};
    uint8_t header[kSegmentHeaderSize];
    encode_segment_header(footer_.header, header);
    copy_in(0, header);
    head_ = kSegmentHeaderSize;
    ring_.set(segment_, SegmentState::open, sequence_);
    if (options_.zero_ahead) zero_next_segment();
    return true;
  }
  return false;
}

void Appender::seal_segment() {
  MR_ASSERT(is_open_);
  // The footer promises its records, so it goes out after them.
  wait_for_writes();
  handle_failures();
  if (!is_open_) return;
  footer_.minimum_birth = 0;
  footer_.maximum_birth = 0;
  for (const FooterEntry& entry : footer_.entries) {
    if (footer_.minimum_birth == 0 || entry.birth < footer_.minimum_birth) {
      footer_.minimum_birth = entry.birth;
    }
    if (entry.birth > footer_.maximum_birth) footer_.maximum_birth = entry.birth;
  }
  const ByteCount size = footer_size(footer_.entries.size());
  MR_ASSERT_OP(head_ + size, <=, segment_size_);
  const bool was_written = !std::exchange(lost_write_, false);
  AlignedBuffer bytes(size);
  encode_footer(footer_, bytes.bytes());
  const ByteOffset end = ring_.geometry().segment_offset(segment_) + segment_size_;
  const Status status = device_.write(end - size, bytes.bytes());
  Counters::add(counters_.device_writes);
  Counters::add(counters_.device_written_bytes, size);
  if (!status.ok()) Counters::add(counters_.write_errors);
  {
    MutexLock lock(mutex_);
    if (status.ok()) flushed_ = FlushedPosition{sequence_, segment_size_};
    if (current_ != nullptr && current_->pending == 0 && current_->pins == 0) {
      current_->active = false;
    }
    current_ = nullptr;
  }
  ring_.set(segment_, SegmentState::sealed, sequence_);
  if (was_written && status.ok()) ring_.note_overwritten(segment_, footer_.minimum_birth);
  Counters::add(counters_.segments_sealed);
  is_open_ = false;
}

void Appender::handle_failures() {
  ByteOffset failed_from;
  {
    MutexLock lock(mutex_);
    if (!has_failure_) return;
    while (!in_order_.empty()) condition_.wait(mutex_);
    has_failure_ = false;
    failed_from = failed_from_;
    failed_from_ = ~uint64_t{0};
    if (errors_in_a_row_ >= kErrorsUntilOff) writes_off_.store(true);
  }
  if (writes_off()) staging_.refuse_offers();
  if (!is_open_ || failed_from == ~uint64_t{0}) return;
  // What lies behind the failure was never wholly written: take it out of the index, keep what is before,
  // and leave the rest of this segment alone until its next lap.
  const ByteOffset start = ring_.geometry().segment_offset(segment_);
  std::vector<FooterEntry> kept;
  for (const FooterEntry& entry : footer_.entries) {
    const ByteOffset begin = ByteCount{entry.offset_grains} * kRecordGrain;
    const ByteOffset end = begin + ByteCount{entry.length_grains} * kRecordGrain;
    if (end <= failed_from) {
      kept.push_back(entry);
    } else {
      index_.remove(entry.hash, start + begin);
    }
  }
  footer_.entries = std::move(kept);
  {
    MutexLock lock(mutex_);
    for (Buffer& buffer : buffers_) {
      if (&buffer == current_ && buffer.pending == 0 && buffer.pins == 0) buffer.active = false;
    }
    current_ = nullptr;
  }
  head_ = round_up(failed_from, kBlockAlignment);
  oldest_unflushed_ms_ = 0;
  lost_write_ = true;
  seal_segment();
}

void Appender::zero_next_segment() {
  ByteOffset start;
  {
    MutexLock lock(mutex_);
    if (zero_ahead_.busy || ring_.state(next_segment_) != SegmentState::free) return;
    start = ring_.geometry().segment_offset(next_segment_);
    if (zero_ahead_.zeros == nullptr) {
      void* memory = nullptr;
      MR_ASSERT(posix_memalign(&memory, kPageSize, kBufferSize) == 0);
      std::memset(memory, 0, kBufferSize);
      zero_ahead_.zeros = static_cast<uint8_t*>(memory);
    }
    zero_ahead_.next = start;
    zero_ahead_.end = start + segment_size_;
    zero_ahead_.busy = true;
  }
  zero_ahead_.request = IoRequest{};
  zero_ahead_.request.context = this;
  zero_done(&zero_ahead_.request);
}

void Appender::zero_done(IoRequest* request) {
  auto* self = static_cast<Appender*>(request->context);
  ZeroAhead& zero = self->zero_ahead_;
  bool more;
  {
    MutexLock lock(self->mutex_);
    more = request->result.ok() && zero.next < zero.end;
    if (more) {
      *request = IoRequest{};
      request->operation = IoOperation::write;
      request->offset = zero.next;
      request->span_count = 1;
      request->spans[0] = iovec{zero.zeros, kBufferSize};
      request->done = &Appender::zero_done;
      request->context = self;
      zero.next += kBufferSize;
    }
  }
  // A full queue ends the zeroing early: it only saves the file system work, nothing depends on it.
  if (more && self->device_.submit(request).ok()) return;
  {
    MutexLock lock(self->mutex_);
    zero.busy = false;
  }
  self->condition_.broadcast();
}

}  // namespace millrace
