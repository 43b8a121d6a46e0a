// Fuzzes decode_superblock. See fuzz.h.
#include "layout/superblock.h"

#include "fuzz/fuzz.h"

using namespace millrace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<uint8_t> page = fuzz::sized(Bytes(data + 1, size - 1), kSuperblockSize);
  if ((data[0] & fuzz::kFixChecksum) != 0) fuzz::put_checksum(page, 4088, 4092);
  const Result<Superblock> superblock = decode_superblock(page);
  if (!superblock.ok()) return 0;
  const Superblock& value = superblock.value();
  MR_ASSERT(geometry_of(value.geometry.device_size).value() == value.geometry);
  // A later minor version may say more than we know.
  if (value.format_minor != kFormatMinor) return 0;
  std::vector<uint8_t> again(kSuperblockSize);
  encode_superblock(value, load_le<uint32_t>(page, 4088), again);
  MR_ASSERT(again == page);
  return 0;
}
