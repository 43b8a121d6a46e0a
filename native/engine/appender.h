// The write head: one thread that takes records from staging, checksums them, copies each once into a
// 1 MiB aggregation buffer at its final place, publishes it in the index at that moment, and writes full
// buffers (or, after 100 ms, what there is) to the open segment. Seals a full segment with its footer and
// takes the next one from the ring. Nothing waits for this thread but this thread.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "base/sync.h"
#include "device/device.h"
#include "engine/body-compressor.h"
#include "engine/counters.h"
#include "engine/forgotten-keys.h"
#include "engine/index.h"
#include "engine/purges.h"
#include "engine/reclaimer.h"
#include "engine/ring.h"
#include "engine/staging.h"
#include "layout/segment.h"

namespace millrace {

struct AppenderOptions {
  DeviceUuid uuid{};
  ByteCount block_size = 4096;      // padding of a partial flush
  SegmentId first_segment = 0;      // where to open the first segment
  Sequence next_sequence = 1;       // of that segment
  bool zero_ahead = false;          // the file was not zeroed at format
  bool compress = false;            // bodies that may be and shrink
  const Purges* purges = nullptr;   // what was purged meanwhile is not written
  ForgottenKeys* forgotten = nullptr;  // what the index forgets without a purge
  HashKey hash_key{};
};

// How far the device has everything, in an order that never steps back.
struct FlushedPosition {
  Sequence segment_sequence = 0;
  ByteOffset offset = 0;  // within the segment
};

class Appender {
 public:
  static constexpr ByteCount kBufferSize = kChunkSize;
  static constexpr uint32_t kBufferCount = 8;
  static constexpr uint64_t kFlushAfterMs = 100;
  static constexpr uint32_t kErrorsUntilOff = 5;

  Appender(Device& device, Ring& ring, Index& index, Staging& staging, Reclaimer& reclaimer,
           Counters& counters, const AppenderOptions& options);
  ~Appender();

  void start();
  // Writes what is staged, seals the open segment, joins the thread. Idempotent.
  void stop();

  // Copies the part of [offset, offset + out.size()) that still lies in a buffer; the range must not cross
  // a 1 MiB boundary of the device. False: it is on the device, read it there.
  bool copy_from_buffers(ByteOffset offset, MutableBytes out);

  FlushedPosition flushed();
  bool writes_off() const { return writes_off_.load(std::memory_order_relaxed); }
  // Sequence that the next opened segment will get; valid after stop().
  Sequence next_sequence() const { return next_sequence_; }

 private:
  struct Buffer {
    uint8_t* memory = nullptr;
    ByteOffset device_offset = 0;
    bool active = false;
    uint64_t opened = 0;     // order in which the buffers were taken into use
    uint32_t readable = 0;   // bytes that published records may be read from
    uint32_t submitted = 0;  // bytes given to the device
    uint32_t pending = 0;    // writes under way
    uint32_t pins = 0;       // readers copying out
  };
  struct Write {
    IoRequest request;
    Appender* appender = nullptr;
    Buffer* buffer = nullptr;
    Sequence segment_sequence = 0;
    ByteOffset end = 0;        // within the segment
    uint64_t records_before = 0;
    bool done = false;
    bool in_use = false;
  };
  static constexpr uint32_t kWriteCount = 32;

  static void* run_thread(void* self);
  void run();
  void append(const Ref<MemoryRecord>& record);
  void give_up(const Ref<MemoryRecord>& record);
  // Appends what reclaim wants to keep, unless it was purged or replaced meanwhile.
  void reinsert(Reinsertion* survivor);
  void let_reclaim_catch_up();
  void make_readable();
  // With `waits` also for a segment to be reclaimed.
  bool make_room(const RecordHeader& header, bool waits, ByteOffset* start);
  bool open_segment(bool waits);
  bool find_free(SegmentId* segment);
  void seal_segment();
  void copy_in(ByteOffset offset, Bytes bytes);
  void zero_in(ByteOffset from, ByteOffset to);
  Buffer* buffer_at(ByteOffset offset);
  void submit_current(ByteOffset end);
  void flush_partial();
  void wait_for_writes();
  void handle_failures();
  static void write_done(IoRequest* request);
  void finish_write(Write* write);
  void zero_next_segment();
  static void zero_done(IoRequest* request);

  Device& device_;
  Ring& ring_;
  Index& index_;
  Staging& staging_;
  Reclaimer& reclaimer_;
  Counters& counters_;
  const AppenderOptions options_;
  const ByteCount segment_size_;
  Thread thread_;
  bool started_ = false;

  // Touched by the appender's thread only.
  bool is_open_ = false;
  SegmentId segment_ = 0;
  Sequence sequence_ = 0;
  Sequence next_sequence_;
  SegmentId next_segment_;
  ByteOffset head_ = 0;  // within the segment
  SegmentFooter footer_;
  Buffer* current_ = nullptr;
  uint64_t buffers_opened_ = 0;
  bool lost_write_ = false;  // of the open segment: its header may not be there
  uint64_t patience_until_ms_ = 0;    // monotonic; of the open segment
  uint64_t oldest_unflushed_ms_ = 0;  // monotonic; 0 when everything is submitted
  std::vector<uint8_t> scratch_;
  std::unique_ptr<BodyCompressor> compressor_;  // null: bodies are stored as they are

  Mutex mutex_;
  Condition condition_;
  Buffer buffers_[kBufferCount];
  Write writes_[kWriteCount];
  std::deque<Write*> in_order_;
  FlushedPosition flushed_;
  uint64_t failed_from_ = ~uint64_t{0};  // lowest failed offset in the open segment
  bool has_failure_ = false;
  uint32_t errors_in_a_row_ = 0;
  std::atomic<bool> writes_off_{false};
  std::unique_ptr<uint8_t, void (*)(void*)> memory_;

  struct ZeroAhead {
    IoRequest request;
    uint8_t* zeros = nullptr;
    ByteOffset next = 0;
    ByteOffset end = 0;
    bool busy = false;
  };
  ZeroAhead zero_ahead_;
};

}  // namespace millrace
