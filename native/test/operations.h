// The operation fuzzer: threads that put, read, refresh, forget and purge at random on the shipped store,
// over several lives of one disk, in memory or a real file, and a history that tells which versions each
// look-up may find. Made for ThreadSanitizer, which sees the races, while the history sees their results.
// Seeded: a seed repeats what each thread wants to do, not how the threads meet.
#pragma once

#include <memory>
#include <string>

#include "device/device.h"
#include "test/device-file.h"
#include "test/fault-device.h"

namespace millrace::test {

struct OperationOptions {
  uint64_t seed = 1;
  uint32_t threads = 4;
  uint32_t lives = 3;
  uint32_t operations = 200;  // of each thread in each life
  ByteCount tier_budget = 700 * kKiB;  // a few records
};

struct OperationReport {
  // Empty: every look-up found what it may find. Else what it found, and why that is wrong.
  std::string violation;
  uint64_t finds = 0;  // that found something, and were judged
  uint64_t body_bytes = 0;
  uint64_t device_reads = 0;
  uint64_t puts = 0;  // finished
  uint64_t refreshes = 0;
  uint64_t purges = 0;
  uint64_t closed_early = 0;  // lives that ended in the middle of operations
};

// Where all lives happen, one after the other. It goes on from run to run, so that a long one laps it.
class OperationDisk {
 public:
  virtual ~OperationDisk() = default;
  // For the next life; its store owns it.
  virtual std::unique_ptr<Device> open() = 0;
  // The store is closed, its device still there.
  virtual void closed() {}
};

// In memory: cheap, and sure to be there.
class MemoryDisk : public OperationDisk {
 public:
  MemoryDisk();
  std::unique_ptr<Device> open() override;
  void closed() override;

 private:
  DiskImage image_;
  FaultDevice* device_ = nullptr;
};

// A file through the device that ships. It has no name any more: whatever happens, it is gone with the
// process.
class FileDisk : public OperationDisk {
 public:
  explicit FileDisk(IoChoice choice);
  // Why direct I/O is not in force; empty where it is.
  const std::string& direct_refusal() const { return direct_refusal_; }
  std::unique_ptr<Device> open() override;

 private:
  // Short in every second life, so that requests are refused.
  static constexpr uint32_t kShortQueue = 8;

  DeviceFile file_;
  const IoChoice choice_;
  std::string direct_refusal_;
  uint32_t opened_ = 0;
};

// Runs all lives on the disk, which is left as the last one left it.
OperationReport run_operations(const OperationOptions& options, OperationDisk* disk);

}  // namespace millrace::test
