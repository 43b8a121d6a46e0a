// Frees segments ahead of the write head, on a thread of its own: reads the footer of the oldest sealed
// segment, chooses what was hit since it was written (policy.h), reads and checks just those records and
// hands them to the write head, which appends them again; then keeps readers out, takes what is left out of
// the index and marks the segment free. Until then its records can be read as before.
//
// Without a clean segment left the write head takes survivors first, for kReclaimPatienceMs at most. When it
// needs a segment and none is free, the survivors that are not appended yet are given up and their segment is
// freed at once. A segment that readers keep pinned for
// kPinWaitMs is skipped for this lap; readers copy into pages of their own and hold a pin for one device
// read, so there is nobody to ask for more.
//
// start, stop and wake may be called from any thread; next, settle and wait_for_free from the write head.
#pragma once

#include <memory>

#include "base/sync.h"
#include "device/device.h"
#include "engine/aligned-buffer.h"
#include "engine/counters.h"
#include "engine/index.h"
#include "engine/policy.h"
#include "engine/ring.h"
#include "engine/staging.h"
#include "layout/segment.h"

namespace millrace {

class MemoryTier;

struct ReclaimOptions {
  DeviceUuid uuid{};
  MemoryTier* memory = nullptr;  // what is asked for there keeps its copy on the disk warm
  uint64_t pin_wait_ms = kPinWaitMs;
};

// A record on its way from the segment that is being reclaimed to the write head.
struct Reinsertion {
  RecordHeader header{};
  ByteOffset address = 0;  // where it lies now
  MutableBytes bytes;      // record_length(header) of them, checked
};

class Reclaimer {
 public:
  // Survivors in memory at once: one is read while the other is appended.
  static constexpr uint32_t kSlots = 2;
  // What they occupy from the first reclaim on: the longest record, and the blocks it begins and ends in.
  static constexpr ByteCount kSlotSize = 1 * kMiB + 192 * kKiB;
  static constexpr ByteCount kMemory = kSlots * kSlotSize;

  Reclaimer(Device& device, Ring& ring, Index& index, Staging& staging, Counters& counters,
            const ReclaimOptions& options);
  ~Reclaimer();
  Reclaimer(const Reclaimer&) = delete;
  Reclaimer& operator=(const Reclaimer&) = delete;

  void start();
  // Joins the thread; survivors that wait are given up. Idempotent.
  void stop();

  // The write head has taken a segment or sealed one.
  void wake();
  // The survivor that waits longest, or null; with wait_ms up to so long for one, while no segment is free.
  // To be settled before the next call.
  Reinsertion* next(uint64_t wait_ms = 0);
  void settle(Reinsertion* survivor);
  // Blocks until a segment is free. False when none can be freed: every one is pinned, or after stop().
  bool wait_for_free();

 private:
  enum class SlotState : uint8_t { empty, filling, ready, taken };
  struct Slot {
    SlotState state = SlotState::empty;
    uint64_t order = 0;
    Reinsertion survivor;
    std::unique_ptr<AlignedBuffer> buffer;
  };

  static void* run_thread(void* self);
  void run();
  Slot* ready_slot_locked();
  bool find_oldest(SegmentId* segment) const;
  bool reclaim(SegmentId segment);
  void reinsert_survivors(const SegmentFooter& footer, ByteOffset segment_start);
  std::vector<Survivor> survivors_of(const SegmentFooter& footer, ByteOffset segment_start) const;
  Slot* wait_for_slot();
  void wait_for_settlement();
  bool load(Slot* slot, const FooterEntry& entry, ByteOffset address);
  bool wait_for_readers(SegmentId segment);

  Device& device_;
  Ring& ring_;
  Index& index_;
  Staging& staging_;
  Counters& counters_;
  const ReclaimOptions options_;
  const uint32_t clean_ahead_;
  Thread thread_;
  bool started_ = false;
  SegmentId next_segment_ = 0;  // of the reclaim thread only
  bool has_reclaimed_ = false;  // too

  Mutex mutex_;
  Condition condition_;
  Slot slots_[kSlots];
  uint64_t order_ = 0;
  uint32_t skipped_in_a_row_ = 0;
  bool is_writing_ = false;  // hits are not known after a start: nothing is freed before somebody writes
  bool starving_ = false;
  bool stopping_ = false;
};

}  // namespace millrace
