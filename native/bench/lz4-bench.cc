// One block of 64 KiB through LZ4 as bodies go through it on their way to the disk and back. The text is the
// one of bench/support/pattern.ts, byte for byte, so that lz4-napi is measured on the same beside it.
#include <cstring>

#include "base/lz4-block.h"
#include "base/units.h"
#include "bench/bench.h"

namespace millrace::bench {

namespace {

constexpr const char* kWords[] = {
    "the", "of",   "and",  "to",   "in",   "a",    "is",    "that",  "for",   "it",
    "as",  "was",  "with", "be",   "by",   "on",   "not",   "he",    "his",   "but",
    "at",  "are",  "this", "have", "from", "or",   "had",   "an",    "they",  "which",
    "one", "you",  "were", "all",  "her",  "she",  "there", "would", "their", "we",
    "him", "been", "has",  "when", "who",  "will", "no",    "more",  "if",    "out"};
constexpr size_t kWordCount = sizeof(kWords) / sizeof(kWords[0]);

std::vector<uint8_t> text_bytes(size_t count) {
  std::vector<uint8_t> text;
  uint32_t state = 0x2545f491;
  while (text.size() < count) {
    state = state * 1664525 + 1013904223;
    const char* word = kWords[(state >> 24) % kWordCount];
    text.insert(text.end(), word, word + std::strlen(word));
    text.push_back(' ');
  }
  text.resize(count);
  return text;
}

void measure(const Options& options, const char* what, const std::vector<uint8_t>& raw) {
  Lz4State state;
  std::vector<uint8_t> stored(2 * kPageSize);
  std::vector<uint8_t> back(raw.size());
  const ByteCount used = lz4_compress(state, raw, stored);
  MR_ASSERT(used > 0);
  const Bytes whole(stored.data(), used);
  MR_ASSERT(lz4_decompress(whole, back) && back == raw);
  std::vector<uint8_t> out(2 * kPageSize);
  const double compress =
      ns_per_call(options, 16, [&](uint64_t) { keep(lz4_compress(state, raw, out)); });
  const double decompress =
      ns_per_call(options, 16, [&](uint64_t) { keep(lz4_decompress(whole, back)); });
  const std::string note = std::to_string(used) + " bytes of " + std::to_string(raw.size());
  const std::string name = std::string("LZ4, 64 KiB of ") + what;
  print_row("millrace", name + ", compress", {{"time", "us", "lower", compress / 1000}}, note);
  print_row("millrace", name + ", decompress", {{"time", "us", "lower", decompress / 1000}}, note);
}

}  // namespace

void bench_lz4(const Options& options) {
  measure(options, "text", text_bytes(kPageSize));
  measure(options, "noise", random_bytes(kPageSize));
}

}  // namespace millrace::bench
