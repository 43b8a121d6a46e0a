// The operation fuzzer: threads (operator.h) that put, read, refresh, forget and purge at random on the
// shipped store, over several lives of one disk (operation-disk.h), and a history (history.h) that tells
// which versions each look-up may find. Made for ThreadSanitizer, which sees the races, while the history
// sees their results. Seeded: a seed repeats what each thread wants to do, not how the threads meet.
#pragma once

#include <string>

#include "test/operation-disk.h"

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
  uint64_t puts = 0;   // finished
  uint64_t parts = 0;  // of bodies, put
  uint64_t completed = 0;   // objects that a part has made whole
  uint64_t part_reads = 0;  // of what lacks other bytes
  uint64_t refreshes = 0;
  uint64_t purges = 0;
  uint64_t closed_early = 0;  // lives that ended in the middle of operations
};

// Runs all lives on the disk, which is left as the last one left it.
OperationReport run_operations(const OperationOptions& options, OperationDisk* disk);

}  // namespace millrace::test
