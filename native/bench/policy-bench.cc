// The policy report: which share of a synthetic trace (trace.h) misses, and what is written for it, in
// caches of half a percent to ten percent of all bytes that are asked for. FIFO, LRU and S3-FIFO take in
// every miss (rival-policies.h); ours is what the engine ships (ring-policy.h). The first fifth of the
// requests fills the caches and is not counted. Seeded: the same figures on every machine.
#include <cstdio>

#include "bench/bench.h"
#include "bench/ring-policy.h"
#include "bench/rival-policies.h"

namespace millrace::bench {

namespace {

TraceOptions trace_options(const Options& options) {
  TraceOptions trace;
  if (options.records > 0) trace.requests = options.records;
  if (options.quick) trace.requests = 150000, trace.ranks = 15000;
  return trace;
}

struct Result {
  double object_misses = 0;  // shares
  double byte_misses = 0;
  ByteCount written = 0;
};

template <typename Policy>
Result run(const TraceOptions& options, Policy* policy) {
  Trace trace(options);
  const uint64_t warm_up = options.requests / 5;
  uint64_t misses = 0;
  ByteCount missed = 0;
  ByteCount asked = 0;
  ByteCount written_before = 0;
  for (uint64_t i = 0; i < options.requests; i++) {
    if (i == warm_up) written_before = policy->written();
    const TraceRequest request = trace.next();
    const bool is_hit = policy->request(request);
    if (i < warm_up) continue;
    asked += request.size;
    if (is_hit) continue;
    misses++;
    missed += request.size;
  }
  return Result{static_cast<double>(misses) / static_cast<double>(options.requests - warm_up),
                static_cast<double>(missed) / static_cast<double>(asked),
                policy->written() - written_before};
}

void print(const char* policy, const char* size, const Result& result, ByteCount lru_written) {
  print_row("millrace", std::string(size) + ": " + policy,
            {{"objects missed", "ratio", "lower", result.object_misses},
             {"bytes missed", "ratio", "lower", result.byte_misses},
             {"written, of what LRU writes", "ratio", "lower",
              static_cast<double>(result.written) / static_cast<double>(lru_written)},
             {"written", "bytes", "lower", static_cast<double>(result.written)}});
}

}  // namespace

void bench_policy(const Options& options) {
  const TraceOptions trace = trace_options(options);
  Trace all(trace);
  for (uint64_t i = 0; i < trace.requests; i++) all.next();
  for (const double share : {0.005, 0.01, 0.02, 0.05, 0.1}) {
    char size[24];
    std::snprintf(size, sizeof(size), "cache of %g %%", share * 100);
    RingPolicy ring(static_cast<ByteCount>(share * static_cast<double>(all.footprint())));
    // Everybody has the bytes of the ring, which are whole segments.
    const ByteCount capacity = ring.capacity();
    QueuePolicy lru(capacity, true);
    const Result of_lru = run(trace, &lru);
    QueuePolicy fifo(capacity, false);
    print("FIFO", size, run(trace, &fifo), of_lru.written);
    print("LRU", size, of_lru, of_lru.written);
    S3Fifo s3(capacity);
    print("S3-FIFO", size, run(trace, &s3), of_lru.written);
    print("ours", size, run(trace, &ring), of_lru.written);
    const double laps = static_cast<double>(ring.written()) / static_cast<double>(capacity);
    char note[120];
    std::snprintf(note, sizeof(note), "%.1f laps of %.2f GB; all objects together %.0f GB", laps,
                  static_cast<double>(capacity) / 1e9, static_cast<double>(all.footprint()) / 1e9);
    print_row("millrace", std::string(size) + ": what ours writes",
              {{"written per byte admitted", "ratio", "lower",
                static_cast<double>(ring.written()) / static_cast<double>(ring.admitted())},
               {"of that without reinsertion", "ratio", "lower",
                static_cast<double>(ring.written() - ring.reinserted()) /
                    static_cast<double>(ring.admitted())}},
              note);
  }
}

}  // namespace millrace::bench
