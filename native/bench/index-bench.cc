// The index at a size that no CPU cache holds: insert, lookup of what is there and of what is not, false
// words, how many bytes one record costs at 85 and 90 % fill and how many records are lost there. Hashes are
// made from their number, so the bench itself needs no memory. --large: also 100 million records, 0.9 GB.
#include <cstdio>

#include "bench/bench.h"
#include "engine/index.h"

namespace millrace::bench {

namespace {

// Far behind every number that was inserted.
constexpr uint64_t kAbsent = uint64_t{1} << 40;
constexpr ByteCount kRecordLength = 64 * kKiB;

ByteOffset address_of(uint64_t number) { return number * kRecordLength; }

void insert(Index& index, uint64_t number) {
  index.insert(mixed(number), address_of(number), kRecordLength, RecordKind::single, 0);
}

bool finds(const Index& index, uint64_t number) {
  IndexHit hits[Index::kMaximumHits];
  const uint32_t count = index.lookup(mixed(number), hits);
  for (uint32_t i = 0; i < count; i++) {
    if (Index::address_of(hits[i].word) == address_of(number)) return true;
  }
  return false;
}

std::string with_count(const char* what, uint64_t records) {
  const bool millions = records % 1000000 == 0;
  return std::string(what) + " at " +
         (millions ? std::to_string(records / 1000000) + " M" : std::to_string(records)) +
         " records";
}

void bench_lookups(const Options& options, const Index& index, uint64_t inserted,
                   uint64_t records) {
  uint64_t found = 0;
  uint64_t asked = 0;
  const double hit = ns_per_call(options, 4096, [&](uint64_t i) {
    found += finds(index, mixed(i) % inserted);
    asked++;
  });
  // A record that was overwritten by another one is a miss; more than a few would mean a broken bench.
  MR_ASSERT_OP(found * 100, >=, asked * 98);
  print_row("millrace", with_count("lookup hit", records), {{"time", "ns", "lower", hit}});

  uint64_t false_words = 0;
  asked = 0;
  const double miss = ns_per_call(options, 4096, [&](uint64_t i) {
    IndexHit hits[Index::kMaximumHits];
    false_words += index.lookup(mixed(kAbsent + i), hits);
    asked++;
  });
  print_row("millrace", with_count("lookup miss", records),
            {{"time", "ns", "lower", miss},
             {"false words per miss", "ratio", "lower",
              static_cast<double>(false_words) / static_cast<double>(asked)}});
}

// What an index of this size costs per record when so many of its words are taken, and how many records it
// has lost on the way there because both of their buckets were full.
void bench_fill(Index& index, uint64_t* number, double load) {
  const auto wanted = static_cast<uint64_t>(static_cast<double>(index.capacity()) * load);
  while (index.records() < wanted) insert(index, (*number)++);
  const auto inserted = static_cast<double>(*number);
  const auto kept = static_cast<double>(index.records());
  char what[40];
  std::snprintf(what, sizeof(what), "filled to %.0f %%", load * 100);
  print_row("millrace", what,
            {{"memory per record", "bytes", "lower", static_cast<double>(index.memory()) / kept},
             {"overwritten", "ratio", "lower", static_cast<double>(index.overwritten()) / inserted}},
            std::to_string(index.records()) + " records in " + std::to_string(index.capacity()) +
                " words, " + std::to_string(index.overwritten()) + " overwritten");
}

// The size at which so many records fill 90 % of it.
void bench_index_of(const Options& options, uint64_t records) {
  const uint64_t words = records * 10 / 9 + Index::kSlotsPerBucket;
  Index index(words);
  const uint64_t before = records * 85 / 90;
  const uint64_t started = now_ns();
  uint64_t number = 0;
  for (; number < before; number++) insert(index, number);
  const double elapsed = static_cast<double>(now_ns() - started);
  print_row("millrace", with_count("insert", records),
            {{"time", "ns", "lower", elapsed / static_cast<double>(before)}},
            "from empty to 85 %, pages of the index touched for the first time");
  bench_fill(index, &number, 0.85);
  bench_fill(index, &number, 0.90);
  bench_lookups(options, index, number, records);
}

}  // namespace

void bench_index(const Options& options) {
  const uint64_t records = options.quick ? 1000000 : 20000000;
  bench_index_of(options, records);
  if (options.large) bench_index_of(options, 100000000);
}

}  // namespace millrace::bench
