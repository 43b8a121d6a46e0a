// Reads /proc and /sys. See owners.h.
#include "device/owners.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
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

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;

// Device mapper and RAID are listed by the kernel: "dm-0 (vg-data)".
std::string holder_in_kernel(DeviceNumber device) {
  char path[512];
  std::snprintf(path, sizeof path, "/sys/dev/block/%u:%u/holders", device.major, device.minor);
  const Directory directory(opendir(path));
  const dirent* entry = nullptr;
  while (directory && (entry = readdir(directory.get())) != nullptr) {
    if (entry->d_name[0] == '.') continue;
    std::string text(entry->d_name);
    std::snprintf(path, sizeof path, "/sys/class/block/%s/dm/name", entry->d_name);
    const File file(fopen(path, "re"));
    char name[128];
    if (file && fgets(name, sizeof name, file.get()) != nullptr) {
      std::string given(name);
      while (!given.empty() && given.back() == '\n') given.pop_back();
      text += " (" + given + ")";
    }
    return text;
  }
  return "";
}

bool has_open(const char* process, DeviceNumber device) {
  char path[300];
  std::snprintf(path, sizeof path, "/proc/%s/fd", process);
  const Directory directory(opendir(path));
  const dirent* entry = nullptr;
  while (directory && (entry = readdir(directory.get())) != nullptr) {
    struct statx facts;
    if (statx(dirfd(directory.get()), entry->d_name, 0, STATX_TYPE, &facts) != 0) continue;
    if (S_ISBLK(facts.stx_mode) && facts.stx_rdev_major == device.major &&
        facts.stx_rdev_minor == device.minor) {
      return true;
    }
  }
  return false;
}

// 0: none that this user may see. Our own descriptors count too: one process may try it twice.
int process_with_open(DeviceNumber device) {
  const Directory directory(opendir("/proc"));
  const dirent* entry = nullptr;
  while (directory && (entry = readdir(directory.get())) != nullptr) {
    const int process = std::atoi(entry->d_name);
    if (process > 0 && has_open(entry->d_name, device)) return process;
  }
  return 0;
}

std::string process_text(int process) {
  return "process " + std::to_string(process) + process_name(process);
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
  const std::string holder = holder_in_kernel(device);
  if (!holder.empty()) return "it is a part of " + holder + "; choose another device";
  const int process = process_with_open(device);
  if (process > 0) {
    return process_text(process) +
           " has it open; stop it or give this instance a device of its own";
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
    return process_text(process) +
           "; stop it or give this instance a device of its own";
  }
  return "another process; stop it or give this instance a device of its own";
}

}  // namespace millrace
