// Purging: tables first, then what memory and index hold of a key, then the journals. See store.h and
// purges.h.
#include <algorithm>

#include "engine/store.h"

namespace millrace {

namespace {

// One purge on its way to the journals of all volumes.
struct PurgeUnderWay {
  Ref<Store> store;
  Store::PurgeDone done;
  void* context;
  std::atomic<uint32_t> left;
  Mutex mutex;
  Status status{};  // of the first volume that failed
  uint32_t volume = 0;
};

// What one volume's journal has to say.
struct VolumePurge {
  PurgeUnderWay* purge;
  uint32_t volume;
};

void finish_one(PurgeUnderWay* purge) {
  if (purge->left.fetch_sub(1) > 1) return;
  if (!purge->status.ok()) Counters::add(purge->store->counters().purges_failed);
  if (purge->done != nullptr) purge->done(purge->context, purge->status, purge->volume);
  delete purge;
}

void written(void* context, Status status) {
  auto* part = static_cast<VolumePurge*>(context);
  PurgeUnderWay* purge = part->purge;
  if (!status.ok()) {
    // A full queue or a store that closes says nothing about the device.
    if (status.code() == Code::io) purge->store->give_up(part->volume);
    MutexLock lock(purge->mutex);
    if (purge->status.ok()) {
      purge->status = status;
      purge->volume = part->volume;
    }
  }
  delete part;
  finish_one(purge);
}

PurgeEntry entry_of(const PurgeRequest& request) {
  PurgeEntry entry{request.kind, request.soft, request.unsafe_method, 0, request.tag, std::string()};
  if (request.kind == PurgeKind::prefix) entry.prefix = request.text;
  return entry;
}

// What remains writes down that it goes on without one.
struct GroupRaise {
  Ref<Store> store;
  uint32_t given_up;
  VolumeGroup group;
  std::atomic<uint32_t> left;
  std::atomic<bool> failed;
};

struct VolumeRaise {
  GroupRaise* raise;
  uint32_t volume;
};

void finish_raise(GroupRaise* raise) {
  if (raise->left.fetch_sub(1) > 1) return;
  if (!raise->failed.load()) raise->store->volume(raise->given_up).abandon();
  delete raise;
}

void raise_one(void* context, Status) {
  const std::unique_ptr<VolumeRaise> part(static_cast<VolumeRaise*>(context));
  if (!part->raise->store->volume(part->volume).join_group(part->raise->group).ok()) {
    part->raise->failed.store(true);
  }
  finish_raise(part->raise);
}

}  // namespace

PurgeVerdict Store::verdict(const MemoryRecord& record) const {
  return judge(purges(record.volume), hash_key(record.volume), record);
}

PurgeVerdict Store::verdict(const KeyPlace& primary, std::string_view primary_key, Sequence birth,
                            Bytes tags) const {
  const Purges& tables = purges(primary.volume);
  if (birth < tables.forgotten()) return PurgeVerdict::gone;
  return tables.verdict(PurgeSubject{birth, primary.hash.low, primary_key, tags});
}

Sequence Store::purge(const PurgeRequest& request, PurgeDone done, void* context) {
  MR_ASSERT(!request.unsafe_method || (request.kind == PurgeKind::key && !request.soft));
  Counters::add(counters_.purges);
  if (request.unsafe_method) Counters::add(counters_.purges_unsafe);
  PurgeEntry entry = entry_of(request);
  std::vector<uint32_t> to_write;
  std::vector<PurgeEntry> entries;
  std::vector<uint32_t> unknown;
  {
    // One step for whoever publishes a version that it read or was given before.
    MutexLock lock(fills_mutex_);
    entry.bound = birth_.fetch_add(1) + 1;
    bool known = false;
    const uint32_t count = std::max(1u, volume_count());
    for (uint32_t volume = 0; volume < count; volume++) {
      if (request.kind == PurgeKind::key) entry.hash = place_in(volume, request.text).hash.low;
      if (!purge_in_locked(volume, request, entry)) {
        if (!volumes_.empty() && !volumes_[volume]->is_abandoned()) unknown.push_back(volume);
        continue;
      }
      known = true;
      Purges& tables = volumes_.empty() ? *purges_ : volumes_[volume]->purges();
      if (!tables.add(entry)) {
        if (!volumes_.empty()) Counters::add(counters_.purges_not_durable);
        continue;
      }
      if (volumes_.empty() || volumes_[volume]->is_abandoned()) continue;
      to_write.push_back(volume);
      entries.push_back(entry);
    }
    if (!known) Counters::add(counters_.purges_unknown);
  }
  auto* purge = new PurgeUnderWay{Ref<Store>::share(this), done, context, {1}, {}, {}, 0};
  // An index that earlier purges of a closed store have emptied does not tell what the disk holds.
  if (closed() && to_write.empty() && !volumes_.empty()) {
    purge->status = Status(Code::closed, "the store is closed");
  }
  for (size_t i = 0; i < to_write.size(); i++) {
    purge->left.fetch_add(1);
    auto* part = new VolumePurge{purge, to_write[i]};
    const Status status =
        volumes_[to_write[i]]->purge_log().write(entries[i], PurgeLog::Answer{&written, part});
    if (!status.ok()) written(part, status);
  }
  // That nothing is known of the key may be the work of an earlier purge which is not durable yet.
  for (const uint32_t volume : unknown) {
    purge->left.fetch_add(1);
    auto* part = new VolumePurge{purge, volume};
    const Status status =
        volumes_[volume]->purge_log().write_nothing(PurgeLog::Answer{&written, part});
    if (!status.ok()) written(part, status);
  }
  const Sequence bound = entry.bound;
  finish_one(purge);
  return bound;
}

// A volume that is off hears of no purge from now on. Where others remain they take a new group, so that it
// starts empty when it is back, and purges are durable without it.
void Store::give_up(uint32_t number) {
  if (!volumes_[number]->turn_off()) return;
  GroupRaise* raise = nullptr;
  {
    MutexLock lock(group_mutex_);
    group_.generation++;
    raise = new GroupRaise{Ref<Store>::share(this), number, group_, {1}, {false}};
  }
  bool is_last = true;
  for (uint32_t volume = 0; volume < volume_count(); volume++) {
    if (volumes_[volume]->is_off()) continue;
    is_last = false;
    raise->left.fetch_add(1);
    auto part = std::make_unique<VolumeRaise>(VolumeRaise{raise, volume});
    const Status status =
        volumes_[volume]->purge_log().run_behind(PurgeLog::Answer{&raise_one, part.get()});
    if (status.ok()) {
      static_cast<void>(part.release());
      continue;
    }
    raise->failed.store(true);
    finish_raise(raise);
  }
  if (is_last) raise->failed.store(true);
  finish_raise(raise);
}

void Store::restore_purge(const PurgeRequest& request, Sequence bound) {
  MR_ASSERT(volumes_.empty());
  PurgeEntry entry = entry_of(request);
  entry.bound = bound;
  if (request.kind == PurgeKind::key) entry.hash = place_of(request.text).hash.low;
  static_cast<void>(purges_->add(entry));
}

// What memory, staging, index and running fills hold of a key. The tables alone would do; this gives the
// memory back, and it is all that a purge is for which the tables have no room. False: nobody asked for
// the purge, and nothing is known of the key: random URLs must cost nothing.
bool Store::purge_in_locked(uint32_t volume, const PurgeRequest& request, const PurgeEntry& entry) {
  if (request.kind != PurgeKind::key || request.soft) return true;
  const KeyPlace place = place_in(volume, request.text);
  MR_ASSERT_OP(place.hash.low, ==, entry.hash);
  Index* index = volumes_.empty() ? nullptr : &volumes_[volume]->index();
  Staging* staging = this->staging(volume);
  IndexHit hits[Index::kMaximumHits];
  // Asked first whether the index may lack something, footers that are being loaded: afterwards it knows.
  bool known = (index != nullptr && volumes_[volume]->may_hold_unindexed(place.hash)) ||
               peek_head(place, request.text).get() != nullptr ||
               (index != nullptr && index->lookup(place.hash.low, hits) > 0);
  for (Fill* fill : fills_) {
    if (fill->volume() != volume || !(fill->primary_hash() == place.hash)) continue;
    fill->purge();
    known = true;
  }
  if (staging != nullptr) staging->cancel(place.hash);
  if (index != nullptr) index->remove_heads(place.hash.low);
  tier_.remove(place.hash);
  return known || !request.unsafe_method;
}

}  // namespace millrace
