// What footers bring into an index that is in use already. See index.h.
#include "engine/index.h"

namespace millrace {

namespace {
// Two lines each, about as many as a core keeps on their way at a time: of more the next would wait for the
// first.
constexpr size_t kRecordsAhead = 6;
}  // namespace

void Index::begin_loading() {
  gone_ = std::make_unique<GoneWords>();
  is_loading_.store(true, std::memory_order_release);
}

void Index::end_loading() {
  MutexLock lock(loading_mutex_);
  is_loading_.store(false, std::memory_order_release);
  gone_.reset();
}

void Index::load(std::span<const LoadedRecord> records) {
  // Each record's two lines come from memory; asked for this far ahead they come while others are placed.
  const auto ask = [&](size_t i) {
    if (i >= records.size()) return;
    __builtin_prefetch(bucket(records[i].hash, 0), 1);
    __builtin_prefetch(bucket(records[i].hash, 1), 1);
  };
  for (size_t i = 0; i < kRecordsAhead; i++) ask(i);
  MutexLock lock(loading_mutex_);
  MR_ASSERT(gone_ != nullptr);
  uint64_t loaded = 0;
  for (size_t i = 0; i < records.size(); i++) {
    ask(i + kRecordsAhead);
    loaded += load_locked(records[i]);
  }
  records_.fetch_add(loaded, std::memory_order_relaxed);
}

bool Index::load_locked(const LoadedRecord& record) {
  uint64_t* const buckets[2] = {bucket(record.hash, 0), bucket(record.hash, 1)};
  const uint64_t fingerprint = fingerprint_of(record.hash);
  const bool is_chunk = record.kind == RecordKind::chunk;
  if (!gone_->is_empty() && (gone_->holds(bucket_number(buckets[0]), fingerprint, is_chunk) ||
                             gone_->holds(bucket_number(buckets[1]), fingerprint, is_chunk))) {
    return false;
  }
  const uint64_t word = word_of(record.hash, record.address, record.length, record.kind);
  for (;;) {
    // As place_for() chooses, without looking for the coldest word: nothing is overwritten.
    uint64_t* free_slot = nullptr;
    uint32_t least = kSlotsPerBucket;
    for (uint64_t* slots : buckets) {
      uint64_t* empty = nullptr;
      uint32_t taken = 0;
      for (uint32_t i = 0; i < kSlotsPerBucket; i++) {
        const uint64_t found = atomic_word(&slots[i]).load(std::memory_order_acquire);
        if (found == 0) {
          if (empty == nullptr) empty = &slots[i];
          continue;
        }
        taken++;
        // A later one's.
        if (found >> 48 == fingerprint && (kind_of(found) == RecordKind::chunk) == is_chunk) {
          return false;
        }
      }
      if (taken < least) {
        least = taken;
        free_slot = empty;
      }
    }
    if (free_slot == nullptr) {
      // Full: what is loaded is the oldest of all and would be reclaimed before the others.
      overwritten_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    uint64_t expected = 0;
    if (atomic_word(free_slot).compare_exchange_strong(expected, word, std::memory_order_acq_rel)) {
      return true;
    }
  }
}

void Index::note_gone_locked(const uint64_t* slot, uint64_t word) {
  if (gone_) gone_->add(bucket_number(slot), word >> 48, kind_of(word) == RecordKind::chunk);
}

}  // namespace millrace
