// What the simulator's build links in place of base/clock.cc and base/random.cc: virtual time and bytes from
// the seed.
#include "base/clock.h"
#include "base/random.h"
#include "sim/fibers.h"

namespace millrace {

namespace {
// Some day in 2026. What is stored carries it; nothing depends on it.
constexpr uint64_t kWallClockStartMs = 1780000000000;
}  // namespace

uint64_t monotonic_ms() { return 1000 + sim::now_us() / 1000; }

uint64_t wall_clock_ms() { return kWallClockStartMs + sim::now_us() / 1000; }

Status fill_random(MutableBytes out) {
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(sim::schedule_random().next() >> 56);
  return Status();
}

}  // namespace millrace
