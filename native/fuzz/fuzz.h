// Shared by the fuzzers of the on-disk decoders. The first byte of an input chooses whether its checksum is
// put right before decoding, so that mutations get past it; the rest are the bytes as they would lie on a
// device. What decodes must encode to the same bytes again, or two readers could see two things in it.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/units.h"

namespace millrace::fuzz {

inline constexpr uint8_t kFixChecksum = 1;

// Exactly `size` bytes: cut off, or filled up with zeroes.
inline std::vector<uint8_t> sized(Bytes bytes, size_t size) {
  std::vector<uint8_t> out(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(
                                                              std::min(bytes.size(), size)));
  out.resize(size);
  return out;
}

inline void put_checksum(std::vector<uint8_t>& bytes, size_t covered, size_t at) {
  store_le<uint32_t>(bytes, at, crc32c(Bytes(bytes).first(covered)));
}

inline constexpr std::array<uint8_t, 16> kUuid = {1, 2, 3, 4, 5, 6, 7, 8,
                                                  9, 10, 11, 12, 13, 14, 15, 16};

}  // namespace millrace::fuzz
