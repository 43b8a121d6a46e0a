// What footers bring into an index that is in use already. See index.h.
#include "engine/index.h"

namespace millrace {

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
  // Each record's two lines come from memory; asked for together they come at once.
  for (const LoadedRecord& record : records) {
    __builtin_prefetch(bucket(record.hash, 0), 1);
    __builtin_prefetch(bucket(record.hash, 1), 1);
  }
  MutexLock lock(loading_mutex_);
  MR_ASSERT(gone_ != nullptr);
  for (const LoadedRecord& record : records) load_locked(record);
}

void Index::load_locked(const LoadedRecord& record) {
  const uint64_t fingerprint = fingerprint_of(record.hash);
  const bool is_chunk = record.kind == RecordKind::chunk;
  for (uint32_t choice = 0; choice < 2; choice++) {
    const uint64_t number = bucket_number(bucket(record.hash, choice));
    if (gone_->holds(number, fingerprint, is_chunk)) return;
  }
  const uint64_t word = word_of(record.hash, record.address, record.length, record.kind);
  for (;;) {
    Place place = place_for(record.hash, record.kind, record.address);
    if (place.replaces) return;
    if (place.expected != 0) {
      // Full: what is loaded is the oldest of all and would be reclaimed before the others.
      overwritten_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    if (atomic_word(place.slot)
            .compare_exchange_strong(place.expected, word, std::memory_order_acq_rel)) {
      records_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
  }
}

void Index::note_gone_locked(const uint64_t* slot, uint64_t word) {
  if (gone_) gone_->add(bucket_number(slot), word >> 48, kind_of(word) == RecordKind::chunk);
}

}  // namespace millrace
