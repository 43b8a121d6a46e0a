// Parts of bodies for tests. See parts.h.
#include "test/parts.h"

#include "layout/head.h"

namespace millrace::test {

std::vector<uint8_t> incomplete_head(uint64_t length, HeadOptions options) {
  options.flags |= kHeadAcceptsRanges | kHeadIncomplete;
  options.body_length = length;
  return make_head(options);
}

bool is_incomplete(const MemoryRecord& record) {
  return (decode_head(record.head_bytes()).value().flags & kHeadIncomplete) != 0;
}

Ref<Fill> begin_part(Store& store, const std::string& key, ByteOffset begin, ByteOffset end,
                     const Ref<MemoryRecord>& known, uint64_t length, const PutOptions& options) {
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  const Ref<Fill> fill =
      store.begin_fill(options.primary.empty() ? key : options.primary, notice(sink, 0));
  FillHead head;
  head.key = key;
  head.head = incomplete_head(length, options.head);
  head.body_length = length;
  head.keep = true;
  head.may_compress = options.may_compress;
  head.part_begin = begin;
  head.part_end = end;
  head.known = known;
  REQUIRE(fill->begin(std::move(head)).ok());
  return fill;
}

Ref<MemoryRecord> put_part(Store& store, const std::string& key, Bytes body, ByteOffset begin,
                           ByteOffset end, bool is_new, const PutOptions& options) {
  const Lookup known = find(store, key);
  const Ref<Fill> fill = begin_part(store, key, begin, end,
                                    is_new ? Ref<MemoryRecord>() : known.record, body.size(), options);
  REQUIRE(fill->append(body.subspan(begin, end - begin)).accepted == end - begin);
  REQUIRE(fill->finish().ok());
  put_marker(*fill, options);
  return find(store, key).record;
}

ByteOffset stored_end(Store& store, const Ref<MemoryRecord>& record, ByteOffset offset,
                      ByteOffset end) {
  for (;;) {
    uint32_t unread = Store::kNoChunk;
    const ByteOffset found = store.stored_end(*record, offset, end, &unread);
    if (unread == Store::kNoChunk) return found;
    std::vector<uint8_t> ignored;
    (void)read_body(store, record->header.hash, record->header.incarnation,
                    record->header.object_length, ByteOffset{unread} * kChunkSize, 1, &ignored);
    if (!store.piece_in_memory(record->volume, record->header.hash, record->header.incarnation,
                               unread)) {
      return found;
    }
  }
}

std::vector<std::pair<ByteOffset, ByteOffset>> stored_runs(Store& store,
                                                           const Ref<MemoryRecord>& record) {
  const ByteCount length = record->header.object_length;
  for (ByteOffset at = 0; at < length; at += kChunkSize) (void)stored_end(store, record, at, length);
  std::vector<std::pair<ByteOffset, ByteOffset>> runs;
  for (ByteOffset at = 0; at < length;) {
    const ByteOffset begin = store.missing_end(*record, at, length);
    at = stored_end(store, record, begin, length);
    REQUIRE((at > begin || begin == length));
    if (begin < at) runs.emplace_back(begin, at);
  }
  return runs;
}

}  // namespace millrace::test
