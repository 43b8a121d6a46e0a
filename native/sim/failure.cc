// Reports of failures. See failure.h.
#include "sim/failure.h"

#include <signal.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

#include "sim/fibers.h"

namespace millrace::sim {

namespace {

void print_place() {
  std::fprintf(stderr, "sim: seed %llu, step %llu, life %u, at %.6f s\nsim: repeat with: %s --trace\n",
               static_cast<unsigned long long>(place().seed),
               static_cast<unsigned long long>(place().step), place().life,
               static_cast<double>(now_us()) / 1e6, place().command.c_str());
  std::fflush(stderr);
}

// Good enough for a process that is about to die of the same signal.
void on_signal(int number) {
  signal(number, SIG_DFL);
  print_place();
  raise(number);
}

void stuck(const char* how) { fail("%s", how); }

}  // namespace

Place& place() {
  static Place* const instance = new Place();
  return *instance;
}

void fail(const char* format, ...) {
  std::fflush(stdout);
  std::fprintf(stderr, "sim: FAILED: ");
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "\n");
  print_place();
  _exit(1);
}

void trace(const char* format, ...) {
  if (!place().traces) return;
  std::printf("%8llu %10.3f ms  ", static_cast<unsigned long long>(place().step),
              static_cast<double>(now_us()) / 1e3);
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::printf("\n");
}

void report_crashes() {
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) signal(number, &on_signal);
  on_stuck(&stuck);
}

}  // namespace millrace::sim
