// What is compressed, and how. See body-compressor.h.
#include "engine/body-compressor.h"

#include <cstring>

#include "base/crc32c.h"

namespace millrace {

namespace {
// Shrunk by an eighth or more.
bool is_enough(ByteCount stored, ByteCount raw) { return stored <= raw - raw / 8; }
}  // namespace

BodyCompressor::BodyCompressor(Counters& counters)
    : counters_(counters), work_(std::make_unique<Work>()) {}

bool BodyCompressor::compress(const MemoryRecord& record, RecordHeader* header) {
  MR_ASSERT(!is_compressed(*header));
  blocks_ = body_block_count(*header);
  if (blocks_ == 0 || !is_worth_trying(record, *header)) return false;
  RecordHeader compressed = *header;
  const bool shrunk = compress_blocks(record, *header);
  uint64_t& memory = hopeless_[header->incarnation % hopeless_.size()];
  if (!shrunk) {
    memory = header->incarnation;
    Counters::add(counters_.lz4_skipped_by_sample, blocks_);
    return false;
  }
  if (memory == header->incarnation) memory = 0;
  compressed.flags |= kRecordLz4;
  compressed.stored_length = static_cast<uint32_t>(stored_length_);
  if (record_length(compressed) >= record_length(*header)) {
    Counters::add(counters_.lz4_skipped_small, blocks_);
    return false;
  }
  for (uint32_t block = 0; block < blocks_; block++) {
    const bool is_raw = lengths_[block] == raw_block_length(*header, block);
    Counters::add(is_raw ? counters_.lz4_blocks_kept_raw : counters_.lz4_blocks);
  }
  Counters::add(counters_.lz4_bytes_before, header->body_length);
  Counters::add(counters_.lz4_bytes_after, stored_length_);
  *header = compressed;
  return true;
}

bool BodyCompressor::is_worth_trying(const MemoryRecord& record, const RecordHeader& header) {
  if (!record.may_compress) {
    Counters::add(counters_.lz4_skipped_by_type, blocks_);
    return false;
  }
  if (header.body_length < kSmallestBody) {
    Counters::add(counters_.lz4_skipped_small, blocks_);
    return false;
  }
  const bool is_hopeless = hopeless_[header.incarnation % hopeless_.size()] == header.incarnation;
  if (is_hopeless && header.chunk_number % kResampledChunks != 0) {
    Counters::add(counters_.lz4_skipped_by_sample, blocks_);
    return false;
  }
  return true;
}

bool BodyCompressor::compress_blocks(const MemoryRecord& record, const RecordHeader& header) {
  ByteCount sampled = 0;
  ByteCount sampled_raw = 0;
  if (blocks_ >= kSampledBlocks) {
    const Bytes middle = block_of(record, blocks_ / 2, kPageSize);
    const ByteCount length =
        lz4_compress(work_->state, middle, MutableBytes(work_->out).first(middle.size() - 1));
    sampled = length == 0 ? middle.size() : length;
    sampled_raw = middle.size();
  }
  stored_length_ = 0;
  for (uint32_t block = 0; block < blocks_; block++) {
    const Bytes raw = block_of(record, block, raw_block_length(header, block));
    const MutableBytes room = MutableBytes(work_->out).subspan(stored_length_, raw.size());
    ByteCount length = lz4_compress(work_->state, raw, room.first(raw.size() - 1));
    if (length == 0) {
      std::memcpy(room.data(), raw.data(), raw.size());
      length = raw.size();
    }
    if (block == 0 && !is_enough(sampled + length, sampled_raw + raw.size())) return false;
    crcs_[block] = crc32c(room.first(length));
    lengths_[block] = static_cast<uint32_t>(length);
    stored_length_ += length;
  }
  return is_enough(stored_length_, header.body_length);
}

// A block as one run: in place where one span holds it, else copied together.
Bytes BodyCompressor::block_of(const MemoryRecord& record, uint32_t block, uint32_t length) {
  const ByteOffset begin = ByteOffset{block} * kPageSize;
  ByteOffset position = 0;
  ByteCount gathered = 0;
  for (const PageSpan& span : record.body) {
    const ByteOffset end = position + span.length;
    if (end > begin + gathered) {
      const ByteCount skip = begin + gathered - position;
      const Bytes part(span.data() + skip, span.length - skip);
      if (gathered == 0 && part.size() >= length) return part.first(length);
      const ByteCount count = part.size() < length - gathered ? part.size() : length - gathered;
      std::memcpy(work_->gathered + gathered, part.data(), count);
      gathered += count;
      if (gathered == length) return Bytes(work_->gathered).first(length);
    }
    position = end;
  }
  MR_UNREACHABLE();
}

}  // namespace millrace
