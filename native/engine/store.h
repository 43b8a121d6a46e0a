// The engine's facade: one store over its volumes (or over memory alone), shared by every handle, thread and
// later every lane. Owns pages, memory tier, running fills and volumes. Callable from any thread unless a
// line says otherwise.
//
// An object belongs to the volume that its primary key selects, variants and chunks included. Hashes are
// made with that volume's key, so that they mean the same at the next start, whatever volumes are there.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/counters.h"
#include "engine/fill.h"
#include "engine/judge.h"
#include "engine/memory-tier.h"
#include "engine/read-ahead.h"
#include "engine/reader.h"
#include "engine/volume.h"

namespace millrace {

struct StoreOptions {
  ByteCount memory_limit = 256 * kMiB;
  ByteCount l1_budget = 100 * kMiB;
  ByteCount index_memory_limit = 64 * kMiB;
  bool poison_pages = false;
  bool compress = false;  // bodies on the device, where FillHead allows it and they shrink
  uint64_t scrub_interval_ms = 0;   // 0: what lies on the devices is checked when it is read
  ByteCount scrub_rate = 8 * kMiB;  // bytes a second of each device
  // Without a device: the key of the hash, and the number of this life of an outside tier that takes what
  // is staged (0: there is none). Each start of such a tier counts one up, so that two lives never give
  // the same birth or incarnation to two versions.
  HashKey hash_key{};
  uint32_t external_life = 0;
  // How long a start waits for the footers: those of a small cache are loaded by then, and nobody sees a miss
  // that was none. A large one begins to serve.
  uint64_t warm_grace_ms = 100;
  // Without the ghost: for what measures or tests the ring itself.
  bool admit_everything = false;
};

enum class Found : uint8_t { hit, miss, pending };

// What is to be purged. A key is a canonical primary key and takes its variants along.
struct PurgeRequest {
  PurgeKind kind = PurgeKind::key;
  std::string text{};    // the key, or a prefix of 1 to kMaximumPurgePrefix bytes
  uint64_t tag = 0;      // tag_hash() of the tag
  bool soft = false;
  // Nobody asked for it: an unsafe method succeeded, or what is stored turned out to be unusable. Only for
  // keys, hard, and written down only where something of the key is stored.
  bool unsafe_method = false;
};

// A volume that a store of several goes on without.
struct LeftOutVolume {
  std::string path;
  Status status{};
};

class Store : public RefCounted<Store> {
 public:
  static constexpr uint32_t kMaximumVolumes = 16;

  // With devices: reads superblocks, purges and what is needed to write (blocks; call on a thread that may);
  // footers are loaded behind it, and until they are the store misses what they name. The store owns the
  // devices from then on, also when it fails. Of several devices those that cannot be read or written are
  // left out and named in *left_out; any other defect fails the start, and so does a lack of usable ones.
  static Result<Ref<Store>> open(const StoreOptions& options,
                                 std::vector<std::unique_ptr<Device>> devices,
                                 std::vector<LeftOutVolume>* left_out);
  // Over one device, or with null over memory alone.
  static Result<Ref<Store>> open(const StoreOptions& options, std::unique_ptr<Device> device);
  ~Store();

  // Seals and marks clean, stops threads. Everything that is still asked afterwards answers closed or
  // not_found. Idempotent; blocks until the device is quiet.
  void close();

  // Footers of this volume are still being loaded.
  bool is_warming(uint32_t volume) const {
    return !volumes_.empty() && volumes_[volume]->is_warming();
  }
  // Waits until those of all volumes are loaded, so long at most; true when they are.
  bool wait_until_warm(uint64_t wait_ms);
  // Each is told once they are, at once where they are already.
  void on_warmed(const Notice& notice);

  KeyPlace place_of(std::string_view primary_key) const;
  // Of a variant, in the volume of its primary key.
  KeyPlace place_in(uint32_t volume, std::string_view key) const;
  KeyHash chunk_hash(uint32_t volume, const KeyHash& object, uint64_t incarnation,
                     uint32_t chunk) const;

  // A single or head record of this key whose birth is at least `minimum_birth`. hit: *record is set.
  // pending: `done` will be called once, on any thread. Without `done`, pending means that only the device
  // can tell, and nothing was started or counted: the same goes for read_chunk.
  using FindDone = void (*)(void* context, Status status, Ref<MemoryRecord> record);
  Found find(const KeyPlace& place, const std::string& key, Sequence minimum_birth,
             Ref<MemoryRecord>* record, FindDone done, void* context);
  // The same from memory only, without counting.
  Ref<MemoryRecord> peek_head(const KeyPlace& place, const std::string& key);

