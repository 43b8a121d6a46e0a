// One record as it lies in native memory: the decoded header, the key, the stored head and the body as
// page spans. Immutable once shared; readable from any thread. Fills make it, the memory tier, the
// appender's staging and disk reads hand it on; whoever serves from it holds a reference.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/ref.h"
#include "engine/pages.h"
#include "layout/record.h"

namespace millrace {

class MemoryRecord : public RefCounted<MemoryRecord> {
 public:
  // Charged to the memory tier's budget for each record beside its pages: this object, the key, the slot.
  static constexpr ByteCount kOverhead = 512;

  // Of this object in memory, not of the stored version: whoever keeps something about the record keeps it
  // under this number, which no other record of the process ever has.
  const uint64_t serial = next_serial();
  RecordHeader header{};
  uint32_t volume = 0;         // of the store: where its object belongs
  // No purge with a bound up to here concerns it; its birth says so too. Raised by judge() (judge.h).
  mutable std::atomic<Sequence> judged{0};
  // Where the disk has this very version, as far as this object was told: read from there, or written. 0: it
  // was not. The place counts while its segment has that sequence.
  mutable std::atomic<ByteOffset> disk_address{0};
  mutable std::atomic<Sequence> disk_sequence{0};
  std::string key;             // empty for chunks
  PageSpan head;               // the stored HTTP head; empty for chunks
  std::vector<PageSpan> body;  // in order; together header.body_length bytes
  // The disk tier may try to compress the body: its head says that it is not coded and not of a kind that
  // never shrinks, or it was compressed on the device it came from.
  bool may_compress = false;

  Bytes head_bytes() const {
    return head.page ? Bytes(head.data(), head.length) : Bytes();
  }
  ByteCount charge() const { return charge_; }
  // Sums up the pages; called once when everything is in place.
  void seal();
  // Shares the spans that cover body bytes [begin, begin + length).
  std::vector<PageSpan> slice(ByteCount begin, ByteCount length) const;

 private:
  static uint64_t next_serial();
  ByteCount charge_ = 0;
};

// CRC32C of each 64 KiB block of a body, however it is spread over spans; returns their number.
uint32_t body_block_crcs(const std::vector<PageSpan>& body,
                         std::span<uint32_t, kPagesPerChunk> out);

// A record whose head and body are copied into one cell where they fit half a page, or into pages of
// their own; null when the pool has no room.
Ref<MemoryRecord> copy_record(PagePool& pool, const RecordHeader& header, std::string key, Bytes head,
                              std::span<const Bytes> body);

// Moves a short tail of the last body page into a smaller cell, where the pool has one, and seals.
void compact_and_seal(PagePool& pool, MemoryRecord& record);

}  // namespace millrace
