// Fuzzes segment headers, footer trailers and footer entries. The second byte chooses which. See fuzz.h.
#include "layout/segment.h"

#include "fuzz/fuzz.h"

using namespace millrace;

namespace {

void fuzz_header(const std::vector<uint8_t>& page) {
  const Result<SegmentHeader> header = decode_segment_header(page, fuzz::kUuid);
  if (!header.ok()) return;
  std::vector<uint8_t> again(kSegmentHeaderSize);
  encode_segment_header(header.value(), again);
  MR_ASSERT(again == page);
}

void fuzz_trailer(const std::vector<uint8_t>& page) {
  const Result<FooterTrailer> trailer =
      decode_footer_trailer(page, fuzz::kUuid, kMinimumSegmentSize);
  if (!trailer.ok()) return;
  MR_ASSERT_OP(footer_size(trailer.value().entry_count), <, kMinimumSegmentSize);
}

// A whole footer: entries, padding and trailer, with both checksums put right.
void fuzz_footer(Bytes bytes, bool fixes) {
  const uint64_t count = bytes.size() / kFooterEntrySize;
  const ByteCount size = footer_size(count);
  std::vector<uint8_t> array = fuzz::sized(bytes, size - kFooterTrailerSize);
  if (fixes) std::fill(array.begin() + static_cast<std::ptrdiff_t>(count * kFooterEntrySize),
                       array.end(), uint8_t{0});
  FooterTrailer trailer;
  trailer.header = SegmentHeader{3, 9, fuzz::kUuid, 1};
  trailer.entry_count = count;
  trailer.entries_crc = crc32c(array);
  const auto entries = decode_footer_entries(trailer, array, kMinimumSegmentSize);
  if (!entries.ok()) return;
  SegmentFooter footer;
  footer.header = trailer.header;
  footer.entries = entries.value();
  std::vector<uint8_t> again(size);
  encode_footer(footer, again);
  again.resize(array.size());
  MR_ASSERT(again == array);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const bool fixes = (data[0] & fuzz::kFixChecksum) != 0;
  const Bytes rest(data + 2, size - 2);
  if (data[1] % 3 == 2) {
    if (rest.size() <= 64 * kKiB) fuzz_footer(rest, fixes);
    return 0;
  }
  std::vector<uint8_t> page = fuzz::sized(rest, kSegmentHeaderSize);
  if (fixes) fuzz::put_checksum(page, 4092, 4092);
  data[1] % 3 == 0 ? fuzz_header(page) : fuzz_trailer(page);
  return 0;
}
