// The life of the open segment: opening it at the write head, sealing it with its footer, giving it up
// after a write error, and zeroing the next one ahead in files that format did not zero.
#include <cstring>

#include "base/clock.h"
#include "engine/aligned-buffer.h"
#include "engine/appender.h"
#include "engine/judge.h"
#include "engine/policy.h"

namespace millrace {

// The next free segment in the ring's order; skipped ones keep their place for the next lap.
bool Appender::find_free(SegmentId* segment) {
  for (uint32_t i = 0; i < ring_.segment_count(); i++) {
    const SegmentId candidate = (next_segment_ + i) % ring_.segment_count();
    if (ring_.state(candidate) != SegmentState::free) continue;
    *segment = candidate;
    return true;
  }
  return false;
}

bool Appender::open_segment(bool waits) {
  MR_ASSERT(!is_open_);
  SegmentId found = 0;
  while (!find_free(&found)) {
    if (!waits || !reclaimer_.wait_for_free()) return false;
  }
  next_segment_ = (found + 1) % ring_.segment_count();
  {
    MutexLock lock(mutex_);
    // Zeroes that are still on their way must not land on the records of this lap.
    zero_ahead_.end = zero_ahead_.next;
    while (zero_ahead_.busy) condition_.wait(mutex_);
    segment_ = found;
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
  patience_until_ms_ = monotonic_ms() + kReclaimPatienceMs;
  reclaimer_.wake();
  if (options_.zero_ahead) zero_next_segment();
  return true;
}

// The open segment is the last clean one: its survivors need room in it, or there will be none for them. They
// take half of a segment at most, so every reclaim gains as much.
void Appender::let_reclaim_catch_up() {
  while (is_open_ && ring_.free_count() == 0 && !writes_off() && !staging_.closed()) {
    const uint64_t now = monotonic_ms();
    if (now >= patience_until_ms_) return;
    Reinsertion* survivor = reclaimer_.next(patience_until_ms_ - now);
    if (survivor == nullptr) continue;
    reinsert(survivor);
    reclaimer_.settle(survivor);
  }
}

void Appender::reinsert(Reinsertion* survivor) {
  const RecordHeader& header = survivor->header;
  ByteOffset start = 0;
  // What was purged or replaced since it was read is not written: recovery believes what comes later in the
  // log. Later purges and versions come later there too, this thread writes both. A survivor never waits
  // for a segment, because the next one to be freed waits for it.
  if (writes_off() || index_.word_at(header.hash.low, survivor->address) == 0 ||
      !make_room(header, false, &start)) {
    Counters::add(counters_.reinsertions_dropped);
    return;
  }
  // In this order, as in append().
  ring_.note_birth(segment_, header.birth);
  const Result<RecordView> view = decode_record(survivor->bytes);
  MR_ASSERT(view.ok());
  if (options_.purges != nullptr &&
      judge(*options_.purges, options_.hash_key, view.value()) == PurgeVerdict::gone) {
    return;
  }
  restamp_record(survivor->bytes.first(record_body_distance(header)), sequence_);
  zero_in(head_, start);
  head_ = start;
  copy_in(head_, survivor->bytes);
  head_ += survivor->bytes.size();
  make_readable();
  if (oldest_unflushed_ms_ == 0) oldest_unflushed_ms_ = monotonic_ms();
  const ByteOffset address = ring_.geometry().segment_offset(segment_) + start;
  if (!index_.move(header.hash.low, survivor->address, address, kHitsAfterReinsertion)) return;
  footer_.entries.push_back(FooterEntry{
      header.hash.low, header.birth, static_cast<uint32_t>(start / kRecordGrain),
      static_cast<uint32_t>(survivor->bytes.size() / kRecordGrain),
      static_cast<uint8_t>(header.kind)});
  Counters::add(counters_.reinserted_records);
  Counters::add(counters_.reinserted_bytes, survivor->bytes.size());
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
  reclaimer_.wake();
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
    // A segment that was written before has its extents; zeroes would only double the writing.
    if (zero_ahead_.busy || ring_.state(next_segment_) != SegmentState::free ||
        ring_.sequence(next_segment_) != 0) {
      return;
    }
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
