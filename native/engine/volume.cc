// Start and end of one device, and the choice between several. See volume.h.
#include "engine/volume.h"

#include <algorithm>
#include <bit>

#include "base/clock.h"
#include "engine/policy.h"
#include "engine/recovery.h"

namespace millrace {

namespace {

// Segments of one life before two lives could share a sequence: 2^28 of 4 MiB are a PiB.
constexpr uint32_t kLifeShift = 28;

// A mean record below this size would leave the index full before the device is; then it overwrites.
constexpr ByteCount kSmallestMeanRecord = 4 * kKiB;

// Purge tables get this share of index_memory_limit: room for 40,000 keys by default. At most what a
// snapshot in half a half of the journal holds.
constexpr ByteCount kPurgeShare = 16;
constexpr ByteCount kMaximumPurgeMemory = kJournalSize / 2;

}  // namespace

Result<std::unique_ptr<Volume>> Volume::identify(std::unique_ptr<Device> device) {
  std::unique_ptr<Volume> volume(new Volume(std::move(device)));
  if (volume->device_->facts().alignment > kBlockAlignment) {
    return Status(Code::unsupported, "the device needs I/O aligned to more than 4096 bytes");
  }
  const Result<Superblock> superblock = read_superblock(*volume->device_);
  if (!superblock.ok()) return superblock.status();
  volume->superblock_ = superblock.value();
  return volume;
}

Volume::~Volume() {
  MR_ASSERT(appender_ == nullptr || closed_);
  device_->close();
}

VolumeGroup Volume::group() const {
  return VolumeGroup{superblock_.group_generation, superblock_.group_id};
}

void Volume::recover(const VolumeOptions& options, bool discard) {
  const uint64_t started = monotonic_ms();
  ring_ = std::make_unique<Ring>(superblock_.geometry);
  const uint64_t wanted = superblock_.geometry.device_size / kSmallestMeanRecord;
  const ByteCount purge_memory =
      std::min(options.index_memory_limit / kPurgeShare, kMaximumPurgeMemory);
  // Not more than one lap of misses, and its share of the memory.
  const ByteCount lap = superblock_.geometry.device_size / kGhostBytesPerObject *
                        Ghost::kBitsPerKey / 8 * Ghost::kFilters / 2;
  ghost_ = std::make_unique<Ghost>(std::min(lap, options.index_memory_limit / kGhostShare));
  admits_everything_ = options.admit_everything;
  // The share of a small device beside large ones may be less than the ghost's smallest size.
  const ByteCount others = std::min(purge_memory + ghost_->memory(), options.index_memory_limit);
  const uint64_t allowed = (options.index_memory_limit - others) / sizeof(uint64_t);
  index_ = std::make_unique<Index>(std::min(std::max<uint64_t>(wanted, 1024), allowed));
  index_->note_removed_in(&forgotten_);
  staging_ = std::make_unique<Staging>(options.staging_limit);
  if (discard) superblock_.minimum_birth = ~Sequence{0};
  purges_ = std::make_unique<Purges>(purge_memory);
  purge_log_ = std::make_unique<PurgeLog>(*device_, superblock_.uuid, *purges_, *ring_, *staging_,
                                          counters_);
  // Purges first: what they name is not even put into the index.
  const PurgeLog::Recovered purged = purge_log_->recover();
  RecoveredRing recovered = recover_ring(*device_, superblock_, *ring_, counters_);
  discarded_ = discard;
  compress_ = options.compress;
  scrub_ = ScrubOptions{superblock_.uuid, options.scrub_interval_ms, options.scrub_rate};
  next_birth_ = std::max({superblock_.birth_sequence, recovered.maximum_birth + 1, purged.sequence});
  if (purged.lost_all) {
    static_cast<void>(
        purges_->add(PurgeEntry{PurgeKind::all, false, false, next_birth_, 0, std::string()}));
  }
  next_segment_ = recovered.next_segment;
  next_sequence_ = recovered.next_sequence;
  warmer_ = std::make_unique<Warmer>(*device_, superblock_, *purges_, *ring_, *index_, counters_,
                                     std::move(recovered.segments));
  Counters::add(counters_.recovery_ms, monotonic_ms() - started);
}

Status Volume::claim(const VolumeStart& start) {
  MR_ASSERT_OP(start.birth, >=, next_birth_);
  MR_ASSERT_OP(start.incarnation_end, >=, superblock_.next_incarnation);
  superblock_.superblock_sequence++;
  superblock_.group_generation = start.group.generation;
  superblock_.group_id = start.group.id;
  superblock_.next_incarnation = start.incarnation_end;
  superblock_.birth_sequence = start.birth;
  if (discarded_) superblock_.minimum_birth = start.birth;
  superblock_.clean = false;
  Status status = write_superblock(*device_, superblock_);
  if (status.ok()) status = purge_log_->start();
  return status;
}

void Volume::start(const VolumeStart& start) {
  AppenderOptions append;
  append.uuid = superblock_.uuid;
  append.block_size = superblock_.block_size;
  append.first_segment = next_segment_;
  // Above everything that an earlier life can have used: a segment whose header was lost in a crash is not
  // found by recovery, and its records must not pass for those of the segment that takes its place.
  append.next_sequence =
      std::max(next_sequence_, superblock_.superblock_sequence << kLifeShift);
  append.zero_ahead = superblock_.lazy_zero;
  append.compress = compress_;
  append.purges = purges_.get();
  append.forgotten = &forgotten_;
  append.hash_key = superblock_.hash_key;
  ReclaimOptions reclaim;
  reclaim.uuid = superblock_.uuid;
  reclaim.memory = start.memory;
  reclaimer_ = std::make_unique<Reclaimer>(*device_, *ring_, *index_, *staging_, counters_, reclaim);
  appender_ = std::make_unique<Appender>(*device_, *ring_, *index_, *staging_, *reclaimer_,
                                         counters_, append);
  reclaimer_->start();
  appender_->start();
  warmer_->start(start.birth, start.warmed, start.warmed_context);
  if (scrub_.interval_ms > 0) {
    scrubber_ =
        std::make_unique<Scrubber>(*device_, *ring_, *index_, *warmer_, counters_, scrub_);
    scrubber_->start();
  }
}

bool Volume::admits(const KeyHash& object) {
  if (appender_->writes_off()) {
    Counters::add(counters_.writes_dropped);
    Counters::add(counters_.dropped_errors);
    return false;
  }
  AdmissionView view;
  view.free_segments = ring_->free_count();
  view.clean_ahead = clean_segments_ahead(ring_->segment_count(), ring_->geometry().segment_size);
  // While footers are loaded an older version may lie behind each of those that are not.
  view.is_indexed = is_warming() || index_->has_head(object.low) || staging_->find(object);
  if (!admits_everything_ && !millrace::admits(view)) {
    ghost_->remember(ghost_keys(index_->records()));
    view.was_refused = ghost_->contains(object);
    if (!millrace::admits(view)) {
      ghost_->add(object);
      Counters::add(counters_.fills_refused);
      return false;
    }
  }
  Counters::add(counters_.fills_admitted);
  return true;
}

void Volume::close(Sequence birth) {
  if (std::exchange(closed_, true)) return;
  if (scrubber_) scrubber_->stop();
  if (warmer_) warmer_->stop();
  if (purge_log_) purge_log_->stop();
  if (appender_) {
    appender_->stop();
    reclaimer_->stop();
  }
  if (appender_ && !appender_->writes_off()) {
    superblock_.superblock_sequence++;
    superblock_.clean = true;
    superblock_.birth_sequence = birth;
    // next_incarnation stays where start() has put it: a fill that began while this store closed may have
    // reached the device, with an incarnation that nobody knew of when the closing began.
    // A superblock that cannot be written now leaves an unclean mark: the next start scans one segment.
    static_cast<void>(device_->flush());
    static_cast<void>(write_superblock(*device_, superblock_));
  }
  device_->close();
}

bool Volume::turn_off() {
  if (off_.exchange(true, std::memory_order_acq_rel)) return false;
  staging_->refuse_offers();
  return true;
}

Status Volume::join_group(const VolumeGroup& group) {
  if (group.generation <= superblock_.group_generation) return Status();
  superblock_.superblock_sequence++;
  superblock_.group_generation = group.generation;
  superblock_.group_id = group.id;
  return write_superblock(*device_, superblock_);
}

uint64_t rendezvous_score(uint64_t hash, uint32_t weight) {
  MR_ASSERT(weight > 0 && weight < (uint32_t{1} << 24));
  // -log2(hash / 2^64) with 32 binary digits: the integer part from the leading zeros, the rest by
  // squaring the mantissa, one digit a step.
  const uint64_t value = hash | 1;
  const auto zeros = static_cast<uint32_t>(std::countl_zero(value));
  uint64_t mantissa = value << zeros;  // [2^63, 2^64): 1.0 to 2.0
  uint64_t log = uint64_t{63 - zeros} << 32;
  for (uint32_t digit = 32; digit-- > 0;) {
    const auto square =
        static_cast<unsigned __int128>(mantissa) * mantissa;  // [2^126, 2^128)
    if (square >> 127 != 0) {
      log |= uint64_t{1} << digit;
      mantissa = static_cast<uint64_t>(square >> 64);
    } else {
      mantissa = static_cast<uint64_t>(square >> 63);
    }
  }
  const uint64_t distance = (uint64_t{64} << 32) - log;  // below 2^39
  return static_cast<uint64_t>((static_cast<unsigned __int128>(distance) << 24) / weight);
}

}  // namespace millrace
