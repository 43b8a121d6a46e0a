// The engine's facade: one store over one device (or over memory alone), shared by every handle, thread and
// later every lane. Owns pages, memory tier, staging, index, ring, appender. Callable from any thread
// unless a line says otherwise.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"
#include "engine/appender.h"
#include "engine/counters.h"
#include "engine/fill.h"
#include "engine/index.h"
#include "engine/memory-tier.h"
#include "engine/reader.h"
#include "engine/ring.h"
#include "engine/staging.h"
#include "layout/superblock.h"

namespace millrace {

struct StoreOptions {
  ByteCount memory_limit = 256 * kMiB;
  ByteCount l1_budget = 100 * kMiB;
  ByteCount index_memory_limit = 64 * kMiB;
  bool poison_pages = false;
  bool compress = false;  // bodies on the device, where FillHead allows it and they shrink
  // Without a device: the key of the hash, and the number of this life of an outside tier that takes what
  // is staged (0: there is none). Each start of such a tier counts one up, so that two lives never give
  // the same birth or incarnation to two versions.
  HashKey hash_key{};
  uint32_t external_life = 0;
};

enum class Found : uint8_t { hit, miss, pending };

class Store : public RefCounted<Store> {
 public:
  // With a device: reads superblock and footers (blocks; call on a thread that may). The store owns the
  // device from then on, also when it fails.
  static Result<Ref<Store>> open(const StoreOptions& options, std::unique_ptr<Device> device);
  ~Store();

  // Seals and marks clean, stops threads. Everything that is still asked afterwards answers closed or
  // not_found. Idempotent; blocks until the device is quiet.
  void close();

  KeyHash hash_of(std::string_view key) const;
  KeyHash chunk_hash(const KeyHash& object, uint64_t incarnation, uint32_t chunk) const;

  // A single or head record of this key whose birth is at least `minimum_birth`. hit: *record is set.
  // pending: `done` will be called once, on any thread. Without `done`, pending means that only the device
  // can tell, and nothing was started or counted: the same goes for read_chunk.
  using FindDone = void (*)(void* context, Status status, Ref<MemoryRecord> record);
  Found find(const std::string& key, Sequence minimum_birth, Ref<MemoryRecord>* record,
             FindDone done, void* context);
  // The same from memory only, without counting.
  Ref<MemoryRecord> peek_head(const KeyHash& hash, const std::string& key);

  // Body bytes of one version. hit: *spans holds [offset, offset + n) with 1 <= n <= length, at most one
  // chunk. pending: `done` will be called with a record whose body is that run (its first byte belongs to
  // chunk offset header.interval_begin).
  struct BodyRange {
    KeyHash hash{};
    uint64_t incarnation = 0;
    uint64_t object_length = kUnknownLength;  // unknown: only whole chunks below it are found
    ByteOffset offset = 0;
    ByteCount length = 0;
  };
  Found read_chunk(const BodyRange& range, std::vector<PageSpan>* spans, FindDone done,
                   void* context);

  // First chunk of [offset, offset + length) of a head record that neither memory nor index knows, or
  // kNoChunk. Says nothing about what the device will answer.
  static constexpr uint32_t kNoChunk = ~uint32_t{0};
  uint32_t first_missing_chunk(const MemoryRecord& record, ByteOffset offset, ByteCount length);

  Ref<Fill> begin_fill(std::string primary_key, Notice producer);
  // A 304: the same body under a new head. The record must be a single or head record of this store.
  Status refresh(const Ref<MemoryRecord>& record, Bytes head);
  // Removes the primary key and, through its marker, every variant; running fills are not published.
  void purge_key(const std::string& primary_key);

  // For an external tier (l2_backend: file): checks a record's bytes as they come from a file and brings
  // it into memory. corrupt or not_found when it is not the wanted one.
  Result<Ref<MemoryRecord>> adopt(Bytes bytes, const KeyHash& hash, const std::string& key);

  // Used by fills.
  PagePool& pool() { return *pool_; }
  MemoryTier& tier() { return tier_; }
  Staging* staging() { return staging_.get(); }
  bool offer(const Ref<MemoryRecord>& record);
  bool disk_backlogged() const { return staging_ && staging_->backlogged(); }
  uint64_t next_incarnation() { return incarnation_.fetch_add(1, std::memory_order_relaxed); }
  void forget_fill(Fill* fill);

  const DeviceFacts* device_facts() const { return device_ ? &device_->facts() : nullptr; }
  const Superblock& superblock() const { return superblock_; }
  const Index* index() const { return index_.get(); }
  const Ring* ring() const { return ring_.get(); }
  Appender* appender() { return appender_.get(); }
  Counters& counters() { return counters_; }
  bool closed() const { return closed_.load(std::memory_order_acquire); }

 private:
  explicit Store(const StoreOptions& options);
  Status start_device(const StoreOptions& options);
  ReaderContext reader_context();
  static void relieve_fills(void* self);
  // Whether the store still holds this version under its key, as far as memory and index tell.
  bool is_current_locked(const MemoryRecord& record);
  static void head_read(void* context, Status status, Ref<MemoryRecord> record, const IndexHit& hit);
  static void chunk_read(void* context, Status status, Ref<MemoryRecord> record,
                         const IndexHit& hit);

  Counters counters_;
  Ref<PagePool> pool_;
  MemoryTier tier_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<Appender> appender_;
  Superblock superblock_{};
  HashKey hash_key_{};
  std::atomic<Sequence> birth_{1};
  std::atomic<uint64_t> incarnation_{1};
  std::atomic<bool> closed_{false};
  Mutex close_mutex_;
  // Guards fills_, and makes a purge one step for whoever publishes a version read or given before it.
  Mutex fills_mutex_;
  std::vector<Fill*> fills_;
};

}  // namespace millrace
