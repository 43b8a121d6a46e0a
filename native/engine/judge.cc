// See judge.h.
#include "engine/judge.h"

#include <algorithm>

#include "layout/head.h"
#include "layout/key.h"

namespace millrace {

PurgeVerdict judge(const Purges& purges, const HashKey& hash_key, const MemoryRecord& record) {
  const Sequence judged =
      std::max(record.header.birth, record.judged.load(std::memory_order_acquire));
  // Read before the tables, so that a purge in between is looked at again next time.
  const Sequence highest = purges.highest();
  if (judged < purges.forgotten()) return PurgeVerdict::gone;
  if (judged >= highest) return PurgeVerdict::keep;
  PurgeSubject subject;
  subject.birth = record.header.birth;
  if (record.header.kind != RecordKind::chunk) {
    const std::string_view primary = primary_of(record.key);
    const Bytes bytes(reinterpret_cast<const uint8_t*>(primary.data()), primary.size());
    subject.primary_hash = primary.size() == record.key.size() ? record.header.hash.low
                                                               : siphash_128(hash_key, bytes).low;
    subject.key = primary;
    subject.tags = head_tags(record.head_bytes());
  }
  const PurgeVerdict verdict = purges.verdict(subject);
  if (verdict == PurgeVerdict::keep) record.judged.store(highest, std::memory_order_release);
  return verdict;
}

}  // namespace millrace
