// Aligned block I/O through PosixDevice, as the store does it: random reads and sequential writes of one
// size at one depth, over threads and over io_uring, on a file and, where root can have one, on a loop
// device; every latency in a histogram, and the CPU time that an operation costs. The file is written once
// first: unwritten extents would be measured otherwise.
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/crc32c.h"
#include "base/sync.h"
#include "bench/bench.h"
#include "device/posix-device.h"
#include "engine/aligned-buffer.h"

namespace millrace::bench {

namespace {

constexpr uint32_t kDefaultThreads = 4;  // PosixDeviceOptions::threads
constexpr uint32_t kDeep = 8;
constexpr uint32_t kDeepest = 32;

struct Shape {
  IoOperation operation;
  ByteCount size;
  uint32_t depth;
  bool checked = false;  // done() takes the checksum of what was read
};

class Runner;

struct Slot {
  IoRequest request{};
  uint64_t started = 0;
  Runner* runner = nullptr;
  std::unique_ptr<AlignedBuffer> buffer;
};

// Keeps `depth` requests under way: a request that is done is sent again at another place by the thread that
// finished it, as the appender and the reader do, until the time is up.
class Runner {
 public:
  Runner(Device& device, const Shape& shape, uint64_t duration)
      : device_(device), shape_(shape), duration_(duration) {}

  void run() {
    std::vector<Slot> slots(shape_.depth);
    begin_ = now_ns();
    {
      MutexLock lock(mutex_);
      running_ = shape_.depth;
    }
    for (Slot& slot : slots) {
      slot.runner = this;
      slot.buffer = std::make_unique<AlignedBuffer>(shape_.size);
      slot.request.operation = shape_.operation;
      slot.request.span_count = 1;
      slot.request.spans[0] = iovec{slot.buffer->data(), shape_.size};
      slot.request.done = &Runner::done;
      slot.request.context = &slot;
      submit(slot);
    }
    MutexLock lock(mutex_);
    while (running_ > 0) condition_.wait(mutex_);
  }

  const Histogram& latencies() const { return latencies_; }
  double elapsed_ns() const { return static_cast<double>(end_ - begin_); }

 private:
  void submit(Slot& slot) {
    const uint64_t places = device_.facts().size / shape_.size;
    const uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
    const bool random = shape_.operation == IoOperation::read;
    slot.request.offset = (random ? mixed(number) : number) % places * shape_.size;
    slot.started = now_ns();
    MR_ASSERT(device_.submit(&slot.request).ok());
  }

  static void done(IoRequest* request) {
    auto& slot = *static_cast<Slot*>(request->context);
    slot.runner->finish(slot);
  }

  void finish(Slot& slot) {
    MR_ASSERT(slot.request.result.ok());
    if (shape_.checked) keep(crc32c(slot.buffer->bytes()));
    const uint64_t now = now_ns();
    {
      MutexLock lock(mutex_);
      latencies_.record(now - slot.started);
      end_ = now;
      if (now - begin_ >= duration_) {
        running_--;
        condition_.signal();
        return;
      }
    }
    submit(slot);
  }

