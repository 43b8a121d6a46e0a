// Two-choice bucket index over atomic words. See index.h; what is loaded from footers is in index-loading.cc.
#include "engine/index.h"

#include <sys/mman.h>

#include <array>

namespace millrace {

namespace {

// 64 classes that grow by 13.1 %: the last one holds a chunk with the largest key and head.
constexpr std::array<uint32_t, 64> make_size_classes() {
  std::array<uint32_t, 64> grains{};
  double size = 1;
  for (uint32_t i = 0; i < 64; i++) {
    auto whole = static_cast<uint32_t>(size);
    if (static_cast<double>(whole) < size) whole++;
    if (i > 0 && whole <= grains[i - 1]) whole = grains[i - 1] + 1;
    grains[i] = whole;
    size *= 1.131;
  }
  return grains;
}
constexpr std::array<uint32_t, 64> kSizeClasses = make_size_classes();
static_assert(ByteCount{kSizeClasses[63]} * kRecordGrain >= kChunkSize + 64 * kKiB);

}  // namespace

uint32_t size_class_of(ByteCount record_length) {
  const auto grains =
      static_cast<uint32_t>((record_length + kRecordGrain - 1) / kRecordGrain);
  uint32_t low = 0;
  uint32_t high = 63;
  MR_ASSERT_OP(grains, <=, kSizeClasses[63]);
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    if (kSizeClasses[middle] >= grains) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

ByteCount size_class_bytes(uint32_t size_class) {
  return ByteCount{kSizeClasses[size_class & 63]} * kRecordGrain;
}

Index::Index(uint64_t words) {
  if (words >= kSlotsPerBucket) bucket_count_ = words / kSlotsPerBucket;
  mapping_size_ = bucket_count_ * kSlotsPerBucket * sizeof(uint64_t);
  void* mapping = mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  MR_ASSERT(mapping != MAP_FAILED);
#ifdef MADV_HUGEPAGE
  // Two random lines per lookup: huge pages save the second TLB miss. A refusal changes nothing else.
  // Small indexes stay on small pages, so that an almost empty one stays almost free.
  if (mapping_size_ >= 64 * kMiB) madvise(mapping, mapping_size_, MADV_HUGEPAGE);
#endif
  words_ = static_cast<uint64_t*>(mapping);
}

Index::~Index() { munmap(words_, mapping_size_); }

uint64_t Index::fingerprint_of(uint64_t hash) {
  const uint64_t fingerprint = hash >> 48;
  return fingerprint == 0 ? 1 : fingerprint;
}

uint64_t* Index::bucket(uint64_t hash, uint32_t choice) const {
  // Two odd multipliers (from the golden ratio and from sqrt 3) spread one hash over two buckets.
  const uint64_t mixed = hash * (choice == 0 ? 0x9e3779b97f4a7c15u : 0xbb67ae8584caa73bu);
  const uint64_t number =
      static_cast<uint64_t>((static_cast<unsigned __int128>(mixed) * bucket_count_) >> 64);
  return words_ + number * kSlotsPerBucket;
}

uint32_t Index::lookup(uint64_t hash, IndexHit* hits) const {
  const uint64_t fingerprint = fingerprint_of(hash);
  uint64_t* const buckets[2] = {bucket(hash, 0), bucket(hash, 1)};
  // Else it is asked for when the first has come and was looked through.
  __builtin_prefetch(buckets[1]);
  uint32_t count = 0;
  for (uint32_t choice = 0; choice < 2; choice++) {
    uint64_t* slots = buckets[choice];
    if (choice == 1 && slots == buckets[0]) break;
    for (uint32_t i = 0; i < kSlotsPerBucket; i++) {
      const uint64_t word = atomic_word(&slots[i]).load(std::memory_order_acquire);
      if (word >> 48 == fingerprint) hits[count++] = IndexHit{word, &slots[i]};
    }
  }
  return count;
}

// Where a word for this hash goes: over its own older one, else into a free slot of the emptier bucket, else
// over the coldest word of both.
Index::Place Index::place_for(uint64_t hash, RecordKind kind, ByteOffset write_head) const {
  const uint64_t fingerprint = fingerprint_of(hash);
  const bool is_chunk = kind == RecordKind::chunk;
  uint64_t* const buckets[2] = {bucket(hash, 0), bucket(hash, 1)};
  __builtin_prefetch(buckets[1], 1);
  uint64_t* free_slot = nullptr;
  uint32_t free_load = kSlotsPerBucket + 1;
  for (uint64_t* slots : buckets) {
    uint64_t* empty = nullptr;
    uint32_t load = 0;
    for (uint32_t i = 0; i < kSlotsPerBucket; i++) {
      const uint64_t found = atomic_word(&slots[i]).load(std::memory_order_acquire);
      if (found == 0) {
        if (empty == nullptr) empty = &slots[i];
        continue;
      }
      load++;
      const bool is_same_group = (kind_of(found) == RecordKind::chunk) == is_chunk;
      if (found >> 48 == fingerprint && is_same_group) return Place{&slots[i], found, true};
    }
    if (empty != nullptr && load < free_load) {
      free_load = load;
      free_slot = empty;
    }
  }
  return free_slot != nullptr ? Place{free_slot, 0, false} : coldest_of(buckets, write_head);
}

// Hits first, then how far the write head still has to go until it reclaims the segment of the word: what
// would be lost soonest is lost now.
Index::Place Index::coldest_of(uint64_t* const (&buckets)[2], ByteOffset write_head) {
  Place coldest;
  uint64_t coldest_rank = ~uint64_t{0};
  for (uint64_t* slots : buckets) {
    for (uint32_t i = 0; i < kSlotsPerBucket; i++) {
      const uint64_t found = atomic_word(&slots[i]).load(std::memory_order_acquire);
      const uint64_t distance = (address_of(found) - write_head) & (kMaximumDistance - 1);
      const uint64_t rank = hits_of(found) * kMaximumDistance + distance;
      if (rank >= coldest_rank) continue;
      coldest_rank = rank;
      coldest = Place{&slots[i], found, false};
    }
  }
  return coldest;
}

uint64_t Index::word_of(uint64_t hash, ByteOffset address, ByteCount length, RecordKind kind) {
  MR_ASSERT(is_aligned(address, kRecordGrain));
  MR_ASSERT_OP(address / kRecordGrain, <=, kAddressMask);
  return fingerprint_of(hash) << 48 | (address / kRecordGrain) << kAddressShift |
         uint64_t{size_class_of(length)} << 6 | (static_cast<uint64_t>(kind) - 1) << 4;
}

void Index::insert(uint64_t hash, ByteOffset address, ByteCount length, RecordKind kind,
                   ByteOffset write_head) {
  const uint64_t word = word_of(hash, address, length, kind);
  if (!is_loading_.load(std::memory_order_acquire)) {
    insert_word(hash, word, kind, write_head);
    return;
  }
  // Two that do not see each other could give one record two words, of which the older may be found.
  MutexLock lock(loading_mutex_);
  const Place taken = insert_word(hash, word, kind, write_head);
  // An older record of the one that was overwritten must not come in its place.
  if (taken.expected != 0 && !taken.replaces) note_gone_locked(taken.slot, taken.expected);
}

Index::Place Index::insert_word(uint64_t hash, uint64_t word, RecordKind kind,
                                ByteOffset write_head) {
  for (;;) {
    Place place = place_for(hash, kind, write_head);
    const bool was_free = place.expected == 0;
    if (!atomic_word(place.slot)
             .compare_exchange_strong(place.expected, word, std::memory_order_acq_rel)) {
      continue;  // another thread changed this word meanwhile: look again
    }
    if (was_free) {
      records_.fetch_add(1, std::memory_order_relaxed);
    } else if (!place.replaces) {
      overwritten_.fetch_add(1, std::memory_order_relaxed);
    }
    return place;
  }
}

uint64_t Index::word_at(uint64_t hash, ByteOffset address) const {
  IndexHit hits[kMaximumHits];
  const uint32_t count = lookup(hash, hits);
  for (uint32_t i = 0; i < count; i++) {
    if (address_of(hits[i].word) == address) return hits[i].word;
  }
  return 0;
}

bool Index::move(uint64_t hash, ByteOffset from, ByteOffset to, uint32_t hits) {
  MR_ASSERT(is_aligned(to, kRecordGrain));
  MR_ASSERT_OP(to / kRecordGrain, <=, kAddressMask);
  MR_ASSERT_OP(hits, <=, 3u);
  IndexHit found[kMaximumHits];
  const uint32_t count = lookup(hash, found);
  for (uint32_t i = 0; i < count; i++) {
    if (address_of(found[i].word) != from) continue;
    uint64_t expected = found[i].word;
    for (;;) {
      const uint64_t fixed = expected & ~(kVolatileBits | kAddressMask << kAddressShift);
      const uint64_t word =
          fixed | (to / kRecordGrain) << kAddressShift | uint64_t{hits} << kHitsShift;
      if (atomic_word(found[i].slot)
              .compare_exchange_weak(expected, word, std::memory_order_acq_rel)) {
        return true;
      }
      if ((expected & ~kVolatileBits) != (found[i].word & ~kVolatileBits)) return false;
    }
  }
  return false;
}

bool Index::remove(uint64_t hash, ByteOffset address) {
  if (forgotten_ != nullptr) {
    // First, so that a purge in between finds the one or the other.
    const uint64_t word = word_at(hash, address);
    if (word != 0 && kind_of(word) != RecordKind::chunk) forgotten_->add(hash);
  }
  if (!is_loading_.load(std::memory_order_acquire)) {
    return remove_word(hash, address).slot != nullptr;
  }
  MutexLock lock(loading_mutex_);
  const IndexHit removed = remove_word(hash, address);
  if (removed.slot == nullptr) return false;
  note_gone_locked(removed.slot, removed.word);
  return true;
}

IndexHit Index::remove_word(uint64_t hash, ByteOffset address) {
  IndexHit hits[kMaximumHits];
  const uint32_t count = lookup(hash, hits);
  for (uint32_t i = 0; i < count; i++) {
    if (address_of(hits[i].word) != address) continue;
    uint64_t expected = hits[i].word;
    while (!atomic_word(hits[i].slot).compare_exchange_weak(expected, 0,
                                                            std::memory_order_acq_rel)) {
      // Only the hit and verified bits may have moved under the same record.
      if ((expected & ~kVolatileBits) != (hits[i].word & ~kVolatileBits)) return IndexHit();
    }
    records_.fetch_sub(1, std::memory_order_relaxed);
    return hits[i];
  }
  return IndexHit();
}

void Index::remove_heads(uint64_t hash) {
  if (!is_loading_.load(std::memory_order_acquire)) {
    remove_head_words(hash);
    return;
  }
  MutexLock lock(loading_mutex_);
  // Also where nothing is known yet.
  if (gone_) gone_->add(bucket_number(bucket(hash, 0)), fingerprint_of(hash), false);
  remove_head_words(hash);
}

void Index::remove_head_words(uint64_t hash) {
  IndexHit hits[kMaximumHits];
  const uint32_t count = lookup(hash, hits);
  for (uint32_t i = 0; i < count; i++) {
    uint64_t word = hits[i].word;
    // A word never leaves its slot while its record moves, so following the slot catches it.
    while (word >> 48 == fingerprint_of(hash) && kind_of(word) != RecordKind::chunk) {
      if (!atomic_word(hits[i].slot).compare_exchange_weak(word, 0, std::memory_order_acq_rel)) {
        continue;
      }
      records_.fetch_sub(1, std::memory_order_relaxed);
      break;
    }
  }
}

bool Index::has_head(uint64_t hash) const {
  IndexHit hits[kMaximumHits];
  const uint32_t count = lookup(hash, hits);
  for (uint32_t i = 0; i < count; i++) {
    if (kind_of(hits[i].word) != RecordKind::chunk) return true;
  }
  return false;
}

void Index::mark_hit(uint64_t hash, bool is_chunk) {
  IndexHit hits[kMaximumHits];
  const uint32_t count = lookup(hash, hits);
  for (uint32_t i = 0; i < count; i++) {
    if ((kind_of(hits[i].word) == RecordKind::chunk) == is_chunk) mark_hit(hits[i]);
  }
}

void Index::mark_verified(const IndexHit& hit) {
  uint64_t word = atomic_word(hit.slot).load(std::memory_order_relaxed);
  if ((word & ~kVolatileBits) != (hit.word & ~kVolatileBits) || (word & kVerifiedBit) != 0) return;
  atomic_word(hit.slot).compare_exchange_strong(word, word | kVerifiedBit,
                                                std::memory_order_relaxed);
}

void Index::mark_hit(const IndexHit& hit) {
  uint64_t word = atomic_word(hit.slot).load(std::memory_order_relaxed);
  const uint32_t count = hits_of(word);
  if ((word & ~kVolatileBits) != (hit.word & ~kVolatileBits) || count == 3) return;
  const uint64_t warmer = (word & ~kHitsMask) | (uint64_t{count} + 1) << kHitsShift;
  atomic_word(hit.slot).compare_exchange_strong(word, warmer, std::memory_order_relaxed);
}

bool Index::unchanged(const IndexHit& hit) {
  const uint64_t word = atomic_word(hit.slot).load(std::memory_order_acquire);
  return (word & ~kVolatileBits) == (hit.word & ~kVolatileBits);
}

}  // namespace millrace
