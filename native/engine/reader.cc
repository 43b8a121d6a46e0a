// One asynchronous record read. See reader.h.
#include "engine/reader.h"

#include <algorithm>
#include <cstring>

#include "engine/stored-body.h"

namespace millrace {

ReadOperation::ReadOperation(const ReaderContext& context, ReadTarget target, Done done,
                             void* done_context)
    : context_(context), target_(std::move(target)), done_(done), done_context_(done_context) {}

void ReadOperation::start(const ReaderContext& context, ReadTarget target, Done done,
                          void* done_context) {
  auto* operation = new ReadOperation(context, std::move(target), done, done_context);
  Counters::add(context.counters->reads_under_way);
  operation->look_up();
  operation->try_next();
}

void ReadOperation::look_up() {
  hit_count_ = context_.index->lookup(target_.hash.low, hits_);
  next_hit_ = 0;
  has_moved_ = false;
}

void ReadOperation::try_next() {
  while (!pin_next()) {
    if (!has_moved_ || looks_again_ == kMaximumLooksAgain) {
      finish(Status(Code::not_found, "the record is not stored"), Ref<MemoryRecord>());
      return;
    }
    looks_again_++;
    Counters::add(context_.counters->looks_again);
    look_up();
  }
  const Status status = prepare(hit_);
  if (status.ok()) {
    submit();
  } else {
    finish(status, Ref<MemoryRecord>());
  }
}

// Goes on to the next word that may lead to the record, and holds its segment.
bool ReadOperation::pin_next() {
  const bool wants_chunk = target_.key.empty();
  while (next_hit_ < hit_count_) {
    hit_ = hits_[next_hit_++];
    if ((Index::kind_of(hit_.word) == RecordKind::chunk) != wants_chunk) continue;
    const ByteOffset address = Index::address_of(hit_.word);
    const SegmentId segment = context_.ring->segment_at(address);
    if (segment == context_.ring->segment_count()) continue;
    pin_ = context_.ring->pin(segment);
    // The word may have been replaced, and its segment reused, between the look-up and the pin.
    if (!Index::unchanged(hit_)) {
      has_moved_ = true;
      continue;
    }
    if (!pin_) continue;
    segment_sequence_ = context_.ring->sequence(segment);
    address_ = address;
    return true;
  }
  return false;
}

Status ReadOperation::prepare(const IndexHit& hit) {
  pages_.clear();
  header_page_.reset();
  from_device_ = true;
  is_second_read_ = false;
  is_handed_over_ = false;
  for (IoRequest& request : requests_) request = IoRequest{};
  return reads_whole() ? prepare_whole(Index::address_of(hit.word), Index::length_bound_of(hit.word))
                       : prepare_blocks(Index::address_of(hit.word));
}

// A single or head record is read in one go, header and body into consecutive pages.
Status ReadOperation::prepare_whole(ByteOffset address, ByteCount bound) {
  const Geometry& geometry = context_.ring->geometry();
  const ByteOffset segment_end =
      geometry.segment_offset(pin_.segment()) + geometry.segment_size;
  read_offset_ = round_down(address, kBlockAlignment);
  ByteOffset end = round_up(address + bound, kBlockAlignment);
  if (end > segment_end) end = segment_end;
  for (ByteOffset at = read_offset_; at < end;) {
    const ByteCount length = end - at < kPageSize ? end - at : kPageSize;
    PageRef page = context_.pool->allocate(length < kBlockAlignment ? kBlockAlignment : length,
                                           pages_.empty() ? nullptr : &pages_.back().page);
    if (!page) return Status(Code::again, "no free page for a read");
    if (!add(at, page.data(), length)) {
      return Status(Code::corrupt, "the index names a record that is too long", 0, address);
    }
    pages_.push_back(PageSpan{std::move(page), 0, static_cast<uint32_t>(length)});
    at += length;
  }
  return Status();
}

// A chunk's header fills the 512 bytes before its body, which is 4096-aligned if it is raw; the wanted blocks
// follow, or lie further on and are then read by a second request. Where they are in a compressed chunk only
// the header tells: of one that is shorter than a raw one can be, either all is read or just that.
Status ReadOperation::prepare_blocks(ByteOffset address) {
  const uint32_t first = target_.first_block;
  const ByteCount begin = ByteCount{first} * kPageSize;
  ByteCount end = begin + ByteCount{target_.block_count} * kPageSize;
  if (end > target_.body_length) end = target_.body_length;
  MR_ASSERT_OP(begin, <, end);
  const Geometry& geometry = context_.ring->geometry();
  const ByteOffset segment_end =
      geometry.segment_offset(pin_.segment()) + geometry.segment_size;
  const ByteOffset body = address + kChunkHeaderSize;
  const ByteOffset header_at = round_down(address, kBlockAlignment);
  // A short last chunk (below 16 KiB) is packed: its body begins at any 512 bytes.
  ByteOffset from = body + begin;
  ByteOffset to = body + end;
  const ByteCount bound = Index::length_bound_of(hit_.word);
  if (bound < kChunkHeaderSize + round_up(target_.body_length, kRecordGrain)) {
    const bool wants_most = 2 * (end - begin) >= target_.body_length;
    from = body;
    to = wants_most ? std::min(address + bound, segment_end) : body;
  }
  if (to > segment_end || body > segment_end) {
    return Status(Code::corrupt, "the index names a chunk beyond its segment", 0, address);
  }
  header_page_ = context_.pool->allocate(kBlockAlignment);
  if (!header_page_) return Status(Code::again, "no free page for a read");
  if (!add(header_at, header_page_.data(), kBlockAlignment)) {
    return Status(Code::corrupt, "the index names a chunk that is too long", 0, address);
  }
  return prepare_run(from, to);
}

// Reads the blocks of 4096 bytes that hold [from, to) into pages of their own; nothing where that is empty.
Status ReadOperation::prepare_run(ByteOffset from, ByteOffset to) {
  read_offset_ = round_down(from, kBlockAlignment);
  const ByteOffset read_end = from == to ? read_offset_ : round_up(to, kBlockAlignment);
  for (ByteOffset at = read_offset_; at < read_end;) {
    const ByteCount length = read_end - at < kPageSize ? read_end - at : kPageSize;
    PageRef page =
        context_.pool->allocate(length, pages_.empty() ? nullptr : &pages_.back().page);
    if (!page) return Status(Code::again, "no free page for a read");
    if (!add(at, page.data(), length)) {
      return Status(Code::corrupt, "the index names a chunk that is too long", 0, address_);
    }
    pages_.push_back(PageSpan{std::move(page), 0, static_cast<uint32_t>(length)});
    at += length;
  }
  return Status();
}

// Copies from the aggregation buffers what still lies there and leaves the rest to requests. False where
// those do not suffice, which takes a record longer than any that is written.
bool ReadOperation::add(ByteOffset offset, uint8_t* memory, ByteCount length) {
  while (length > 0) {
    const ByteCount room = Appender::kBufferSize - offset % Appender::kBufferSize;
    const ByteCount part = length < room ? length : room;
    if (!context_.appender->copy_from_buffers(offset, MutableBytes(memory, part))) {
      IoRequest* request = request_for(offset);
      if (request == nullptr) return false;
      request->spans[request->span_count++] = iovec{memory, part};
    } else {
      from_device_ = false;
    }
    offset += part;
    memory += part;
    length -= part;
  }
  return true;
}

// The one that ends at `offset`, so that it grows, or else one that is not used yet: a request is one run of
// the device, and what was copied between two runs lay in a buffer that was recycled while we looked.
IoRequest* ReadOperation::request_for(ByteOffset offset) {
  for (IoRequest& request : requests_) {
    if (request.span_count == 0) {
      request.operation = IoOperation::read;
      request.offset = offset;
      return &request;
    }
    const bool ends_here = request.offset + request.length() == offset;
    if (ends_here && request.span_count < IoRequest::kMaximumSpans) return &request;
  }
  return nullptr;
}

void ReadOperation::submit() {
  uint32_t count = 0;
  for (IoRequest& request : requests_) {
    if (request.span_count > 0) count++;
  }
  io_error_.store(0);
  if (count == 0) {
    verify();
    return;
  }
  // One more than the requests, so that verify() cannot run before all of them were submitted.
  pending_.store(count + 1);
  for (IoRequest& request : requests_) {
    if (request.span_count == 0) continue;
    request.done = &ReadOperation::request_done;
    request.context = this;
    Counters::add(context_.counters->device_reads);
    Counters::add(context_.counters->device_read_bytes, request.length());
    const Status status = context_.device->submit(&request);
    if (!status.ok()) {
      io_error_.store(static_cast<uint32_t>(status.code()) + 1);
      pending_.fetch_sub(1);
    }
  }
  if (pending_.fetch_sub(1) == 1) verify();
}

void ReadOperation::request_done(IoRequest* request) {
  auto* self = static_cast<ReadOperation*>(request->context);
  if (!request->result.ok()) {
    self->io_error_.store(static_cast<uint32_t>(request->result.code()) + 1);
  }
  if (self->pending_.fetch_sub(1) == 1) self->verify();
}

void ReadOperation::verify() {
  const uint32_t error = io_error_.load();
  if (error != 0) {
    const auto code = static_cast<Code>(error - 1);
    if (code != Code::again) Counters::add(context_.counters->read_errors);
    finish(Status(code, "the device could not read a record", 0, address_), Ref<MemoryRecord>());
    return;
  }
  Ref<MemoryRecord> record;
  Status status;
  if (!reads_whole() && !is_second_read_ && needs_second_read(&status)) {
    if (status.ok()) {
      submit();
      return;
    }
  } else {
    if (goes_elsewhere()) return;
    status = reads_whole() ? verify_whole(&record) : verify_blocks(&record);
  }
  if (status.ok()) {
    if (!target_.is_ahead) context_.index->mark_hit(hit_);
    finish(status, std::move(record));
    return;
  }
  if (status.code() == Code::corrupt) {
    Counters::add(context_.counters->corrupt_records);
    context_.index->remove(target_.hash.low, address_);
  } else if (status.code() == Code::not_found) {
    Counters::add(context_.counters->false_positives);
  } else {
    finish(status, Ref<MemoryRecord>());
    return;
  }
  pin_.reset();
  try_next();
}

Status ReadOperation::verify_whole(Ref<MemoryRecord>* out) {
  const auto at = static_cast<uint32_t>(address_ - read_offset_);
  const PageSpan& first = pages_.front();
  const Bytes available(first.data() + at, first.length - at);
  if (available.size() < kRecordFixedSize) {
    return Status(Code::corrupt, "a record begins too close to its segment's end", 0, address_);
  }
  const Result<ByteCount> distance = peek_record_distance(available);
  if (!distance.ok()) return Status(Code::corrupt, distance.status().message(), 0, address_);
  if (distance.value() > available.size()) {
    return Status(Code::corrupt, "a record's header is longer than any we write", 0, address_);
  }
  const Result<RecordView> decoded = decode_record(available);
  if (!decoded.ok()) return Status(Code::corrupt, decoded.status().message(), 0, address_);
  const RecordView& view = decoded.value();
  if (view.header.segment_sequence != segment_sequence_) {
    return Status(Code::corrupt, "a record of an earlier lap", 0, address_);
  }
  const std::string_view key(reinterpret_cast<const char*>(view.key.data()), view.key.size());
  if (!(view.header.hash == target_.hash) || key != target_.key) {
    return Status(Code::not_found, "another key's record");
  }
  if (target_.is_piece && (view.header.kind != RecordKind::chunk ||
                           view.header.incarnation != target_.incarnation ||
                           view.header.chunk_number != target_.chunk_number)) {
    return Status(Code::not_found, "another object's piece");
  }
  if (is_compressed(view.header)) return decode_whole(view, at + distance.value(), out);
  auto record = Ref<MemoryRecord>::adopt(new MemoryRecord());
  record->header = view.header;
  record->key = target_.key;
  const auto meta_at = static_cast<uint32_t>(view.meta.data() - first.page.data());
  record->head = PageSpan{first.page.share(), meta_at, view.header.meta_length};
  ByteCount skip = at + distance.value();
  ByteCount left = view.header.body_length;
  for (const PageSpan& span : pages_) {
    if (skip >= span.length) {
      skip -= span.length;
      continue;
    }
    if (left == 0) break;
    PageSpan part = span.share();
    part.offset += static_cast<uint32_t>(skip);
    part.length -= static_cast<uint32_t>(skip);
    skip = 0;
    if (part.length > left) part.length = static_cast<uint32_t>(left);
    left -= part.length;
    record->body.push_back(std::move(part));
  }
  if (left > 0) return Status(Code::corrupt, "a record is longer than its index entry", 0, address_);
  if (!Index::is_verified(hit_.word)) {
    uint32_t crcs[kPagesPerChunk];
    const uint32_t blocks = body_block_crcs(record->body, crcs);
    bool good = blocks == body_block_count(view.header);
    for (uint32_t block = 0; good && block < blocks; block++) {
      good = crcs[block] == view.block_crc(block);
    }
    if (!good) return Status(Code::corrupt, "a body does not match its checksum", 0, address_);
    // Bytes from the aggregation buffers prove nothing about what the device will return later.
    if (from_device_) context_.index->mark_verified(hit_);
  }
  if (!record->body.empty() && record->body.front().page.data() != first.page.data()) {
    // The head shares its page with nothing that is served: give it a cell of its own size.
    PageRef cell = context_.pool->allocate(record->head.length == 0 ? 1 : record->head.length);
    if (cell && record->head.length > 0) {
      std::memcpy(cell.data(), record->head.data(), record->head.length);
      record->head = PageSpan{std::move(cell), 0, record->head.length};
    }
    compact_and_seal(*context_.pool, *record);
  } else {
    // Small: one cell that fits instead of the page that the read needed.
    std::vector<Bytes> parts;
    for (const PageSpan& span : record->body) parts.emplace_back(span.data(), span.length);
    Ref<MemoryRecord> copy = copy_record(*context_.pool, record->header, record->key,
                                         record->head_bytes(), parts);
    if (copy) {
      record = std::move(copy);
    } else {
      record->seal();
    }
  }
  *out = std::move(record);
  return Status();
}

Status ReadOperation::verify_blocks(Ref<MemoryRecord>* out) {
  const auto at = static_cast<uint32_t>(address_ % kBlockAlignment);
  const Bytes header_bytes(header_page_.data() + at, kBlockAlignment - at);
  const Result<RecordView> decoded = decode_record(header_bytes);
  if (!decoded.ok()) return Status(Code::corrupt, decoded.status().message(), 0, address_);
  const RecordView& view = decoded.value();
  if (view.header.segment_sequence != segment_sequence_) {
    return Status(Code::corrupt, "a record of an earlier lap", 0, address_);
  }
  if (!(view.header.hash == target_.hash) || view.header.incarnation != target_.incarnation ||
      view.header.chunk_number != target_.chunk_number ||
      view.header.kind != RecordKind::chunk) {
    return Status(Code::not_found, "another object's chunk");
  }
  if (view.header.interval_begin != 0 || view.header.body_length != target_.body_length) {
    return Status(Code::corrupt, "a chunk of another length", 0, address_);
  }
  const ByteCount begin = ByteCount{target_.first_block} * kPageSize;
  ByteCount end = begin + ByteCount{target_.block_count} * kPageSize;
  if (end > target_.body_length) end = target_.body_length;
  auto record = Ref<MemoryRecord>::adopt(new MemoryRecord());
  record->header = raw_form(view.header);
  record->header.interval_begin = static_cast<uint32_t>(begin);
  record->header.interval_end = static_cast<uint32_t>(end);
  record->header.body_length = static_cast<uint32_t>(end - begin);
  record->header.stored_length = record->header.body_length;
  const ByteOffset stored_begin = view.stored_block_begin(target_.first_block);
  ByteCount skip = address_ + kChunkHeaderSize + stored_begin - read_offset_;
  const bool is_whole = begin == 0 && end == target_.body_length;
  const bool is_verified = Index::is_verified(hit_.word);
  if (is_compressed(view.header)) {
    record->may_compress = true;
    const uint32_t count =
        static_cast<uint32_t>((end + kPageSize - 1) / kPageSize) - target_.first_block;
    const Status status =
        decode_stored_blocks(*context_.pool, view, target_.first_block, count, read_bytes(skip),
                             !is_verified, &record->body);
    if (!status.ok()) return status;
    if (is_whole && !is_verified && from_device_) context_.index->mark_verified(hit_);
    compact_and_seal(*context_.pool, *record);
    *out = std::move(record);
    return Status();
  }
  ByteCount left = end - begin;
  for (const PageSpan& span : pages_) {
    // More was read than is wanted where the index had promised a shorter, compressed chunk.
    if (skip >= span.length) {
      skip -= span.length;
      continue;
    }
    PageSpan part = span.share();
    part.offset += static_cast<uint32_t>(skip);
    part.length -= static_cast<uint32_t>(skip);
    skip = 0;
    if (part.length > left) part.length = static_cast<uint32_t>(left);
    left -= part.length;
    record->body.push_back(std::move(part));
    if (left == 0) break;
  }
  MR_ASSERT_OP(left, ==, 0u);
  if (!is_verified) {
    uint32_t crcs[kPagesPerChunk];
    const uint32_t blocks = body_block_crcs(record->body, crcs);
    for (uint32_t block = 0; block < blocks; block++) {
      if (crcs[block] == view.block_crc(target_.first_block + block)) continue;
      return Status(Code::corrupt, "a body does not match its checksum", 0, address_);
    }
    if (is_whole && from_device_) context_.index->mark_verified(hit_);
  }
  compact_and_seal(*context_.pool, *record);
  *out = std::move(record);
  return Status();
}

void ReadOperation::finish(Status status, Ref<MemoryRecord> record) {
  pin_.reset();
  pages_.clear();
  header_page_.reset();
  const Done done = done_;
  void* context = done_context_;
  const IndexHit hit = hit_;
  if (record) {
    record->volume = context_.volume;
    record->disk_sequence.store(segment_sequence_, std::memory_order_relaxed);
    record->disk_address.store(address_, std::memory_order_release);
  }
  context_.counters->reads_under_way.fetch_sub(1, std::memory_order_relaxed);
  delete this;
  done(context, status, std::move(record), hit);
}

}  // namespace millrace
