// The kernel's clocks. See clock.h.
#include "base/clock.h"

#include <time.h>

namespace millrace {

namespace {

uint64_t read_ms(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

}  // namespace

uint64_t monotonic_ms() { return read_ms(CLOCK_MONOTONIC); }

uint64_t wall_clock_ms() { return read_ms(CLOCK_REALTIME); }

}  // namespace millrace
