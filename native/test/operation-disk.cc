// Disks of the operation fuzzer. See operation-disk.h.
#include "test/operation-disk.h"

#include "engine/recovery.h"
#include "test/support.h"

namespace millrace::test {

MemoryDisk::MemoryDisk() : image_(formatted_disk()) {}

std::unique_ptr<Device> MemoryDisk::open() {
  auto device = std::make_unique<FaultDevice>(image_);
  device_ = device.get();
  return device;
}

void MemoryDisk::closed() { image_ = device_->snapshot(); }

FileDisk::FileDisk(IoChoice choice) : file_(kDiskSize), choice_(choice) {
  file_.hide();
  const std::unique_ptr<Device> device = file_.open(choice);
  if (!device->facts().direct) direct_refusal_ = device->facts().direct_refusal;
  REQUIRE(device->facts().io_uring == (choice == IoChoice::io_uring));
  FaultDevice formatted(formatted_disk());
  REQUIRE(write_superblock(*device, read_superblock(formatted).value()).ok());
  device->close();
}

std::unique_ptr<Device> FileDisk::open() {
  return ++opened_ % 2 == 0 ? file_.open(choice_, kShortQueue) : file_.open(choice_);
}

}  // namespace millrace::test
