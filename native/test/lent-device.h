// Several disks for one store: a fault device that outlives the store it was given to, so that a test sees
// what is on it afterwards, and formatted disks that differ by a number.
#pragma once

#include <memory>
#include <utility>

#include "engine/recovery.h"
#include "test/support.h"

namespace millrace::test {

class LentDevice final : public Device {
 public:
  explicit LentDevice(std::shared_ptr<FaultDevice> device) : device_(std::move(device)) {}
  const DeviceFacts& facts() const override { return device_->facts(); }
  Status submit(IoRequest* request) override { return device_->submit(request); }
  void close() override { device_->close(); }

 private:
  const std::shared_ptr<FaultDevice> device_;
};

// Empty, with a name and a hash key made of `number`.
inline DiskImage disk_number(uint8_t number) {
  Superblock superblock;
  superblock.uuid.fill(number);
  superblock.hash_key.fill(static_cast<uint8_t>(number + 100));
  superblock.geometry = geometry_of(kDiskSize).value();
  superblock.superblock_sequence = 1;
  FaultDevice device((DiskImage(kDiskSize)));
  REQUIRE(write_superblock(device, superblock).ok());
  return device.snapshot();
}

}  // namespace millrace::test
