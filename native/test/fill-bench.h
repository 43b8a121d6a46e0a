// A store in memory with fills that a test drives step by step: used by the tests of followers and of
// what a fill publishes.
#pragma once

#include <algorithm>

#include "engine/fill.h"
#include "test/support.h"

namespace millrace::test {

// A store in memory. With `staged`, records go to a queue that the test empties by hand, as the
// file tier would; without, nothing is kept but what fits L1.
struct FillBench {
  Ref<Store> store;
  Ref<CountingSink> sink = Ref<CountingSink>::adopt(new CountingSink());
  std::vector<uint8_t> body = body_for("fill", 1, 20 * kMiB);

  explicit FillBench(bool staged, ByteCount l1_budget = 0, ByteCount memory_limit = 64 * kMiB) {
    StoreOptions options;
    options.memory_limit = memory_limit;
    options.l1_budget = l1_budget;
    options.poison_pages = true;
    options.external_life = staged ? 1 : 0;
    Result<Ref<Store>> opened = Store::open(options, nullptr);
    REQUIRE(opened.ok());
    store = std::move(opened.value());
  }
  ~FillBench() { store->close(); }

  Ref<Fill> begin(bool keep, uint64_t length = kUnknownLength, uint16_t flags = 0,
                  const std::string& key = "http://h/a") {
    Ref<Fill> fill = store->begin_fill(key, notice(sink, 0));
    FillHead head;
    head.key = key;
    HeadOptions options;
    options.flags = flags;
    head.head = make_head(options);
    head.body_length = length;
    head.keep = keep;
    REQUIRE(fill->begin(std::move(head)).ok());
    return fill;
  }
  Bytes part(ByteOffset offset, ByteCount length) const {
    return Bytes(body).subspan(offset, length);
  }
  // Appends up to `end`, as long as the producer is not asked to pause.
  FillPause append_to(Fill& fill, ByteOffset end) {
    while (fill.produced() < end) {
      const ByteCount rest = end - fill.produced();
      const auto appended = fill.append(part(fill.produced(), std::min(rest, kPageSize)));
      if (appended.pause != FillPause::none) return appended.pause;
    }
    return FillPause::none;
  }
  // Takes everything that is staged, as a disk that keeps up.
  void drain() const {
    while (const Ref<MemoryRecord> record = store->staging()->take(0))
      store->staging()->settle(record);
  }
};

inline std::vector<uint8_t> read_some(Fill& fill, Fill::Follower* follower, ByteCount maximum) {
  std::vector<PageSpan> spans;
  REQUIRE(fill.poll(follower, maximum, &spans) == FollowerPoll::data);
  return joined(spans);
}

inline FollowerPoll poll(Fill& fill, Fill::Follower* follower) {
  std::vector<PageSpan> spans;
  return fill.poll(follower, 1, &spans);
}

}  // namespace millrace::test
