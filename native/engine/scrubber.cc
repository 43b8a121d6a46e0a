// Passes, pace and findings of the scrub. See scrubber.h.
#include "engine/scrubber.h"

#include <algorithm>

#include "base/clock.h"
#include "base/endian.h"
#include "base/random.h"
#include "engine/segment-scan.h"

namespace millrace {

namespace {

constexpr uint64_t kLongestDelayMs = 3600 * 1000;
// How often it looks whether footers are loaded and whether clients read, and how long those hold one piece
// up: a store that is never idle is scrubbed all the same.
constexpr uint64_t kLookMs = 5;
constexpr uint32_t kLooksPerPiece = 20;

}  // namespace

Scrubber::Scrubber(Device& device, Ring& ring, Index& index, const Warmer& warmer,
                   Counters& counters, const ScrubOptions& options)
    : device_(device),
      ring_(ring),
      index_(index),
      warmer_(warmer),
      counters_(counters),
      options_(options),
      // All of the device in the interval, in whole bytes a second.
      rate_(std::max(options.rate, device.facts().size / (options.interval_ms / 1000 + 1) + 1)) {
  MR_ASSERT_OP(options.interval_ms, >, 0u);
}

Scrubber::~Scrubber() { MR_ASSERT(!thread_.running()); }

void Scrubber::start() { thread_.start(&Scrubber::run_thread, this); }

void Scrubber::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  condition_.broadcast();
  thread_.join();
}

void* Scrubber::run_thread(void* self) {
  name_this_thread("millrace-scrub");
  static_cast<Scrubber*>(self)->run();
  return nullptr;
}

void Scrubber::run() {
  uint8_t number[8] = {};
  // Without random bytes it begins with the first.
  static_cast<void>(fill_random(number));
  first_segment_ = static_cast<SegmentId>(load_le<uint64_t>(number, 0) % ring_.segment_count());
  uint64_t next = monotonic_ms() + std::min(options_.interval_ms / 10, kLongestDelayMs);
  while (wait_until(next)) {
    while (!warmer_.is_done()) {
      if (!wait_until(monotonic_ms() + kLookMs)) return;
    }
    next = monotonic_ms() + options_.interval_ms;
    if (!pass()) return;
    Counters::add(counters_.scrub_passes);
  }
}

bool Scrubber::wait_until(uint64_t when_ms) {
  MutexLock lock(mutex_);
  while (!stopping_) {
    const uint64_t now = monotonic_ms();
    if (now >= when_ms) return true;
    condition_.wait_for(mutex_, when_ms - now);
  }
  return false;
}

bool Scrubber::pass() {
  AlignedBuffer memory(kMemory);
  pass_started_ms_ = monotonic_ms();
  pass_bytes_ = 0;
  for (uint32_t i = 0; i < ring_.segment_count(); i++) {
    if (!scrub((first_segment_ + i) % ring_.segment_count(), memory.bytes())) return false;
  }
  return true;
}

bool Scrubber::scrub(SegmentId segment, MutableBytes memory) {
  const Sequence sequence = ring_.sequence(segment);
  if (!is_same(segment, sequence)) return true;
  const Geometry& geometry = ring_.geometry();
  const Result<SegmentFooter> footer = read_footer(device_, geometry, options_.uuid, segment);
  if (!footer.ok() || footer.value().header.segment_sequence != sequence) {
    // What it lists can still be found; reclaim will miss it, and the next start will scan the segment.
    if (is_same(segment, sequence)) {
      const bool is_unreadable = !footer.ok() && footer.status().code() == Code::io;
      Counters::add(is_unreadable ? counters_.read_errors : counters_.scrub_damaged);
    }
    return true;
  }
  const ByteOffset start = geometry.segment_offset(segment);
  SegmentWindow window(device_, start, geometry.segment_size, memory);
  for (const FooterEntry& entry : footer.value().entries) {
    const ByteOffset at = ByteCount{entry.offset_grains} * kRecordGrain;
    const ByteCount length = ByteCount{entry.length_grains} * kRecordGrain;
    if (index_.word_at(entry.hash, start + at) == 0) continue;
    if (!window.holds(at, length) && !let_clients_go_first()) return false;
    const ByteCount before = window.bytes_read();
    const RecordCheck check = check_record(window, entry, sequence, nullptr);
    if (!is_same(segment, sequence)) return true;
    if (check.is_unreadable) {
      Counters::add(counters_.read_errors);
    } else if (check.damage != nullptr) {
      drop(segment, sequence, entry);
    }
    if (window.bytes_read() > before && !pace(window.bytes_read() - before)) return false;
  }
  return true;
}

bool Scrubber::is_same(SegmentId segment, Sequence sequence) const {
  return ring_.state(segment) == SegmentState::sealed && ring_.sequence(segment) == sequence;
}

void Scrubber::drop(SegmentId segment, Sequence sequence, const FooterEntry& entry) {
  const SegmentPin pin = ring_.pin(segment);
  // What was read was its own: nobody writes into a segment that has its old sequence.
  if (!pin || ring_.sequence(segment) != sequence) return;
  const ByteOffset start = ring_.geometry().segment_offset(segment);
  if (!index_.remove(entry.hash, start + ByteCount{entry.offset_grains} * kRecordGrain)) return;
  Counters::add(counters_.corrupt_records);
  Counters::add(counters_.scrub_damaged);
}

bool Scrubber::let_clients_go_first() {
  for (uint32_t look = 0; look < kLooksPerPiece; look++) {
    if (counters_.reads_under_way.load(std::memory_order_relaxed) == 0) return true;
    if (!wait_until(monotonic_ms() + kLookMs)) return false;
  }
  return true;
}

bool Scrubber::pace(ByteCount bytes) {
  Counters::add(counters_.scrubbed_bytes, bytes);
  pass_bytes_ += bytes;
  const auto due_ms = static_cast<uint64_t>(
      static_cast<unsigned __int128>(pass_bytes_) * 1000 / rate_);
  return wait_until(pass_started_ms_ + due_ms);
}

}  // namespace millrace
