// Writes the fuzzers' first inputs: what the encoders make of plain values, one directory per fuzzer.
//
//   fuzz-seeds DIRECTORY
#include <sys/stat.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "fuzz/fuzz.h"
#include "layout/head.h"
#include "layout/purge-journal.h"
#include "layout/record.h"
#include "layout/segment.h"

using namespace millrace;

namespace {

std::string directory;
uint32_t count = 0;

// `prefix` are the bytes by which the fuzzer chooses what to do.
void write(const std::string& fuzzer, std::vector<uint8_t> prefix, Bytes bytes) {
  mkdir(directory.c_str(), 0777);
  mkdir((directory + "/" + fuzzer).c_str(), 0777);
  const std::string path = directory + "/" + fuzzer + "/seed-" + std::to_string(count++);
  std::FILE* file = std::fopen(path.c_str(), "wb");
  MR_ASSERT(file != nullptr);
  if (!prefix.empty()) std::fwrite(prefix.data(), 1, prefix.size(), file);
  std::fwrite(bytes.data(), 1, bytes.size(), file);
  MR_ASSERT(std::fclose(file) == 0);
}

Bytes bytes_of(std::string_view text) {
  return Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

std::vector<uint8_t> plain_head(bool rich) {
  const std::string fields = "Content-Type: text/plain\r\nX-A: b\r\n";
  const std::string vary("accept\0accept-language\0", 23);
  HeadView head;
  head.status = 200;
  head.date_s = 7;
  head.fields = bytes_of(fields);
  const std::vector<uint8_t> tags(16, 0xa5);
  if (rich) {
    head.flags = kHeadStrongValidator | kHeadAcceptsRanges;
    head.etag = bytes_of("\"v1\"");
    head.vary = bytes_of(vary);
    head.tags = tags;
    head.reason = bytes_of("OK");
  }
  std::vector<uint8_t> out(encoded_head_size(head));
  encode_head(head, out);
  return out;
}

void write_superblocks() {
  Superblock superblock;
  superblock.uuid = fuzz::kUuid;
  superblock.geometry = geometry_of(kMinimumDeviceSize).value();
  superblock.superblock_sequence = 1;
  std::vector<uint8_t> page(kSuperblockSize);
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    encode_superblock(superblock, copy, page);
    write("superblock", {static_cast<uint8_t>(copy & 1)}, page);
  }
}

void write_segments() {
  const SegmentHeader header{3, 9, fuzz::kUuid, 1};
  std::vector<uint8_t> page(kSegmentHeaderSize);
  encode_segment_header(header, page);
  write("segment", {fuzz::kFixChecksum, 0}, page);
  SegmentFooter footer;
  footer.header = header;
  for (uint32_t i = 0; i < 5; i++) {
    footer.entries.push_back(FooterEntry{i * 77, i + 1, 8 + 4 * i, 4, static_cast<uint8_t>(1 + i % 4)});
  }
  std::vector<uint8_t> bytes(footer_size(footer.entries.size()));
  encode_footer(footer, bytes);
  write("segment", {fuzz::kFixChecksum, 1}, Bytes(bytes).last(kFooterTrailerSize));
  write("segment", {fuzz::kFixChecksum, 2}, Bytes(bytes).first(5 * kFooterEntrySize));
}

void write_records() {
  const std::vector<uint8_t> head = plain_head(true);
  for (const RecordKind kind : {RecordKind::single, RecordKind::head, RecordKind::chunk}) {
    RecordHeader header;
    header.kind = kind;
    header.segment_sequence = 4;
    header.birth = 2;
    const std::string key = kind == RecordKind::chunk ? "" : "http://h/a";
    header.key_length = static_cast<uint32_t>(key.size());
    if (kind != RecordKind::chunk) header.meta_length = static_cast<uint32_t>(head.size());
    if (kind != RecordKind::head) {
      header.interval_end = header.body_length = header.stored_length = 100000;
    }
    const std::vector<uint32_t> crcs(body_block_count(header), 0x1234567);
    std::vector<uint8_t> out(record_body_distance(header));
    const Bytes meta = kind == RecordKind::chunk ? Bytes() : Bytes(head);
    encode_record_header(header, crcs, bytes_of(key), meta, out);
    write("record", {fuzz::kFixChecksum}, out);
  }
}

void write_purge_blocks() {
  PurgeBlock block;
  block.generation = 2;
  block.sequence = 90;
  const std::vector<PurgeEntry> entries = {
      {PurgeKind::key, false, true, 5, 0x1122334455667788, ""},
      {PurgeKind::tag, true, false, 6, 0x99, ""},
      {PurgeKind::prefix, false, false, 7, 0, "http://h/models/"},
      {PurgeKind::all, true, false, 8, 0, ""},
  };
  std::vector<uint8_t> out(kPurgeBlockSize);
  encode_purge_block(block, entries, fuzz::kUuid, out);
  write("purge-journal", {fuzz::kFixChecksum}, out);
  encode_purge_block(block, std::span<const PurgeEntry>(), fuzz::kUuid, out);
  write("purge-journal", {0}, out);
}

}  // namespace

int main(int argument_count, char** arguments) {
  if (argument_count != 2) {
    std::fprintf(stderr, "usage: fuzz-seeds DIRECTORY\n");
    return 2;
  }
  directory = arguments[1];
  write_superblocks();
  write_segments();
  write_records();
  write_purge_blocks();
  write("head", {}, plain_head(false));
  write("head", {}, plain_head(true));
  return 0;
}
