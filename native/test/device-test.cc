// PosixDevice over both backends, threads and io_uring: the same bytes, errors, limits and ends. What a
// kernel without io_uring cannot run is said and left out; what a refused io_uring does is made here with a
// filter on one thread's system calls.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/aligned-buffer.h"
#include "test/device-file.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr ByteCount kFileSize = 8 * kMiB;

// Requests that count themselves when done, and wait in done() while `held`.
struct Tally {
  Mutex mutex;
  Condition condition;
  bool held = false;
  uint32_t waiting = 0;
  std::atomic<uint32_t> done{0};
  std::atomic<uint32_t> failed{0};

  static void count(IoRequest* request) {
    auto* self = static_cast<Tally*>(request->context);
    if (!request->result.ok()) self->failed.fetch_add(1);
    {
      MutexLock lock(self->mutex);
      self->waiting++;
      while (self->held) self->condition.wait(self->mutex);
      self->waiting--;
    }
    self->done.fetch_add(1);
  }
  void hold(bool on) {
    {
      MutexLock lock(mutex);
      held = on;
    }
    condition.broadcast();
  }
};

IoRequest request_of(IoOperation operation, ByteOffset offset, MutableBytes bytes, Tally* tally) {
  IoRequest request;
  request.operation = operation;
  request.offset = offset;
  request.span_count = 1;
  request.spans[0] = iovec{bytes.data(), bytes.size()};
  request.done = &Tally::count;
  request.context = tally;
  return request;
}

void write_and_read_back(Device& device, uint32_t spans, ByteCount each) {
  Random random(spans * 131 + each);
  const ByteCount length = spans * each;
  const std::vector<uint8_t> bytes = random.bytes(length);
  AlignedBuffer from(length);
  AlignedBuffer into(length);
  std::memcpy(from.data(), bytes.data(), length);
  const ByteOffset offset = random.below((kFileSize - length) / 4096) * 4096;
  for (const IoOperation operation : {IoOperation::write, IoOperation::read}) {
    AlignedBuffer& buffer = operation == IoOperation::write ? from : into;
    IoRequest request;
    request.operation = operation;
    request.offset = offset;
    request.span_count = spans;
    // Backwards in memory, so that a mixed up span shows.
    for (uint32_t i = 0; i < spans; i++) {
      request.spans[i] = iovec{buffer.data() + (spans - 1 - i) * each, each};
    }
    REQUIRE(device.run(&request).ok());
  }
  CHECK(same_bytes(from.bytes(), into.bytes()));
}

// Refuses io_uring_setup to the calling thread and those that it starts; other threads keep it.
bool forbid_io_uring(uint32_t number) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 425, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | number),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof code / sizeof code[0], code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

TEST_CASE("device: what was written is read back, whatever the spans") {
  for (const IoChoice choice : usable_backends()) {
    DeviceFile file(kFileSize);
    const std::unique_ptr<Device> device = file.open(choice);
    CHECK(device->facts().io_uring == (choice == IoChoice::io_uring));
    CHECK(device->facts().io_uring_refusal == "");
    for (const uint32_t spans : {1u, 2u, 19u, IoRequest::kMaximumSpans}) {
      for (const ByteCount each : {ByteCount{4096}, 64 * kKiB}) {
        write_and_read_back(*device, spans, each);
      }
    }
    write_and_read_back(*device, 1, 4 * kMiB);
    CHECK(device->flush().ok());
    device->close();
  }
}

