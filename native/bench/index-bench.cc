// The index at a size that no CPU cache holds: insert, lookup of what is there and of what is not, and how
// many bytes one record costs. Hashes are made from their number, so the bench itself needs no memory.
#include <bit>

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

void bench_insert(Index& index, uint64_t records) {
  const uint64_t started = now_ns();
  for (uint64_t number = 0; number < records; number++) insert(index, number);
  const double elapsed = static_cast<double>(now_ns() - started);
  print_row("millrace", with_count("insert", records),
            {{"time", "ns", "lower", elapsed / static_cast<double>(records)}},
            "from empty, pages of the index touched for the first time");
}

void bench_lookups(const Options& options, const Index& index, uint64_t records) {
  uint64_t found = 0;
  uint64_t asked = 0;
  const double hit = ns_per_call(options, 4096, [&](uint64_t i) {
    found += finds(index, mixed(i) % records);
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

// Goes on inserting until records are lost: the load up to which the index loses none to speak of is what
// decides how many bytes a record costs.
void bench_bytes_per_record(Index& index, uint64_t number) {
  const auto per_record = [&] {
    return static_cast<double>(index.memory()) / static_cast<double>(index.records());
  };
  while (index.overwritten() == 0) insert(index, number++);
  const double at_first_loss = per_record();
  while (index.overwritten() * 1000 < index.records()) insert(index, number++);
  print_row("millrace", "bytes per record",
            {{"at the first overwritten", "bytes", "lower", at_first_loss},
             {"at 0.1 % overwritten", "bytes", "lower", per_record()}},
            std::to_string(index.capacity()) + " words");
}

}  // namespace

void bench_index(const Options& options) {
  const uint64_t records = options.quick ? 1000000 : 20000000;
  // The index rounds its size down to a power of two; an eighth to spare keeps it from losing records.
  Index index(std::bit_ceil(records + records / 8));
  bench_insert(index, records);
  bench_lookups(options, index, records);
  bench_bytes_per_record(index, records);
}

}  // namespace millrace::bench
