// Aligned block I/O through PosixDevice, as the store does it: random reads and sequential writes of one
// size at one depth, every latency in a histogram, and the CPU time that an operation costs. The file
// is written once first: unwritten extents would be measured otherwise.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/sync.h"
#include "bench/bench.h"
#include "device/posix-device.h"
#include "engine/aligned-buffer.h"

namespace millrace::bench {

namespace {

constexpr uint32_t kDefaultThreads = 4;  // PosixDeviceOptions::threads
constexpr uint32_t kDeepest = 8;

struct Shape {
  IoOperation operation;
  ByteCount size;
  uint32_t depth;
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
  return what + std::to_string(shape.size / kKiB) + " KiB, depth " + std::to_string(shape.depth);
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
            facts.direct ? "" : "buffered: " + facts.direct_refusal);
}

// Null after having said why.
std::unique_ptr<Device> open_device(const std::string& path, uint32_t threads) {
  PosixDeviceOptions options;
  options.path = path;
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

void measure_sizes(const Options& options, Device& device) {
  const std::vector<ByteCount> sizes =
      options.quick ? std::vector<ByteCount>{4 * kKiB, 64 * kKiB, kMiB}
                    : std::vector<ByteCount>{4 * kKiB, 16 * kKiB, 64 * kKiB, 256 * kKiB, kMiB};
  for (const IoOperation operation : {IoOperation::read, IoOperation::write}) {
    for (const ByteCount size : sizes) {
      for (const uint32_t depth : {1u, kDeepest}) {
        measure(options, device, "4 threads", Shape{operation, size, depth});
      }
    }
  }
}

// How many threads a deep queue of reads is worth.
void measure_threads(const Options& options, const std::string& path) {
  for (const uint32_t threads : {1u, 2u, 8u}) {
    const std::unique_ptr<Device> device = open_device(path, threads);
    if (!device) return;
    const std::string subject = std::to_string(threads) + (threads == 1 ? " thread" : " threads");
    measure(options, *device, subject.c_str(), Shape{IoOperation::read, kPageSize, kDeepest});
    device->close();
  }
}

}  // namespace

void bench_device(const Options& options) {
  const std::string path = options.directory + "/micro-device.disk";
  const ByteCount size = options.quick ? 128 * kMiB : kGiB;
  std::string detail;
  if (!create_device_file(path, size, &detail).ok()) {
    std::fprintf(stderr, "millrace-bench: %s\n", detail.c_str());
    std::exit(1);
  }
  const std::unique_ptr<Device> device = open_device(path, kDefaultThreads);
  const bool written = device != nullptr && write_whole(*device);
  if (written) measure_sizes(options, *device);
  if (device) device->close();
  if (written) measure_threads(options, path);
  std::remove(path.c_str());
  if (!written) std::exit(1);
}

}  // namespace millrace::bench
