// Opening a store over its volumes, loading of their footers behind it, and closing. See store.h.
#include <algorithm>

#include "base/clock.h"
#include "base/endian.h"
#include "base/random.h"
#include "engine/store.h"

namespace millrace {

namespace {

// Staged records keep their pages until they are in an aggregation buffer. Large enough for a burst of a
// second at disk speed would be hundreds of MiB; this much rides out the 100 ms hiccups of a busy SSD, and
// what does not fit is dropped, not waited for.
constexpr ByteCount kStagingShare = 8;  // of memory_limit: one eighth
constexpr ByteCount kMinimumStaging = 8 * kChunkSize;
constexpr ByteCount kMaximumStaging = 64 * kChunkSize;

// Incarnations are handed out from a range that the superblock reserved at open, so that two lives of a
// store never give the same one to two versions. What a life leaves of its range is never handed out.
constexpr uint64_t kIncarnationStep = uint64_t{1} << 32;

// Volumes get keys in proportion to their size, in units that leave the weight room for 128 TiB.
constexpr ByteCount kWeightUnit = 16 * kMiB;
constexpr ByteCount kMaximumWeight = (1 << 24) - 1;

// Of index_memory_limit, for the purge tables of a store without volumes.
constexpr ByteCount kPurgeShare = 16;

ByteCount staging_limit(ByteCount memory_limit) {
  return std::clamp(memory_limit / kStagingShare, kMinimumStaging, kMaximumStaging);
}

// Of each volume: aggregation buffers, survivors of reclaim, and what it compresses with. Part of
// memory_limit too.
ByteCount appender_memory(const StoreOptions& options) {
  return Appender::kBufferCount * Appender::kBufferSize + Reclaimer::kMemory +
         (options.compress ? BodyCompressor::kMemory : 0);
}

// Chunks read ahead, together: an eighth of the memory beside the tier, one at least.
ByteCount read_ahead_share(ByteCount limit, ByteCount l1_budget) {
  const ByteCount beside = limit - std::min(limit, l1_budget);
  return std::max(beside / 8, kChunkSize);
}

}  // namespace

Store::Store(const StoreOptions& options, ByteCount buffers)
    : pool_(Ref<PagePool>::adopt(
          new PagePool(options.memory_limit - buffers, options.poison_pages))),
      tier_(options.l1_budget),
      read_ahead_(read_ahead_share(pool_->limit(), options.l1_budget), &counters_),
      hash_key_(options.hash_key) {}

Store::~Store() {
  close();
  MR_ASSERT(fills_.empty());
}

Result<Ref<Store>> Store::open(const StoreOptions& options,
                               std::vector<std::unique_ptr<Device>> devices,
                               std::vector<LeftOutVolume>* left_out) {
  MR_ASSERT(!devices.empty());
  std::vector<std::unique_ptr<Volume>> volumes;
  Status last;
  for (std::unique_ptr<Device>& device : devices) {
    const std::string path = device->facts().path;
    Result<std::unique_ptr<Volume>> volume = Volume::identify(std::move(device));
    if (volume.ok()) {
      volumes.push_back(std::move(volume.value()));
      continue;
    }
    last = volume.status();
    left_out->push_back(LeftOutVolume{path, last});
    // A disk that fails costs its share. One that holds something else is a mistake to be told of.
    if (last.code() != Code::io) return last;
  }
  if (volumes.empty()) return last;
  const ByteCount buffers = volumes.size() * appender_memory(options);
  if (volumes.size() > kMaximumVolumes || options.memory_limit < 2 * buffers + kMinimumStaging) {
    return Status(Code::invalid, "memory_limit is too small for this number of devices");
  }
  auto store = Ref<Store>::adopt(new Store(options, buffers));
  store->volumes_ = std::move(volumes);
  const Status status = store->start_volumes(options, left_out);
  if (!status.ok()) return status;
  return store;
}

Result<Ref<Store>> Store::open(const StoreOptions& options, std::unique_ptr<Device> device) {
  if (device) {
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(std::move(device));
    std::vector<LeftOutVolume> left_out;
    return Store::open(options, std::move(devices), &left_out);
  }
  // An outside tier has buffers of its own.
  auto store = Ref<Store>::adopt(new Store(options, appender_memory(options)));
  store->purges_ = std::make_unique<Purges>(options.index_memory_limit / kPurgeShare);
  if (options.external_life > 0) {
    store->birth_.store(options.external_life * kIncarnationStep);
    store->incarnation_.store(options.external_life * kIncarnationStep);
    store->outside_ = std::make_unique<Staging>(staging_limit(options.memory_limit));
    store->outside_->on_relief(&Store::relieve_fills, store.get());
  }
  return store;
}

// Writes a new group into all volumes. One that can be read and not written costs its share as well; what it
// missed from here on it must not serve later, so the others take yet another group, which it does not have.
Status Store::claim_volumes(VolumeStart* start, std::vector<LeftOutVolume>* left_out) {
  for (bool is_whole = false; !is_whole;) {
    is_whole = true;
    start->group.generation++;
    uint8_t name[8];
    const Status random = fill_random(name);
    if (!random.ok()) return random;
    start->group.id = load_le<uint64_t>(name, 0);
    for (auto at = volumes_.begin(); at != volumes_.end();) {
      const Status status = (*at)->claim(*start);
      if (status.ok()) {
        ++at;
        continue;
      }
      left_out->push_back(LeftOutVolume{(*at)->device().facts().path, status});
      if (status.code() != Code::io || volumes_.size() == 1) return status;
      at = volumes_.erase(at);
      is_whole = false;
    }
  }
  return Status();
}

Status Store::start_volumes(const StoreOptions& options, std::vector<LeftOutVolume>* left_out) {
  VolumeGroup newest{};
  ByteCount total_size = 0;
  for (const std::unique_ptr<Volume>& volume : volumes_) {
    for (const std::unique_ptr<Volume>& other : volumes_) {
      if (&other != &volume && other->superblock().uuid == volume->superblock().uuid) {
        return Status(Code::invalid, "two of the devices hold copies of one store");
      }
    }
    if (volume->group().generation > newest.generation) newest = volume->group();
    total_size += volume->superblock().geometry.device_size;
  }
  // Two that each went on without the other: neither knows the other's purges.
  const bool is_split = std::any_of(volumes_.begin(), volumes_.end(), [&](const auto& volume) {
    return volume->group().generation == newest.generation && volume->group().id != newest.id;
  });
  VolumeStart start;
  start.memory = &tier_;
  tier_.on_evict(&Store::keep_warm, this);
  for (const std::unique_ptr<Volume>& volume : volumes_) {
    const ByteCount size = volume->superblock().geometry.device_size;
    VolumeOptions share;
    share.compress = options.compress;
    share.index_memory_limit = static_cast<ByteCount>(
        static_cast<unsigned __int128>(options.index_memory_limit) * size / total_size);
    share.admit_everything = options.admit_everything;
    share.scrub_interval_ms = options.scrub_interval_ms;
    share.scrub_rate = options.scrub_rate;
    share.staging_limit =
        std::max(kMinimumStaging, staging_limit(options.memory_limit) / volumes_.size());
    volume->recover(share, is_split || !(volume->group() == newest));
    volume->staging().on_relief(&Store::relieve_fills, this);
    start.birth = std::max(start.birth, volume->next_birth());
    start.incarnation = std::max(start.incarnation, volume->next_incarnation());
  }
  start.incarnation_end = start.incarnation + kIncarnationStep;
  start.group = newest;
  const Status status = claim_volumes(&start, left_out);
  if (!status.ok()) return status;
  group_ = start.group;
  birth_.store(start.birth);
  incarnation_.store(start.incarnation);
  start.warmed = &Store::volume_warmed;
  start.warmed_context = this;
  warming_ = volume_count();
  for (const std::unique_ptr<Volume>& volume : volumes_) {
    const ByteCount size = volume->superblock().geometry.device_size;
    weights_.push_back(static_cast<uint32_t>(std::clamp<ByteCount>(size / kWeightUnit, 1,
                                                                   kMaximumWeight)));
  }
  for (const std::unique_ptr<Volume>& volume : volumes_) volume->start(start);
  wait_until_warm(options.warm_grace_ms);
  return Status();
}

bool Store::wait_until_warm(uint64_t wait_ms) {
  const uint64_t deadline = monotonic_ms() + wait_ms;
  bool is_warm = true;
  for (const std::unique_ptr<Volume>& volume : volumes_) {
    is_warm = volume->warmer().wait_until(deadline) && is_warm;
  }
  return is_warm;
}

void Store::volume_warmed(void* self) {
  auto* store = static_cast<Store*>(self);
  MutexLock lock(store->warmed_mutex_);
  if (--store->warming_ > 0) return;
  for (const Notice& notice : store->warmed_) notice.post();
  store->warmed_.clear();
}

void Store::on_warmed(const Notice& notice) {
  MutexLock lock(warmed_mutex_);
  if (warming_ == 0) {
    notice.post();
  } else {
    warmed_.push_back(Notice{notice.sink, notice.token});
  }
}

void Store::close() {
  MutexLock lock(close_mutex_);
  if (closed_.exchange(true)) return;
  if (outside_) outside_->close();
  for (const std::unique_ptr<Volume>& volume : volumes_) volume->close(birth_.load());
}

}  // namespace millrace
