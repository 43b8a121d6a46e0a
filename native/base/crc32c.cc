// CRC32C by table and by the SSE4.2 instruction. See crc32c.h.
//
// The instruction has a latency of three cycles and a throughput of one, so three independent streams keep
// it busy. Their sums are joined with "append N zero bytes" operators: a CRC is linear over GF(2), so
// appending zeroes is a 32 x 32 bit matrix, applied here as four table lookups.
#include "base/crc32c.h"

#include <array>

#include "base/endian.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#define MR_CRC32C_SSE42 1
#endif

namespace millrace {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, bits reversed

constexpr std::array<std::array<uint32_t, 256>, 8> make_tables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? crc >> 1 ^ kPolynomial : crc >> 1;
    tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    for (size_t k = 1; k < 8; k++) {
      const uint32_t previous = tables[k - 1][byte];
      tables[k][byte] = previous >> 8 ^ tables[0][previous & 0xff];
    }
  }
  return tables;
}

constexpr auto kTables = make_tables();

uint32_t update_portable(uint32_t crc, const uint8_t* data, size_t size) {
  for (; size >= 8; data += 8, size -= 8) {
    const uint64_t word = load_le<uint64_t>(Bytes(data, 8), 0) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; k++) crc ^= kTables[7 - k][word >> (8 * k) & 0xff];
  }
  for (; size > 0; data++, size--) crc = crc >> 8 ^ kTables[0][(crc ^ *data) & 0xff];
  return crc;
}

#ifdef MR_CRC32C_SSE42

// Bytes per stream; three streams make one round. 8 KiB rounds join rarely, 256 B ones serve short input.
constexpr size_t kLongStream = 8192;
constexpr size_t kShortStream = 256;

using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;

// The operator "append `bytes` zero bytes", for each of the four bytes of a CRC. Starts from one zero byte
// and squares, so it takes log2(bytes) products of bit matrices.
ShiftTable make_shift(size_t bytes) {
  MR_ASSERT(is_power_of_two(bytes));
  std::array<uint32_t, 32> matrix{};
  for (uint32_t bit = 0; bit < 32; bit++) {
    const uint32_t crc = uint32_t{1} << bit;
    matrix[bit] = crc >> 8 ^ kTables[0][crc & 0xff];
  }
  const auto apply = [](const std::array<uint32_t, 32>& m, uint32_t vector) {
    uint32_t sum = 0;
    for (uint32_t bit = 0; vector != 0; bit++, vector >>= 1) {
      if ((vector & 1) != 0) sum ^= m[bit];
    }
    return sum;
  };
  for (; bytes > 1; bytes /= 2) {
    std::array<uint32_t, 32> square{};
    for (size_t bit = 0; bit < 32; bit++) square[bit] = apply(matrix, matrix[bit]);
    matrix = square;
  }
  ShiftTable table{};
  for (uint32_t k = 0; k < 4; k++) {
    for (uint32_t byte = 0; byte < 256; byte++) table[k][byte] = apply(matrix, byte << (8 * k));
  }
  return table;
}

uint32_t shifted(const ShiftTable& table, uint32_t crc) {
  return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
         table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) inline uint64_t step(uint64_t crc, const uint8_t* data) {
  uint64_t word;
  std::memcpy(&word, data, sizeof word);
  return _mm_crc32_u64(crc, word);
}

__attribute__((target("sse4.2"))) uint32_t three_streams(uint32_t crc, const uint8_t* data,
                                                         size_t stream,
                                                         const ShiftTable& shift) {
  uint64_t first = crc;
  uint64_t second = 0;
  uint64_t third = 0;
  for (size_t at = 0; at < stream; at += 8) {
    first = step(first, data + at);
    second = step(second, data + stream + at);
    third = step(third, data + 2 * stream + at);
  }
  const uint32_t joined =
      shifted(shift, static_cast<uint32_t>(first)) ^ static_cast<uint32_t>(second);
  return shifted(shift, joined) ^ static_cast<uint32_t>(third);
}

__attribute__((target("sse4.2"))) uint32_t update_hardware(uint32_t crc, const uint8_t* data,
                                                           size_t size) {
  static const ShiftTable long_shift = make_shift(kLongStream);
  static const ShiftTable short_shift = make_shift(kShortStream);
  for (; size >= 3 * kLongStream; data += 3 * kLongStream, size -= 3 * kLongStream) {
    crc = three_streams(crc, data, kLongStream, long_shift);
  }
  for (; size >= 3 * kShortStream; data += 3 * kShortStream, size -= 3 * kShortStream) {
    crc = three_streams(crc, data, kShortStream, short_shift);
  }
  uint64_t sum = crc;
  for (; size >= 8; data += 8, size -= 8) sum = step(sum, data);
  crc = static_cast<uint32_t>(sum);
  for (; size > 0; data++, size--) crc = _mm_crc32_u8(crc, *data);
  return crc;
}

#endif

}  // namespace

bool crc32c_is_hardware() {
#ifdef MR_CRC32C_SSE42
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
#else
  return false;
#endif
}

uint32_t crc32c(Bytes bytes, uint32_t seed) {
#ifdef MR_CRC32C_SSE42
  if (crc32c_is_hardware()) return ~update_hardware(~seed, bytes.data(), bytes.size());
#endif
  return crc32c_portable(bytes, seed);
}

uint32_t crc32c_portable(Bytes bytes, uint32_t seed) {
  return ~update_portable(~seed, bytes.data(), bytes.size());
}

}  // namespace millrace
