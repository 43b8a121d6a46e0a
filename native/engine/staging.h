// Records on their way to the disk tier: a queue bounded in bytes, and a table by key hash so that a record
// can be read from the moment it was offered. The appender's thread (raw disk) or JavaScript (file tier)
// takes from it. Callable from any thread. A full queue refuses: overload costs a cache write, never a
// client, and it is decided before a byte is copied.
#pragma once

#include <deque>
#include <unordered_map>
#include <vector>

#include "base/sync.h"
#include "engine/memory-record.h"

namespace millrace {

struct KeyHashHasher {
  size_t operator()(const KeyHash& hash) const { return static_cast<size_t>(hash.low); }
};

class Staging {
 public:
  explicit Staging(ByteCount limit) : limit_(limit) {}

  // Who is told, from any thread: `work` when the queue stops being empty, `relief` when it has fallen
  // below half its limit after having been above. Set before the first offer.
  void on_work(Notice notice);
  void on_relief(void (*hook)(void*), void* context);

  // False: refused (queue full or writes are off). An older staged record of the same hash is dropped.
  bool offer(const Ref<MemoryRecord>& record);
  // The next record; waits up to wait_ms for one (0: not at all). Null on timeout, wake() and after
  // close().
  Ref<MemoryRecord> take(uint64_t wait_ms);
  // Ends a take() that waits, or the next one that would: there is other work.
  void wake();
  // The taken record is done with. When it was neither cancelled nor replaced meanwhile, `publish` runs
  // under the lock first, so that no purge can slip between. Returns whether it ran.
  template <typename Publish>
  bool settle(const Ref<MemoryRecord>& record, Publish publish) {
    bool current;
    {
      MutexLock lock(mutex_);
      current = forget_locked(record);
      if (current) publish();
    }
    relieve();
    return current;
  }
  bool settle(const Ref<MemoryRecord>& record) {
    return settle(record, [] {});
  }
  Ref<MemoryRecord> find(const KeyHash& hash);
  // False when the taken record was cancelled or replaced: it need not be written any more.
  bool is_current(const Ref<MemoryRecord>& record);
  void cancel(const KeyHash& hash);
  // Lowest birth of what is wanted and not settled; the highest possible when there is nothing.
  Sequence oldest_birth();

  bool backlogged() const { return bytes_.load(std::memory_order_relaxed) > limit_ / 2; }
  ByteCount bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // No more offers are taken; what is queued stays.
  void refuse_offers();
  // Wakes take(); returns null from then on once the queue is empty.
  void close();
  bool closed() {
    MutexLock lock(mutex_);
    return closed_;
  }

 private:
  bool forget_locked(const Ref<MemoryRecord>& record);
  void relieve();

  const ByteCount limit_;
  Mutex mutex_;
  Condition condition_;
  std::deque<Ref<MemoryRecord>> queue_;
  std::unordered_map<KeyHash, Ref<MemoryRecord>, KeyHashHasher> by_hash_;
  std::atomic<ByteCount> bytes_{0};
  bool refusing_ = false;
  bool woken_ = false;
  bool closed_ = false;
  bool was_backlogged_ = false;
  Notice work_;
  void (*relief_)(void*) = nullptr;
  void* relief_context_ = nullptr;
};

}  // namespace millrace
