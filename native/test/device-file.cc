// Files for tests of real devices. See device-file.h.
#include "test/device-file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace millrace::test {

DeviceFile::DeviceFile(ByteCount size) {
  const char* base = getenv("TMPDIR");
  directory_ = std::string(base != nullptr ? base : "/tmp") + "/millrace-device-XXXXXX";
  REQUIRE(mkdtemp(directory_.data()) != nullptr);
  path_ = directory_ + "/disk";
  std::string detail;
  const Status status = create_device_file(path_, size, &detail);
  REQUIRE_MESSAGE(status.ok(), detail);
}

DeviceFile::~DeviceFile() {
  if (hidden_ >= 0) {
    ::close(hidden_);
    return;
  }
  unlink(path_.c_str());
  rmdir(directory_.c_str());
}

void DeviceFile::hide() {
  hidden_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(hidden_ >= 0);
  unlink(path_.c_str());
  rmdir(directory_.c_str());
  path_ = "/proc/self/fd/" + std::to_string(hidden_);
}

std::unique_ptr<Device> DeviceFile::open(IoChoice choice, uint32_t queue_limit) const {
  PosixDeviceOptions options;
  options.path = path_;
  options.io = choice;
  options.queue_limit = queue_limit;
  PosixDeviceFailure failure;
  std::unique_ptr<Device> device = open_posix_device(options, &failure);
  REQUIRE_MESSAGE(device != nullptr, failure.detail);
  return device;
}

std::vector<IoChoice> usable_backends() {
  std::vector<IoChoice> choices = {IoChoice::threads};
  const DeviceFile file(64 * kKiB);
  PosixDeviceOptions options;
  options.path = file.path();
  options.io = IoChoice::io_uring;
  PosixDeviceFailure failure;
  const std::unique_ptr<Device> device = open_posix_device(options, &failure);
  if (device) {
    device->close();
    choices.push_back(IoChoice::io_uring);
  } else {
    MESSAGE("io_uring is left out: " << failure.detail);
  }
  return choices;
}

}  // namespace millrace::test
