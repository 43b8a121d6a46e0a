// Blocks through liblz4. See lz4-block.h.
#include "base/lz4-block.h"

#include "base/assert.h"
#include "base/endian.h"

#define LZ4LIB_VISIBILITY
#define LZ4_STATIC_LINKING_ONLY  // for the size of its state
#include <lz4.h>

namespace millrace {

static_assert(Lz4State::kSize >= sizeof(LZ4_stream_t));
static_assert(alignof(LZ4_stream_t) <= 8);

ByteCount lz4_compress(Lz4State& state, Bytes raw, MutableBytes out) {
  MR_ASSERT(!raw.empty() && raw.size() <= kLz4LargestBlock);
  if (out.size() <= kLz4PrefixSize) return 0;
  const ByteCount room = out.size() - kLz4PrefixSize;
  const int capacity = static_cast<int>(room < 2 * kLz4LargestBlock ? room : 2 * kLz4LargestBlock);
  const int length =
      LZ4_compress_fast_extState(state.bytes, reinterpret_cast<const char*>(raw.data()),
                                 reinterpret_cast<char*>(out.data() + kLz4PrefixSize),
                                 static_cast<int>(raw.size()), capacity, 1);
  if (length <= 0) return 0;
  MR_ASSERT_OP(length, <=, capacity);
  store_le<uint32_t>(out, 0, static_cast<uint32_t>(raw.size()));
  return static_cast<ByteCount>(length) + kLz4PrefixSize;
}

bool lz4_decompress(Bytes stored, MutableBytes raw) {
  MR_ASSERT(!raw.empty() && raw.size() <= kLz4LargestBlock);
  if (stored.size() <= kLz4PrefixSize || stored.size() > 2 * kLz4LargestBlock) return false;
  if (load_le<uint32_t>(stored, 0) != raw.size()) return false;
  const int length = LZ4_decompress_safe(
      reinterpret_cast<const char*>(stored.data() + kLz4PrefixSize),
      reinterpret_cast<char*>(raw.data()), static_cast<int>(stored.size() - kLz4PrefixSize),
      static_cast<int>(raw.size()));
  return length >= 0 && static_cast<size_t>(length) == raw.size();
}

}  // namespace millrace
