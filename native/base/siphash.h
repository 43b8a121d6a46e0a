// SipHash-2-4 with 128-bit result (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, and
// the authors' 128-bit variant). Pure; callable from any thread. The key is random per device, so nobody
// outside can choose URLs that collide.
#pragma once

#include <array>

#include "base/units.h"

namespace millrace {

using HashKey = std::array<uint8_t, 16>;

KeyHash siphash_128(const HashKey& key, Bytes message);

}  // namespace millrace
