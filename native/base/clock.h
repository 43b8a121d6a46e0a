// The two clocks of the engine. Callable from any thread. Everything below `addon` asks here and nowhere
// else, so that the simulator can put a virtual clock in their place (native/sim).
#pragma once

#include <cstdint>

namespace millrace {

// Milliseconds that never step back, from an unspecified start: for ages, waits and durations.
uint64_t monotonic_ms();

// Milliseconds since 1970: for what is stored or shown. May step in both directions.
uint64_t wall_clock_ms();

}  // namespace millrace
