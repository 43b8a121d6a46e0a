// Fuzzes decode_head: the stored HTTP head has no checksum of its own, its record's covers it. See fuzz.h.
#include "layout/head.h"

#include "fuzz/fuzz.h"

using namespace millrace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  // The magic and the total length are two things that chance does not find.
  if (size > kHeadFixedSize && (bytes[size - 1] & 1) != 0) {
    store_le<uint32_t>(bytes, 0, kHeadMagic);
    store_le<uint32_t>(bytes, 104, static_cast<uint32_t>(size));
  }
  const Result<HeadView> head = decode_head(bytes);
  if (!head.ok()) return 0;
  const HeadView& view = head.value();
  std::vector<uint8_t> again(encoded_head_size(view));
  encode_head(view, again);
  const Result<HeadView> second = decode_head(again);
  MR_ASSERT(second.ok());
  const auto same = [](Bytes a, Bytes b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); };
  MR_ASSERT(second.value().flags == view.flags && second.value().body_length == view.body_length);
  MR_ASSERT(same(second.value().etag, view.etag) && same(second.value().vary, view.vary));
  MR_ASSERT(same(second.value().tags, view.tags) && same(second.value().fields, view.fields));
  MR_ASSERT(same(second.value().reason, view.reason));
  return 0;
}
