// What the native micro benchmarks share: the options of a run, the clocks, a histogram for latencies, and
// the one JSON line per measurement that bench/micro/native.ts reads. One process is one round; medians
// over rounds are the harness' business, so nothing here repeats a measurement.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "base/units.h"

namespace millrace::bench {

struct Options {
  bool quick = false;
  bool large = false;     // index: at 100 million records too; kill: a file of 20 GiB
  uint64_t records = 0;   // recovery: so many instead; policy: requests
  std::string part;       // device, index, hash, kill, policy, recovery or store
  std::string directory;  // for files
};

uint64_t now_ns();
// User and system time of this process, all threads.
uint64_t cpu_ns();

// Keeps the compiler from dropping a result that nobody reads.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

// splitmix64: any number to a well mixed one, so that case i needs no table of keys.
constexpr uint64_t mixed(uint64_t number) {
  number += 0x9e3779b97f4a7c15u;
  number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
  number = (number ^ number >> 27) * 0x94d049bb133111ebu;
  return number ^ number >> 31;
}

std::vector<uint8_t> random_bytes(size_t count);

// Counts by logarithmic classes of 32 steps per power of two: a quantile is off by 3 % at most, whatever
// its size, and recording costs an increment.
class Histogram {
 public:
  void record(uint64_t nanoseconds);
  void merge(const Histogram& other);
  // The upper bound of the class that holds the quantile, 0 < quantile <= 1; 0 while empty.
  uint64_t quantile(double quantile) const;
  uint64_t count() const { return count_; }

 private:
  static constexpr uint32_t kSteps = 32;
  static constexpr uint32_t kClasses = kSteps * 60;
  static uint32_t class_of(uint64_t value);
  static uint64_t bound_of(uint32_t number);

  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kClasses);
  uint64_t count_ = 0;
};

struct Metric {
  const char* name;
  const char* unit;    // of bench/harness.ts
  const char* better;  // lower, higher or none
  double value;
};

void print_row(const char* subject, const std::string& what, std::initializer_list<Metric> metrics,
               const std::string& note = "");

// How long one measurement runs: long enough for a stable mean, short enough for many of them.
uint64_t duration_ns(const Options& options);

// Nanoseconds per call of body(i). The clock is read once per `batch` calls, so that it weighs nothing.
template <typename Body>
double ns_per_call(const Options& options, uint64_t batch, Body body) {
  for (uint64_t i = 0; i < batch; i++) body(i);
  const uint64_t duration = duration_ns(options);
  const uint64_t started = now_ns();
  uint64_t calls = 0;
  uint64_t elapsed = 0;
  do {
    for (uint64_t i = 0; i < batch; i++) body(calls + i);
    calls += batch;
    elapsed = now_ns() - started;
  } while (elapsed < duration);
  return static_cast<double>(elapsed) / static_cast<double>(calls);
}

// MB/s (of a million bytes) for `bytes` in `nanoseconds`.
inline double megabytes_per_second(double bytes, double nanoseconds) {
  return bytes * 1000.0 / nanoseconds;
}

void bench_device(const Options& options);
void bench_index(const Options& options);
void bench_hash(const Options& options);
void bench_lz4(const Options& options);  // a part of hash
void bench_kill(const Options& options);
void bench_policy(const Options& options);
void bench_recovery(const Options& options);
void bench_store(const Options& options);

}  // namespace millrace::bench
