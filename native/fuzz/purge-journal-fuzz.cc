// Fuzzes decode_purge_block. See fuzz.h.
#include "layout/purge-journal.h"

#include "fuzz/fuzz.h"

using namespace millrace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<uint8_t> block = fuzz::sized(Bytes(data + 1, size - 1), kPurgeBlockSize);
  if ((data[0] & fuzz::kFixChecksum) != 0) fuzz::put_checksum(block, 4092, 4092);
  const Result<PurgeBlock> decoded = decode_purge_block(block, fuzz::kUuid);
  if (!decoded.ok()) return 0;
  MR_ASSERT_OP(purge_entries_that_fit(decoded.value().entries), ==, decoded.value().entries.size());
  std::vector<uint8_t> again(kPurgeBlockSize);
  encode_purge_block(decoded.value(), decoded.value().entries, fuzz::kUuid, again);
  MR_ASSERT(again == block);
  return 0;
}
