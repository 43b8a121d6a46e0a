// Little-endian loads and stores on byte spans, bounds-checked by assertion. Pure. Everything that
// reaches a device or crosses to TypeScript goes through these; no struct is cast from memory.
#pragma once

#include <bit>
#include <concepts>
#include <cstring>

#include "base/units.h"

namespace millrace {

static_assert(std::endian::native == std::endian::little, "big-endian hosts need byte swaps here");

template <std::unsigned_integral T>
T load_le(Bytes bytes, size_t offset) {
  MR_ASSERT_OP(offset + sizeof(T), <=, bytes.size());
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

template <std::unsigned_integral T>
void store_le(MutableBytes bytes, size_t offset, T value) {
  MR_ASSERT_OP(offset + sizeof(T), <=, bytes.size());
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

// True when every byte is zero: padding is written as zero and checked on read.
inline bool all_zero(Bytes bytes) {
  for (const uint8_t byte : bytes) {
    if (byte != 0) return false;
  }
  return true;
}

}  // namespace millrace
