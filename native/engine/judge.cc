// See judge.h.
#include "engine/judge.h"

#include <algorithm>

#include "layout/head.h"
#include "layout/key.h"

namespace millrace {

namespace {

PurgeSubject subject_of(const HashKey& hash_key, const RecordHeader& header, std::string_view key,
                        Bytes head) {
  PurgeSubject subject;
  subject.birth = header.birth;
  if (header.kind == RecordKind::chunk) return subject;
  const std::string_view primary = primary_of(key);
  const Bytes bytes(reinterpret_cast<const uint8_t*>(primary.data()), primary.size());
  subject.primary_hash =
      primary.size() == key.size() ? header.hash.low : siphash_128(hash_key, bytes).low;
  subject.key = primary;
  subject.tags = head_tags(head);
  return subject;
}

}  // namespace

PurgeVerdict judge(const Purges& purges, const HashKey& hash_key, const MemoryRecord& record) {
  const Sequence judged =
      std::max(record.header.birth, record.judged.load(std::memory_order_acquire));
  // Read before the tables, so that a purge in between is looked at again next time.
  const Sequence highest = purges.highest();
  if (judged < purges.forgotten()) return PurgeVerdict::gone;
  if (judged >= highest) return PurgeVerdict::keep;
  const PurgeVerdict verdict =
      purges.verdict(subject_of(hash_key, record.header, record.key, record.head_bytes()));
  if (verdict == PurgeVerdict::keep) record.judged.store(highest, std::memory_order_release);
  return verdict;
}

PurgeVerdict judge(const Purges& purges, const HashKey& hash_key, const RecordView& record) {
  if (record.header.birth < purges.forgotten()) return PurgeVerdict::gone;
  const std::string_view key(reinterpret_cast<const char*>(record.key.data()), record.key.size());
  return purges.verdict(subject_of(hash_key, record.header, key, record.meta));
}

}  // namespace millrace
