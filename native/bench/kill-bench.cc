// A real file after kill -9: a child fills a store on it with objects of 500 KiB and kills itself in the
// middle of writing; the parent opens what is left and compares some of it. --large: a file of 20 GiB,
// else of 1 GiB. The file is removed at the end.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/endian.h"
#include "bench/bench.h"
#include "bench/heads.h"
#include "device/posix-device.h"
#include "engine/format.h"
#include "engine/store.h"

namespace millrace::bench {

namespace {

constexpr ByteCount kBody = 500 * kKiB;  // eight of them in a segment of 4 MiB

// What fits the ring without going round.
uint64_t objects_of(ByteCount size) { return size / (512 * kKiB) * 9 / 10; }

std::string key_of(uint64_t number) { return "http://kill.example/" + std::to_string(number); }

std::vector<uint8_t> body_of(uint64_t number) {
  std::vector<uint8_t> body(kBody);
  for (size_t at = 0; at < body.size(); at += 8) store_le<uint64_t>(body, at, mixed(number + at));
  return body;
}

std::unique_ptr<Device> open_file(const std::string& path) {
  PosixDeviceOptions options;
  options.path = path;
  PosixDeviceFailure failure;
  auto device = open_posix_device(options, &failure);
  if (!device) std::fprintf(stderr, "%s\n", failure.detail.c_str());
  MR_ASSERT(device != nullptr);
  return device;
}

Ref<Store> open_store(const std::string& path) {
  StoreOptions options;
  options.l1_budget = 16 * kMiB;
  options.admit_everything = true;
  options.warm_grace_ms = 0;
  Result<Ref<Store>> opened = Store::open(options, open_file(path));
  MR_ASSERT(opened.ok());
  return std::move(opened.value());
}

// Never returns. Writes what fits the ring once, and tells how many records lie behind the flushed
// position.
[[noreturn]] void fill_and_die(const std::string& path, ByteCount size, int to_parent) {
  std::string detail;
  MR_ASSERT(create_device_file(path, size, &detail).ok());
  {
    auto device = open_file(path);
    FormatOptions options;
    options.zero_fill = false;
    FormatReport report;
    std::atomic<uint64_t> progress{0};
    const std::atomic<bool> cancel{false};
    MR_ASSERT(format_device(*device, options, &report, &progress, &cancel).ok());
  }
  const Ref<Store> store = open_store(path);
  const uint64_t objects = objects_of(size);
  for (uint64_t number = 0; number < objects; number++) {
    const Ref<Fill> fill = store->begin_fill(key_of(number), Notice{});
    FillHead head;
    head.key = key_of(number);
    head.head = sample_head(kBody);
    head.body_length = kBody;
    head.keep = true;
    MR_ASSERT(fill->begin(std::move(head)).ok());
    while (store->disk_backlogged(0)) pause_ms(1);
    MR_ASSERT_OP(fill->append(body_of(number)).accepted, ==, kBody);
    MR_ASSERT(fill->finish().ok());
  }
  const uint64_t flushed = store->total(&Counters::records_flushed);
  MR_ASSERT(write(to_parent, &flushed, sizeof(flushed)) == sizeof(flushed));
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

struct Answer {
  Mutex mutex;
  Condition condition;
  bool done = false;
  Ref<MemoryRecord> record;

  static void found(void* context, Status, Ref<MemoryRecord> record) {
    auto* answer = static_cast<Answer*>(context);
    MutexLock lock(answer->mutex);
    answer->record = std::move(record);
    answer->done = true;
    answer->condition.signal();
  }
};

// Compares the body where the object is found.
bool find_and_compare(Store& store, uint64_t number) {
  const std::string key = key_of(number);
  Answer answer;
  const Found found =
      store.find(store.place_of(key), key, 0, &answer.record, &Answer::found, &answer);
  if (found == Found::pending) {
    MutexLock lock(answer.mutex);
    while (!answer.done) answer.condition.wait(answer.mutex);
  }
  if (!answer.record) return false;
  std::vector<uint8_t> got;
  for (const PageSpan& span : answer.record->body) {
    got.insert(got.end(), span.data(), span.data() + span.length);
  }
  MR_ASSERT(got == body_of(number));
  return true;
}

}  // namespace

void bench_kill(const Options& options) {
  const ByteCount size = options.large ? 20 * 1024 * kMiB : 1024 * kMiB;
  const std::string path = options.directory + "/kill-" + std::to_string(getpid()) + ".disk";
  int ends[2];
  MR_ASSERT(pipe(ends) == 0);
  const pid_t child = fork();
  MR_ASSERT(child >= 0);
  if (child == 0) fill_and_die(path, size, ends[1]);
  close(ends[1]);
  uint64_t flushed = 0;
  const ssize_t count = read(ends[0], &flushed, sizeof(flushed));
  close(ends[0]);
  int how = 0;
  MR_ASSERT(waitpid(child, &how, 0) == child);
  const bool was_killed = WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL;
  if (!was_killed) unlink(path.c_str());
  MR_ASSERT(was_killed && count == sizeof(flushed));
  const uint64_t started = now_ns();
  const Ref<Store> store = open_store(path);
  const uint64_t ready = now_ns();
  MR_ASSERT(store->wait_until_warm(600000));
  const uint64_t warm = now_ns();
  unlink(path.c_str());  // the store has it open
  const uint64_t recovered = store->volume().index().records();
  const uint64_t objects = objects_of(size);
  // Nothing was lost that the device had.
  MR_ASSERT_OP(recovered, >=, flushed);
  uint64_t compared = 0;
  for (uint64_t number = 0; number < objects; number += objects / 500 + 1) {
    if (find_and_compare(*store, number)) compared++;
  }
  store->close();
  print_row("millrace",
            options.large ? "a file of 20 GiB after kill -9" : "a file of 1 GiB after kill -9",
            {{"ready to serve", "ms", "lower", static_cast<double>(ready - started) / 1e6},
             {"every record found again", "ms", "lower", static_cast<double>(warm - started) / 1e6},
             {"records", "count", "none", static_cast<double>(recovered)},
             {"of those behind the flushed position", "ratio", "higher",
              static_cast<double>(recovered) / static_cast<double>(flushed)},
             {"bodies compared", "count", "none", static_cast<double>(compared)}},
            "objects of 500 KiB; " + std::to_string(flushed) + " behind the flushed position");
}

}  // namespace millrace::bench
