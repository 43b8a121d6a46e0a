// Rotating blocked Bloom filters. See ghost.h.
#include "engine/ghost.h"

#include <sys/mman.h>

#include <algorithm>

namespace millrace {

namespace {

std::atomic_ref<uint64_t> atomic_word(uint64_t* word) { return std::atomic_ref<uint64_t>(*word); }

}  // namespace

Ghost::Ghost(ByteCount memory) : block_count_(memory / (kFilters * kBlockBytes)) {
  if (block_count_ == 0) block_count_ = 1;
  keys_per_filter_ = block_count_ * kBlockBits / kBitsPerKey;
  void* mapping = mmap(nullptr, this->memory(), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  MR_ASSERT(mapping != MAP_FAILED);
  words_ = static_cast<uint64_t*>(mapping);
}

Ghost::~Ghost() { munmap(words_, memory()); }

uint64_t* Ghost::block(uint64_t filter, const KeyHash& hash) const {
  const auto number =
      static_cast<uint64_t>((static_cast<unsigned __int128>(hash.high) * block_count_) >> 64);
  return words_ + (filter * block_count_ + number) * kBlockWords;
}

bool Ghost::contains(const KeyHash& hash) const {
  for (uint64_t filter = 0; filter < kFilters; filter++) {
    uint64_t* words = block(filter, hash);
    bool all = true;
    for (uint32_t i = 0; i < kBitsSet && all; i++) {
      const uint64_t bit = hash.low >> (i * kBitNumberWidth) & (kBlockBits - 1);
      const uint64_t word = atomic_word(&words[bit / 64]).load(std::memory_order_relaxed);
      all = (word >> (bit % 64) & 1) != 0;
    }
    if (all) return true;
  }
  return false;
}

void Ghost::add(const KeyHash& hash) {
  const uint64_t step = step_.load(std::memory_order_relaxed);
  const uint64_t number = added_.fetch_add(step, std::memory_order_relaxed);
  const uint64_t filter = number / keys_per_filter_ % kFilters;
  const uint64_t position = number % keys_per_filter_;
  uint64_t* words = block(filter, hash);
  for (uint32_t i = 0; i < kBitsSet; i++) {
    const uint64_t bit = hash.low >> (i * kBitNumberWidth) & (kBlockBits - 1);
    atomic_word(&words[bit / 64]).fetch_or(uint64_t{1} << (bit % 64), std::memory_order_relaxed);
  }
  // Each block of the filter that comes next is wiped exactly once while this one fills. The last key of a
  // filter may reach into the next one.
  const uint64_t end = position + step;
  wipe((filter + 1) % kFilters, position * block_count_ / keys_per_filter_,
       std::min(end, keys_per_filter_) * block_count_ / keys_per_filter_);
  if (end > keys_per_filter_) {
    wipe((filter + 2) % kFilters, 0, (end - keys_per_filter_) * block_count_ / keys_per_filter_);
  }
}

void Ghost::remember(uint64_t keys) {
  // Never more than a quarter of a filter at once.
  const uint64_t most = std::max<uint64_t>(keys_per_filter_ / 4, 1);
  const uint64_t wanted = keys == 0 ? most : 2 * keys_per_filter_ / keys;
  step_.store(std::clamp<uint64_t>(wanted, 1, most), std::memory_order_relaxed);
}

void Ghost::wipe(uint64_t filter, uint64_t first_block, uint64_t end_block) {
  uint64_t* words = words_ + filter * block_count_ * kBlockWords;
  for (uint64_t at = first_block * kBlockWords; at < end_block * kBlockWords; at++) {
    atomic_word(&words[at]).store(0, std::memory_order_relaxed);
  }
}

}  // namespace millrace
