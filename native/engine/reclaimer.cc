// Reclaim ahead of the write head. See reclaimer.h.
#include "engine/reclaimer.h"

#include <algorithm>

#include "base/clock.h"
#include "engine/memory-tier.h"
#include "engine/segment-scan.h"

namespace millrace {

namespace {

// How often pins are looked at: readers do not tell when they let go.
constexpr uint64_t kPinPollMs = 1;

}  // namespace

Reclaimer::Reclaimer(Device& device, Ring& ring, Index& index, Staging& staging, Counters& counters,
                     const ReclaimOptions& options)
    : device_(device),
      ring_(ring),
      index_(index),
      staging_(staging),
      counters_(counters),
      options_(options),
      clean_ahead_(
          clean_segments_ahead(ring.segment_count(), ring.geometry().segment_size)) {
  MR_ASSERT_OP(size_class_bytes(63) + 2 * kBlockAlignment, <=, kSlotSize);
}

Reclaimer::~Reclaimer() { MR_ASSERT(!started_); }

void Reclaimer::start() {
  MR_ASSERT(!started_);
  started_ = true;
  thread_.start(&Reclaimer::run_thread, this);
}

void Reclaimer::stop() {
  if (!started_) return;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  condition_.broadcast();
  thread_.join();
  started_ = false;
}

void* Reclaimer::run_thread(void* self) {
  name_this_thread("millrace-reclaim");
  static_cast<Reclaimer*>(self)->run();
  return nullptr;
}

void Reclaimer::run() {
  for (;;) {
    SegmentId segment = 0;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && (!is_writing_ || ring_.free_count() >= clean_ahead_ ||
                            !find_oldest(&segment))) {
        condition_.wait(mutex_);
      }
      if (stopping_) return;
    }
    next_segment_ = (segment + 1) % ring_.segment_count();
    has_reclaimed_ = true;
    const bool freed = reclaim(segment);
    {
      MutexLock lock(mutex_);
      skipped_in_a_row_ = freed ? 0 : skipped_in_a_row_ + 1;
    }
    condition_.broadcast();
  }
}

// The first sealed segment from where the last reclaim ended: the ring is gone round in the order in which
// it was written. The first one of a life is looked for by its sequence: in the first lap the oldest is not
// the one behind the place where this life began to write.
bool Reclaimer::find_oldest(SegmentId* segment) const {
  bool found = false;
  for (uint32_t i = 0; i < ring_.segment_count(); i++) {
    const SegmentId candidate = (next_segment_ + i) % ring_.segment_count();
    if (ring_.state(candidate) != SegmentState::sealed) continue;
    if (found && ring_.sequence(candidate) > ring_.sequence(*segment)) continue;
    *segment = candidate;
    found = true;
    if (has_reclaimed_) break;
  }
  return found;
}

bool Reclaimer::reclaim(SegmentId segment) {
  const ByteOffset start = ring_.geometry().segment_offset(segment);
  const Result<SegmentFooter> footer =
      read_footer(device_, ring_.geometry(), options_.uuid, segment);
  // A footer that cannot be read costs what it lists: the words that are left in the index point at records
  // of another sequence, fail their check when they are used, and go then.
  const bool is_known =
      footer.ok() && footer.value().header.segment_sequence == ring_.sequence(segment);
  if (is_known) reinsert_survivors(footer.value(), start);
  ring_.begin_reclaim(segment);
  if (!wait_for_readers(segment)) {
    ring_.cancel_reclaim(segment);
    Counters::add(counters_.segments_skipped);
    return false;
  }
  if (is_known) {
    for (const FooterEntry& entry : footer.value().entries) {
      index_.remove(entry.hash, start + ByteCount{entry.offset_grains} * kRecordGrain);
    }
  }
  // Its sequence stays, as a sign that this place was written before.
  ring_.set(segment, SegmentState::free, ring_.sequence(segment));
  Counters::add(counters_.segments_reclaimed);
  return true;
}

bool Reclaimer::wait_for_readers(SegmentId segment) {
  const uint64_t deadline = monotonic_ms() + options_.pin_wait_ms;
  while (ring_.pins(segment) > 0) {
    MutexLock lock(mutex_);
    if (stopping_ || monotonic_ms() >= deadline) return false;
    condition_.wait_for(mutex_, kPinPollMs);
  }
  return true;
}

std::vector<Survivor> Reclaimer::survivors_of(const SegmentFooter& footer,
                                              ByteOffset segment_start) const {
  std::vector<Survivor> records;
  for (uint32_t i = 0; i < footer.entries.size(); i++) {
    const FooterEntry& entry = footer.entries[i];
    // No word at this address: purged, replaced by a later record, or overwritten in a full index.
    const uint64_t word = index_.word_at(
        entry.hash, segment_start + ByteCount{entry.offset_grains} * kRecordGrain);
    if (word == 0) continue;
    uint32_t hits = Index::hits_of(word);
    if (hits == 0 && options_.memory != nullptr && options_.memory->was_asked_for(entry.hash)) {
      hits = 1;
    }
    records.push_back(Survivor{i, hits, ByteCount{entry.length_grains} * kRecordGrain});
  }
  choose_survivors(&records, ring_.geometry().segment_size);
  return records;
}

