// A record in memory before the purge tables. Callable from any thread; takes no lock where the record was
// born, or was judged before, after the last purge.
#pragma once

#include "base/siphash.h"
#include "engine/memory-record.h"
#include "engine/purges.h"

namespace millrace {

// `hash_key` is that of the record's volume. Variants are judged by their primary key as well. Chunks have
// neither key nor tags: nobody finds one but through its head, so only a purge of everything takes them.
//
// Who writes a record again (reinsertion at reclaim) calls Ring::note_birth with its birth first and judges
// it then (purges.h, announce_forget). One that is kept may be given `judged` as its birth: no purge up to
// there concerns it, and with its old birth it would keep every purge since then from being forgotten.
PurgeVerdict judge(const Purges& purges, const HashKey& hash_key, const MemoryRecord& record);

// The same of a record as it lies on the device.
PurgeVerdict judge(const Purges& purges, const HashKey& hash_key, const RecordView& record);

}  // namespace millrace
