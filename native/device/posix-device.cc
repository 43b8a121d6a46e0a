// Opening, owning and creating devices. See posix-device.h.
#include "device/posix-device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>

#include "base/sync.h"
#include "device/io-threads.h"
#include "device/io-uring.h"
#include "device/owners.h"

namespace millrace {

namespace {

constexpr uint32_t kAlignment = kBlockAlignment;

class UniqueFile {
 public:
  explicit UniqueFile(int file = -1) : file_(file) {}
  UniqueFile(UniqueFile&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  UniqueFile& operator=(UniqueFile&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~UniqueFile() {
    if (file_ >= 0) ::close(file_);
  }
  int get() const { return file_; }
  bool valid() const { return file_ >= 0; }

 private:
  int file_;
};

std::string errno_text(int number) {
  char buffer[128];
  // The GNU form returns the text; it may or may not use the buffer.
  return strerror_r(number, buffer, sizeof buffer);
}

std::string number_text(uint64_t bytes) { return std::to_string(bytes) + " bytes"; }

bool fail(PosixDeviceFailure* failure, Code code, const char* message, int number,
          std::string detail) {
  failure->status = Status(code, message, number);
  failure->detail = std::move(detail);
  return false;
}

bool fail_open(PosixDeviceFailure* failure, const PosixDeviceOptions& options, int number,
               DeviceNumber number_of_device) {
  const std::string& path = options.path;
  switch (number) {
    case ENOENT:
      return fail(failure, Code::missing, "there is no such device or file", number,
                  path + " does not exist");
    case EACCES:
    case EPERM:
      return fail(failure, Code::denied, "permission denied", number,
                  path + ": permission denied; the user with id " + std::to_string(geteuid()) +
                      (options.read_only ? " needs to read it" : " needs to read and write it"));
    case EBUSY:
      return fail(failure, Code::busy, "the device is in use", number,
                  path + " is in use: " + user_of_device(number_of_device));
    case EROFS:
      // What a file system does whose disk fails: of several stores it costs that one's share.
      return fail(failure, Code::io, "the file system is read-only", number,
                  path + " lies on a read-only file system; look at the kernel's log for errors of "
                         "its disk, or mount it to be written");
    default:
      return fail(failure, Code::io, "the device cannot be opened", number,
                  path + ": " + errno_text(number));
  }
}

bool check_file_system(int file, const std::string& path, PosixDeviceFailure* failure) {
  struct statfs system;
  if (fstatfs(file, &system) != 0) return true;
  const char* name = nullptr;
  switch (static_cast<uint32_t>(system.f_type)) {
    case 0x6969: name = "NFS"; break;
    case 0xff534d42: case 0xfe534d42: case 0x517b: name = "SMB"; break;
    default: return true;
  }
  return fail(failure, Code::unsupported, "network file systems cannot hold a store", 0,
              path + " lies on " + name + "; use a local disk, where a lock means one owner");
}

// Reads one aligned block the way the engine will, to learn whether direct I/O works here.
int probe_direct_read(int file) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, kAlignment) != 0) return ENOMEM;
  const ssize_t count = pread(file, memory, kAlignment, 0);
  const int number = count < 0 ? errno : 0;
  free(memory);
  return number;
}

class PosixDevice final : public Device {
 public:
  PosixDevice(UniqueFile file, DeviceFacts facts, std::unique_ptr<IoBackend> backend)
      : file_(std::move(file)), facts_(std::move(facts)), backend_(std::move(backend)) {}
  ~PosixDevice() override { PosixDevice::close(); }

  const DeviceFacts& facts() const override { return facts_; }

  bool hand_over(IoRequest* request) override { return backend_->hand_over(request); }
  Status submit(IoRequest* request) override {
    MR_ASSERT(is_aligned(request->offset, facts_.logical_block));
    MR_ASSERT(is_aligned(request->length(), facts_.logical_block));
    // A write behind the end would make a regular file grow.
    MR_ASSERT_OP(request->offset + request->length(), <=, facts_.size);
    return backend_->submit(request);
  }

  void close() override {
    backend_->close();
    // A ring gives its own reference to the file back a moment after its end; the lock shall not wait for it.
    if (file_.valid()) flock(file_.get(), LOCK_UN);
    file_ = UniqueFile();
  }

