// CRC32C (Castagnoli). Pure; callable from any thread. Uses the SSE4.2 instruction on three interleaved
// streams where the CPU has it, a table otherwise; both give the same value.
#pragma once

#include "base/units.h"

namespace millrace {

// CRC32C of bytes, continuing from `seed` (0 for a fresh sum): crc32c(b, crc32c(a)) == crc32c(a + b).
uint32_t crc32c(Bytes bytes, uint32_t seed = 0);

// The table implementation alone, for tests that compare the two.
uint32_t crc32c_portable(Bytes bytes, uint32_t seed = 0);

// True when crc32c() runs on the CPU's instruction.
bool crc32c_is_hardware();

}  // namespace millrace
