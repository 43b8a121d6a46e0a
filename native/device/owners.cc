// Reads /proc/self/mountinfo and /proc/locks. See owners.h.
#include "device/owners.h"

#include <cstdio>
#include <memory>

namespace millrace {

namespace {

struct FileCloser {
  void operator()(FILE* file) const { fclose(file); }
};
using File = std::unique_ptr<FILE, FileCloser>;

std::string process_name(int process) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/comm", process);
  const File file(fopen(path, "re"));
  char name[64] = "";
  if (!file || fgets(name, sizeof name, file.get()) == nullptr) return "";
  std::string text(name);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "" : " (" + text + ")";
}

}  // namespace

std::string user_of_device(DeviceNumber device) {
  const File file(fopen("/proc/self/mountinfo", "re"));
  char line[4096];
  while (file && fgets(line, sizeof line, file.get()) != nullptr) {
    unsigned major = 0;
    unsigned minor = 0;
    char place[2048];
    if (sscanf(line, "%*d %*d %u:%u %*s %2047s", &major, &minor, place) != 3) continue;
    if (major == device.major && minor == device.minor) {
      return std::string("it is mounted at ") + place + "; unmount it or choose another device";
    }
  }
  return "the kernel says that something holds it (a mount, LVM, RAID or swap)";
}

std::string owner_of_lock(DeviceNumber device, uint64_t inode) {
  const File file(fopen("/proc/locks", "re"));
  char line[512];
  while (file && fgets(line, sizeof line, file.get()) != nullptr) {
    int process = 0;
    unsigned major = 0;
    unsigned minor = 0;
    unsigned long number = 0;
    if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &process, &major, &minor, &number) != 4) {
      continue;
    }
    if (major != device.major || minor != device.minor || number != inode || process <= 0) continue;
    return "process " + std::to_string(process) + process_name(process) +
           "; stop it or give this instance a device of its own";
  }
  return "another process; stop it or give this instance a device of its own";
}

}  // namespace millrace
