// Callable from any thread. Assertions stay on in release builds: a broken invariant in a store stops
// the process with the place and the values rather than serve or write a wrong byte. Corrupt data from
// a disk, a socket or JavaScript is never an assertion; it is a Status.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace millrace {

[[noreturn]] inline void assertion_failed(const char* expression, const char* file, int line,
                                          uint64_t left, uint64_t right) {
  std::fprintf(stderr,
               "millrace: assertion failed: %s (%llu, %llu) at %s:%d; this is a bug, please report\n",
               expression, static_cast<unsigned long long>(left),
               static_cast<unsigned long long>(right), file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace millrace

#define MR_ASSERT(condition)                                                             \
  do {                                                                                   \
    if (!(condition)) [[unlikely]]                                                       \
      ::millrace::assertion_failed(#condition, __FILE__, __LINE__, 0, 0);                \
  } while (false)

// Compares two unsigned values and prints both when the comparison fails.
#define MR_ASSERT_OP(left, op, right)                                                    \
  do {                                                                                   \
    const auto mr_left = (left);                                                         \
    const auto mr_right = (right);                                                       \
    if (!(mr_left op mr_right)) [[unlikely]]                                             \
      ::millrace::assertion_failed(#left " " #op " " #right, __FILE__, __LINE__,         \
                                   static_cast<uint64_t>(mr_left),                       \
                                   static_cast<uint64_t>(mr_right));                     \
  } while (false)

#ifdef NDEBUG
#define MR_DCHECK(condition) static_cast<void>(0)
#else
#define MR_DCHECK(condition) MR_ASSERT(condition)
#endif

#define MR_UNREACHABLE() ::millrace::assertion_failed("unreachable", __FILE__, __LINE__, 0, 0)
