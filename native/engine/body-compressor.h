// Decides record by record whether a body is worth compressing, and compresses it. A candidate (its head
// decided that) is sampled; a body that does not shrink by an eighth stays raw, and so do the later chunks of
// its object without another look, but for one in 64. One thread calls this, the appender's; all memory
// is allocated with the object and part of the store's memory limit.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "base/lz4-block.h"
#include "engine/counters.h"
#include "engine/memory-record.h"

namespace millrace {

class BodyCompressor {
 public:
  // What one of these occupies, rounded up.
  static constexpr ByteCount kMemory = kChunkSize + kPageSize + 64 * kKiB;

  explicit BodyCompressor(Counters& counters);

  // True: the body is compressed; `header` has the flag and the stored length, and the three below hold
  // until the next call. False: it is to be stored as it is.
  bool compress(const MemoryRecord& record, RecordHeader* header);
  Bytes stored() const { return Bytes(work_->out).first(stored_length_); }
  std::span<const uint32_t> crcs() const { return std::span(crcs_).first(blocks_); }
  std::span<const uint32_t> lengths() const { return std::span(lengths_).first(blocks_); }

 private:
  static constexpr uint32_t kSmallestBody = 1024;  // below, a record occupies no grain less
  static constexpr uint32_t kSampledBlocks = 8;    // from here on the middle is sampled too
  static constexpr uint32_t kResampledChunks = 64;

  struct Work {
    Lz4State state;
    uint8_t gathered[kPageSize];
    uint8_t out[kChunkSize];
  };
  static_assert(sizeof(Work) + 4 * kKiB <= kMemory);

  bool is_worth_trying(const MemoryRecord& record, const RecordHeader& header);
  bool compress_blocks(const MemoryRecord& record, const RecordHeader& header);
  Bytes block_of(const MemoryRecord& record, uint32_t block, uint32_t length);

  Counters& counters_;
  std::unique_ptr<Work> work_;
  uint32_t blocks_ = 0;
  ByteCount stored_length_ = 0;
  uint32_t crcs_[kPagesPerChunk] = {};
  uint32_t lengths_[kPagesPerChunk] = {};
  // Objects that did not shrink, by incarnation; a newer one takes an older one's place.
  std::array<uint64_t, 256> hopeless_{};
};

}  // namespace millrace
