// A regular file for tests of real devices, made for one test and gone after it, and the list of the backends
// that this machine can run.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "device/posix-device.h"

namespace millrace::test {

// Threads, and io_uring where the kernel allows it; says so where it does not.
std::vector<IoChoice> usable_backends();

class DeviceFile {
 public:
  explicit DeviceFile(ByteCount size);
  ~DeviceFile();
  DeviceFile(const DeviceFile&) = delete;
  DeviceFile& operator=(const DeviceFile&) = delete;

  const std::string& path() const { return path_; }
  // Takes the name away: only this process can open it from now on, by path(), and nothing is left behind
  // however the test ends.
  void hide();
  std::unique_ptr<Device> open(IoChoice choice, uint32_t queue_limit = 256) const;

 private:
  std::string directory_;
  std::string path_;
  int hidden_ = -1;
};

}  // namespace millrace::test
