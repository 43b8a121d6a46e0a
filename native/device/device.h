// The engine's only way to a disk: aligned vectored reads and writes, completed on another thread.
// submit() may be called from any thread; done() runs on a device thread and must not block.
// Implementations: PosixDevice, over threads or io_uring (io-backend.h), and the tests' fault device.
#pragma once

#include <sys/uio.h>

#include <string>

#include "base/status.h"
#include "base/units.h"

namespace millrace {

enum class IoOperation : uint8_t { read, write, flush };

// One I/O. Owned by the caller, must stay alive and unmoved until done() was called. Buffers and lengths
// are multiples of DeviceFacts::alignment, as is the offset. A short transfer is completed by the device
// (it continues until done or error); reading past the end is an io error.
struct IoRequest {
  // A chunk with the largest key and head, read by the upper bound of its size class: 19 pages and a bit,
  // begun inside a page and cut at two 1 MiB windows of the appender.
  static constexpr uint32_t kMaximumSpans = 24;
  IoOperation operation = IoOperation::read;
  ByteOffset offset = 0;
  uint32_t span_count = 0;
  iovec spans[kMaximumSpans] = {};
  Status result{};                           // set before done()
  void (*done)(IoRequest* request) = nullptr;
  void* context = nullptr;                   // for the caller
  IoRequest* next = nullptr;                 // for the device's queue

  ByteCount length() const {
    ByteCount sum = 0;
    for (uint32_t i = 0; i < span_count; i++) sum += spans[i].iov_len;
    return sum;
  }
};

struct DeviceFacts {
  std::string path;
  ByteCount size = 0;            // bytes usable
  uint32_t alignment = 4096;     // of buffers, offsets and lengths; at least the logical block size
  uint32_t logical_block = 512;
  bool block_device = false;
  bool direct = false;           // O_DIRECT is in force
  std::string owner;             // opened read-only: who uses it, in words; empty when nobody does
  std::string direct_refusal;    // why not, when direct I/O was asked for and refused
  bool io_uring = false;         // the backend; else threads
  std::string io_uring_refusal;  // why not, when it was asked for or preferred and refused
  uint64_t identity_major = 0;   // st_rdev of a block device, else st_dev
  uint64_t identity_minor = 0;   // 0 for a block device, else st_ino
};

// What a completion may check or decompress on a thread that others wait for; more takes longer than handing
// it to another one.
inline constexpr ByteCount kLongestInlineWork = 128 * kKiB;

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceFacts& facts() const = 0;
  // again: the bounded queue is full; the request was not taken. closed: after close(). Otherwise the
  // request's done() will be called exactly once, also on error.
  virtual Status submit(IoRequest* request) = 0;
  // For a completion that has found more than kLongestInlineWork to do: calls request->done() once more, on a
  // thread for that. False: there is none, or it is behind; do it here.
  virtual bool hand_over(IoRequest* request) {
    static_cast<void>(request);
    return false;
  }
  // Waits for every submitted request, then releases the device. Idempotent.
  virtual void close() = 0;

  // Submits and waits; for open, format, recovery and tests, never on a serving thread. Retries `again`.
  Status run(IoRequest* request);
  Status read(ByteOffset offset, MutableBytes into);
  Status write(ByteOffset offset, Bytes from);
  Status flush();
};

}  // namespace millrace
