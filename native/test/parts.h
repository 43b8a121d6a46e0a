// Parts of bodies for the tests of incomplete objects: fills that bring one, and which bytes are stored.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/store.h"
#include "test/support.h"

namespace millrace::test {

// The head of an object of this length that promises nothing.
std::vector<uint8_t> incomplete_head(uint64_t length, HeadOptions options = {});
bool is_incomplete(const MemoryRecord& record);

// A fill of [begin, end) of a body of this length. Without `known` it is the first part of a new version.
Ref<Fill> begin_part(Store& store, const std::string& key, ByteOffset begin, ByteOffset end,
                     const Ref<MemoryRecord>& known, uint64_t length,
                     const PutOptions& options = {});
// A whole one, added to what a request finds before it asks for it, or of a new version. Returns what is
// found then.
Ref<MemoryRecord> put_part(Store& store, const std::string& key, Bytes body, ByteOffset begin,
                           ByteOffset end, bool is_new = false, const PutOptions& options = {});

// Brings what lies on the device into memory where only that tells its bounds.
ByteOffset stored_end(Store& store, const Ref<MemoryRecord>& record, ByteOffset offset,
                      ByteOffset end);
// All runs of stored bytes: begin and end of each.
std::vector<std::pair<ByteOffset, ByteOffset>> stored_runs(Store& store,
                                                           const Ref<MemoryRecord>& record);

}  // namespace millrace::test
