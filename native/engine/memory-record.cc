// Building and slicing of in-memory records. See memory-record.h.
#include "engine/memory-record.h"

#include <atomic>
#include <cstring>

#include "base/crc32c.h"

namespace millrace {

namespace {
constexpr ByteCount kLargestCell = kPageSize / 2;
}

uint64_t MemoryRecord::next_serial() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

void MemoryRecord::seal() {
  charge_ = kOverhead;
  if (head.page) charge_ += head.page.capacity();
  ByteCount length = 0;
  for (const PageSpan& span : body) {
    length += span.length;
    const bool shares_head = head.page && span.page.data() == head.page.data();
    if (!shares_head) charge_ += span.page.capacity();
  }
  MR_ASSERT_OP(length, ==, header.body_length);
}

std::vector<PageSpan> MemoryRecord::slice(ByteCount begin, ByteCount length) const {
  MR_ASSERT_OP(begin + length, <=, header.body_length);
  std::vector<PageSpan> out;
  ByteCount position = 0;
  for (const PageSpan& span : body) {
    const ByteCount end = position + span.length;
    if (end > begin && position < begin + length) {
      const ByteCount from = begin > position ? begin - position : 0;
      const ByteCount to = end < begin + length ? span.length : begin + length - position;
      PageSpan part = span.share();
      part.offset += static_cast<uint32_t>(from);
      part.length = static_cast<uint32_t>(to - from);
      out.push_back(std::move(part));
    }
    position = end;
    if (position >= begin + length) break;
  }
  return out;
}

uint32_t body_block_crcs(const std::vector<PageSpan>& body,
                         std::span<uint32_t, kPagesPerChunk> out) {
  uint32_t blocks = 0;
  ByteCount in_block = 0;
  uint32_t crc = 0;
  for (const PageSpan& span : body) {
    Bytes rest(span.data(), span.length);
    while (!rest.empty()) {
      const ByteCount room = kPageSize - in_block;
      const Bytes part = rest.first(rest.size() < room ? rest.size() : room);
      crc = crc32c(part, in_block == 0 ? 0 : crc);
      in_block += part.size();
      rest = rest.subspan(part.size());
      if (in_block < kPageSize) continue;
      MR_ASSERT_OP(blocks, <, kPagesPerChunk);
      out[blocks++] = crc;
      in_block = 0;
    }
  }
  if (in_block > 0) {
    MR_ASSERT_OP(blocks, <, kPagesPerChunk);
    out[blocks++] = crc;
  }
  return blocks;
}

Ref<MemoryRecord> copy_record(PagePool& pool, const RecordHeader& header, std::string key, Bytes head,
                              std::span<const Bytes> body) {
  auto record = Ref<MemoryRecord>::adopt(new MemoryRecord());
  record->header = header;
  record->key = std::move(key);
  ByteCount body_length = 0;
  for (const Bytes part : body) body_length += part.size();
  MR_ASSERT_OP(body_length, ==, header.body_length);
  MR_ASSERT(head.size() <= kPageSize);
  const bool together = head.size() + body_length <= kLargestCell && head.size() + body_length > 0;
  PageRef cell;
  uint32_t used = 0;
  if (together) {
    cell = pool.allocate(head.size() + body_length);
    if (!cell) return Ref<MemoryRecord>();
  }
  if (!head.empty()) {
    PageRef page = together ? cell.share() : pool.allocate(head.size());
    if (!page) return Ref<MemoryRecord>();
    std::memcpy(page.data(), head.data(), head.size());
    record->head = PageSpan{std::move(page), 0, static_cast<uint32_t>(head.size())};
    used = together ? static_cast<uint32_t>(head.size()) : 0;
  }
  PageSpan current;
  if (together) current = PageSpan{std::move(cell), used, 0};
  for (Bytes part : body) {
    while (!part.empty()) {
      if (!current.page) {
        current = PageSpan{pool.allocate(), 0, 0};
        if (!current.page) return Ref<MemoryRecord>();
      }
      const ByteCount room = current.page.capacity() - current.offset - current.length;
      const ByteCount count = part.size() < room ? part.size() : room;
      std::memcpy(current.data() + current.length, part.data(), count);
      current.length += static_cast<uint32_t>(count);
      part = part.subspan(count);
      if (current.offset + current.length == current.page.capacity() && !part.empty()) {
        record->body.push_back(std::move(current));
        current = PageSpan();
      }
    }
    if (current.page && current.length > 0 &&
        current.offset + current.length == current.page.capacity()) {
      record->body.push_back(std::move(current));
      current = PageSpan();
    }
  }
  if (current.page && current.length > 0) record->body.push_back(std::move(current));
  compact_and_seal(pool, *record);
  return record;
}

void compact_and_seal(PagePool& pool, MemoryRecord& record) {
  if (!record.body.empty()) {
    PageSpan& last = record.body.back();
    const bool shares_head = record.head.page && last.page.data() == record.head.page.data();
    if (!shares_head && last.length <= kLargestCell && last.page.capacity() == kPageSize) {
      PageRef cell = pool.allocate(last.length);
      if (cell) {
        std::memcpy(cell.data(), last.data(), last.length);
        last = PageSpan{std::move(cell), 0, last.length};
      }
    }
  }
  record.seal();
}

}  // namespace millrace
