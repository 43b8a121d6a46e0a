// What several tests need: seeded randomness, waiting for other threads, stored heads, a sink that
// counts, and a store over a FaultDevice with blocking wrappers around its asynchronous calls.
#pragma once

#include <doctest/doctest.h>
#include <sched.h>
#include <time.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/store.h"
#include "layout/head.h"
#include "test/fault-device.h"

namespace millrace::test {

// xorshift64*: the same numbers everywhere for one seed. Tests put the seed into INFO.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  uint64_t below(uint64_t limit) { return next() % limit; }
  void fill(MutableBytes out);
  std::vector<uint8_t> bytes(size_t count);

 private:
  uint64_t state_;
};

inline Bytes bytes_of(std::string_view text) {
  return Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}
inline std::string text_of(Bytes bytes) { return std::string(bytes.begin(), bytes.end()); }
inline bool same_bytes(Bytes a, Bytes b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// Gives other threads the CPU until the condition holds. Two minutes only bound a test that hangs.
template <typename Predicate>
void wait_until(Predicate holds) {
  timespec started;
  clock_gettime(CLOCK_MONOTONIC, &started);
  while (!holds()) {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    REQUIRE_MESSAGE(now.tv_sec - started.tv_sec < 120, "what the test waits for does not happen");
    sched_yield();
  }
}

class CountingSink : public CompletionSink {
 public:
  void post(const Completion& completion) override {
    if (completion.token < counts_.size()) counts_[completion.token].fetch_add(1);
  }
  uint32_t count(uint32_t token) const { return counts_[token].load(); }

 private:
  std::array<std::atomic<uint32_t>, 64> counts_{};
};

inline Notice notice(const Ref<CountingSink>& sink, uint32_t token) {
  return Notice{Ref<CompletionSink>::share(sink.get()), token};
}

// Runs body(number) on `count` threads and joins them.
void run_threads(uint32_t count, const std::function<void(uint32_t)>& body);

struct HeadOptions {
  uint16_t status = 200;
  uint16_t flags = kHeadStrongValidator;
  uint64_t body_length = kUnknownLength;
  std::string etag = "\"v1\"";
  uint64_t fresh_until_ms = 2000;
  std::string vary;  // "name\0name\0"
  std::vector<uint64_t> tags{};
  std::string fields = "Content-Type: text/plain\r\n";
};
std::vector<uint8_t> make_head(const HeadOptions& options = {});

// An empty store on a disk of the smallest size, always with the same identity and hash key.
inline constexpr ByteCount kDiskSize = kMinimumDeviceSize;
DiskImage formatted_disk(uint32_t block_size = 4096, bool lazy_zero = false);

struct TestStore {
  Ref<Store> store;
  FaultDevice* device = nullptr;  // owned by the store

  // Every footer is loaded.
  explicit TestStore(const DiskImage& image, ByteCount l1_budget = 0,
                     ByteCount memory_limit = 64 * kMiB, bool compress = false,
                     bool admit_everything = true);
  ~TestStore();
  Store* operator->() const { return store.get(); }
  // Everything offered so far lies on the device.
  void flush();
  // Nothing is staged any more: reads come from the aggregation buffers or the device.
  void settle();
};

struct Lookup {
  Found found = Found::miss;  // never pending
  Status status{};
  Ref<MemoryRecord> record;
};
Lookup find(Store& store, const std::string& key, Sequence minimum_birth = 0);
// The bytes [offset, offset + length) of a version, chunk by chunk; false when any part is a miss.
bool read_body(Store& store, const KeyHash& hash, uint64_t incarnation, uint64_t object_length,
               ByteOffset offset, ByteCount length, std::vector<uint8_t>* out);
// The whole body of a found object, wherever it lies.
bool body_of(Store& store, const Ref<MemoryRecord>& record, std::vector<uint8_t>* out);

// A purge, until it is durable.
Status purge(Store& store, const PurgeRequest& request);
inline Status purge_key(Store& store, const std::string& key) {
  return purge(store, PurgeRequest{PurgeKind::key, key, 0, false, false});
}
// What a successful POST or DELETE of the key does.
inline Status purge_unsafe(Store& store, const std::string& key) {
  return purge(store, PurgeRequest{PurgeKind::key, key, 0, false, true});
}

std::vector<uint8_t> joined(const std::vector<PageSpan>& spans);

struct PutOptions {
  std::string primary;  // empty: the key itself
  Sequence floor = 0;   // of the marker under the primary key
  std::vector<uint8_t> marker{};  // its head; empty: one that only has the names of Vary
  HeadOptions head{};
  bool knows_length = true;
  bool may_compress = true;
  bool heeds_pause = true;  // false: goes on while the disk is behind, whose queue may then refuse
};
// The marker that the options ask for, after what the fill has left.
void put_marker(Fill& fill, const PutOptions& options);
// One complete fill. Returns the incarnation of the stored version.
uint64_t put(Store& store, const std::string& key, Bytes body, const PutOptions& options = {});

// A body that names its key and version in every page, so that a wrong byte tells where it came
// from.
std::vector<uint8_t> body_for(std::string_view key, uint64_t version, size_t size);
// Words in a random order: shrinks to less than half.
std::vector<uint8_t> text_for(uint64_t seed, size_t size);

}  // namespace millrace::test
