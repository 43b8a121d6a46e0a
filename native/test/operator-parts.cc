// Parts of bodies in the operation fuzzer: incomplete objects that several threads add to while others purge
// and replace them. See operator.h.
#include <algorithm>

#include "layout/head.h"
#include "test/operator.h"
#include "test/parts.h"

namespace millrace::test {

// Begins on 64 bytes, like every stamp. Half of them bring all that lacks behind what is there.
void Operator::choose_part(const Ref<MemoryRecord>& known, size_t size, FillHead* part) {
  const size_t units = (size + 63) / 64;
  if (random_.below(2) == 0) {
    uint32_t unread = Store::kNoChunk;
    const size_t stored = known ? store_.stored_end(*known, 0, size, &unread) / 64 : 0;
    part->part_begin = stored < units ? stored * 64 : 0;
    part->part_end = size;
    return;
  }
  const size_t first = random_.below(units);
  part->part_begin = first * 64;
  part->part_end = std::min(size, 64 * (first + 1 + random_.below(units - first)));
}

void Operator::put_part(uint32_t key) {
  History& history = life_.history;
  uint64_t old_head = 0;
  Ref<MemoryRecord> known = look_up(key, &old_head);
  if (known && !is_incomplete(*known)) known.reset();
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  const uint64_t head = history.begin_head(key, known ? history.version_of(old_head) : 0);
  const uint64_t version = history.version_of(head);
  const size_t size = size_of(version);
  if (size == 0) return;
  const uint64_t asked = history.now();
  const Ref<Fill> fill = store_.begin_fill(History::key_name(key), notice(sink, 0));
  history.born(head);
  FillHead part;
  part.key = History::key_name(key);
  part.head = head_of(head, version, kHeadAcceptsRanges | kHeadIncomplete, size);
  part.body_length = size;
  part.keep = true;
  part.may_compress = random_.below(2) == 0;
  part.known = known;
  choose_part(known, size, &part);
  const size_t begin = part.part_begin;
  const bool breaks_off = random_.below(6) == 0;
  const size_t end = breaks_off ? begin + (part.part_end - begin) / 128 * 64 : part.part_end;
  history.publishing(head);
  if (!fill->begin(std::move(part)).ok()) return life_.fail("a part does not begin");
  if (!append(*fill, *sink, key, version, begin, end)) return;
  if (breaks_off) {
    fill->fail();
  } else if (!fill->finish().ok()) {
    return life_.fail("a part does not end");
  }
  // Whether it was taken nobody tells: it never counts as what certainly replaced another version.
  history.published(head, false);
  life_.count(&OperationReport::parts);
  uint64_t found = 0;
  const Ref<MemoryRecord> now = look_up(key, &found);
  if (!known || found != head) return;
  // What was gone when the part was asked for may not have been made whole by it.
  life_.fail(history.judge_refresh(old_head, asked));
  if (!is_incomplete(*now)) life_.count(&OperationReport::completed);
}

void Operator::read_parts_of(const Ref<MemoryRecord>& record, uint32_t key, uint64_t version) {
  const RecordHeader& header = record->header;
  const ByteCount length = header.object_length;
  for (uint32_t i = 0; i < 3; i++) {
    const ByteOffset begin = i == 0 ? 0 : random_.below(length) / 64 * 64;
    uint32_t unread = Store::kNoChunk;
    ByteOffset end = store_.stored_end(*record, begin, length, &unread);
    // A piece on the disk tells its bounds when it was read.
    if (unread != Store::kNoChunk) end = std::min<ByteOffset>(begin + 640, length);
    std::vector<uint8_t> got;
    if (end <= begin ||
        !read_body(store_, header.hash, header.incarnation, length, begin, end - begin, &got)) {
      continue;
    }
    check_bytes(key, version, begin, std::move(got));
    life_.count(&OperationReport::part_reads);
  }
}

}  // namespace millrace::test
