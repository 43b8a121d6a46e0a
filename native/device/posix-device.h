// A block device or a regular file opened with O_DIRECT, exclusively owned (O_EXCL and flock), served by
// threads or io_uring. Falls back to buffered I/O where the file system refuses O_DIRECT, and to threads
// where the kernel refuses io_uring and nobody insists on it; facts() say why.
#pragma once

#include <memory>
#include <string>

#include "device/device.h"

namespace millrace {

// The addon passes the numbers (ts/native/contract.ts).
enum class IoChoice : uint8_t {
  automatic,  // io_uring, or threads where it cannot be had or direct I/O is not in force
  threads,
  io_uring,   // or no device at all
};

struct PosixDeviceOptions {
  std::string path;
  bool direct = true;        // ask for O_DIRECT
  bool read_only = false;    // inspection only: also of a device in use, see DeviceFacts::owner
  IoChoice io = IoChoice::automatic;
  uint32_t threads = 4;        // where threads serve it
  uint32_t queue_limit = 256;  // requests; submit() answers `again` beyond it
};

struct PosixDeviceFailure {
  Status status{};
  std::string detail;  // who holds it, which errno, what to do: one line for a person
};

// On failure returns null and fills `failure`: missing (no such file), denied (permission), busy (another
// owner or mounted), unsupported (directory, network file system, character device, no io_uring), io.
std::unique_ptr<Device> open_posix_device(const PosixDeviceOptions& options,
                                          PosixDeviceFailure* failure);

// Creates a regular file of `size` bytes with space reserved by fallocate. no_space carries both numbers
// (asked, free) in detail; an existing path is `busy`.
Status create_device_file(const std::string& path, ByteCount size, std::string* detail);

// Identity without opening for writing: the registry's key. Fields as in DeviceFacts.
struct DeviceIdentity {
  uint64_t major = 0;
  uint64_t minor = 0;
  friend bool operator==(const DeviceIdentity&, const DeviceIdentity&) = default;
};
Result<DeviceIdentity> device_identity(const std::string& path);

// Looks for anything that is not empty: known signatures (file systems, LVM, LUKS, RAID, swap, partition
// tables), then any non-zero byte in the first and last MiB. ok: empty. foreign: `found` names what is
// there ("ext4 file system labelled x", "MBR partition table", "unknown data at offset 512").
Status probe_foreign_content(Device& device, std::string* found);

// The signatures alone, in the first MiB of a device or less.
bool find_foreign_signature(Bytes head, std::string* found);

}  // namespace millrace
