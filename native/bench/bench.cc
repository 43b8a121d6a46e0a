// Clocks, histogram and output of the native micro benchmarks. See bench.h.
#include "bench/bench.h"

#include <sys/resource.h>
#include <time.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace millrace::bench {

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t cpu_ns() {
  timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * 1000000000u + static_cast<uint64_t>(used.tv_nsec);
}

std::vector<uint8_t> random_bytes(size_t count) {
  std::vector<uint8_t> out(count);
  for (size_t at = 0; at < count; at += 8) {
    const uint64_t word = mixed(at);
    std::memcpy(out.data() + at, &word, count - at < 8 ? count - at : 8);
  }
  return out;
}

uint32_t Histogram::class_of(uint64_t value) {
  if (value < kSteps) return static_cast<uint32_t>(value);
  const auto shift = static_cast<uint32_t>(std::bit_width(value)) - 6;
  return kSteps * (shift + 1) + static_cast<uint32_t>(value >> shift) - kSteps;
}

uint64_t Histogram::bound_of(uint32_t number) {
  if (number < kSteps) return number;
  const uint32_t shift = number / kSteps - 1;
  return ((uint64_t{number % kSteps} + kSteps + 1) << shift) - 1;
}

void Histogram::record(uint64_t nanoseconds) {
  counts_[class_of(nanoseconds)]++;
  count_++;
}

void Histogram::merge(const Histogram& other) {
  for (uint32_t number = 0; number < kClasses; number++) counts_[number] += other.counts_[number];
  count_ += other.count_;
}

uint64_t Histogram::quantile(double quantile) const {
  const auto wanted = static_cast<uint64_t>(std::ceil(quantile * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (uint32_t number = 0; number < kClasses; number++) {
    seen += counts_[number];
    if (seen > 0 && seen >= wanted) return bound_of(number);
  }
  return 0;
}

// Names here are our own: no character of them needs more than this.
static void print_text(const char* name, const std::string& text) {
  std::printf("\"%s\":\"", name);
  for (const char character : text) {
    if (character == '"' || character == '\\') std::putchar('\\');
    std::putchar(character);
  }
  std::putchar('"');
}

void print_row(const char* subject, const std::string& what, std::initializer_list<Metric> metrics,
               const std::string& note) {
  std::putchar('{');
  print_text("subject", subject);
  std::putchar(',');
  print_text("case", what);
  std::printf(",\"metrics\":[");
  const char* separator = "";
  for (const Metric& metric : metrics) {
    std::printf("%s{\"name\":\"%s\",\"unit\":\"%s\",\"better\":\"%s\",\"value\":%.6g}", separator,
                metric.name, metric.unit, metric.better, metric.value);
    separator = ",";
  }
  std::printf("]");
  if (!note.empty()) {
    std::putchar(',');
    print_text("note", note);
  }
  std::printf("}\n");
  std::fflush(stdout);
}

uint64_t duration_ns(const Options& options) {
  constexpr uint64_t kMillisecond = 1000000;
  return options.quick ? 25 * kMillisecond : 300 * kMillisecond;
}

}  // namespace millrace::bench
