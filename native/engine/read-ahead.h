// Chunks that are read from the device before a client asks for them: which of them are on their way or
// wait here, who wants them, how much of them was used. A chunk stays until nobody wants it any more; what
// is not read by then is waste, and while less than half is used nothing is read ahead for a while. Starting
// the reads and taking chunks into the memory tier is the store's part (store-chunks.cc). Any thread.
#pragma once

#include <atomic>
#include <unordered_map>
#include <vector>

#include "base/sync.h"
#include "engine/counters.h"
#include "engine/index.h"
#include "engine/memory-record.h"
#include "engine/staging.h"

namespace millrace {

// One chunk ahead of its readers. Fields belong to ReadAhead and its mutex.
class AheadChunk : public RefCounted<AheadChunk> {
 private:
  friend class ReadAhead;
  // Whoever asked for bytes of the chunk while it was being read.
  struct Waiter {
    void* context = nullptr;
    ByteCount end = 0;
  };
  KeyHash hash{};
  uint32_t length = 0;
  uint32_t wanted = 0;       // by how many streams
  ByteCount taken = 0;       // bytes from the beginning that a reader has had
  bool is_listed = false;    // in the table, and counted in its bytes
  Ref<MemoryRecord> record;  // null while it is being read
  IndexHit hit;
  std::vector<Waiter> waiters;
};

class ReadAhead {
 public:
  // Settled bytes by which usefulness is judged; of twice as many the older half fades.
  static constexpr ByteCount kJudgedBytes = 16 * kMiB;
  // Chunks that would have been read ahead and are not, after it was found useless.
  static constexpr uint32_t kSkippedChunks = 64;

  // At most `capacity` bytes of chunks are held or on their way.
  ReadAhead(ByteCount capacity, Counters* counters) : capacity_(capacity), counters_(counters) {}
  ~ReadAhead();

  // For one more stream. `may_start`: there is memory and a device at leisure for one more. Null: not
  // now. *starts is set where the caller must read the chunk, and call landed().
  Ref<AheadChunk> want(const KeyHash& hash, uint32_t length, bool may_start, bool* starts);
  void unwant(const Ref<AheadChunk>& chunk);
  // The read has ended; without a record in failure. Returns the contexts of those who wait for it.
  std::vector<void*> landed(const Ref<AheadChunk>& chunk, const Ref<MemoryRecord>& record,
                            const IndexHit& hit);

  enum class Take : uint8_t {
    none,     // nothing is known of this chunk
    ready,    // *record is set
    first,    // the same, for the first time: it should go to the memory tier
    waiting,  // it is being read; landed() will return `waiter`, unless that is null
  };
  // Bytes of the chunk up to `end` are asked for.
  Take take(const KeyHash& hash, ByteCount end, void* waiter, Ref<MemoryRecord>* record,
            IndexHit* hit);
  // They were found elsewhere in memory, where the chunk may have come from here.
  void taken(const KeyHash& hash, ByteCount end);

  ByteCount bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  void raise_locked(AheadChunk& chunk, ByteCount end);
  void drop_locked(AheadChunk& chunk);
  void settle_locked(ByteCount length, ByteCount used);

  const ByteCount capacity_;
  Counters* const counters_;
  Mutex mutex_;  // a leaf
  std::unordered_map<KeyHash, Ref<AheadChunk>, KeyHashHasher> chunks_;
  std::atomic<ByteCount> bytes_{0};  // of what chunks_ holds
  ByteCount settled_bytes_ = 0;
  ByteCount settled_used_ = 0;
  uint32_t skips_left_ = 0;
};

}  // namespace millrace