void Reclaimer::reinsert_survivors(const SegmentFooter& footer, ByteOffset segment_start) {
  const std::vector<Survivor> survivors = survivors_of(footer, segment_start);
  for (size_t i = 0; i < survivors.size(); i++) {
    Slot* slot = wait_for_slot();
    if (slot == nullptr) {
      Counters::add(counters_.reinsertions_dropped, survivors.size() - i);
      break;
    }
    const FooterEntry& entry = footer.entries[survivors[i].entry];
    const ByteOffset address = segment_start + ByteCount{entry.offset_grains} * kRecordGrain;
    const bool loaded = load(slot, entry, address);
    {
      MutexLock lock(mutex_);
      slot->state = loaded ? SlotState::ready : SlotState::empty;
      slot->order = ++order_;
    }
    if (loaded) staging_.wake();
    condition_.broadcast();
  }
  wait_for_settlement();
}

// An empty slot, once there is one; null when the write head needs the segment now.
Reclaimer::Slot* Reclaimer::wait_for_slot() {
  MutexLock lock(mutex_);
  for (;;) {
    if (starving_ || stopping_) return nullptr;
    for (Slot& slot : slots_) {
      if (slot.state != SlotState::empty) continue;
      if (!slot.buffer) slot.buffer = std::make_unique<AlignedBuffer>(kSlotSize);
      slot.state = SlotState::filling;
      return &slot;
    }
    condition_.wait(mutex_);
  }
}

// Until every survivor is appended or given up: then nothing reads from the segment but clients.
void Reclaimer::wait_for_settlement() {
  MutexLock lock(mutex_);
  for (;;) {
    bool is_waiting = false;
    for (Slot& slot : slots_) {
      if ((starving_ || stopping_) && slot.state == SlotState::ready) {
        slot.state = SlotState::empty;
        Counters::add(counters_.reinsertions_dropped);
      }
      is_waiting = is_waiting || slot.state != SlotState::empty;
    }
    if (!is_waiting) return;
    condition_.wait(mutex_);
  }
}

// Reads one survivor and checks all of it: a record that was damaged where it lay must not get a fresh
// checksum and a new lap.
bool Reclaimer::load(Slot* slot, const FooterEntry& entry, ByteOffset address) {
  const ByteCount length = ByteCount{entry.length_grains} * kRecordGrain;
  const ByteOffset begin = round_down(address, kBlockAlignment);
  const ByteOffset end = round_up(address + length, kBlockAlignment);
  if (end - begin > kSlotSize) return false;  // a forged footer
  const Status status = device_.read(begin, slot->buffer->bytes().first(end - begin));
  Counters::add(counters_.reclaim_read_bytes, end - begin);
  if (!status.ok()) {
    Counters::add(counters_.read_errors);
    return false;
  }
  const MutableBytes bytes = slot->buffer->bytes().subspan(address - begin, length);
  const Result<RecordView> view = decode_record(bytes);
  const SegmentId segment = ring_.segment_at(address);
  bool is_sound = view.ok() && record_length(view.value().header) == length &&
                  view.value().header.hash.low == entry.hash &&
                  view.value().header.segment_sequence == ring_.sequence(segment);
  if (is_sound) {
    const RecordHeader& found = view.value().header;
    is_sound = body_matches(view.value(),
                            bytes.subspan(record_body_distance(found), found.stored_length));
  }
  if (!is_sound) {
    Counters::add(counters_.corrupt_records);
    index_.remove(entry.hash, address);
    return false;
  }
  const RecordHeader& header = view.value().header;
  if (header.expires_ms != 0 && header.expires_ms <= wall_clock_ms()) return false;
  slot->survivor = Reinsertion{header, address, bytes};
  return true;
}

void Reclaimer::wake() {
  // Under the lock, so that a thread that has just looked at the ring does not miss it.
  MutexLock lock(mutex_);
  is_writing_ = true;
  condition_.broadcast();
}

Reinsertion* Reclaimer::next(uint64_t wait_ms) {
  MutexLock lock(mutex_);
  Slot* first = ready_slot_locked();
  if (first == nullptr && wait_ms > 0 && ring_.free_count() == 0 && !stopping_) {
    condition_.wait_for(mutex_, wait_ms);
    first = ready_slot_locked();
  }
  if (first == nullptr) return nullptr;
  first->state = SlotState::taken;
  return &first->survivor;
}

Reclaimer::Slot* Reclaimer::ready_slot_locked() {
  Slot* first = nullptr;
  for (Slot& slot : slots_) {
    MR_ASSERT(slot.state != SlotState::taken);
    if (slot.state == SlotState::ready && (first == nullptr || slot.order < first->order)) {
      first = &slot;
    }
  }
  return first;
}

void Reclaimer::settle(Reinsertion* survivor) {
  {
    MutexLock lock(mutex_);
    for (Slot& slot : slots_) {
      if (&slot.survivor == survivor) slot.state = SlotState::empty;
    }
  }
  condition_.broadcast();
}

bool Reclaimer::wait_for_free() {
  MutexLock lock(mutex_);
  starving_ = true;
  is_writing_ = true;
  condition_.broadcast();
  while (ring_.free_count() == 0 && !stopping_ && skipped_in_a_row_ < ring_.segment_count()) {
    condition_.wait(mutex_);
  }
  starving_ = false;
  return ring_.free_count() > 0;
}

}  // namespace millrace
