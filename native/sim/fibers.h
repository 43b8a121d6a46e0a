// The simulator's threads: fibers on one real thread, switched where the engine locks, waits or does I/O.
// Which one runs next, and how long it runs, comes from one seeded generator, and time is a number that
// jumps ahead when nobody can run; so a seed is a schedule. Only base/sync.h, base/clock.h and the
// simulated device use this. Not for more than one real thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sim/random.h"

namespace millrace::sim {

struct Fiber;

// What fibers wait in. Woken in seeded order.
struct WaitList {
  Fiber* first = nullptr;
};

// Begins a simulation: the calling thread becomes the first fiber, the clock starts anew. Nothing of an
// earlier simulation may still run.
void start_fibers(uint64_t seed);
// Every fiber but the first has ended by now; stacks are kept for the next simulation.
void stop_fibers();

Fiber* spawn(void* (*body)(void*), void* argument);
// Waits until it has ended, then frees it.
void join(Fiber* fiber);

// Another fiber may run first. Called where the engine takes a lock: cheap when it is not yet time.
void maybe_yield();
// Waits in the list; mutexes are the caller's affair. Returns false when `deadline_us` came first.
inline constexpr uint64_t kNever = ~uint64_t{0};
bool wait_in(WaitList& list, uint64_t deadline_us);
void wake_one(WaitList& list);
void wake_all(WaitList& list);
void sleep_us(uint64_t duration_us);

uint64_t now_us();
// Generator of the schedule and of the engine's random bytes.
Random& schedule_random();
// Counts switches; for reports.
uint64_t switches();

// Somebody got somewhere. When nobody says so for this long, or when no fiber can run and none waits for a
// time, `handler` is called and does not return.
inline constexpr uint64_t kPatienceUs = 600000000;
void made_progress();
using StuckHandler = void (*)(const char* how);
void on_stuck(StuckHandler handler);

}  // namespace millrace::sim
