// A Device over memory that can be told to misbehave: errors, torn and dropped writes, held I/O,
// bit flips. Requests complete on a thread of its own, reads and writes each in the order they were
// submitted. What "is on disk" can be copied at any moment, which is how the tests crash a store:
// they open another one on the copy. Callable from any thread.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/sync.h"
#include "device/device.h"

namespace millrace::test {

// The bytes of a disk, sparse and copy-on-write: copies are cheap and independent. Not thread-safe.
class DiskImage {
 public:
  explicit DiskImage(ByteCount size);
  DiskImage(const DiskImage& other);
  DiskImage& operator=(const DiskImage& other);

  ByteCount size() const { return size_; }
  void read(ByteOffset offset, MutableBytes out) const;
  void write(ByteOffset offset, Bytes bytes);
  void flip(ByteOffset offset, uint8_t mask);

 private:
  using Page = std::array<uint8_t, kPageSize>;
  struct Slot {
    std::shared_ptr<Page> page;  // none: zeroes
    mutable bool is_shared = false;
  };
  ByteCount size_;
  std::vector<Slot> slots_;
};

// One write as it reached the device, for replaying a workload up to any point.
struct LoggedWrite {
  ByteOffset offset = 0;
  std::vector<uint8_t> bytes;
};

class FaultDevice : public Device {
 public:
  explicit FaultDevice(DiskImage image);
  ~FaultDevice() override;

  const DeviceFacts& facts() const override { return facts_; }
  Status submit(IoRequest* request) override;
  void close() override;

  // Faults by number, 1 being the next write or read to be executed. One run of failing writes and
  // one of failing reads at a time; torn and dropped writes add up.
  void fail_writes(uint64_t first, uint64_t count);
  void fail_reads(uint64_t first, uint64_t count);
  // Only this many 512-byte sectors of the write land; it reports success, or EIO with `fails`.
  void tear_write(uint64_t number, uint64_t sectors, bool fails);
  void drop_write(uint64_t number);
  // Flips bits of one byte whenever it is read; the disk itself stays as it is.
  void flip_on_read(ByteOffset offset, uint8_t mask);
  // The disk itself changes under the store.
  void flip_on_disk(ByteOffset offset, uint8_t mask);

  // I/O of this kind stays in the queue until it is released.
  void hold_writes(bool held);
  void hold_reads(bool held);
  // The next read that is submitted waits by itself, however many come after it, until it is let go.
  void set_next_read_aside();
  void let_read_go();
  // submit() answers `again` while more than this many requests wait.
  void set_queue_limit(uint32_t limit);

  void log_writes();
  std::vector<LoggedWrite> logged_writes();
  DiskImage snapshot();

  uint64_t writes() const { return writes_.load(); }  // executed, failed ones included
  uint64_t reads() const { return reads_.load(); }
  uint64_t queued();

 private:
  enum class WriteFault : uint8_t { none, fail, drop, tear, tear_and_fail };
  struct Tear {
    WriteFault kind = WriteFault::none;
    uint64_t sectors = 0;
  };

  static void* run_thread(void* self);
  void run();
  IoRequest* take_locked();
  Status execute_locked(IoRequest* request);
  Status read_locked(IoRequest* request);
  Status write_locked(IoRequest* request);

  DeviceFacts facts_;
  Mutex mutex_;
  Condition condition_;
  DiskImage image_;
  std::deque<IoRequest*> queue_;
  bool closed_ = false;
  bool writes_held_ = false;
  bool reads_held_ = false;
  bool sets_next_read_aside_ = false;
  IoRequest* aside_ = nullptr;
  bool logs_writes_ = false;
  uint32_t queue_limit_ = 1024;
  std::map<uint64_t, Tear> write_faults_;  // by absolute number
  uint64_t failing_writes_first_ = 0;
  uint64_t failing_writes_end_ = 0;
  uint64_t failing_reads_first_ = 0;
  uint64_t failing_reads_end_ = 0;
  std::map<ByteOffset, uint8_t> flips_;
  std::vector<LoggedWrite> log_;
  std::atomic<uint64_t> writes_{0};
  std::atomic<uint64_t> reads_{0};
  Thread thread_;
};

}  // namespace millrace::test
