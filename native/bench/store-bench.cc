// The engine in memory: pages, the memory tier's find, and the bytes of a fill from producer to follower. No
// device and no JavaScript: what the same steps cost through the addon is measured by benny.
#include <cstring>

#include "base/sync.h"
#include "bench/bench.h"
#include "bench/heads.h"
#include "engine/store.h"

namespace millrace::bench {

namespace {

void bench_pages(const Options& options) {
  const auto pool = Ref<PagePool>::adopt(new PagePool(64 * kMiB, false));
  for (const ByteCount size : {kKiB, 16 * kKiB, kPageSize}) {
    const double time = ns_per_call(options, 1024, [&](uint64_t) {
      const PageRef page = pool->allocate(size);
      keep(page);
    });
    print_row("millrace", "page pool: allocate and free " + std::to_string(size / kKiB) + " KiB",
              {{"time", "ns", "lower", time}});
  }
}

KeyHash hash_of(uint64_t number) { return KeyHash{mixed(number), mixed(~number)}; }

void publish_records(PagePool& pool, MemoryTier& tier, uint64_t records) {
  const std::vector<uint8_t> head = sample_head(kKiB);
  const std::vector<uint8_t> body = random_bytes(kKiB);
  for (uint64_t number = 0; number < records; number++) {
    RecordHeader header;
    header.hash = hash_of(number);
    header.object_length = kKiB;
    header.interval_end = kKiB;
    header.body_length = kKiB;
    header.stored_length = kKiB;
    std::string key = sample_key(number);
    header.key_length = static_cast<uint32_t>(key.size());
    header.meta_length = static_cast<uint32_t>(head.size());
    const Bytes parts[] = {body};
    Ref<MemoryRecord> record = copy_record(pool, header, std::move(key), head, parts);
    MR_ASSERT(record);
    MR_ASSERT(tier.publish(std::move(record)));
  }
}

struct Finder {
  MemoryTier* tier = nullptr;
  const Options* options = nullptr;
  uint64_t records = 0;
  uint64_t first = 0;
  double time = 0;

  static void* run(void* argument) {
    auto* self = static_cast<Finder*>(argument);
    self->time = ns_per_call(*self->options, 1024, [self](uint64_t i) {
      const Ref<MemoryRecord> record =
          self->tier->find(hash_of(mixed(self->first + i) % self->records));
      MR_ASSERT(record);
      keep(record);
    });
    return nullptr;
  }
};

void bench_finds(const Options& options) {
  constexpr ByteCount kBudget = 256 * kMiB;
  const uint64_t records = options.quick ? 10000 : 50000;
  const auto pool = Ref<PagePool>::adopt(new PagePool(kBudget + 64 * kMiB, false));
  MemoryTier tier(kBudget);
  publish_records(*pool, tier, records);
  for (const uint32_t count : {1u, 2u}) {
    std::vector<Finder> finders(count);
    const auto threads = std::make_unique<Thread[]>(count);
    for (uint32_t i = 0; i < count; i++) {
      finders[i] = Finder{&tier, &options, records, uint64_t{i} << 32, 0};
      threads[i].start(&Finder::run, &finders[i]);
    }
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
      threads[i].join();
      sum += finders[i].time;
    }
    print_row(count == 1 ? "1 thread" : "2 threads",
              "memory tier: find among " + std::to_string(records) + " records",
              {{"time", "ns", "lower", sum / count}});
  }
}

Ref<Fill> begin_fill(Store& store, const std::string& key, ByteCount length) {
  Ref<Fill> fill = store.begin_fill(key, Notice{});
  FillHead head;
  head.key = key;
  head.head = sample_head(length);
  head.body_length = length;
  head.keep = true;
  MR_ASSERT(fill->begin(std::move(head)).ok());
  return fill;
}

// A producer that appends what a socket read gives, a follower right behind it.
void pass_through(Fill& fill, Bytes part, ByteCount length) {
  Fill::Follower* follower = fill.follow(0, Notice{});
  std::vector<PageSpan> spans;
  for (ByteOffset at = 0; at < length; at += part.size()) {
    const Fill::Appended appended = fill.append(part);
    MR_ASSERT_OP(appended.accepted, ==, part.size());
    spans.clear();
    MR_ASSERT(fill.poll(follower, 256 * kKiB, &spans) == FollowerPoll::data);
    keep(spans[0]);
  }
  MR_ASSERT(fill.finish().ok());
  fill.unfollow(follower);
}

Ref<Store> open_store(ByteCount l1_budget) {
  StoreOptions options;
  options.memory_limit = 128 * kMiB;
  options.l1_budget = l1_budget;
  Result<Ref<Store>> opened = Store::open(options, nullptr);
  MR_ASSERT(opened.ok());
  return std::move(opened.value());
}

void bench_stream(const Options& options, const Ref<Store>& store) {
  constexpr ByteCount kBody = 16 * kMiB;
  const std::vector<uint8_t> part = random_bytes(kPageSize);
  const double time = ns_per_call(options, 1, [&](uint64_t) {
    const Ref<Fill> fill = begin_fill(*store, "http://h/stream", kBody);
    pass_through(*fill, part, kBody);
  });
  const double per_mebibyte = time / (kBody / kMiB);
  print_row("millrace", "fill: append and poll in parts of 64 KiB",
            {{"time per MiB", "us", "lower", per_mebibyte / 1000},
             {"speed", "MB/s", "higher", megabytes_per_second(kMiB, per_mebibyte)}},
            "one copy into native pages; nothing is kept");
}

void bench_single(const Options& options, const Ref<Store>& store) {
  const std::vector<uint8_t> body = random_bytes(kKiB);
  const double time = ns_per_call(options, 64, [&](uint64_t i) {
    const Ref<Fill> fill = begin_fill(*store, sample_key(i % 1000), kKiB);
    pass_through(*fill, body, kKiB);
  });
  print_row("millrace", "fill: whole object of 1 KiB, published in memory",
            {{"time", "ns", "lower", time}});
}

void bench_lookup(const Options& options, const Ref<Store>& store) {
  const double time = ns_per_call(options, 256, [&](uint64_t i) {
    Ref<MemoryRecord> record;
    const std::string key = sample_key(i % 1000);
    const Found found = store->find(store->place_of(key), key, 0, &record, nullptr, nullptr);
    MR_ASSERT(found == Found::hit);
    keep(record);
  });
  print_row("millrace", "store: key to record in memory", {{"time", "ns", "lower", time}},
            "the key's text, its hash, the memory tier");
}

}  // namespace

void bench_store(const Options& options) {
  bench_pages(options);
  bench_finds(options);
  const Ref<Store> streaming = open_store(0);
  bench_stream(options, streaming);
  streaming->close();
  const Ref<Store> keeping = open_store(32 * kMiB);
  bench_single(options, keeping);
  for (uint64_t number = 0; number < 1000; number++) {
    const std::vector<uint8_t> body = random_bytes(kKiB);
    const Ref<Fill> fill = begin_fill(*keeping, sample_key(number), kKiB);
    pass_through(*fill, body, kKiB);
  }
  bench_lookup(options, keeping);
  keeping->close();
}

}  // namespace millrace::bench
