// Loads the footers of an earlier life into the index while the store serves already, latest segment first,
// on a thread of its own, one per volume. What is not loaded yet is a miss. What was stored, purged or lost
// meanwhile is later than every footer: Index::load sees to that. A segment is pinned while it is loaded, so
// that reclaim either waits for its words and takes them out, or has freed it before and it is left alone.
//
// start() and stop() come from whoever opens and closes the volume; the rest may be called from any thread.
#pragma once

#include <vector>

#include "base/sync.h"
#include "device/device.h"
#include "engine/counters.h"
#include "engine/footers-ahead.h"
#include "engine/index.h"
#include "engine/purges.h"
#include "engine/recovery.h"
#include "engine/ring.h"

namespace millrace {

class Warmer {
 public:
  // `segments` in the order in which they were written. Nothing that is born at `first_birth` or later can
  // come from an earlier life.
  Warmer(Device& device, const Superblock& superblock, const Purges& purges, Ring& ring,
         Index& index, Counters& counters, std::vector<FoundSegment> segments);
  ~Warmer();

  // `done` runs on the warmer's thread once everything is loaded; not after stop().
  void start(Sequence first_birth, void (*done)(void*), void* context);
  // Leaves the rest unloaded. Idempotent.
  void stop();

  bool is_done() const { return done_.load(std::memory_order_acquire); }
  // Waits until everything is loaded, up to this time of monotonic_ms().
  bool wait_until(uint64_t deadline_ms);
  uint32_t loaded() const { return loaded_.load(std::memory_order_relaxed); }
  uint32_t total() const { return total_; }

 private:
  static void* run_thread(void* self);
  void run();
  bool has_footer_to_read(const FoundSegment& found) const;
  // Takes the footer that was asked for first of `footers`, where it has one to read.
  void load(FoundSegment* found, FootersAhead& footers);
  void load_entries(const FoundSegment& found, const std::vector<FooterEntry>& entries);

  Device& device_;
  const Superblock& superblock_;
  const Purges& purges_;
  Ring& ring_;
  Index& index_;
  Counters& counters_;
  std::vector<FoundSegment> segments_;
  const uint32_t total_;
  Sequence first_birth_ = 0;
  void (*on_done_)(void*) = nullptr;
  void* on_done_context_ = nullptr;
  Thread thread_;
  std::atomic<uint32_t> loaded_{0};
  std::atomic<bool> done_{false};
  std::atomic<bool> stopping_{false};
  Mutex mutex_;
  Condition condition_;
};

}  // namespace millrace
