// One device of a store: its superblock, ring, index, staging and write head, put together in the order of a
// start. A store has one volume, or several whose keys are spread by rendezvous hashing; a volume that fails
// costs its own share. identify(), recover(), claim() and close() block; the rest may be called from any
// thread.
#pragma once

#include <memory>

#include "device/device.h"
#include "engine/appender.h"
#include "engine/counters.h"
#include "engine/ghost.h"
#include "engine/index.h"
#include "engine/purge-log.h"
#include "engine/purges.h"
#include "engine/ring.h"
#include "engine/scrubber.h"
#include "engine/staging.h"
#include "engine/warmer.h"
#include "layout/superblock.h"

namespace millrace {

// The set of volumes that were open together. Volumes that do not name the same group at a start missed
// what happened meanwhile: purges first of all.
struct VolumeGroup {
  uint64_t generation = 0;  // raised at every start of a set
  uint64_t id = 0;          // random, so that two sets of one generation differ
  friend bool operator==(const VolumeGroup&, const VolumeGroup&) = default;
};

struct VolumeOptions {
  ByteCount index_memory_limit = 64 * kMiB;
  ByteCount staging_limit = 8 * kMiB;
  bool compress = false;  // bodies that may be and that shrink
  bool admit_everything = false;
  uint64_t scrub_interval_ms = 0;  // 0: no scrub
  ByteCount scrub_rate = 8 * kMiB;
};

// What every volume of a store writes into its superblock at a start.
struct VolumeStart {
  VolumeGroup group{};
  Sequence birth = 1;
  uint64_t incarnation = 1;
  uint64_t incarnation_end = 1;  // incarnations below it may be handed out in this life
  MemoryTier* memory = nullptr;  // keeps the disk's copies warm
  void (*warmed)(void* context) = nullptr;  // every footer is loaded; on a thread of its own
  void* warmed_context = nullptr;
};

class Volume {
 public:
  // Reads the superblock and nothing else. The volume owns the device from then on; on failure it is
  // closed.
  static Result<std::unique_ptr<Volume>> identify(std::unique_ptr<Device> device);
  ~Volume();

  VolumeGroup group() const;
  const HashKey& hash_key() const { return superblock_.hash_key; }

  // Fills the ring from the device; the index follows behind start(). With `discard` nothing of it is kept,
  // now or later: the volume was away while the rest of its group went on.
  void recover(const VolumeOptions& options, bool discard);
  // One above every birth that recovery saw; incarnations below the other were given out by earlier lives.
  Sequence next_birth() const { return next_birth_; }
  uint64_t next_incarnation() const { return superblock_.next_incarnation; }
  // Marks the superblock as in use and makes the journal ready: the device can be written. Once more for
  // another group where one of the volumes failed at it.
  Status claim(const VolumeStart& start);
  // After claim(): starts the write head and begins to load footers.
  void start(const VolumeStart& start);
  // Stops the write head, seals, marks clean. Idempotent.
  void close(Sequence birth);

  // Footers of an earlier life are still being loaded: the index does not know all that is stored.
  bool is_warming() const { return !warmer_->is_done(); }
  Warmer& warmer() { return *warmer_; }
  bool is_scrubbed() const { return scrubber_ != nullptr; }

  // Whether an object of this hash goes to the disk; decided once for all of its records (policy.h), and
  // remembered by the ghost where it does not.
  bool admits(const KeyHash& object);

  Device& device() { return *device_; }
  const Superblock& superblock() const { return superblock_; }
  Ring& ring() { return *ring_; }
  Index& index() { return *index_; }
  const Ghost& ghost() const { return *ghost_; }
  ForgottenKeys& forgotten() { return forgotten_; }
  // Whether the device may hold a record of this key that the index does not know: the next start, with more
  // room for words or fewer records, would find it again. A full index does not tell whose words it gave up.
  bool may_hold_unindexed(const KeyHash& hash) const {
    return is_warming() || index_->overwritten() > 0 || forgotten_.contains(hash.low);
  }
  Staging& staging() { return *staging_; }
  Appender& appender() { return *appender_; }
  const Purges& purges() const { return *purges_; }
  Purges& purges() { return *purges_; }
  PurgeLog& purge_log() { return *purge_log_; }
  // What was purged could not be written down: nothing of this volume is read any more, lest it be served
  // after a restart, and nothing is written.
  // False where it was off already.
  bool turn_off();
  // The rest goes on as this group, durably: whoever does not carry it starts empty. On the journal's thread.
  Status join_group(const VolumeGroup& group);
  // The rest of the group is durable without this one, which is off: it need not be told of purges.
  void abandon() { abandoned_.store(true, std::memory_order_release); }
  bool is_abandoned() const { return abandoned_.load(std::memory_order_acquire); }
  bool is_off() const { return off_.load(std::memory_order_acquire); }
  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }

 private:
  explicit Volume(std::unique_ptr<Device> device) : device_(std::move(device)) {}

  Counters counters_;
  std::unique_ptr<Device> device_;
  Superblock superblock_{};
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<Ghost> ghost_;
  ForgottenKeys forgotten_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<Reclaimer> reclaimer_;
  std::unique_ptr<Appender> appender_;
  std::unique_ptr<Purges> purges_;
  std::unique_ptr<PurgeLog> purge_log_;
  std::unique_ptr<Warmer> warmer_;
  std::unique_ptr<Scrubber> scrubber_;  // null: none is wanted
  std::atomic<bool> off_{false};
  std::atomic<bool> abandoned_{false};
  Sequence next_birth_ = 1;
  SegmentId next_segment_ = 0;
  Sequence next_sequence_ = 1;
  bool compress_ = false;
  ScrubOptions scrub_{};
  bool discarded_ = false;
  bool admits_everything_ = false;
  bool closed_ = false;
};

// Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005: the place with the least
// -log(hash) / weight): each key belongs to one of several places, in proportion to their weights, and
// only the keys of a place that comes or goes move. `score_of` is the part of one place; the least wins.
// In fixed point, so that every machine agrees. `hash` is uniform, `weight` > 0 and below 2^24.
uint64_t rendezvous_score(uint64_t hash, uint32_t weight);

}  // namespace millrace
