// Reading, writing and changing halves of the purge journal. See purge-log.h.
#include "engine/purge-log.h"

#include <algorithm>

#include "engine/aligned-buffer.h"

namespace millrace {

namespace {

// Read at once at a start. A journal ends with the first such piece that holds nothing of it.
constexpr uint32_t kBlocksPerPiece = 1 * kMiB / kPurgeBlockSize;
// Written at once at most.
constexpr uint32_t kBlocksPerWrite = 1 * kMiB / kPurgeBlockSize;
// Halves change here, so that a burst of purges does not meet a full one. What is alive takes half a half
// at most, because the tables are bounded (volume.cc).
constexpr uint32_t kChangeAt = kPurgeBlocksPerHalf / 4 * 3;

constexpr char kFailedEarlier[] = "the purge journal could not be written earlier";

PurgeEntry everything(Sequence bound) {
  return PurgeEntry{PurgeKind::all, false, false, bound, 0, ""};
}

}  // namespace

PurgeLog::PurgeLog(Device& device, const DeviceUuid& uuid, Purges& purges, Ring& ring,
                   Staging& staging, Counters& counters)
    : device_(device),
      uuid_(uuid),
      purges_(purges),
      ring_(ring),
      staging_(staging),
      counters_(counters) {}

PurgeLog::~PurgeLog() { MR_ASSERT(!thread_.running()); }

PurgeLog::Half PurgeLog::read_half(uint32_t half) {
  Half found;
  AlignedBuffer piece(kBlocksPerPiece * kPurgeBlockSize);
  std::vector<bool> unreadable(kPurgeBlocksPerHalf, false);
  for (uint32_t first = 0; first < kPurgeBlocksPerHalf; first += kBlocksPerPiece) {
    const ByteOffset offset = purge_block_offset(half, first);
    const bool whole = device_.read(offset, piece.bytes()).ok();
    bool is_used = false;
    for (uint32_t i = 0; i < kBlocksPerPiece; i++) {
      const uint32_t number = first + i;
      const MutableBytes bytes = piece.bytes().subspan(i * kPurgeBlockSize, kPurgeBlockSize);
      if (!whole && !device_.read(offset + i * kPurgeBlockSize, bytes).ok()) {
        Counters::add(counters_.read_errors);
        unreadable[number] = true;
        is_used = true;
        continue;
      }
      Result<PurgeBlock> block = decode_purge_block(bytes, uuid_);
      if (!block.ok() || block.value().number != number || block.value().generation % 2 != half) {
        continue;
      }
      if (block.value().generation < found.generation) continue;
      if (block.value().generation > found.generation) {
        found.blocks.clear();
        found.generation = block.value().generation;
        found.snapshot_blocks = block.value().snapshot_blocks;
        found.previous = block.value().previous;
      }
      found.blocks.emplace_back(number, std::move(block.value()));
      found.end = number + 1;
      is_used = true;
    }
    if (!is_used) break;
  }
  found.unreadable_first = unreadable[0];
  found.unreadable_end = found.end < kPurgeBlocksPerHalf && unreadable[found.end];
  return found;
}

// A block that is missing before the last commit was acknowledged and got lost. What it held has no higher
// bound than the next block's sequence: everything up to there is purged, which it is a part of. Of the
// last commit any block may be missing: it was torn, and nobody was told that it was durable.
void PurgeLog::take_in(const Half& half, Recovered* recovered) {
  const uint32_t last_commit = half.blocks.empty() ? 0 : half.blocks.back().second.commit_first;
  uint32_t expected = 0;
  for (const auto& [number, block] : half.blocks) {
    if (number != expected) needs_repair_ = true;
    if (number != expected && expected < last_commit) {
      Counters::add(counters_.purge_journal_damaged);
      if (block.sequence > 0) static_cast<void>(purges_.add(everything(block.sequence)));
    }
    expected = number + 1;
    for (const PurgeEntry& entry : block.entries) {
      // One by an unsafe method for which the tables have become too small is dropped, as it would have
      // been when it came.
      static_cast<void>(purges_.add(entry));
    }
    recovered->sequence = std::max(recovered->sequence, block.sequence);
  }
  if (half.unreadable_end) recovered->lost_all = true;
}

PurgeLog::Recovered PurgeLog::recover() {
  Half newer = read_half(0);
  Half older = read_half(1);
  if (older.generation > newer.generation) std::swap(newer, older);
  Recovered recovered;
  const bool is_appended = newer.end > newer.snapshot_blocks;
  uint32_t snapshot_found = 0;
  for (const auto& [number, block] : newer.blocks) {
    if (number < newer.snapshot_blocks) snapshot_found++;
  }
  const bool is_whole = snapshot_found == newer.snapshot_blocks;
  next_generation_ = newer.generation + 1;
  if (newer.generation == 0 || is_whole || is_appended) {
    take_in(newer, &recovered);
    generation_ = newer.generation;
    previous_ = newer.previous;
    snapshot_blocks_ = newer.snapshot_blocks;
    next_block_.store(newer.end);
    // The half that is not in use may hide a younger generation only where it cannot be read.
    if (older.unreadable_first && older.generation == 0) recovered.lost_all = true;
  } else {
    // The change of halves was not finished: what was acknowledged is all in the older one, which must
    // not be overwritten before there is another whole one in the place of the newer.
    take_in(older, &recovered);
    if (older.generation != newer.previous) recovered.lost_all = true;
    generation_ = older.generation;
    next_generation_ = newer.generation + 2;
    needs_repair_ = true;
  }
  if (recovered.lost_all) {
    Counters::add(counters_.purge_journal_damaged);
    needs_repair_ = true;
  }
  sequence_ = recovered.sequence;
  return recovered;
}

Status PurgeLog::start() {
  sequence_ = std::max(sequence_, purges_.highest());
  Status status;
  if (needs_repair_) status = change_halves();
  needs_repair_ = false;
  if (!status.ok()) failed_.store(true, std::memory_order_release);
  return status;
}

Status PurgeLog::write(const PurgeEntry& entry, const Answer& answer) {
  if (failed()) return Status(Code::io, kFailedEarlier);
  return enqueue(Waiting{entry, answer});
}

Status PurgeLog::run_behind(const Answer& answer) {
  return enqueue(Waiting{PurgeEntry{}, answer, true, false});
}

Status PurgeLog::write_nothing(const Answer& answer) {
  if (failed()) return Status(Code::io, kFailedEarlier);
  bool is_idle;
  {
    MutexLock lock(mutex_);
    is_idle = queue_.empty() && !is_writing_;
  }
  if (!is_idle) return enqueue(Waiting{PurgeEntry{}, answer, false, false});
  answer.done(answer.context, Status());
  return Status();
}

Status PurgeLog::enqueue(Waiting waiting) {
  MutexLock lock(mutex_);
  if (stopping_) return Status(Code::closed, "the store is closed");
  if (queue_.size() >= kMaximumQueued) {
    return Status(Code::again, "too many purges wait for the device");
  }
  queue_.push_back(std::move(waiting));
  if (!started_) {
    started_ = true;
    thread_.start(&PurgeLog::run_thread, this);
  }
  condition_.signal();
  return Status();
}

void PurgeLog::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  condition_.signal();
  thread_.join();
}