  // Body bytes of one version. hit: *spans holds [offset, offset + n) with 1 <= n <= length, at most one
  // chunk. pending: `done` will be called with a record whose body is that run (its first byte belongs to
  // chunk offset header.interval_begin).
  struct BodyRange {
    uint32_t volume = 0;
    KeyHash hash{};
    uint64_t incarnation = 0;
    uint64_t object_length = kUnknownLength;  // unknown: only whole chunks below it are found
    ByteOffset offset = 0;
    ByteCount length = 0;
  };
  Found read_chunk(const BodyRange& range, std::vector<PageSpan>* spans, FindDone done,
                   void* context);

  // Begins to read the whole chunk at range.offset before anybody asks for it, or joins who did; read_chunk
  // then finds it or waits for it. Null where it is in memory, not stored, or where memory, the device or
  // the use of earlier ones speak against it. Every chunk given here must be given back.
  Ref<AheadChunk> read_ahead(const BodyRange& range);
  void end_read_ahead(const Ref<AheadChunk>& chunk);
  ByteCount read_ahead_bytes() const { return read_ahead_.bytes(); }

  // First chunk of [offset, offset + length) of a head record that neither memory nor index knows, or
  // kNoChunk. Says nothing about what the device will answer.
  static constexpr uint32_t kNoChunk = ~uint32_t{0};
  uint32_t first_missing_chunk(const MemoryRecord& record, ByteOffset offset, ByteCount length);

  // Incomplete objects (kHeadIncomplete): of a chunk that is not stored there may be one piece, a run of its
  // bytes under a name of its own. read_chunk finds those too.
  Ref<MemoryRecord> piece_in_memory(uint32_t volume, const KeyHash& object, uint64_t incarnation,
                                    uint32_t chunk);
  // End of the stored bytes that begin at `offset`, at most `end`; `offset` where that byte is missing.
  // *unread: a chunk whose piece lies on the device and only tells its bounds when it was read, or kNoChunk.
  ByteOffset stored_end(const MemoryRecord& record, ByteOffset offset, ByteOffset end,
                        uint32_t* unread);
  // The next stored byte from `offset` on as far as memory and index tell, at most `end`, and 16 GiB further.
  ByteOffset missing_end(const MemoryRecord& record, ByteOffset offset, ByteOffset end);
  // Every chunk is on the disk or on its way there.
  bool is_whole_on_disk(const MemoryRecord& record);

  Ref<Fill> begin_fill(std::string primary_key, Notice producer);
  // A 304: the same body under a new head, born when the origin was asked. The record must be a single or
  // head record of this store.
  Status refresh(const Ref<MemoryRecord>& record, Bytes head, Sequence birth);
  // The same for a head that says something new about the body; `to_disk`: the disk tier gets it, too.
  Status replace_head(const Ref<MemoryRecord>& record, Bytes head, Sequence birth, bool to_disk);
  // This version turned out to lack a part: it is not found any more. No purge: nothing is written, and what
  // another fill of the key publishes stays. Nothing happens while footers are loaded: one of them may name
  // the part.
  void forget(const Ref<MemoryRecord>& record);
  // What was born before this call is gone, or stale, from its return on. `done` is called exactly once, on
  // any thread, when that is durable in every volume: also in those that a key does not select now, which
  // may have held it before a volume was added. With an error the purge holds in this process alone, and
  // the volume it names is off.
  using PurgeDone = void (*)(void* context, Status status, uint32_t volume);
  // Returns the bound: what was born below it is purged.
  Sequence purge(const PurgeRequest& request, PurgeDone done, void* context);
  // Nothing can be written to this volume's journal any more. On a journal's thread.
  void give_up(uint32_t volume);
  // A purge of an earlier life that an outside tier has kept; before anything is found.
  void restore_purge(const PurgeRequest& request, Sequence bound);
  // What the purge tables say about a record in memory.
  PurgeVerdict verdict(const MemoryRecord& record) const;
  // The same about what a fill fetches; `tags` of its head, once there is one.
  PurgeVerdict verdict(const KeyPlace& primary, std::string_view primary_key, Sequence birth,
                       Bytes tags) const;
  const Purges& purges(uint32_t volume = 0) const {
    return volumes_.empty() ? *purges_ : volumes_[volume]->purges();
  }

  // For an external tier (l2_backend: file): checks a record's bytes as they come from a file and brings
  // it into memory. corrupt or not_found when it is not the wanted one.
  Result<Ref<MemoryRecord>> adopt(Bytes bytes, const KeyHash& hash, const std::string& key);

