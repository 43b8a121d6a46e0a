// A synthetic trace of requests to a cache in front of downloads, seeded: popularity by Zipf's law over a
// catalogue that changes (objects appear and fade), objects that are asked for once, scans over old ones,
// and sizes of two kinds, small and large, each lognormal. Single-threaded.
#pragma once

#include <vector>

#include "base/units.h"

namespace millrace::bench {

struct TraceOptions {
  uint64_t seed = 1;
  uint64_t requests = 3000000;
  uint64_t ranks = 300000;  // objects that are alive at a time
  // Exponent of popularity by rank: such that LRU misses 62.1 % of the objects in a cache of 2 %, as in the
  // trace that the policy was first chosen by.
  double zipf = 0.892;
  double one_hit_share = 0.2;  // of requests: for what nobody asks for again
  double churn = 0.03;         // objects that are replaced by a new one, per request
  double scan_share =
      0.04;  // of requests: one pass after the other over objects in the order of their age
  uint64_t scan_length = 20000;
};

struct TraceRequest {
  uint64_t object = 0;
  ByteCount size = 0;  // always the same for an object
};

class Trace {
 public:
  explicit Trace(const TraceOptions& options);
  TraceRequest next();

  uint64_t objects() const { return next_object_; }
  ByteCount footprint() const { return footprint_; }  // of all objects that were asked for so far

 private:
  double uniform();
  uint64_t new_object();
  ByteCount size_of(uint64_t object) const;

  const TraceOptions options_;
  uint64_t state_;
  std::vector<double> cumulative_;   // of the ranks' popularity
  std::vector<uint64_t> by_rank_;    // which object has the rank now
  std::vector<bool> was_asked_for_;  // by object
  uint64_t next_object_ = 0;
  uint64_t scan_at_ = 0;
  uint64_t scan_left_ = 0;
  ByteCount footprint_ = 0;
};

}  // namespace millrace::bench
