// Fuzzes peek_record_distance and decode_record. See fuzz.h.
#include "layout/record.h"

#include "fuzz/fuzz.h"

using namespace millrace;

namespace {
constexpr size_t kChecksumOffset = 100;  // layout/record.cc

void fix(std::vector<uint8_t>& bytes, ByteCount distance) {
  store_le<uint32_t>(bytes, kChecksumOffset, 0);
  const uint32_t crc = crc32c(Bytes(bytes).first(distance));
  store_le<uint32_t>(bytes, kChecksumOffset, crc);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // Exactly as long as it is: a read behind it is an error that the sanitizer sees.
  std::vector<uint8_t> bytes(data + 1, data + size);
  const Result<ByteCount> distance = peek_record_distance(bytes);
  if (distance.ok()) {
    MR_ASSERT(is_aligned(distance.value(), kRecordGrain));
    MR_ASSERT_OP(distance.value(), <=, 1 * kMiB);
    if ((data[0] & fuzz::kFixChecksum) != 0) {
      bytes.resize(std::max<size_t>(bytes.size(), distance.value()));
      fix(bytes, distance.value());
    }
  }
  const Result<RecordView> record = decode_record(bytes);
  if (!record.ok()) return 0;
  const RecordView& view = record.value();
  std::vector<uint32_t> crcs;
  for (uint32_t i = 0; i < body_block_count(view.header); i++) crcs.push_back(view.block_crc(i));
  std::vector<uint8_t> again(record_body_distance(view.header));
  encode_record_header(view.header, crcs, view.key, view.meta, again);
  bytes.resize(again.size());
  MR_ASSERT(again == bytes);
  const ByteOffset start = place_record(kBlockAlignment, view.header);
  MR_ASSERT(start >= kBlockAlignment && is_aligned(start, kRecordGrain));
  return 0;
}