void* PurgeLog::run_thread(void* self) {
  name_this_thread("millrace-purge");
  static_cast<PurgeLog*>(self)->run();
  return nullptr;
}

void PurgeLog::run() {
  for (;;) {
    std::vector<Waiting> batch;
    {
      MutexLock lock(mutex_);
      is_writing_ = false;
      while (queue_.empty() && !stopping_) condition_.wait(mutex_);
      if (queue_.empty()) return;
      batch.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
      queue_.clear();
      is_writing_ = true;
    }
    const Status status = failed() ? Status(Code::io, "the purge journal could not be written")
                                   : commit(batch);
    for (const Waiting& waiting : batch) {
      if (waiting.answer.done == nullptr) continue;
      waiting.answer.done(waiting.answer.context, waiting.is_call ? Status() : status);
    }
    if (!failed() && purges_.is_crowded() && oldest_birth() > last_oldest_) forget();
  }
}

Status PurgeLog::commit(const std::vector<Waiting>& batch) {
  std::vector<PurgeEntry> entries;
  for (const Waiting& waiting : batch) {
    if (!waiting.has_entry) continue;
    entries.push_back(waiting.entry);
    sequence_ = std::max(sequence_, waiting.entry.bound);
  }
  if (entries.empty()) return Status();
  const uint32_t first = next_block_.load(std::memory_order_relaxed);
  Status status(Code::no_space, "the half is used up");
  uint32_t count = 0;
  if (generation_ > 0 && first + purge_block_count(entries) <= kChangeAt) {
    status = write_blocks(PurgeBlock{first, generation_, sequence_, snapshot_blocks_, previous_, first, {}},
                          entries, &count);
  }
  if (status.ok()) status = flush();
  if (status.ok()) {
    next_block_.store(first + count, std::memory_order_relaxed);
  } else {
    // The tables hold the batch, so a snapshot of them in the other half makes it durable as well.
    status = change_halves();
  }
  if (!status.ok()) {
    failed_.store(true, std::memory_order_release);
    Counters::add(counters_.write_errors);
  }
  return status;
}

