// One block of at most 64 KiB through LZ4, in the form that lz4-napi reads and writes: the raw length in
// four little-endian bytes, then the LZ4 block. Bounded on both sides: nothing is read or written outside
// the given spans, whatever they hold. No allocation. Callable from any thread; a state belongs to one
// caller at a time.
#pragma once

#include <cstddef>

#include "base/units.h"

namespace millrace {

inline constexpr ByteCount kLz4PrefixSize = 4;
// Most bytes that one block is made of.
inline constexpr ByteCount kLz4LargestBlock = 64 * kKiB;

// What the compressor writes into while it works: 16 KiB, whose contents mean nothing between two calls.
struct Lz4State {
  static constexpr size_t kSize = 16448;
  alignas(8) uint8_t bytes[kSize];
};

// Compresses `raw` (1 to kLz4LargestBlock bytes) into `out`. Returns the bytes used, prefix included; 0 when
// they do not fit `out`.
ByteCount lz4_compress(Lz4State& state, Bytes raw, MutableBytes out);

// The inverse. False unless `stored` is a whole block of exactly raw.size() bytes; `raw` is undefined then.
bool lz4_decompress(Bytes stored, MutableBytes raw);

}  // namespace millrace
