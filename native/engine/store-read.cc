// Finding records by key: memory first, then staging, then index and device. See store.h.
#include "engine/store.h"
#include "layout/head.h"

namespace millrace {

// State of one asynchronous find.
struct Store::PendingRead {
  Ref<Store> store;
  Store::FindDone done;
  void* context;
  std::string key;
  Sequence minimum_birth = 0;
  uint32_t looks_again = 0;
};

ReaderContext Store::reader_context(uint32_t volume) {
  Volume& from = *volumes_[volume];
  return ReaderContext{&from.device(), &from.ring(),     &from.index(),
                       pool_.get(),    &from.appender(), &from.counters(), volume};
}

Ref<MemoryRecord> Store::peek_head(const KeyPlace& place, const std::string& key) {
  Ref<MemoryRecord> record = tier_.peek(place.hash);
  Staging* staging = this->staging(place.volume);
  if (!record && staging != nullptr) record = staging->find(place.hash);
  if (record && record->key == key && verdict(*record) != PurgeVerdict::gone) return record;
  return Ref<MemoryRecord>();
}

// Memory and staging answer for every key that they know: hit or miss. pending: they do not know this one.
Found Store::find_in_memory(const KeyPlace& place, const std::string& key, Sequence minimum_birth,
                            Ref<MemoryRecord>* record) {
  Staging* staging = this->staging(place.volume);
  Ref<MemoryRecord> found = tier_.find(place.hash);
  if (!found && staging != nullptr) found = staging->find(place.hash);
  if (!found) return Found::pending;
  const bool is_purged = verdict(*found) == PurgeVerdict::gone;
  if (is_purged) tier_.remove(place.hash);
  const bool usable = found->key == key && !is_purged && found->header.birth >= minimum_birth;
  Counters::add(usable ? counters_.memory_hits : counters_.misses);
  if (!usable) return Found::miss;
  *record = std::move(found);
  return Found::hit;
}

Found Store::find(const KeyPlace& place, const std::string& key, Sequence minimum_birth,
                  Ref<MemoryRecord>* record, FindDone done, void* context) {
  const Found in_memory = find_in_memory(place, key, minimum_birth, record);
  if (in_memory != Found::pending) {
    Counters::add(counters_.lookups);
    return in_memory;
  }
  const KeyHash& hash = place.hash;
  IndexHit hits[Index::kMaximumHits];
  const bool known = !is_off(place.volume) && !closed() &&
                     volumes_[place.volume]->index().lookup(hash.low, hits) > 0;
  if (known && done == nullptr) return Found::pending;
  Counters::add(counters_.lookups);
  if (!known) {
    Counters::add(counters_.misses);
    return Found::miss;
  }
  read_head(place, new PendingRead{Ref<Store>::share(this), done, context, key, minimum_birth});
  return Found::pending;
}

void Store::read_head(const KeyPlace& place, PendingRead* pending) {
  ReadTarget target;
  target.hash = place.hash;
  target.key = pending->key;
  ReadOperation::start(reader_context(place.volume), std::move(target), &Store::head_read, pending);
}

// Puts what was read from the disk into memory, unless a fill publishes a later version at the same time.
// The order matters: the fill looks for the older one in memory last of all (Fill::drop_older_locked), after
// its own is staged or the index has forgotten the key; and what is staged is in the index before it leaves
// staging.
// False, and nothing is kept, where the word that led to it has changed since it was read.
bool Store::keep_read(const Ref<MemoryRecord>& record, const IndexHit& hit) {
  const KeyHash& hash = record->header.hash;
  MutexLock lock(fills_mutex_);
  if (!Index::unchanged(hit)) return false;
  if (!tier_.add(record)) return true;
  if (volumes_[record->volume]->staging().find(hash) || !Index::unchanged(hit)) tier_.remove(hash);
  return true;
}

void Store::head_read(void* context, Status status, Ref<MemoryRecord> record,
                      const IndexHit& hit) {
  auto* pending = static_cast<PendingRead*>(context);
  Store& store = *pending->store;
  if (status.ok() && (record->header.birth < pending->minimum_birth ||
                      !decode_head(record->head_bytes()).ok())) {
    status = Status(Code::not_found, "the record is not valid any more");
    record.reset();
  }
  if (status.ok() && store.verdict(*record) == PurgeVerdict::gone) {
    // A prefix, a tag, or the primary key of a variant: nobody looked for it in the index.
    store.volumes_[record->volume]->index().remove(record->header.hash.low,
                                                   Index::address_of(hit.word));
    status = Status(Code::not_found, "the record was purged");
    record.reset();
  }
  bool is_counted = false;
  if (status.ok() && !store.keep_read(record, hit)) {
    // Reclaim has copied it, or there is another version, or a purge came between the read and now. What is
    // in memory by now answers, else the index once more, which knows nothing of what was purged.
    const KeyPlace place{record->volume, record->header.hash};
    record.reset();
    const Found in_memory =
        store.find_in_memory(place, pending->key, pending->minimum_birth, &record);
    if (in_memory == Found::pending && pending->looks_again < ReadOperation::kMaximumLooksAgain) {
      pending->looks_again++;
      Counters::add(store.volumes_[place.volume]->counters().looks_again);
      store.read_head(place, pending);
      return;
    }
    is_counted = in_memory != Found::pending;
    if (in_memory != Found::hit) {
      status = Status(Code::not_found, "the record was purged or replaced while it was read");
    }
  }
  if (!is_counted) Counters::add(status.ok() ? store.counters_.disk_hits : store.counters_.misses);
  const FindDone done = pending->done;
  void* done_context = pending->context;
  // The caller's context may own the last reference to the store: let go of ours after the call.
  const Ref<Store> keep = pending->store;
  delete pending;
  done(done_context, status, std::move(record));
}

}  // namespace millrace
