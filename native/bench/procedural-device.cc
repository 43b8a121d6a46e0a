// Bytes of a full disk, made when they are read. See procedural-device.h.
#include "bench/procedural-device.h"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"
#include "bench/bench.h"
#include "layout/head.h"
#include "layout/key.h"

namespace millrace::bench {

namespace {

constexpr uint64_t kIncarnation = 1;  // of every version
constexpr ByteCount kChunkStride = kChunkSize + kBlockAlignment;

uint64_t thread_cpu_ns() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * 1000000000u + static_cast<uint64_t>(used.tv_nsec);
}

Bytes bytes_of(const std::string& text) {
  return Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

}  // namespace

ProceduralDevice::ProceduralDevice(Contents contents, uint64_t records, ByteCount size)
    : contents_(contents) {
  const ByteCount segment_size = kMaximumSegmentSize;
  const bool is_small = contents == Contents::singles;
  stride_ = is_small ? kSmallBody + kRecordGrain : kChunkStride;
  // The head record of the chunks takes the place of one more chunk.
  per_segment_ = static_cast<uint32_t>((segment_size - 2 * kSegmentHeaderSize) / stride_);
  while (per_segment_ * stride_ + kSegmentHeaderSize + kBlockAlignment + footer_size(per_segment_) >
         segment_size) {
    per_segment_--;
  }
  if (records > 0) {
    size = (records / per_segment_ + 1) * segment_size + kJournalOffset + 2 * kJournalSize + kMiB;
  }
  facts_.path = "procedural device";
  facts_.size = size;
  superblock_.geometry = geometry_of(size).value();
  MR_ASSERT_OP(superblock_.geometry.segment_size, ==, segment_size);
  for (uint8_t i = 0; i < 16; i++) superblock_.uuid[i] = superblock_.hash_key[i] = uint8_t(i + 1);
  superblock_.superblock_sequence = 1;
  superblock_.clean = false;
  superblock_.next_incarnation = uint64_t{1} << 32;
  record_count_ = uint64_t{per_segment_} * segment_count();
  head_ = head_of(is_small ? kSmallBody : ByteCount{per_segment_ - 1} * kChunkSize);
  std::vector<uint8_t> page(kSuperblockSize);
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    encode_superblock(superblock_, copy, page);
    write_piece(superblock_.geometry.superblock_offset(copy), page);
  }
  trailers_.resize(segment_count());
  for (SegmentId segment = 0; segment < segment_count(); segment++) {
    const std::vector<uint8_t> footer = footer_bytes(segment);
    std::memcpy(trailers_[segment].data(), footer.data() + footer.size() - kPiece, kPiece);
  }
  for (Thread& thread : threads_) thread.start(&ProceduralDevice::run_thread, this);
}

ProceduralDevice::~ProceduralDevice() { close(); }

uint64_t ProceduralDevice::objects() const {
  return contents_ == Contents::singles ? record_count_ : segment_count();
}

std::string ProceduralDevice::key_of(uint64_t object) {
  return "http://procedural.example/" + std::to_string(object);
}

// Short, so that header, key and head of a small record fit one grain.
std::vector<uint8_t> ProceduralDevice::head_of(ByteCount body_length) {
  static const std::string etag = "\"1\"";
  static const std::string fields = "Content-Type: application/octet-stream\r\nServer: origin\r\n";
  HeadView head;
  head.status = 200;
  head.flags = kHeadStrongValidator;
  head.fresh_until_ms = ~uint64_t{0} >> 1;
  head.body_length = body_length;
  head.etag = bytes_of(etag);
  head.fields = bytes_of(fields);
  std::vector<uint8_t> out(encoded_head_size(head));
  encode_head(head, out);
  return out;
}

void ProceduralDevice::body_of(uint64_t object, uint32_t chunk, MutableBytes out) {
  for (size_t at = 0; at < out.size(); at += 8) {
    store_le<uint64_t>(out, at, object * 0x9e3779b97f4a7c15u + (uint64_t{chunk} << 32) + at);
  }
}

// Small records lie side by side; a chunk's header ends where its body begins, on 4096.
ByteOffset ProceduralDevice::offset_of(uint32_t number) const {
  const bool is_small = contents_ == Contents::singles;
  const ByteOffset first =
      is_small ? kSegmentHeaderSize : kSegmentHeaderSize + kBlockAlignment - kRecordGrain;
  return first + number * stride_;
}