  // Used by fills.
  PagePool& pool() { return *pool_; }
  MemoryTier& tier() { return tier_; }
  // Null without a disk tier.
  Staging* staging(uint32_t volume = 0);
  // Whether the disk tier takes this object; see Volume::admits.
  bool admits(const KeyPlace& place);
  bool offer(const Ref<MemoryRecord>& record);
  // A version that the disk tier did not get was published in memory: an older one must not come back
  // from there when memory forgets it.
  void forget_on_disk(const KeyPlace& place);
  // Whether a head or single record of this hash lies in the disk tier or is on its way there.
  bool is_on_disk(const KeyPlace& place);
  bool disk_backlogged(uint32_t volume) {
    Staging* staging = this->staging(volume);
    return staging != nullptr && staging->backlogged();
  }
  uint64_t next_incarnation() { return incarnation_.fetch_add(1, std::memory_order_relaxed); }
  void forget_fill(Fill* fill);
  Counters& counters() { return counters_; }

  // Devices that this start went on without. Set once, right after open().
  void set_left_out(std::vector<LeftOutVolume> left_out) { left_out_ = std::move(left_out); }
  const std::vector<LeftOutVolume>& left_out() const { return left_out_; }
  uint32_t volume_count() const { return static_cast<uint32_t>(volumes_.size()); }
  Volume& volume(uint32_t number = 0) { return *volumes_[number]; }
  // One counter, summed over the store and its volumes.
  uint64_t total(Counters::Count Counters::* counter) const;
  bool closed() const { return closed_.load(std::memory_order_acquire); }

 private:
  Store(const StoreOptions& options, ByteCount buffers);
  Status start_volumes(const StoreOptions& options, std::vector<LeftOutVolume>* left_out);
  Status claim_volumes(VolumeStart* start, std::vector<LeftOutVolume>* left_out);
  ReaderContext reader_context(uint32_t volume);
  const HashKey& hash_key(uint32_t volume) const {
    return volumes_.empty() ? hash_key_ : volumes_[volume]->hash_key();
  }
  static void volume_warmed(void* self);
  static void relieve_fills(void* self);
  static void keep_warm(void* self, const MemoryRecord& record);
  // Whether the store still holds this version under its key, as far as memory and index tell.
  bool is_current_locked(const MemoryRecord& record);
  bool purge_in_locked(uint32_t volume, const PurgeRequest& request, const PurgeEntry& entry);
  bool is_off(uint32_t volume) const { return volumes_.empty() || volumes_[volume]->is_off(); }
  static void head_read(void* context, Status status, Ref<MemoryRecord> record, const IndexHit& hit);
  static void chunk_read(void* context, Status status, Ref<MemoryRecord> record,
                         const IndexHit& hit);
  static void ahead_read(void* context, Status status, Ref<MemoryRecord> record,
                         const IndexHit& hit);
  Found read_piece(const BodyRange& range, std::vector<PageSpan>* spans, FindDone done,
                   void* context);
  static void piece_read(void* context, Status status, Ref<MemoryRecord> record,
                         const IndexHit& hit);
  bool is_chunk_indexed(uint32_t volume, const KeyHash& hash) const;
  bool is_chunk_known(uint32_t volume, const KeyHash& hash);
  static void aim(const KeyHash& hash, uint64_t incarnation, uint32_t number,
                  ByteCount chunk_length, ByteCount in_chunk, ByteCount wanted,
                  ReadTarget* target);
  struct PendingRead;
  Found find_in_memory(const KeyPlace& place, const std::string& key, Sequence minimum_birth,
                       Ref<MemoryRecord>* record);
  void read_head(const KeyPlace& place, PendingRead* pending);
  bool keep_read(const Ref<MemoryRecord>& record, const IndexHit& hit);
  void take_in(uint32_t volume, const Ref<MemoryRecord>& record, const IndexHit& hit);
  bool has_spare_pages(ByteCount length) const;

  Counters counters_;
  Ref<PagePool> pool_;
  MemoryTier tier_;
  ReadAhead read_ahead_;
  std::vector<std::unique_ptr<Volume>> volumes_;  // the same from open to the end
  std::vector<uint32_t> weights_;                 // of the volumes, by their size
  std::vector<LeftOutVolume> left_out_;
  std::unique_ptr<Staging> outside_;              // to an outside tier; never beside volumes
  HashKey hash_key_{};                            // without volumes
  std::unique_ptr<Purges> purges_;                // without volumes
  std::atomic<Sequence> birth_{1};
  std::atomic<uint64_t> incarnation_{1};
  std::atomic<bool> closed_{false};
  Mutex close_mutex_;
  Mutex group_mutex_;
  VolumeGroup group_{};
  Mutex warmed_mutex_;
  uint32_t warming_ = 0;  // volumes
  std::vector<Notice> warmed_;
  // Guards fills_, and makes a purge one step for whoever publishes a version read or given before it.
  Mutex fills_mutex_;
  std::vector<Fill*> fills_;
};

}  // namespace millrace
