// Looks at a device without changing it: what stands in its superblocks and segments, what is stored under a
// key, and whether every record still matches its checksums. For the commands `inspect` and `verify`; runs
// on a thread that may block. A device that is in use may be looked at too: what is being overwritten
// meanwhile shows up as damaged at most. Nothing here touches a running store.
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.h"
#include "layout/record.h"
#include "layout/segment.h"

namespace millrace {

enum class SegmentFinding : uint8_t {
  empty,      // never written
  sealed,     // has its footer
  open,       // a header without a footer of its own: the write head stood here
  unreadable  // the device failed, or the header is damaged
};

struct SegmentReport {
  SegmentFinding finding = SegmentFinding::empty;
  Sequence sequence = 0;
  uint64_t opened_ms = 0;  // Unix time; 0 where it is not known
  ByteCount used = 0;      // bytes of records, header and footer
  uint64_t records = 0;
};

struct DeviceReport {
  Superblock superblock{};                       // the newest valid copy
  Status copies[kSuperblockCopies] = {};         // of each copy: ok, or what is wrong with it
  std::vector<SegmentReport> segments;
  uint64_t records_by_kind[4] = {};              // by RecordKind, from footers and scans
};

struct StoredRecord {
  ByteOffset offset = 0;   // on the device
  SegmentId segment = 0;
  RecordHeader header{};
  std::string key;
  std::vector<uint8_t> head;
  uint32_t chunks_found = 0;   // of a head: how many of its chunks some footer names
  uint32_t chunks_wanted = 0;
};

struct DamagedRecord {
  // Of what lies in no segment: superblocks and the purge journal.
  static constexpr SegmentId kNoSegment = ~SegmentId{0};
  ByteOffset offset = 0;  // on the device
  SegmentId segment = kNoSegment;
  const char* reason = "";  // static
  std::string key;          // empty where it cannot be told, and of chunks
};

struct VerifyReport {
  // More than this are counted, not listed.
  static constexpr size_t kListed = 1000;
  uint64_t segments = 0;
  uint64_t records = 0;
  ByteCount bytes = 0;     // read and compared
  uint64_t damaged = 0;
  std::vector<DamagedRecord> listed;
};

// Work done and work to do, in segments; and whether to stop (the result is then `closed`).
struct InspectProgress {
  std::atomic<uint64_t> done{0};
  std::atomic<uint64_t> total{0};
  std::atomic<bool> cancelled{false};
};

// Superblocks, headers and footers. The status of read_superblock where that fails.
Status inspect_device(Device& device, DeviceReport* report, InspectProgress* progress);

// Every record of `key` (a primary key, or a variant's) that a footer names, newest last.
Status find_on_device(Device& device, std::string_view key, std::vector<StoredRecord>* found,
                      InspectProgress* progress);

// Reads every record that a footer names, and compares all of it with its checksums; and what leads to them:
// superblocks, purge journal, headers and footers.
Status verify_device(Device& device, VerifyReport* report, InspectProgress* progress);

}  // namespace millrace
