// How the simulation ends when something is wrong: what, where, and the one command that repeats it.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::sim {

// Of the running simulation, for the report.
struct Place {
  uint64_t seed = 0;
  uint64_t step = 0;
  uint32_t life = 0;
  bool traces = false;
  std::string command;  // repeats this seed
};
Place& place();

// Prints the place and exits with status 1.
[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char* format, ...);
// One line about what happens, with --trace.
__attribute__((format(printf, 1, 2))) void trace(const char* format, ...);
// Also on a broken assertion, a signal or a deadlock the seed is printed.
void report_crashes();

}  // namespace millrace::sim