TEST_CASE("device: a transfer that falls short is continued, and fails where the file has ended") {
  for (const IoChoice choice : usable_backends()) {
    DeviceFile file(kFileSize);
    const std::unique_ptr<Device> device = file.open(choice);
    AlignedBuffer buffer(256 * kKiB);
    std::memset(buffer.data(), 0x5a, buffer.size());
    REQUIRE(device->write(kFileSize - 256 * kKiB, buffer.bytes()).ok());
    // Behind the device's back: a read now gets 64 KiB, and nothing when it asks for the rest.
    REQUIRE(truncate(file.path().c_str(), kFileSize - 192 * kKiB) == 0);
    AlignedBuffer into(256 * kKiB);
    IoRequest request;
    request.offset = kFileSize - 256 * kKiB;
    request.span_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
      request.spans[i] = iovec{into.data() + i * 64 * kKiB, 64 * kKiB};
    }
    const Status status = device->run(&request);
    CHECK(status.code() == Code::io);
    CHECK(std::string(status.message()) == "the device ended early");
    CHECK(status.offset() == kFileSize - 192 * kKiB);
    CHECK(same_bytes(into.bytes().first(64 * kKiB), buffer.bytes().first(64 * kKiB)));
    CHECK(request.spans[0].iov_len == 64 * kKiB);
    CHECK(device->read(0, into.bytes().first(4096)).ok());
    device->close();
  }
}

TEST_CASE("device: a failed request says which errno and where, and the next ones go on") {
  for (const IoChoice choice : usable_backends()) {
    DeviceFile file(kFileSize);
    const std::unique_ptr<Device> device = file.open(choice);
    AlignedBuffer buffer(kPageSize);
    IoRequest request;
    request.offset = 4096;
    request.span_count = 2;
    request.spans[0] = iovec{buffer.data(), 4096};
    request.spans[1] = iovec{reinterpret_cast<void*>(uintptr_t{4096}), 4096};
    const Status status = device->run(&request);
    CHECK(status.code() == Code::io);
    // Direct I/O maps the memory before it moves a byte; buffered I/O fills the first span before that.
    CHECK(status.error_number() == EFAULT);
    CHECK(status.offset() == (device->facts().direct ? 4096u : 8192u));
    CHECK(device->read(0, buffer.bytes()).ok());
    device->close();
  }
}

TEST_CASE("device: a full queue refuses, and everything that it took is done") {
  constexpr uint32_t kLimit = 8;
  // What may be under way beside the queue: threads and their requests, or the entries of a ring.
  constexpr uint32_t kMost = kLimit + 256;
  for (const IoChoice choice : usable_backends()) {
    DeviceFile file(kFileSize);
    const std::unique_ptr<Device> device = file.open(choice, kLimit);
    Tally tally;
    tally.hold(true);
    // A place for each: two reads at once into one would be a race.
    AlignedBuffer buffer(kMost * 4096);
    std::vector<IoRequest> requests;
    for (uint32_t i = 0; i < kMost; i++) {
      const MutableBytes into = buffer.bytes().subspan(i * ByteCount{4096}, 4096);
      requests.push_back(request_of(IoOperation::read, 0, into, &tally));
    }
    uint32_t taken = 0;
    Status status;
    while (taken < kMost) {
      status = device->submit(&requests[taken]);
      if (!status.ok()) break;
      taken++;
    }
    CHECK(status.code() == Code::again);
    CHECK(taken >= kLimit);
    CHECK(tally.done.load() == 0);
    tally.hold(false);
    device->close();
    CHECK(tally.done.load() == taken);
    CHECK(tally.failed.load() == 0);
    CHECK(device->submit(&requests[0]).code() == Code::closed);
  }
}

TEST_CASE("device: close waits for what is under way, long reads and flushes included") {
  for (const IoChoice choice : usable_backends()) {
    for (uint32_t round = 0; round < 6; round++) {
      DeviceFile file(kFileSize);
      const std::unique_ptr<Device> device = file.open(choice);
      Tally tally;
      AlignedBuffer memory(64 * kMiB / 4);
      std::vector<IoRequest> requests;
      for (uint32_t i = 0; i < 16; i++) {
        const MutableBytes part = memory.bytes().subspan(i * kMiB, i % 2 == 0 ? kMiB : 4096);
        requests.push_back(request_of(i % 4 == 3 ? IoOperation::flush : IoOperation::read,
                                      (i % 8) * kMiB, part, &tally));
        if (i % 4 == 3) requests.back().span_count = 0;
      }
      for (IoRequest& request : requests) REQUIRE(device->submit(&request).ok());
      device->close();
      device->close();
      CHECK(tally.done.load() == 16);
      CHECK(tally.failed.load() == 0);
      // The lock went with it, at once.
      const std::unique_ptr<Device> again = file.open(choice);
      again->close();
    }
  }
}

