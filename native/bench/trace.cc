// See trace.h.
#include "bench/trace.h"

#include <algorithm>
#include <cmath>

#include "bench/bench.h"

namespace millrace::bench {

namespace {

// Two kinds of objects: pages, manifests and small packages; layers, archives and segments of video.
constexpr double kLargeShare = 0.15;
constexpr double kSmallMedian = 20.0 * 1024;
constexpr double kSmallSigma = 1.3;
constexpr double kLargeMedian = 1024.0 * 1024;
constexpr double kLargeSigma = 1.0;
constexpr double kSmallest = 200;
constexpr double kLargest = 32.0 * 1024 * 1024;

double unit(uint64_t number) {
  return (static_cast<double>(number >> 11) + 0.5) / 9007199254740992.0;
}

}  // namespace

Trace::Trace(const TraceOptions& options) : options_(options), state_(mixed(options.seed)) {
  double sum = 0;
  for (uint64_t rank = 0; rank < options.ranks; rank++) {
    sum += std::pow(static_cast<double>(rank + 1), -options.zipf);
    cumulative_.push_back(sum);
    by_rank_.push_back(new_object());
  }
}

double Trace::uniform() { return unit(mixed(state_++)); }

uint64_t Trace::new_object() {
  was_asked_for_.push_back(false);
  return next_object_++;
}

ByteCount Trace::size_of(uint64_t object) const {
  const uint64_t seed = mixed(object ^ options_.seed << 48);
  const bool is_large = unit(mixed(seed)) < kLargeShare;
  // Box and Muller.
  const double normal = std::sqrt(-2 * std::log(unit(mixed(seed + 1)))) *
                        std::cos(6.283185307179586 * unit(mixed(seed + 2)));
  const double size = is_large ? kLargeMedian * std::exp(kLargeSigma * normal)
                               : kSmallMedian * std::exp(kSmallSigma * normal);
  return static_cast<ByteCount>(std::clamp(size, kSmallest, kLargest));
}

TraceRequest Trace::next() {
  // One object fades, of any rank, and a new one has its place.
  if (uniform() < options_.churn) {
    by_rank_[static_cast<uint64_t>(uniform() * static_cast<double>(options_.ranks))] = new_object();
  }
  uint64_t object = 0;
  const double kind = uniform();
  if (kind < options_.scan_share) {
    if (scan_left_ == 0) {
      scan_left_ = options_.scan_length;
      scan_at_ = static_cast<uint64_t>(uniform() * static_cast<double>(next_object_));
    }
    scan_left_--;
    object = scan_at_++ % next_object_;
  } else if (kind < options_.scan_share + options_.one_hit_share) {
    object = new_object();
  } else {
    const double wanted = uniform() * cumulative_.back();
    const auto at = std::lower_bound(cumulative_.begin(), cumulative_.end(), wanted);
    object = by_rank_[std::min<size_t>(static_cast<size_t>(at - cumulative_.begin()),
                                       by_rank_.size() - 1)];
  }
  const TraceRequest request{object, size_of(object)};
  if (!was_asked_for_[object]) {
    was_asked_for_[object] = true;
    footprint_ += request.size;
  }
  return request;
}

}  // namespace millrace::bench