 private:
  UniqueFile file_;
  const DeviceFacts facts_;
  const std::unique_ptr<IoBackend> backend_;
};

// A process that was killed leaves its ring to the kernel, which lets go of the device a moment later: an
// owner counts only when it is still there after this long.
constexpr uint32_t kOwnerAttempts = 5;
constexpr uint64_t kOwnerPauseMs = 50;

int open_patiently(const char* path, int flags) {
  for (uint32_t attempt = 1;; attempt++) {
    const int file = open(path, flags);
    if (file >= 0 || errno != EBUSY || attempt == kOwnerAttempts) return file;
    pause_ms(kOwnerPauseMs);
  }
}

bool lock_patiently(int file, int kind) {
  for (uint32_t attempt = 1;; attempt++) {
    if (flock(file, kind | LOCK_NB) == 0) return true;
    if ((errno != EWOULDBLOCK && errno != EINTR) || attempt == kOwnerAttempts) return false;
    pause_ms(kOwnerPauseMs);
  }
}

// Who has mounted or claimed a block device that nobody has locked, in words; empty: nobody.
std::string claimant_of(const std::string& path, DeviceNumber number) {
  const UniqueFile claim(open_patiently(path.c_str(), O_CLOEXEC | O_RDONLY | O_EXCL));
  if (claim.valid() || errno != EBUSY) return "";
  const std::string user = user_of_device(number);
  return user.substr(0, user.find(';'));
}

// The lock of the one owner; or, for who only looks, whose it is.
bool own_or_look(int file, const PosixDeviceOptions& options, const struct statx& facts_on_disk,
                 DeviceFacts* facts, PosixDeviceFailure* failure) {
  if (lock_patiently(file, options.read_only ? LOCK_SH : LOCK_EX)) {
    if (!options.read_only) return true;
    // Who looks keeps no instance from starting.
    flock(file, LOCK_UN);
    if (facts->block_device) {
      facts->owner = claimant_of(options.path, DeviceNumber{facts_on_disk.stx_rdev_major,
                                                            facts_on_disk.stx_rdev_minor});
    }
    return true;
  }
  const int number = errno;
  const DeviceNumber holder{facts_on_disk.stx_dev_major, facts_on_disk.stx_dev_minor};
  const std::string owner = owner_of_lock(holder, facts_on_disk.stx_ino);
  if (!options.read_only) {
    return fail(failure, Code::busy, "another process owns the store", number,
                options.path + " is owned by " + owner);
  }
  // Without the advice, which is for somebody who wanted it alone.
  facts->owner = owner.substr(0, owner.find(';'));
  return true;
}

UniqueFile open_file(const PosixDeviceOptions& options, bool block_device, DeviceFacts* facts,
                     int* error) {
  int flags = O_CLOEXEC | (options.read_only ? O_RDONLY : O_RDWR);
  // On a block device O_EXCL means: not mounted and not otherwise claimed.
  if (block_device && !options.read_only) flags |= O_EXCL;
  if (options.direct) {
    UniqueFile file(open_patiently(options.path.c_str(), flags | O_DIRECT));
    int number = file.valid() ? probe_direct_read(file.get()) : errno;
    if (file.valid() && number == 0) {
      facts->direct = true;
      return file;
    }
    if (number != EINVAL && number != EOPNOTSUPP) {
      *error = number;
      return UniqueFile();
    }
    facts->direct_refusal = file.valid() ? "the file system refuses direct reads of 4096 bytes"
                                         : "the file system refuses O_DIRECT";
  }
  UniqueFile file(open_patiently(options.path.c_str(), flags));
  *error = file.valid() ? 0 : errno;
  return file;
}

// Null when io_uring was insisted on and cannot be had.
std::unique_ptr<IoBackend> open_backend(int file, const PosixDeviceOptions& options,
                                        DeviceFacts* facts) {
  if (options.io == IoChoice::automatic && !facts->direct) {
    // Measured in docs/decisions/0006: half the speed, because one thread makes all the copies.
    facts->io_uring_refusal = "the device goes through the page cache, where threads are faster";
  } else if (options.io != IoChoice::threads) {
    std::unique_ptr<IoBackend> ring =
        open_io_uring(file, options.queue_limit, &facts->io_uring_refusal);
    facts->io_uring = ring != nullptr;
    if (ring || options.io == IoChoice::io_uring) return ring;
  }
  return std::make_unique<IoThreads>(file, options.threads, options.queue_limit);
}

bool learn_size(int file, DeviceFacts* facts, ByteCount regular_size) {
  if (!facts->block_device) {
    facts->size = regular_size;
    facts->logical_block = 512;
    return true;
  }
  uint64_t size = 0;
  int sector = 0;
  if (ioctl(file, BLKGETSIZE64, &size) != 0 || ioctl(file, BLKSSZGET, &sector) != 0) return false;
  facts->size = size;
  facts->logical_block = static_cast<uint32_t>(sector);
  return true;
}

}  // namespace

