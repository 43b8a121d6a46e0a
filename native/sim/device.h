// The faulty device that the simulated engine writes to: requests complete in seeded order after seeded
// delays, on fibers that stand for the device threads, and go wrong as the plan says. A crash freezes the
// disk in the middle of everything; what the old engine does afterwards reaches nothing.
#pragma once

#include <vector>

#include "base/sync.h"
#include "device/device.h"
#include "sim/disk.h"

namespace millrace::sim {

// Chances are of one request in 2^20. Silent faults are ones that the device does not report; they hit
// segments only, and only pages that were not read since they were written (disk.h says why).
struct FaultPlan {
  uint32_t read_error = 0;
  uint32_t write_error = 0;    // EIO or ENOSPC; nothing, a part or all of the write lands
  uint32_t flush_error = 0;
  uint32_t submit_again = 0;   // the queue is full
  uint32_t dropped = 0;        // silent: nothing lands
  uint32_t torn = 0;           // silent: a random subset of pages lands
  uint32_t misdirected = 0;    // silent: lands somewhere else
  uint32_t flipped_write = 0;  // silent: one bit
  uint32_t flipped_read = 0;   // silent, in the transfer only
  uint32_t slow = 0;           // takes seconds
  uint32_t delay_us = 200;     // usual delay, at most
  bool any_silent() const {
    return dropped + torn + misdirected + flipped_write + flipped_read > 0;
  }
};

struct FaultCounts {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t flushes = 0;
  uint64_t errors = 0;
  uint64_t silent = 0;
  uint64_t written_bytes = 0;
};

enum class CrashKind : uint8_t { kill, power };

class SimDevice : public Device {
 public:
  // `silent_begin` .. `silent_end`: where silent faults may strike. The disk and the counts outlive this.
  SimDevice(Disk& disk, uint64_t seed, FaultCounts& counts, ByteOffset silent_begin,
            ByteOffset silent_end);
  ~SimDevice() override;

  const DeviceFacts& facts() const override { return facts_; }
  Status submit(IoRequest* request) override;
  void close() override;

  FaultPlan plan;
  // Crashes after so many more writes and flushes were executed; kNever: not.
  uint64_t crash_after_writes = kNever;
  CrashKind crash_kind = CrashKind::kill;
  // Called in the moment of a crash, the disk being what the next start will find.
  void (*on_crash)(void* context) = nullptr;
  void* on_crash_context = nullptr;

  void crash(CrashKind kind);
  bool crashed() const { return crashed_; }
  bool crashed_in_write() const { return crashed_in_write_; }

 private:
  struct Pending {
    IoRequest* request = nullptr;
    uint64_t due_us = 0;
    uint64_t flush_covers = 0;
  };

  static void* run_fiber(void* self);
  void run();
  bool take(Pending* taken);
  bool happens(uint32_t chance) { return chance != 0 && random_.below(1 << 20) < chance; }
  Status execute(const Pending& pending);
  Status read(IoRequest* request);
  Status write(IoRequest* request);
  void land(const IoRequest& request, ByteOffset offset, uint32_t keep_percent);
  void land_flipped(const IoRequest& request);
  bool may_damage(ByteOffset offset, ByteCount length) const;
  void check(const IoRequest& request) const;

  Disk& disk_;
  Random random_;
  FaultCounts& counts_;
  const ByteOffset silent_begin_;
  const ByteOffset silent_end_;
  DeviceFacts facts_;
  std::vector<Pending> pending_;
  std::vector<uint8_t> bounce_;
  WaitList idle_;
  std::vector<Fiber*> fibers_;
  bool closed_ = false;
  bool crashed_ = false;
  bool crashed_in_write_ = false;
};

}  // namespace millrace::sim
