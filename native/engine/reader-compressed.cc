// Reads of compressed records: which part of a chunk the wanted blocks are, and the way from what was read to
// raw pages. See reader.h.
#include "engine/reader.h"

#include <algorithm>

#include "engine/stored-body.h"

namespace millrace {

// After the first read of a chunk: true when its header names bytes that were not read. *status says whether
// the request for them is ready to be submitted.
bool ReadOperation::needs_second_read(Status* status) {
  const auto at = static_cast<uint32_t>(address_ % kBlockAlignment);
  const Result<RecordView> decoded =
      decode_record(Bytes(header_page_.data() + at, kBlockAlignment - at));
  // Whatever is wrong with the header is found, and named, by verify_blocks.
  if (!decoded.ok()) return false;
  const RecordView& view = decoded.value();
  const uint32_t end = target_.first_block + target_.block_count;
  if (view.header.kind != RecordKind::chunk || !(view.header.hash == target_.hash) ||
      view.header.body_length != target_.body_length) {
    return false;
  }
  const uint32_t blocks = body_block_count(view.header);
  const ByteOffset body = address_ + kChunkHeaderSize;
  const ByteOffset from = body + view.stored_block_begin(target_.first_block);
  const ByteOffset to =
      end >= blocks ? body + view.header.stored_length : body + view.stored_block_begin(end);
  ByteOffset read_end = read_offset_;
  for (const PageSpan& span : pages_) read_end += span.length;
  if (from >= read_offset_ && to <= read_end) return false;
  const Geometry& geometry = context_.ring->geometry();
  if (to > geometry.segment_offset(pin_.segment()) + geometry.segment_size) {
    *status = Status(Code::corrupt, "a chunk leaves its segment", 0, address_);
    return true;
  }
  is_second_read_ = true;
  pages_.clear();
  for (IoRequest& request : requests_) request = IoRequest{};
  *status = prepare_run(from, to);
  return true;
}

// A short read may decompress to much: then another thread does that. What was read raw is as long as it was
// read, and the device has chosen the thread by that.
bool ReadOperation::goes_elsewhere() {
  if (is_handed_over_) return false;
  const bool is_chunk = !reads_whole();
  const auto at = static_cast<uint32_t>(is_chunk ? address_ % kBlockAlignment
                                                 : address_ - read_offset_);
  const Bytes first = is_chunk ? Bytes(header_page_.data(), kBlockAlignment)
                               : Bytes(pages_.front().data(), pages_.front().length);
  const Result<RecordView> decoded = decode_record(first.subspan(at));
  // What is wrong with it is found by who verifies it.
  if (!decoded.ok() || !is_compressed(decoded.value().header)) return false;
  const RecordHeader& header = decoded.value().header;
  const ByteCount wanted =
      is_chunk ? std::min<ByteCount>(ByteCount{target_.block_count} * kPageSize, header.body_length)
               : header.body_length;
  ByteCount read = 0;
  for (const IoRequest& request : requests_) read = std::max(read, request.length());
  if (wanted <= kLongestInlineWork || read > kLongestInlineWork) return false;
  is_handed_over_ = true;
  requests_[0].done = &ReadOperation::went_elsewhere;
  requests_[0].context = this;
  return context_.device->hand_over(&requests_[0]);
}

void ReadOperation::went_elsewhere(IoRequest* request) {
  static_cast<ReadOperation*>(request->context)->verify();
}

Status ReadOperation::decode_whole(const RecordView& view, ByteCount skip, Ref<MemoryRecord>* out) {
  const bool is_verified = Index::is_verified(hit_.word);
  Result<Ref<MemoryRecord>> record =
      decode_stored_record(*context_.pool, view, target_.key, read_bytes(skip), !is_verified);
  if (!record.ok()) return record.status();
  // Bytes from the aggregation buffers prove nothing about what the device will return later.
  if (!is_verified && from_device_) context_.index->mark_verified(hit_);
  *out = std::move(record.value());
  return Status();
}

// What was read, from the byte `skip` on.
std::vector<Bytes> ReadOperation::read_bytes(ByteCount skip) const {
  std::vector<Bytes> parts;
  for (const PageSpan& span : pages_) {
    const Bytes bytes(span.data(), span.length);
    if (skip < bytes.size()) parts.push_back(bytes.subspan(skip));
    skip -= skip < bytes.size() ? skip : bytes.size();
  }
  return parts;
}

}  // namespace millrace