std::unique_ptr<Device> open_posix_device(const PosixDeviceOptions& options,
                                          PosixDeviceFailure* failure) {
  struct statx facts_on_disk;
  const auto look = [&](int directory, const char* path, int flags) {
    return statx(directory, path, flags, STATX_TYPE | STATX_SIZE | STATX_INO, &facts_on_disk) == 0;
  };
  if (!look(AT_FDCWD, options.path.c_str(), 0)) {
    fail_open(failure, options, errno, DeviceNumber{});
    return nullptr;
  }
  const bool block_device = S_ISBLK(facts_on_disk.stx_mode);
  if (!block_device && !S_ISREG(facts_on_disk.stx_mode)) {
    fail(failure, Code::unsupported, "neither a block device nor a regular file", 0,
         options.path + (S_ISDIR(facts_on_disk.stx_mode) ? " is a directory" : " is no disk") +
             "; a store needs a block device or a regular file");
    return nullptr;
  }
  const DeviceNumber number{facts_on_disk.stx_rdev_major, facts_on_disk.stx_rdev_minor};
  DeviceFacts facts;
  facts.path = options.path;
  facts.block_device = block_device;
  int error = 0;
  UniqueFile file = open_file(options, block_device, &facts, &error);
  if (!file.valid()) {
    fail_open(failure, options, error, number);
    return nullptr;
  }
  // Again by descriptor: what was opened is what counts, not what the name meant a moment ago.
  if (!look(file.get(), "", AT_EMPTY_PATH) || S_ISBLK(facts_on_disk.stx_mode) != block_device ||
      !learn_size(file.get(), &facts, facts_on_disk.stx_size)) {
    fail(failure, Code::io, "the device does not tell its size", errno,
         options.path + ": " + errno_text(errno));
    return nullptr;
  }
  if (!block_device && !check_file_system(file.get(), options.path, failure)) return nullptr;
  if (facts.logical_block > kAlignment) {
    fail(failure, Code::unsupported, "the device's sectors are too large", 0,
         options.path + " has sectors of " + number_text(facts.logical_block) +
             "; at most 4096 are supported");
    return nullptr;
  }
  if (!own_or_look(file.get(), options, facts_on_disk, &facts, failure)) return nullptr;
  facts.alignment = kAlignment;
  const Result<DeviceIdentity> identity = device_identity(options.path);
  if (identity.ok()) {
    facts.identity_major = identity.value().major;
    facts.identity_minor = identity.value().minor;
  }
  std::unique_ptr<IoBackend> backend = open_backend(file.get(), options, &facts);
  if (!backend) {
    fail(failure, Code::unsupported, "io_uring cannot be used here", 0,
         options.path + ": io_uring was asked for, and " + facts.io_uring_refusal +
             "; allow it, or set io_backend to auto or threads");
    return nullptr;
  }
  return std::make_unique<PosixDevice>(std::move(file), std::move(facts), std::move(backend));
}

Status create_device_file(const std::string& path, ByteCount size, std::string* detail) {
  UniqueFile file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) {
    const int number = errno;
    *detail = path + ": " + errno_text(number);
    const Code code = number == EEXIST                      ? Code::busy
                      : number == EACCES || number == EPERM ? Code::denied
                      : number == ENOENT                    ? Code::missing
                                                            : Code::io;
    return Status(code, "the file cannot be created", number);
  }
  struct statvfs space;
  const bool known = fstatvfs(file.get(), &space) == 0;
  const ByteCount available = known ? ByteCount{space.f_bavail} * space.f_frsize : 0;
  int number = known && available < size ? ENOSPC : 0;
  while (number == 0 && fallocate(file.get(), 0, 0, static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) number = errno;
  }
  if (number == 0) return Status();
  // The file is ours and holds nothing yet: leave no half-made store behind.
  unlink(path.c_str());
  if (number == ENOSPC) {
    *detail = path + ": " + number_text(size) + " are asked for and " + number_text(available) +
              " are free on its file system";
    return Status(Code::no_space, "no room for the store's file", number);
  }
  *detail = path + ": space cannot be reserved (" + errno_text(number) + ")";
  return Status(number == EOPNOTSUPP ? Code::unsupported : Code::io,
                "space for the store's file cannot be reserved", number);
}

Result<DeviceIdentity> device_identity(const std::string& path) {
  struct statx facts;
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE | STATX_INO, &facts) != 0) {
    return Status(errno == ENOENT ? Code::missing : Code::io, "the device cannot be examined",
                  errno);
  }
  const auto join = [](uint32_t major, uint32_t minor) { return uint64_t{major} << 32 | minor; };
  if (S_ISBLK(facts.stx_mode)) {
    return DeviceIdentity{join(facts.stx_rdev_major, facts.stx_rdev_minor), 0};
  }
  return DeviceIdentity{join(facts.stx_dev_major, facts.stx_dev_minor), facts.stx_ino};
}

}  // namespace millrace