RecordHeader ProceduralDevice::header_of(SegmentId segment, uint32_t number) const {
  RecordHeader header;
  const bool is_small = contents_ == Contents::singles;
  const uint64_t object = is_small ? uint64_t{segment} * per_segment_ + number : segment;
  const std::string key = key_of(object);
  header.hash = siphash_128(superblock_.hash_key, bytes_of(key));
  header.segment_sequence = segment + 1;
  header.birth = uint64_t{segment} * per_segment_ + number + 1;
  header.incarnation = kIncarnation;
  header.kind = RecordKind::single;
  header.object_length = is_small ? kSmallBody : ByteCount{per_segment_ - 1} * kChunkSize;
  if (!is_small && number + 1 < per_segment_) {
    header.kind = RecordKind::chunk;
    header.hash = chunk_hash(superblock_.hash_key, header.hash, kIncarnation, number);
    header.chunk_number = number;
    header.body_length = kChunkSize;
  } else {
    header.kind = is_small ? RecordKind::single : RecordKind::head;
    header.key_length = static_cast<uint32_t>(key.size());
    header.meta_length = static_cast<uint32_t>(head_.size());
    header.body_length = is_small ? kSmallBody : 0;
  }
  header.interval_end = header.stored_length = header.body_length;
  return header;
}

SegmentFooter ProceduralDevice::footer_of(SegmentId segment) const {
  SegmentFooter footer;
  footer.header = SegmentHeader{segment, segment + 1u, superblock_.uuid, 1};
  footer.entries.reserve(per_segment_);
  for (uint32_t number = 0; number < per_segment_; number++) {
    const RecordHeader header = header_of(segment, number);
    footer.entries.push_back(FooterEntry{
        header.hash.low, header.birth, static_cast<uint32_t>(offset_of(number) / kRecordGrain),
        static_cast<uint32_t>(record_length(header) / kRecordGrain),
        static_cast<uint8_t>(header.kind)});
  }
  footer.minimum_birth = footer.entries.front().birth;
  footer.maximum_birth = footer.entries.back().birth;
  return footer;
}

std::vector<uint8_t> ProceduralDevice::footer_bytes(SegmentId segment) const {
  std::vector<uint8_t> footer(footer_size(per_segment_));
  encode_footer(footer_of(segment), footer);
  return footer;
}

void ProceduralDevice::make_record(SegmentId segment, uint32_t number, MutableBytes out) const {
  const RecordHeader header = header_of(segment, number);
  const bool is_small = contents_ == Contents::singles;
  const uint64_t object = is_small ? uint64_t{segment} * per_segment_ + number : segment;
  const ByteCount distance = record_body_distance(header);
  MR_ASSERT_OP(distance, ==, kRecordGrain);
  const MutableBytes body = out.subspan(distance, header.body_length);
  body_of(object, header.chunk_number, body);
  std::vector<uint32_t> crcs;
  for (uint32_t block = 0; block < body_block_count(header); block++) {
    crcs.push_back(crc32c(body.subspan(block * kPageSize, raw_block_length(header, block))));
  }
  const std::string key = header.kind == RecordKind::chunk ? std::string() : key_of(object);
  const Bytes meta = header.kind == RecordKind::chunk ? Bytes() : Bytes(head_);
  encode_record_header(header, crcs, bytes_of(key), meta, out.first(distance));
}

void ProceduralDevice::make_records(SegmentId segment, ByteOffset begin, MutableBytes out) {
  const ByteOffset end = begin + out.size();
  std::vector<uint8_t> record(stride_);
  const ByteOffset first = offset_of(0);
  uint32_t number = begin <= first ? 0 : static_cast<uint32_t>((begin - first) / stride_);
  for (; number < per_segment_ && offset_of(number) < end; number++) {
    std::fill(record.begin(), record.end(), uint8_t{0});
    make_record(segment, number, record);
    const ByteOffset at = offset_of(number);
    const ByteOffset from = std::max(at, begin);
    const ByteOffset to = std::min(at + stride_, end);
    if (from < to) std::memcpy(out.data() + (from - begin), record.data() + (from - at), to - from);
  }
}

