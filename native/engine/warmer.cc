// Footers into the index, behind a store that serves. See warmer.h.
#include "engine/warmer.h"

#include <array>

#include "base/clock.h"
#include "engine/segment-scan.h"

namespace millrace {

namespace {
// Entries that go into the index under one lock: some microseconds for whoever waits for it.
constexpr size_t kBatch = 64;
}  // namespace

Warmer::Warmer(Device& device, const Superblock& superblock, const Purges& purges, Ring& ring,
               Index& index, Counters& counters, std::vector<FoundSegment> segments)
    : device_(device),
      superblock_(superblock),
      purges_(purges),
      ring_(ring),
      index_(index),
      counters_(counters),
      segments_(std::move(segments)),
      total_(static_cast<uint32_t>(segments_.size())) {
  index_.begin_loading();
}

Warmer::~Warmer() { MR_ASSERT(!thread_.running()); }

void Warmer::start(Sequence first_birth, void (*done)(void*), void* context) {
  MR_ASSERT(!thread_.running());
  first_birth_ = first_birth;
  on_done_ = done;
  on_done_context_ = context;
  thread_.start(&Warmer::run_thread, this);
}

void Warmer::stop() {
  stopping_.store(true, std::memory_order_release);
  thread_.join();
}

bool Warmer::wait_until(uint64_t deadline_ms) {
  MutexLock lock(mutex_);
  while (!is_done()) {
    const uint64_t now = monotonic_ms();
    if (now >= deadline_ms) return false;
    condition_.wait_for(mutex_, deadline_ms - now);
  }
  return true;
}

void* Warmer::run_thread(void* self) {
  name_this_thread("millrace-warm");
  static_cast<Warmer*>(self)->run();
  return nullptr;
}

void Warmer::run() {
  const uint64_t started = monotonic_ms();
  FootersAhead footers(device_, superblock_.geometry);
  size_t looked_at = segments_.size();
  while (!segments_.empty()) {
    if (stopping_.load(std::memory_order_acquire)) return;
    while (looked_at > 0) {
      const FoundSegment& next = segments_[looked_at - 1];
      if (has_footer_to_read(next) && !footers.ask(*next.trailer)) break;
      looked_at--;
    }
    load(&segments_.back(), footers);
    segments_.pop_back();
    loaded_.fetch_add(1, std::memory_order_relaxed);
  }
  segments_.shrink_to_fit();
  index_.end_loading();
  Counters::add(counters_.warming_ms, monotonic_ms() - started);
  {
    MutexLock lock(mutex_);
    done_.store(true, std::memory_order_release);
  }
  condition_.broadcast();
  if (on_done_ != nullptr) on_done_(on_done_context_);
}

bool Warmer::has_footer_to_read(const FoundSegment& found) const {
  // Scanned already; or nothing of it is valid any more, as where the volume was away.
  return found.entries.empty() && found.trailer &&
         found.trailer->maximum_birth >= superblock_.minimum_birth;
}

void Warmer::load(FoundSegment* found, FootersAhead& footers) {
  const bool has_footer = has_footer_to_read(*found);
  std::vector<FooterEntry> entries = std::move(found->entries);
  bool is_known = found->trailer || !entries.empty();
  if (has_footer) {
    Result<std::vector<FooterEntry>> read = footers.take();
    is_known = read.ok();
    if (is_known) entries = std::move(read.value());
  }
  const SegmentPin pin = ring_.pin(found->segment);
  // Reclaimed meanwhile, and maybe written again, before its footer was read or after.
  if (!pin || ring_.sequence(found->segment) != found->sequence) return;
  Counters::add(counters_.recovered_segments);
  if (!is_known) {
    entries = scan_and_seal(device_, superblock_, found->segment, found->sequence, ring_,
                            &found->trailer);
  }
  load_entries(*found, entries);
}

void Warmer::load_entries(const FoundSegment& found, const std::vector<FooterEntry>& entries) {
  const ByteOffset start = superblock_.geometry.segment_offset(found.segment);
  std::array<LoadedRecord, kBatch> batch;
  size_t count = 0;
  const auto flush = [&] {
    index_.load(std::span<const LoadedRecord>(batch.data(), count));
    Counters::add(counters_.recovered_records, count);
    count = 0;
  };
  for (size_t i = entries.size(); i-- > 0;) {
    const FooterEntry& entry = entries[i];
    // Born after this start: a scan found what its life had given up, and no footer told of its birth.
    if (entry.birth < superblock_.minimum_birth || entry.birth >= first_birth_) continue;
    const auto kind = static_cast<RecordKind>(entry.kind);
    // Variants and whatever a prefix or tag names are judged when they are read.
    PurgeSubject subject;
    subject.birth = entry.birth;
    if (kind != RecordKind::chunk) subject.primary_hash = entry.hash;
    if (purges_.verdict(subject) == PurgeVerdict::gone) continue;
    const ByteCount length = ByteCount{entry.length_grains} * kRecordGrain;
    // Longer than any record that is written: a forged footer, not a reason to stop.
    if (length > kLongestRecord) continue;
    batch[count++] = LoadedRecord{
        entry.hash, start + ByteCount{entry.offset_grains} * kRecordGrain, length, kind};
    if (count == kBatch) flush();
  }
  if (count > 0) flush();
}

}  // namespace millrace