// One commit: consecutive blocks from head.number on.
Status PurgeLog::write_blocks(PurgeBlock head, std::span<const PurgeEntry> entries, uint32_t* count) {
  AlignedBuffer buffer(kBlocksPerWrite * kPurgeBlockSize);
  *count = 0;
  while (!entries.empty()) {
    const ByteOffset offset = purge_block_offset(head.generation, head.number);
    uint32_t blocks = 0;
    for (; blocks < kBlocksPerWrite && !entries.empty(); blocks++) {
      const size_t taken = purge_entries_that_fit(entries);
      MR_ASSERT(taken > 0);
      if (head.number >= kPurgeBlocksPerHalf) {
        return Status(Code::no_space, "the purge journal is too small for what is alive");
      }
      encode_purge_block(head, entries.first(taken), uuid_,
                         buffer.bytes().subspan(blocks * kPurgeBlockSize, kPurgeBlockSize));
      entries = entries.subspan(taken);
      head.number++;
    }
    const Status status = device_.write(offset, buffer.bytes().first(blocks * kPurgeBlockSize));
    if (!status.ok()) return status;
    *count += blocks;
    Counters::add(counters_.purge_journal_blocks, blocks);
  }
  return Status();
}

void PurgeLog::forget() {
  last_oldest_ = oldest_birth();
  purges_.announce_forget(last_oldest_);
  // What was stored meanwhile by somebody who had not heard of it counts; whoever comes later has.
  last_oldest_ = std::min(last_oldest_, oldest_birth());
  purges_.forget(last_oldest_);
}

// Writes what is alive into the other half, under the next generation, and goes on there.
Status PurgeLog::change_halves() {
  Status status = flush();
  if (!status.ok()) return status;
  // The first half is begun with nothing to drop.
  if (generation_ > 0) forget();
  std::vector<PurgeEntry> alive = purges_.entries();
  for (const PurgeEntry& entry : alive) sequence_ = std::max(sequence_, entry.bound);
  // A generation is known by its first block, so it has one. Nothing is born below 1.
  sequence_ = std::max<Sequence>(sequence_, 1);
  if (alive.empty()) alive.push_back(everything(1));
  const auto blocks = static_cast<uint32_t>(purge_block_count(alive));
  uint32_t count = 0;
  status = write_blocks(PurgeBlock{0, next_generation_, sequence_, blocks, generation_, 0, {}}, alive,
                        &count);
  if (status.ok()) status = flush();
  if (!status.ok()) {
    // Half written, it must never be taken for a whole one: its number is used up. The next attempt goes
    // into the same half; the other one holds what was acknowledged.
    next_generation_ += 2;
    return status;
  }
  previous_ = generation_;
  generation_ = next_generation_;
  next_generation_ = generation_ + 1;
  snapshot_blocks_ = blocks;
  next_block_.store(count, std::memory_order_relaxed);
  Counters::add(counters_.purge_journal_changes);
  return Status();
}

Status PurgeLog::flush() {
  const uint64_t mark = ring_.flush_mark();
  const Status status = device_.flush();
  // After a failed flush nobody knows what became of the writes before it.
  status.ok() ? ring_.flushed(mark) : ring_.flush_failed();
  return status;
}

Sequence PurgeLog::oldest_birth() { return std::min(ring_.oldest_birth(), staging_.oldest_birth()); }

}  // namespace millrace
