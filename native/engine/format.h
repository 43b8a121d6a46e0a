// Makes a device or file a millrace store: checks that nothing of somebody else's is on it, writes zeroes
// (or leaves that to the appender), superblocks and the identification sector. Runs on its own thread.
#pragma once

#include <atomic>
#include <string>

#include "device/device.h"
#include "layout/superblock.h"

namespace millrace {

struct FormatOptions {
  uint32_t block_size = 4096;
  bool zero_fill = true;   // false: the appender zeroes segments ahead of the write head
  bool force = false;      // format although something of ours is there; never over foreign content
};

struct FormatReport {
  std::string found;       // what stands in the way, when the status is foreign or busy
  Superblock superblock{};
};

// foreign: something that is not empty and not ours (report.found names it). busy: a millrace store that
// is not to be overwritten without force. `progress` counts zeroed bytes and may be read meanwhile;
// setting `cancel` stops between two writes with code closed.
Status format_device(Device& device, const FormatOptions& options, FormatReport* report,
                     std::atomic<uint64_t>* progress, const std::atomic<bool>* cancel);

}  // namespace millrace
