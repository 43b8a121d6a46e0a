// Who else uses a device: text for the person whose store does not open. Reads /proc and /sys; called on
// failure only, from any thread that may block.
#pragma once

#include <cstdint>
#include <string>

namespace millrace {

struct DeviceNumber {
  uint32_t major = 0;
  uint32_t minor = 0;
};

// For a block device that is claimed: "it is mounted at /srv", "it is a part of dm-0 (vg-data)", "process
// 4711 (node) has it open", or that the kernel says it is in use.
std::string user_of_device(DeviceNumber device);

// For a file whose flock is taken, by the device and inode that it lies on: "process 4711 (node)".
std::string owner_of_lock(DeviceNumber device, uint64_t inode);

}  // namespace millrace
