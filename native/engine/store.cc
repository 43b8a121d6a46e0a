// Opening, refreshing, purging and closing of a store. See store.h; finding and reading are in
// store-read.cc.
#include "engine/store.h"

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "engine/recovery.h"
#include "engine/stored-body.h"
#include "layout/head.h"

namespace millrace {

namespace {

// Staged records keep their pages until they are in an aggregation buffer. Large enough for a burst of a
// second at disk speed would be hundreds of MiB; this much rides out the 100 ms hiccups of a busy SSD, and
// what does not fit is dropped, not waited for.
constexpr ByteCount kStagingShare = 8;  // of memory_limit: one eighth
constexpr ByteCount kMinimumStaging = 8 * kMiB;
constexpr ByteCount kMaximumStaging = 64 * kMiB;

// Incarnations are handed out from a range that the superblock reserved at open, so that two lives of a
// store never give the same one to two versions.
constexpr uint64_t kIncarnationStep = uint64_t{1} << 32;

// Segments of one life before two lives could share a sequence: 2^28 of 4 MiB are a PiB.
constexpr uint32_t kLifeShift = 28;

// A mean record below this size would leave the index full before the device is; then it overwrites.
constexpr ByteCount kSmallestMeanRecord = 4 * kKiB;

ByteCount staging_limit(ByteCount memory_limit) {
  return std::clamp(memory_limit / kStagingShare, kMinimumStaging, kMaximumStaging);
}

// The appender's aggregation buffers, and what it compresses with, are part of memory_limit too.
ByteCount pool_limit(const StoreOptions& options) {
  const ByteCount buffers = Appender::kBufferCount * Appender::kBufferSize +
                            (options.compress ? BodyCompressor::kMemory : 0);
  MR_ASSERT_OP(options.memory_limit, >, 2 * buffers);
  return options.memory_limit - buffers;
}

}  // namespace

Store::Store(const StoreOptions& options)
    : pool_(Ref<PagePool>::adopt(new PagePool(pool_limit(options), options.poison_pages))),
      tier_(options.l1_budget),
      hash_key_(options.hash_key) {}

Store::~Store() {
  close();
  MR_ASSERT(fills_.empty());
}

Result<Ref<Store>> Store::open(const StoreOptions& options, std::unique_ptr<Device> device) {
  auto store = Ref<Store>::adopt(new Store(options));
  if (device) {
    store->device_ = std::move(device);
    const Status status = store->start_device(options);
    if (!status.ok()) {
      store->device_->close();
      store->closed_.store(true);
      return status;
    }
  } else if (options.external_life > 0) {
    store->birth_.store(options.external_life * kIncarnationStep);
    store->incarnation_.store(options.external_life * kIncarnationStep);
    store->staging_ = std::make_unique<Staging>(staging_limit(options.memory_limit));
    store->staging_->on_relief(&Store::relieve_fills, store.get());
  }
  return store;
}

Status Store::start_device(const StoreOptions& options) {
  const uint64_t started = monotonic_ms();
  if (device_->facts().alignment > kBlockAlignment) {
    return Status(Code::unsupported, "the device needs I/O aligned to more than 4096 bytes");
  }
  const Result<Superblock> superblock = read_superblock(*device_);
  if (!superblock.ok()) return superblock.status();
  superblock_ = superblock.value();
  hash_key_ = superblock_.hash_key;
  ring_ = std::make_unique<Ring>(superblock_.geometry);
  const uint64_t wanted = superblock_.geometry.device_size / kSmallestMeanRecord;
  const uint64_t allowed = options.index_memory_limit / sizeof(uint64_t);
  index_ = std::make_unique<Index>(std::min(std::max<uint64_t>(wanted, 1024), allowed));
  const RecoveredRing recovered = recover_ring(*device_, superblock_, *ring_, *index_, counters_);
  birth_.store(std::max(superblock_.birth_sequence, recovered.maximum_birth + 1));
  incarnation_.store(superblock_.next_incarnation);
  superblock_.superblock_sequence++;
  superblock_.next_incarnation += kIncarnationStep;
  superblock_.birth_sequence = birth_.load();
  superblock_.clean = false;
  const Status status = write_superblock(*device_, superblock_);
  if (!status.ok()) return status;
  staging_ = std::make_unique<Staging>(staging_limit(options.memory_limit));
  staging_->on_relief(&Store::relieve_fills, this);
  AppenderOptions append;
  append.uuid = superblock_.uuid;
  append.block_size = superblock_.block_size;
  append.first_segment = recovered.next_segment;
  // Above everything that an earlier life can have used: a segment whose header was lost in a crash is not
  // found by recovery, and its records must not pass for those of the segment that takes its place.
  append.next_sequence =
      std::max(recovered.next_sequence, superblock_.superblock_sequence << kLifeShift);
  append.zero_ahead = superblock_.lazy_zero;
  append.compress = options.compress;
  appender_ = std::make_unique<Appender>(*device_, *ring_, *index_, *staging_, counters_, append);
  appender_->start();
  Counters::add(counters_.recovery_ms, monotonic_ms() - started);
  return Status();
}

void Store::close() {
  MutexLock lock(close_mutex_);
  if (closed_.exchange(true)) return;
  if (appender_) appender_->stop();
  if (staging_ && !appender_) staging_->close();
  if (device_) {
    if (appender_ && !appender_->writes_off()) {
      superblock_.superblock_sequence++;
      superblock_.clean = true;
      superblock_.birth_sequence = birth_.load();
      superblock_.next_incarnation = incarnation_.load();
      // A superblock that cannot be written now leaves an unclean mark: the next start scans one segment.
      static_cast<void>(device_->flush());
      static_cast<void>(write_superblock(*device_, superblock_));
    }
    device_->close();
  }
}

KeyHash Store::hash_of(std::string_view key) const {
  return siphash_128(hash_key_, Bytes(reinterpret_cast<const uint8_t*>(key.data()), key.size()));
}

KeyHash Store::chunk_hash(const KeyHash& object, uint64_t incarnation, uint32_t chunk) const {
  uint8_t message[28];
  const MutableBytes bytes(message);
  store_le<uint64_t>(bytes, 0, object.low);
  store_le<uint64_t>(bytes, 8, object.high);
  store_le<uint64_t>(bytes, 16, incarnation);
  store_le<uint32_t>(bytes, 24, chunk);
  return siphash_128(hash_key_, bytes);
}

Ref<Fill> Store::begin_fill(std::string primary_key, Notice producer) {
  auto fill = Ref<Fill>::adopt(new Fill(Ref<Store>::share(this), std::move(primary_key),
                                        birth_.load(), std::move(producer)));
  Counters::add(counters_.fills);
  MutexLock lock(fills_mutex_);
  fills_.push_back(fill.get());
  return fill;
}

void Store::forget_fill(Fill* fill) {
  MutexLock lock(fills_mutex_);
  const auto at = std::find(fills_.begin(), fills_.end(), fill);
  MR_ASSERT(at != fills_.end());
  *at = fills_.back();
  fills_.pop_back();
}

void Store::relieve_fills(void* self) {
  auto* store = static_cast<Store*>(self);
  MutexLock lock(store->fills_mutex_);
  for (Fill* fill : store->fills_) fill->relieve();
}

bool Store::offer(const Ref<MemoryRecord>& record) {
  if (!staging_) return false;
  if (staging_->offer(record)) return true;
  Counters::add(counters_.writes_dropped);
  return false;
}

Status Store::refresh(const Ref<MemoryRecord>& record, Bytes head) {
  const Result<HeadView> view = decode_head(head);
  if (!view.ok()) return Status(Code::invalid, view.status().message());
  if (record->key.size() + head.size() > Fill::kMaximumKeyAndHead) {
    return Status(Code::invalid, "the refreshed head is too large to store");
  }
  auto refreshed = Ref<MemoryRecord>::adopt(new MemoryRecord());
  refreshed->header = record->header;
  refreshed->header.meta_length = static_cast<uint32_t>(head.size());
  refreshed->key = record->key;
  refreshed->may_compress = record->may_compress;
  PageRef cell = pool_->allocate(head.size());
  if (!cell) return Status(Code::again, "no free page for a refreshed head");
  std::memcpy(cell.data(), head.data(), head.size());
  refreshed->head = PageSpan{std::move(cell), 0, static_cast<uint32_t>(head.size())};
  for (const PageSpan& span : record->body) refreshed->body.push_back(span.share());
  refreshed->seal();
  MutexLock lock(fills_mutex_);
  if (!is_current_locked(*record)) {
    return Status(Code::not_found, "the object was purged or replaced before its 304 came");
  }
  tier_.publish(refreshed);
  offer(refreshed);
  return Status();
}

bool Store::is_current_locked(const MemoryRecord& record) {
  const Ref<MemoryRecord> known = peek_head(record.header.hash, record.key);
  if (known) return known->header.incarnation == record.header.incarnation;
  if (!index_) return false;
  IndexHit hits[Index::kMaximumHits];
  const uint32_t count = index_->lookup(record.header.hash.low, hits);
  for (uint32_t i = 0; i < count; i++) {
    if (Index::kind_of(hits[i].word) != RecordKind::chunk) return true;
  }
  return false;
}

void Store::purge_key(const std::string& primary_key) {
  Counters::add(counters_.purges);
  const Sequence sequence = birth_.fetch_add(1) + 1;
  const KeyHash hash = hash_of(primary_key);
  // One step for whoever publishes a version that it read or was given before.
  MutexLock lock(fills_mutex_);
  for (Fill* fill : fills_) {
    if (fill->primary_hash() == hash) fill->purge();
  }
  IndexHit hits[Index::kMaximumHits];
  const bool known = peek_head(hash, primary_key).get() != nullptr ||
                     (index_ && index_->lookup(hash.low, hits) > 0);
  if (staging_) staging_->cancel(hash);
  if (index_) index_->remove_heads(hash.low);
  tier_.remove(hash);
  // Nothing of this key: nothing to write, so that requests to random URLs cost no disk.
  if (!known || !staging_) return;
  RecordHeader header;
  header.kind = RecordKind::tombstone;
  header.birth = sequence;
  header.hash = hash;
  header.object_length = 0;
  header.created_ms = wall_clock_ms();
  header.key_length = static_cast<uint32_t>(primary_key.size());
  const Ref<MemoryRecord> tombstone =
      copy_record(*pool_, header, primary_key, Bytes(), std::span<const Bytes>());
  if (tombstone) offer(tombstone);
}

Result<Ref<MemoryRecord>> Store::adopt(Bytes bytes, const KeyHash& hash, const std::string& key) {
  const Result<RecordView> decoded = decode_record(bytes);
  if (!decoded.ok()) return Status(Code::corrupt, decoded.status().message());
  const RecordView& view = decoded.value();
  const std::string_view stored(reinterpret_cast<const char*>(view.key.data()), view.key.size());
  if (!(view.header.hash == hash) || stored != key) {
    return Status(Code::not_found, "the file holds another key's record");
  }
  const ByteCount distance = record_body_distance(view.header);
  if (bytes.size() < distance + view.header.stored_length) {
    return Status(Code::corrupt, "the file is shorter than its record");
  }
  const Bytes body = bytes.subspan(distance, view.header.stored_length);
  for (uint32_t block = 0; block < body_block_count(view.header); block++) {
    const Bytes part =
        body.subspan(view.stored_block_begin(block), view.stored_block_length(block));
    if (crc32c(part) != view.block_crc(block)) {
      return Status(Code::corrupt, "a body does not match its checksum");
    }
  }
  if (view.key.size() + view.meta.size() > Fill::kMaximumKeyAndHead) {
    return Status(Code::corrupt, "a key and head longer than any that is stored");
  }
  if (view.header.kind != RecordKind::chunk && !decode_head(view.meta).ok()) {
    return Status(Code::corrupt, "a stored head does not decode");
  }
  const std::span<const Bytes> parts(&body, body.empty() ? 0 : 1);
  Ref<MemoryRecord> record;
  if (is_compressed(view.header)) {
    Result<Ref<MemoryRecord>> decompressed =
        decode_stored_record(*pool_, view, key, parts, /*check=*/false);
    if (!decompressed.ok()) return decompressed.status();
    record = std::move(decompressed.value());
  } else {
    record = copy_record(*pool_, view.header, key, view.meta, parts);
    if (!record) return Status(Code::again, "no free page for a record");
  }
  tier_.publish(record);
  return record;
}

}  // namespace millrace
