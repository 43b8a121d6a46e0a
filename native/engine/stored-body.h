// The way from stored blocks to raw pages: checks and decompresses some blocks of a compressed record, from
// wherever their bytes lie. Callable from any thread; memory comes from the pool, the 64 KiB in which a
// block that two pages share is put together included.
#pragma once

#include <string>
#include <vector>

#include "engine/memory-record.h"

namespace millrace {

// Appends blocks [first, first + count) of `view` to `out`, one page or cell each. `stored` begins with the
// first byte of block `first`. The checksums are compared where `check` says so; a block that does not
// decompress to its exact length is corrupt in any case. again: no free page.
Status decode_stored_blocks(PagePool& pool, const RecordView& view, uint32_t first, uint32_t count,
                            std::span<const Bytes> stored, bool check, std::vector<PageSpan>* out);

// The whole record in its raw form, where its body is compressed.
Result<Ref<MemoryRecord>> decode_stored_record(PagePool& pool, const RecordView& view,
                                               const std::string& key,
                                               std::span<const Bytes> stored, bool check);

}  // namespace millrace