  Device& device_;
  const Shape shape_;
  const uint64_t duration_;
  std::atomic<uint64_t> next_{0};
  Mutex mutex_;
  Condition condition_;
  uint32_t running_ = 0;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
  Histogram latencies_;
};

std::string name_of(const Shape& shape) {
  const char* what =
      shape.operation == IoOperation::read ? "random read of " : "sequential write of ";
  return (shape.checked ? "checked " : "") + std::string(what) +
         std::to_string(shape.size / kKiB) + " KiB, depth " + std::to_string(shape.depth);
}

void measure(const Options& options, Device& device, const char* subject, const Shape& shape) {
  Runner runner(device, shape, duration_ns(options));
  const uint64_t cpu_before = cpu_ns();
  runner.run();
  const double cpu = static_cast<double>(cpu_ns() - cpu_before);
  const Histogram& latencies = runner.latencies();
  const auto count = static_cast<double>(latencies.count());
  const auto microseconds = [&](double quantile) {
    return static_cast<double>(latencies.quantile(quantile)) / 1000;
  };
  const DeviceFacts& facts = device.facts();
  print_row(subject, name_of(shape),
            {{"speed", "MB/s", "higher",
              megabytes_per_second(count * static_cast<double>(shape.size), runner.elapsed_ns())},
             {"p50", "us", "lower", microseconds(0.5)},
             {"p99", "us", "lower", microseconds(0.99)},
             {"CPU per operation", "us", "lower", cpu / count / 1000}},
            facts.direct ? "" : facts.direct_refusal);
}

// Null after having said why.
std::unique_ptr<Device> open_device(const std::string& path, IoChoice io, uint32_t threads,
                                    bool direct = true) {
  PosixDeviceOptions options;
  options.direct = direct;
  options.path = path;
  options.io = io;
  options.threads = threads;
  PosixDeviceFailure failure;
  std::unique_ptr<Device> device = open_posix_device(options, &failure);
  if (!device) std::fprintf(stderr, "millrace-bench: %s\n", failure.detail.c_str());
  return device;
}

bool write_whole(Device& device) {
  const std::vector<uint8_t> noise = random_bytes(kMiB);
  AlignedBuffer buffer(kMiB);
  std::memcpy(buffer.data(), noise.data(), kMiB);
  for (ByteOffset at = 0; at + kMiB <= device.facts().size; at += kMiB) {
    if (!device.write(at, buffer.bytes()).ok()) return false;
  }
  return device.flush().ok();
}

// The same work over both backends, on what `path` names: a file, or a loop device over it.
void measure_backend(const Options& options, const std::string& path, IoChoice io,
                     const std::string& where) {
  const std::unique_ptr<Device> device = open_device(path, io, kDefaultThreads);
  if (!device) return;
  const std::string subject = (io == IoChoice::io_uring ? "io_uring" : "4 threads") + where;
  for (const IoOperation operation : {IoOperation::read, IoOperation::write}) {
    for (const ByteCount size : {4 * kKiB, 64 * kKiB, kMiB}) {
      for (const uint32_t depth : {1u, kDeep, kDeepest}) {
        measure(options, *device, subject.c_str(), Shape{operation, size, depth});
      }
    }
  }
  // As the reader does on the first read of a record after a start.
  for (const ByteCount size : {64 * kKiB, kMiB}) {
    measure(options, *device, subject.c_str(), Shape{IoOperation::read, size, kDeep, true});
  }
  device->close();
}

// Where direct I/O is refused or not wanted: copies from the page cache, which holds the file by then.
void measure_page_cache(const Options& options, const std::string& path, IoChoice io) {
  const std::unique_ptr<Device> device = open_device(path, io, kDefaultThreads, false);
  if (!device) return;
  const char* subject = io == IoChoice::io_uring ? "io_uring, page cache" : "4 threads, page cache";
  for (ByteOffset at = 0; at < device->facts().size; at += kMiB) {
    AlignedBuffer buffer(kMiB);
    MR_ASSERT(device->read(at, buffer.bytes()).ok());
  }
  for (const ByteCount size : {64 * kKiB, kMiB}) {
    measure(options, *device, subject, Shape{IoOperation::read, size, kDeep});
    measure(options, *device, subject, Shape{IoOperation::read, size, kDeep, true});
  }
  device->close();
}

// How many threads a deep queue of reads is worth.
void measure_threads(const Options& options, const std::string& path) {
  for (const uint32_t threads : {1u, 2u, 8u}) {
    const std::unique_ptr<Device> device = open_device(path, IoChoice::threads, threads);
    if (!device) return;
    const std::string subject = std::to_string(threads) + (threads == 1 ? " thread" : " threads");
    measure(options, *device, subject.c_str(), Shape{IoOperation::read, kPageSize, kDeep});
    device->close();
  }
}

// A loop device over the file, with direct I/O below; it is gone when the descriptor is closed. Empty where
// none can be had: that takes root and the module.
class LoopDevice {
 public:
  explicit LoopDevice(const std::string& file) {
    const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    const int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    if (control >= 0) close(control);
    if (number < 0) return;
    const std::string path = "/dev/loop" + std::to_string(number);
    const int backing = open(file.c_str(), O_RDWR | O_CLOEXEC | O_DIRECT);
    loop_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
    loop_config config{};
    config.fd = static_cast<uint32_t>(backing);
    config.block_size = 512;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    if (loop_ >= 0 && backing >= 0 && ioctl(loop_, LOOP_CONFIGURE, &config) == 0) path_ = path;
    if (backing >= 0) close(backing);
  }
  ~LoopDevice() {
    if (loop_ >= 0) close(loop_);
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;
  const std::string& path() const { return path_; }

 private:
  int loop_ = -1;
  std::string path_;
};

}  // namespace

void bench_device(const Options& options) {
  const std::string path = options.directory + "/micro-device.disk";
  const ByteCount size = options.quick ? 64 * kMiB : kGiB;
  std::string detail;
  if (!create_device_file(path, size, &detail).ok()) {
    std::fprintf(stderr, "millrace-bench: %s\n", detail.c_str());
    std::exit(1);
  }
  const std::unique_ptr<Device> device = open_device(path, IoChoice::automatic, kDefaultThreads);
  const bool written = device != nullptr && write_whole(*device);
  if (device) device->close();
  if (written) {
    for (const IoChoice io : {IoChoice::threads, IoChoice::io_uring}) {
      measure_backend(options, path, io, "");
    }
    for (const IoChoice io : {IoChoice::threads, IoChoice::io_uring}) {
      measure_page_cache(options, path, io);
    }
    measure_threads(options, path);
    const LoopDevice loop(path);
    for (const IoChoice io : {IoChoice::threads, IoChoice::io_uring}) {
      if (!loop.path().empty()) measure_backend(options, loop.path(), io, ", loop device");
    }
  }
  std::remove(path.c_str());
  if (!written) std::exit(1);
}

}  // namespace millrace::bench
