// Reads of one record from the device: look up, pin, read (from the aggregation buffers where the write
// head still holds it), check header, key and checksums, hand the pages on. One ReadOperation is one
// asynchronous read; it runs on the caller's thread until the first I/O and on device threads after it.
// A record that fails its check is taken out of the index and answers as not found.
#pragma once

#include <string>
#include <vector>

#include "device/device.h"
#include "engine/appender.h"
#include "engine/counters.h"
#include "engine/index.h"
#include "engine/memory-record.h"
#include "engine/ring.h"

namespace millrace {

// A chunk has neither key nor head: fixed part, sixteen checksums and lengths fit one grain.
inline constexpr ByteCount kChunkHeaderSize = kRecordGrain;
static_assert(kRecordFixedSize + 8 * kPagesPerChunk <= kChunkHeaderSize);

// What a read needs from the store; all outlive every operation.
struct ReaderContext {
  Device* device = nullptr;
  Ring* ring = nullptr;
  Index* index = nullptr;
  PagePool* pool = nullptr;
  Appender* appender = nullptr;
  Counters* counters = nullptr;
  uint32_t volume = 0;  // for the records that are made
};

// What to find. With a key: a single or head of that key, whole. Without: a chunk, or a piece of one.
struct ReadTarget {
  KeyHash hash{};
  std::string key;
  uint64_t incarnation = 0;      // chunks
  uint32_t chunk_number = 0;     // chunks
  uint32_t body_length = 0;      // chunks: length of the whole chunk's body
  uint32_t first_block = 0;      // chunks: 64 KiB blocks wanted
  uint32_t block_count = 0;
  bool is_piece = false;         // a piece of a chunk, whole, wherever in the chunk it lies
  bool is_ahead = false;         // nobody has asked for it yet: it does not count as hit
};

class ReadOperation {
 public:
  // `done` is called exactly once, possibly before start() returns, on any thread; `record` is null
  // unless status is ok. For a part of a chunk the record's body holds those blocks only, and
  // header.interval_begin / interval_end say which bytes of the chunk they are. `hit` is the index word
  // that led there: a caller that publishes the record checks Index::unchanged(hit) afterwards, because a
  // purge may have come in between.
  using Done = void (*)(void* context, Status status, Ref<MemoryRecord> record,
                        const IndexHit& hit);

  // How often one read looks its record up again because the word that led to it has changed: reclaim
  // copies what is asked for, and a record that is moved twice while one read waits is moved by chance.
  static constexpr uint32_t kMaximumLooksAgain = 3;

  // Deletes itself after done. `again` when no page or queue place is free.
  static void start(const ReaderContext& context, ReadTarget target, Done done, void* done_context);

 private:
  ReadOperation(const ReaderContext& context, ReadTarget target, Done done, void* done_context);
  ~ReadOperation() = default;

  void look_up();
  void try_next();
  bool pin_next();
  // Read and checked in one go, whatever its length: no blocks of it were asked for.
  bool reads_whole() const { return !target_.key.empty() || target_.is_piece; }
  Status prepare(const IndexHit& hit);
  Status prepare_whole(ByteOffset address, ByteCount bound);
  Status prepare_blocks(ByteOffset address);
  Status prepare_run(ByteOffset from, ByteOffset to);
  bool needs_second_read(Status* status);
  bool add(ByteOffset offset, uint8_t* memory, ByteCount length);
  IoRequest* request_for(ByteOffset offset);
  void submit();
  static void request_done(IoRequest* request);
  void verify();
  bool goes_elsewhere();
  static void went_elsewhere(IoRequest* request);
  Status verify_whole(Ref<MemoryRecord>* out);
  Status verify_blocks(Ref<MemoryRecord>* out);
  Status decode_whole(const RecordView& view, ByteCount skip, Ref<MemoryRecord>* out);
  std::vector<Bytes> read_bytes(ByteCount skip) const;
  void finish(Status status, Ref<MemoryRecord> record);

  const ReaderContext context_;
  const ReadTarget target_;
  const Done done_;
  void* const done_context_;
  IndexHit hits_[Index::kMaximumHits];
  uint32_t hit_count_ = 0;
  uint32_t next_hit_ = 0;
  uint32_t looks_again_ = 0;
  bool has_moved_ = false;       // a word of the last look-up changed before its segment was pinned
  IndexHit hit_;
  SegmentPin pin_;
  Sequence segment_sequence_ = 0;
  ByteOffset address_ = 0;
  ByteOffset read_offset_ = 0;   // device offset of the first byte of pages_
  PageRef header_page_;          // chunks: the 4 KiB that end with the header
  bool is_second_read_ = false;  // chunks: the header is known, the wanted blocks lay elsewhere
  bool is_handed_over_ = false;  // to a thread that may take its time
  bool from_device_ = true;      // false: a part was copied from the aggregation buffers
  std::vector<PageSpan> pages_;
  // Runs of the device that one read may need: a record lies in three of the write head's windows at most,
  // and each of them may leave memory while it is being copied. The header of a chunk takes one of them.
  static constexpr uint32_t kRequestCount = 3;
  IoRequest requests_[kRequestCount];
  std::atomic<uint32_t> pending_{0};
  std::atomic<uint32_t> io_error_{0};
};

}  // namespace millrace
