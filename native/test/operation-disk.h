// What the operation fuzzer runs on: a disk in memory, or a file through the device that ships.
#pragma once

#include <memory>
#include <string>

#include "device/device.h"
#include "test/device-file.h"
#include "test/fault-device.h"

namespace millrace::test {

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

}  // namespace millrace::test
