// The write head's thread. See appender.h; segment life (open, seal, zero ahead) is in
// appender-segments.cc.
#include "engine/appender.h"

#include <cstdlib>
#include <cstring>

#include "base/clock.h"
#include "engine/aligned-buffer.h"
#include "engine/judge.h"

namespace millrace {

Appender::Appender(Device& device, Ring& ring, Index& index, Staging& staging,
                   Reclaimer& reclaimer, Counters& counters, const AppenderOptions& options)
    : device_(device),
      ring_(ring),
      index_(index),
      staging_(staging),
      reclaimer_(reclaimer),
      counters_(counters),
      options_(options),
      segment_size_(ring.geometry().segment_size),
      next_sequence_(options.next_sequence),
      next_segment_(options.first_segment),
      memory_(nullptr, &std::free) {
  void* memory = nullptr;
  MR_ASSERT(posix_memalign(&memory, kPageSize, kBufferCount * kBufferSize) == 0);
  memory_.reset(static_cast<uint8_t*>(memory));
  for (uint32_t i = 0; i < kBufferCount; i++) buffers_[i].memory = memory_.get() + i * kBufferSize;
  for (Write& write : writes_) write.appender = this;
  if (options.compress) compressor_ = std::make_unique<BodyCompressor>(counters);
}

Appender::~Appender() {
  MR_ASSERT(!started_);
  std::free(zero_ahead_.zeros);
}

void Appender::start() {
  MR_ASSERT(!started_);
  started_ = true;
  thread_.start(&Appender::run_thread, this);
}

void Appender::stop() {
  if (!started_) return;
  staging_.close();
  thread_.join();
  started_ = false;
}

void* Appender::run_thread(void* self) {
  name_this_thread("millrace-append");
  static_cast<Appender*>(self)->run();
  return nullptr;
}

void Appender::run() {
  for (;;) {
    uint64_t wait_ms = 1000;
    if (oldest_unflushed_ms_ != 0) {
      const uint64_t age = monotonic_ms() - oldest_unflushed_ms_;
      if (age >= kFlushAfterMs) flush_partial();
      wait_ms = age >= kFlushAfterMs ? 1000 : kFlushAfterMs - age;
    }
    let_reclaim_catch_up();
    const Ref<MemoryRecord> record = staging_.take(wait_ms);
    handle_failures();
    // One survivor beside each new record: neither waits for all of the other kind.
    if (Reinsertion* survivor = reclaimer_.next()) {
      reinsert(survivor);
      reclaimer_.settle(survivor);
    }
    if (record) {
      append(record);
    } else if (staging_.closed()) {
      break;
    }
  }
  if (is_open_) {
    flush_partial();
    seal_segment();
  }
  wait_for_writes();
  MutexLock lock(mutex_);
  while (zero_ahead_.busy) condition_.wait(mutex_);
}

// The version that it was to replace, which a purge by tag may not concern, must not be found in its place.
void Appender::give_up(const Ref<MemoryRecord>& record) {
  staging_.settle(record, [&] {
    const KeyHash& hash = record->header.hash;
    if (record->header.kind == RecordKind::chunk) return;
    if (options_.forgotten != nullptr) options_.forgotten->add(hash.low);
    index_.remove_heads(hash.low);
  });
}

void Appender::append(const Ref<MemoryRecord>& record) {
  if (!staging_.is_current(record)) {
    staging_.settle(record);
    return;
  }
  RecordHeader header = record->header;
  ByteOffset start = 0;
  const bool compressed =
      compressor_ && !writes_off() && compressor_->compress(*record, &header);
  if (writes_off() || !make_room(header, true, &start)) {
    give_up(record);
    Counters::add(counters_.writes_dropped);
    return;
  }
  // In this order: whoever forgets a purge looks for the oldest birth after he has told of it (purges.h).
  ring_.note_birth(segment_, header.birth);
  if (options_.purges != nullptr &&
      judge(*options_.purges, options_.hash_key, *record) == PurgeVerdict::gone) {
    give_up(record);
    return;
  }
  header.segment_sequence = sequence_;
  uint32_t raw_crcs[kPagesPerChunk];
  std::span<const uint32_t> crcs;
  if (compressed) {
    crcs = compressor_->crcs();
  } else {
    crcs = std::span<const uint32_t>(raw_crcs, body_block_crcs(record->body, raw_crcs));
  }
  MR_ASSERT_OP(crcs.size(), ==, body_block_count(header));
  const ByteCount distance = record_body_distance(header);
  scratch_.assign(distance, 0);
  const Bytes key(reinterpret_cast<const uint8_t*>(record->key.data()), record->key.size());
  encode_record_header(header, crcs, key, record->head_bytes(), scratch_,
                       compressed ? compressor_->lengths() : std::span<const uint32_t>());
  zero_in(head_, start);
  head_ = start;
  copy_in(head_, scratch_);
  head_ += distance;
  if (compressed) {
    copy_in(head_, compressor_->stored());
    head_ += header.stored_length;
  } else {
    for (const PageSpan& span : record->body) {
      copy_in(head_, Bytes(span.data(), span.length));
      head_ += span.length;
    }
  }
  const ByteOffset end = start + record_length(header);
  zero_in(head_, end);
  head_ = end;
  const ByteOffset address = ring_.geometry().segment_offset(segment_) + start;
  make_readable();
  staging_.settle(record, [&] {
    record->disk_sequence.store(sequence_, std::memory_order_relaxed);
    record->disk_address.store(address, std::memory_order_release);
    index_.insert(header.hash.low, address, record_length(header), header.kind, address);
    footer_.entries.push_back(FooterEntry{
        header.hash.low, header.birth, static_cast<uint32_t>(start / kRecordGrain),
        static_cast<uint32_t>(record_length(header) / kRecordGrain),
        static_cast<uint8_t>(header.kind)});
    Counters::add(counters_.records_appended);
    Counters::add(counters_.admitted_bytes, ByteCount{header.body_length} + header.meta_length);
    Counters::add(counters_.stored_bytes, ByteCount{header.stored_length} + header.meta_length);
  });
  if (oldest_unflushed_ms_ == 0) oldest_unflushed_ms_ = monotonic_ms();
}

// Everything below the write head may be read from the buffers from now on.
void Appender::make_readable() {
  const ByteOffset segment_start = ring_.geometry().segment_offset(segment_);
  const ByteOffset device_head = segment_start + head_;
  MutexLock lock(mutex_);
  for (Buffer& buffer : buffers_) {
    if (!buffer.active || buffer.device_offset < segment_start) continue;
    if (device_head <= buffer.device_offset) continue;
    const ByteCount filled = device_head - buffer.device_offset;
    buffer.readable = static_cast<uint32_t>(filled < kBufferSize ? filled : kBufferSize);
  }
}

bool Appender::make_room(const RecordHeader& header, bool waits, ByteOffset* start) {
  for (uint32_t attempt = 0; attempt < 2; attempt++) {
    if (!is_open_ && !open_segment(waits)) return false;
    *start = place_record(head_, header);
    const ByteCount entries = footer_.entries.size() + 1;
    if (*start + record_length(header) + footer_size(entries) <= segment_size_) return true;
    // A record always fits an empty segment: the smallest is 4 MiB, a record little more than 1 MiB.
    flush_partial();
    seal_segment();
  }
  MR_UNREACHABLE();
}

Appender::Buffer* Appender::buffer_at(ByteOffset offset) {
  const ByteOffset device_offset =
      round_down(ring_.geometry().segment_offset(segment_) + offset, kBufferSize);
  if (current_ != nullptr && current_->device_offset == device_offset) return current_;
  if (current_ != nullptr) submit_current(current_->device_offset + kBufferSize);
  MutexLock lock(mutex_);
  for (;;) {
    // The one that was filled longest ago: readers rely on windows leaving memory in order.
    Buffer* oldest = nullptr;
    for (Buffer& buffer : buffers_) {
      if (buffer.active && (&buffer == current_ || buffer.pending > 0 || buffer.pins > 0)) continue;
      if (oldest == nullptr || buffer.opened < oldest->opened) oldest = &buffer;
    }
    if (oldest != nullptr) {
      oldest->active = true;
      oldest->opened = ++buffers_opened_;
      oldest->device_offset = device_offset;
      oldest->readable = 0;
      oldest->submitted = 0;
      current_ = oldest;
      return current_;
    }
    condition_.wait(mutex_);
  }
}

void Appender::copy_in(ByteOffset offset, Bytes bytes) {
  while (!bytes.empty()) {
    Buffer* buffer = buffer_at(offset);
    const ByteCount at = (ring_.geometry().segment_offset(segment_) + offset) % kBufferSize;
    const ByteCount room = kBufferSize - at;
    const ByteCount count = bytes.size() < room ? bytes.size() : room;
    std::memcpy(buffer->memory + at, bytes.data(), count);
    bytes = bytes.subspan(count);
    offset += count;
  }
}

void Appender::zero_in(ByteOffset from, ByteOffset to) {
  while (from < to) {
    Buffer* buffer = buffer_at(from);
    const ByteCount at = (ring_.geometry().segment_offset(segment_) + from) % kBufferSize;
    const ByteCount room = kBufferSize - at;
    const ByteCount count = to - from < room ? to - from : room;
    std::memset(buffer->memory + at, 0, count);
    from += count;
  }
}

void Appender::submit_current(ByteOffset end) {
  Buffer* buffer = current_;
  const ByteOffset segment_start = ring_.geometry().segment_offset(segment_);
  MR_ASSERT_OP(end, <=, buffer->device_offset + kBufferSize);
  Write* write = nullptr;
  {
    MutexLock lock(mutex_);
    const ByteOffset begin = buffer->device_offset + buffer->submitted;
    if (begin >= end) return;
    MR_ASSERT(is_aligned(begin, kBlockAlignment) && is_aligned(end, kBlockAlignment));
    while (write == nullptr) {
      for (Write& candidate : writes_) {
        if (!candidate.in_use) {
          write = &candidate;
          break;
        }
      }
      if (write == nullptr) condition_.wait(mutex_);
    }
    write->in_use = true;
    write->done = false;
    write->buffer = buffer;
    write->segment_sequence = sequence_;
    write->end = end - segment_start;
    write->records_before = counters_.records_appended.load(std::memory_order_relaxed);
    write->request = IoRequest{};
    write->request.operation = IoOperation::write;
    write->request.offset = begin;
    write->request.span_count = 1;
    write->request.spans[0] = iovec{buffer->memory + buffer->submitted, end - begin};
    write->request.done = &Appender::write_done;
    write->request.context = write;
    buffer->submitted = static_cast<uint32_t>(end - buffer->device_offset);
    buffer->pending++;
    in_order_.push_back(write);
  }
  Counters::add(counters_.device_writes);
  Counters::add(counters_.device_written_bytes, write->request.length());
  Status status = device_.submit(&write->request);
  while (!status.ok() && status.code() == Code::again) {
    MutexLock lock(mutex_);
    condition_.wait_for(mutex_, 1);
    status = device_.submit(&write->request);
  }
  if (!status.ok()) {
    write->request.result = status;
    finish_write(write);
  }
}

void Appender::flush_partial() {
  oldest_unflushed_ms_ = 0;
  if (current_ == nullptr) return;
  const ByteCount padding =
      options_.block_size < kBlockAlignment ? kBlockAlignment : options_.block_size;
  const ByteOffset padded = round_up(head_, padding);
  // The footer's place at the segment's end is padded to 4096 only.
  const ByteOffset end = padded <= segment_size_ - footer_size(footer_.entries.size())
                             ? padded
                             : round_up(head_, kBlockAlignment);
  if (end != head_) zero_in(head_, end);
  head_ = end;
  const ByteOffset device_end = ring_.geometry().segment_offset(segment_) + end;
  const ByteOffset window_end = current_->device_offset + kBufferSize;
  submit_current(device_end < window_end ? device_end : window_end);
}

void Appender::write_done(IoRequest* request) {
  auto* write = static_cast<Write*>(request->context);
  write->appender->finish_write(write);
}

void Appender::finish_write(Write* write) {
  {
    MutexLock lock(mutex_);
    write->done = true;
    MR_ASSERT(write->buffer->pending > 0);
    write->buffer->pending--;
    if (!write->request.result.ok()) {
      Counters::add(counters_.write_errors);
      has_failure_ = true;
      errors_in_a_row_++;
      if (write->segment_sequence == sequence_) {
        const ByteOffset from =
            write->request.offset - ring_.geometry().segment_offset(segment_);
        if (from < failed_from_) failed_from_ = from;
      }
    } else {
      errors_in_a_row_ = 0;
    }
    while (!in_order_.empty() && in_order_.front()->done) {
      Write* first = in_order_.front();
      in_order_.pop_front();
      if (!has_failure_) {
        flushed_ = FlushedPosition{first->segment_sequence, first->end};
        counters_.records_flushed.store(first->records_before, std::memory_order_relaxed);
      }
      first->in_use = false;
    }
  }
  condition_.broadcast();
}

void Appender::wait_for_writes() {
  MutexLock lock(mutex_);
  while (!in_order_.empty()) condition_.wait(mutex_);
}

bool Appender::copy_from_buffers(ByteOffset offset, MutableBytes out) {
  MR_ASSERT(out.size() > 0 &&
            round_down(offset, kBufferSize) == round_down(offset + out.size() - 1, kBufferSize));
  Buffer* found = nullptr;
  ByteCount readable = 0;
  {
    MutexLock lock(mutex_);
    for (Buffer& buffer : buffers_) {
      if (buffer.active && buffer.device_offset == round_down(offset, kBufferSize)) {
        found = &buffer;
        found->pins++;
        readable = buffer.readable;
        break;
      }
    }
  }
  if (found == nullptr) return false;
  const ByteCount at = offset % kBufferSize;
  const ByteCount count = readable > at ? readable - at : 0;
  const ByteCount copied = count < out.size() ? count : out.size();
  std::memcpy(out.data(), found->memory + at, copied);
  std::memset(out.data() + copied, 0, out.size() - copied);
  {
    MutexLock lock(mutex_);
    found->pins--;
  }
  condition_.broadcast();
  return true;
}

FlushedPosition Appender::flushed() {
  MutexLock lock(mutex_);
  return flushed_;
}

}  // namespace millrace