TEST_CASE("device: many threads read and write at once and each gets its own bytes") {
  constexpr uint32_t kThreads = 8;
  for (const IoChoice choice : usable_backends()) {
    DeviceFile file(kFileSize);
    const std::unique_ptr<Device> device = file.open(choice);
    std::atomic<uint32_t> wrong{0};
    run_threads(kThreads, [&](uint32_t number) {
      AlignedBuffer from(kPageSize);
      AlignedBuffer into(kPageSize);
      Random random(number);
      for (uint32_t round = 0; round < 50; round++) {
        const ByteCount length = 4096 << random.below(5);
        const ByteOffset place = number * kMiB + random.below(15) * kPageSize;
        random.fill(from.bytes().first(length));
        const bool good = device->write(place, from.bytes().first(length)).ok() &&
                          device->read(place, into.bytes().first(length)).ok() &&
                          same_bytes(from.bytes().first(length), into.bytes().first(length));
        if (!good) wrong.fetch_add(1);
      }
    });
    CHECK(wrong.load() == 0);
    device->close();
  }
}

TEST_CASE("device: through the page cache threads are chosen, and io_uring only when asked for") {
  DeviceFile file(kFileSize);
  for (const IoChoice choice : usable_backends()) {
    PosixDeviceOptions options;
    options.path = file.path();
    options.direct = false;
    if (choice == IoChoice::io_uring) options.io = choice;
    PosixDeviceFailure failure;
    const std::unique_ptr<Device> device = open_posix_device(options, &failure);
    REQUIRE(device);
    CHECK(device->facts().io_uring == (choice == IoChoice::io_uring));
    CHECK((device->facts().io_uring_refusal == "") == device->facts().io_uring);
    write_and_read_back(*device, 19, 64 * kKiB);
    device->close();
  }
}

TEST_CASE("device: a refused io_uring leaves threads and the reason, or no device at all") {
  DeviceFile file(kFileSize);
  const struct {
    uint32_t number;
    const char* reason;
  } cases[] = {{EPERM, "io_uring_setup failed with errno 1 (not permitted): a seccomp filter"},
               {ENOSYS, "io_uring_setup failed with errno 38 (no such call): this kernel has no"},
               {ENOMEM, "io_uring_setup failed with errno 12 (no memory): raise the limit"}};
  for (const auto& [number, reason] : cases) {
    bool filtered = false;
    DeviceFacts facts;
    bool reads = false;
    PosixDeviceFailure failure;
    bool opened = true;
    run_threads(1, [&](uint32_t) {
      filtered = forbid_io_uring(number);
      if (!filtered) return;
      PosixDeviceOptions options;
      options.path = file.path();
      const std::unique_ptr<Device> device = open_posix_device(options, &failure);
      if (device) {
        facts = device->facts();
        AlignedBuffer buffer(4096);
        reads = device->read(0, buffer.bytes()).ok();
        device->close();
      }
      options.io = IoChoice::io_uring;
      opened = open_posix_device(options, &failure) != nullptr;
    });
    if (!filtered) {
      MESSAGE("left out: this kernel takes no seccomp filter");
      return;
    }
    CHECK(reads);
    CHECK_FALSE(facts.io_uring);
    if (facts.direct) CHECK(facts.io_uring_refusal.find(reason) == 0);
    CHECK_FALSE(opened);
    CHECK(failure.status.code() == Code::unsupported);
    CHECK(failure.detail.find(file.path() + ": io_uring was asked for, and " + reason) == 0);
    // Nothing of the failed attempt holds the file.
    const std::unique_ptr<Device> device = file.open(IoChoice::threads);
    CHECK(device->facts().io_uring_refusal == "");
    device->close();
  }
}

}  // namespace millrace::test
