// The scrub of one volume: reads what the index leads to in every sealed segment, once per interval, and
// compares it with its checksums; what is damaged leaves the index before a client asks for it. On a thread
// of its own, slowly, and after the reads of clients. It pins nothing while it reads: whether the segment was
// reclaimed meanwhile is told by its state and sequence afterwards.
//
// Where it stands is not written down: each start begins, after a tenth of the interval and an hour at most,
// at a segment taken at random, so that frequent starts favour none. start() and stop() may be called from
// any thread.
#pragma once

#include "base/sync.h"
#include "device/device.h"
#include "engine/aligned-buffer.h"
#include "engine/counters.h"
#include "engine/index.h"
#include "engine/ring.h"
#include "engine/segment-check.h"
#include "engine/warmer.h"

namespace millrace {

struct ScrubOptions {
  DeviceUuid uuid{};
  uint64_t interval_ms = 0;     // of passes, from beginning to beginning
  ByteCount rate = 8 * kMiB;    // bytes a second; raised where the interval would be too short for it
};

class Scrubber {
 public:
  // While a pass runs; read at once.
  static constexpr ByteCount kMemory = 2 * kMiB;

  Scrubber(Device& device, Ring& ring, Index& index, const Warmer& warmer, Counters& counters,
           const ScrubOptions& options);
  ~Scrubber();
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;

  void start();
  // Leaves the pass where it is. Idempotent.
  void stop();

 private:
  static void* run_thread(void* self);
  void run();
  // False: to be stopped.
  bool pass();
  bool scrub(SegmentId segment, MutableBytes memory);
  bool wait_until(uint64_t when_ms);
  bool let_clients_go_first();
  // Waits until this many bytes are due.
  bool pace(ByteCount bytes);
  bool is_same(SegmentId segment, Sequence sequence) const;
  void drop(SegmentId segment, Sequence sequence, const FooterEntry& entry);

  Device& device_;
  Ring& ring_;
  Index& index_;
  const Warmer& warmer_;
  Counters& counters_;
  const ScrubOptions options_;
  const ByteCount rate_;
  Thread thread_;
  // Of the thread.
  SegmentId first_segment_ = 0;
  uint64_t pass_started_ms_ = 0;
  ByteCount pass_bytes_ = 0;

  Mutex mutex_;
  Condition condition_;
  bool stopping_ = false;
};

}  // namespace millrace
