// The purge journal of one volume: reads it at a start, makes purges durable while the store runs, several
// with one write and one flush, and changes halves when one is used up. What it writes is in
// layout/purge-journal.h; what it means is in purges.h. write() may be called from any thread; recover()
// and start() block and come first. A thread of its own does the writing, from the first purge on.
//
// A purge is dropped only when nothing that it concerns can come back: everything on the device was born
// after it, and the flush that made the overwriting durable is done (Ring::oldest_birth).
#pragma once

#include <deque>
#include <vector>

#include "base/sync.h"
#include "device/device.h"
#include "engine/counters.h"
#include "engine/purges.h"
#include "engine/ring.h"
#include "engine/staging.h"

namespace millrace {

class PurgeLog {
 public:
  // Purges that wait for their write; more are refused with `again`.
  static constexpr size_t kMaximumQueued = 64 * 1024;

  // `done` runs on the journal's thread and must not block. Empty: nobody waits.
  struct Answer {
    void (*done)(void* context, Status status) = nullptr;
    void* context = nullptr;
  };

  PurgeLog(Device& device, const DeviceUuid& uuid, Purges& purges, Ring& ring, Staging& staging,
           Counters& counters);
  ~PurgeLog();

  struct Recovered {
    Sequence sequence = 0;  // no purge of earlier lives has a higher bound
    // Purges were lost that may concern whatever is on the device: everything has to count as purged.
    bool lost_all = false;
  };
  // Fills the tables from the device.
  Recovered recover();
  // After recover(), once the tables say what was lost. Rewrites a journal that was damaged.
  Status start();
  // Makes `entry`, which the tables hold already, durable. Returns what is known at once; ok: `answer`
  // will be called exactly once.
  Status write(const PurgeEntry& entry, const Answer& answer);
  // Answers once what was queued before is durable, on the caller's thread where nothing is under way. Not
  // ok: it is not called.
  Status write_nothing(const Answer& answer);
  // Calls answer.done on the journal's thread, where it may block, after what was queued before. Not ok: it
  // is not called.
  Status run_behind(const Answer& answer);
  // Writes what is queued and joins the thread. Idempotent.
  void stop();

  // Nothing can be made durable any more.
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  ByteCount bytes_used() const {
    return ByteCount{next_block_.load(std::memory_order_relaxed)} * kPurgeBlockSize;
  }

 private:
  struct Half {
    uint64_t generation = 0;  // the highest found; 0: none
    uint32_t snapshot_blocks = 0;
    uint64_t previous = 0;
    uint32_t end = 0;         // one past the last block of that generation
    std::vector<std::pair<uint32_t, PurgeBlock>> blocks;  // of that generation, in order
    bool unreadable_first = false;
    bool unreadable_end = false;
  };
  struct Waiting {
    PurgeEntry entry;
    Answer answer;
    bool is_call = false;    // whatever becomes of those before it
    bool has_entry = true;
  };

  static void* run_thread(void* self);
  void run();
  Status enqueue(Waiting waiting);
  Half read_half(uint32_t half);
  void take_in(const Half& half, Recovered* recovered);
  Status commit(const std::vector<Waiting>& batch);
  Status write_blocks(PurgeBlock head, std::span<const PurgeEntry> entries, uint32_t* count);
  Status change_halves();
  void forget();
  Status flush();
  Sequence oldest_birth();

  Device& device_;
  const DeviceUuid uuid_;
  Purges& purges_;
  Ring& ring_;
  Staging& staging_;
  Counters& counters_;

  // Touched by recover(), start() and then the journal's thread only.
  uint64_t generation_ = 0;
  uint64_t previous_ = 0;
  uint64_t next_generation_ = 1;
  uint32_t snapshot_blocks_ = 0;
  Sequence sequence_ = 0;
  Sequence last_oldest_ = 0;
  bool needs_repair_ = false;

  std::atomic<uint32_t> next_block_{0};
  std::atomic<bool> failed_{false};
  Mutex mutex_;
  Condition condition_;
  std::deque<Waiting> queue_;
  Thread thread_;
  bool started_ = false;
  bool stopping_ = false;
  bool is_writing_ = false;  // what was taken from the queue
};

}  // namespace millrace