// Within one segment, or outside of all.
void ProceduralDevice::make(ByteOffset offset, MutableBytes out) {
  std::fill(out.begin(), out.end(), uint8_t{0});
  const Geometry& geometry = superblock_.geometry;
  const ByteCount all = ByteCount{geometry.segment_count} * geometry.segment_size;
  if (offset < geometry.segments_offset || offset >= geometry.segments_offset + all) return;
  const auto segment =
      static_cast<SegmentId>((offset - geometry.segments_offset) / geometry.segment_size);
  const ByteOffset begin = offset - geometry.segment_offset(segment);
  const ByteOffset footer_begin = geometry.segment_size - footer_size(per_segment_);
  if (begin == 0) {
    encode_segment_header(SegmentHeader{segment, segment + 1u, superblock_.uuid, 1},
                          out.first(kSegmentHeaderSize));
  } else if (begin + kPiece == geometry.segment_size) {
    std::memcpy(out.data(), trailers_[segment].data(), kPiece);
  } else if (begin >= footer_begin) {
    const std::vector<uint8_t> footer = footer_bytes(segment);
    std::memcpy(out.data(), footer.data() + (begin - footer_begin), out.size());
  } else {
    make_records(segment, begin, out);
  }
}

void ProceduralDevice::write_piece(ByteOffset offset, Bytes bytes) {
  MutexLock lock(written_mutex_);
  std::unique_ptr<Piece>& piece = written_[offset];
  if (!piece) piece = std::make_unique<Piece>();
  std::memcpy(piece->data(), bytes.data(), kPiece);
}

void ProceduralDevice::execute(IoRequest* request) {
  if (request->operation == IoOperation::flush) return;
  const Geometry& geometry = superblock_.geometry;
  const ByteOffset first = geometry.segments_offset;
  ByteOffset offset = request->offset;
  for (uint32_t i = 0; i < request->span_count; i++) {
    const MutableBytes span(static_cast<uint8_t*>(request->spans[i].iov_base),
                            request->spans[i].iov_len);
    if (request->operation == IoOperation::write) {
      for (size_t at = 0; at < span.size(); at += kPiece)
        write_piece(offset + at, span.subspan(at, kPiece));
      written_bytes_.fetch_add(span.size());
    } else {
      for (size_t at = 0; at < span.size();) {
        // Not across the end of a segment, nor out of its header or into its trailer.
        const ByteOffset in_segment =
            offset + at >= first ? (offset + at - first) % geometry.segment_size : 0;
        ByteCount length = kPiece;
        if (offset + at >= first && in_segment > 0) {
          const ByteOffset footer_begin = geometry.segment_size - footer_size(per_segment_);
          const ByteOffset stop =
              in_segment < footer_begin ? footer_begin : geometry.segment_size - kPiece;
          if (stop > in_segment) length = std::min<ByteCount>(span.size() - at, stop - in_segment);
        }
        make(offset + at, span.subspan(at, length));
        at += length;
      }
      MutexLock lock(written_mutex_);
      for (size_t at = 0; at < span.size(); at += kPiece) {
        const auto found = written_.find(offset + at);
        if (found != written_.end()) std::memcpy(span.data() + at, found->second->data(), kPiece);
      }
      reads_.fetch_add(1);
      read_bytes_.fetch_add(span.size());
    }
    offset += span.size();
  }
}

Status ProceduralDevice::submit(IoRequest* request) {
  {
    MutexLock lock(mutex_);
    if (closed_) return Status(Code::closed, "the device is closed");
    queue_.push_back(request);
  }
  condition_.signal();
  return Status();
}

void* ProceduralDevice::run_thread(void* self) {
  static_cast<ProceduralDevice*>(self)->run();
  return nullptr;
}

void ProceduralDevice::run() {
  for (;;) {
    IoRequest* request = nullptr;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !closed_) condition_.wait(mutex_);
      if (queue_.empty()) return;
      request = queue_.front();
      queue_.pop_front();
    }
    const uint64_t started = thread_cpu_ns();
    execute(request);
    cpu_ns_.fetch_add(thread_cpu_ns() - started);
    request->result = Status();
    request->done(request);
  }
}

void ProceduralDevice::close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  condition_.broadcast();
  for (Thread& thread : threads_) thread.join();
}

}  // namespace millrace::bench
