// What every record's bytes go through: CRC32C by instruction and by table, SipHash of keys, and the codecs
// of record headers and stored heads. Inputs fit the CPU's caches, as they do on the way to a device.
#include "base/crc32c.h"
#include "base/siphash.h"
#include "bench/bench.h"
#include "bench/heads.h"
#include "layout/record.h"

namespace millrace::bench {

namespace {

constexpr uint32_t kBlocks = kPagesPerChunk;

void print_speed(const char* subject, const char* what, double bytes, double nanoseconds) {
  print_row(subject, what, {{"speed", "MB/s", "higher", megabytes_per_second(bytes, nanoseconds)}});
}

void bench_crc32c(const Options& options) {
  const std::vector<uint8_t> block = random_bytes(kPageSize);
  const std::vector<uint8_t> small = random_bytes(512);
  MR_ASSERT_OP(crc32c(block), ==, crc32c_portable(block));
  const char* fast = crc32c_is_hardware() ? "instruction" : "table (no instruction here)";
  print_speed(fast, "CRC32C of 64 KiB", kPageSize,
              ns_per_call(options, 16, [&](uint64_t) { keep(crc32c(block)); }));
  print_speed("table", "CRC32C of 64 KiB", kPageSize,
              ns_per_call(options, 16, [&](uint64_t) { keep(crc32c_portable(block)); }));
  print_speed(fast, "CRC32C of 512 B", 512,
              ns_per_call(options, 1024, [&](uint64_t) { keep(crc32c(small)); }));
  print_speed("table", "CRC32C of 512 B", 512,
              ns_per_call(options, 1024, [&](uint64_t) { keep(crc32c_portable(small)); }));
}

void bench_siphash(const Options& options) {
  const HashKey key{1, 2, 3};
  std::vector<uint8_t> text = random_bytes(100);
  const double time = ns_per_call(options, 1024, [&](uint64_t i) {
    text[0] = static_cast<uint8_t>(i);
    keep(siphash_128(key, text));
  });
  print_row("millrace", "SipHash-2-4 of a 100 B key", {{"time", "ns", "lower", time}});
}

RecordHeader chunk_header() {
  RecordHeader header;
  header.kind = RecordKind::chunk;
  header.segment_sequence = 7;
  header.birth = 8;
  header.hash = KeyHash{1, 2};
  header.incarnation = 9;
  header.interval_end = kChunkSize;
  header.object_length = 100 * kMiB;
  header.body_length = kChunkSize;
  header.stored_length = kChunkSize;
  return header;
}

RecordHeader single_header(Bytes key, Bytes meta) {
  RecordHeader header = chunk_header();
  header.kind = RecordKind::single;
  header.object_length = kKiB;
  header.interval_end = kKiB;
  header.body_length = kKiB;
  header.stored_length = kKiB;
  header.key_length = static_cast<uint32_t>(key.size());
  header.meta_length = static_cast<uint32_t>(meta.size());
  return header;
}

void bench_record(const Options& options, const char* what, const RecordHeader& header, Bytes key,
                  Bytes meta) {
  const uint32_t crcs[kBlocks] = {};
  const std::span<const uint32_t> used(crcs, body_block_count(header));
  std::vector<uint8_t> out(record_body_distance(header));
  const double encode = ns_per_call(options, 256, [&](uint64_t) {
    encode_record_header(header, used, key, meta, out);
    keep(out[0]);
  });
  MR_ASSERT(decode_record(out).ok());
  const double decode = ns_per_call(options, 256, [&](uint64_t) { keep(decode_record(out).ok()); });
  print_row("millrace", std::string("record header, ") + what,
            {{"encode", "ns", "lower", encode}, {"decode and verify", "ns", "lower", decode}});
}

void bench_head(const Options& options) {
  const std::vector<uint8_t> encoded = sample_head(kKiB);
  const HeadView view = decode_head(encoded).value();
  std::vector<uint8_t> out(encoded_head_size(view));
  const double encode = ns_per_call(options, 256, [&](uint64_t) {
    encode_head(view, out);
    keep(out[0]);
  });
  const double decode = ns_per_call(options, 256, [&](uint64_t) { keep(decode_head(out).ok()); });
  print_row("millrace", "stored head of 9 fields, native",
            {{"encode", "ns", "lower", encode}, {"decode and verify", "ns", "lower", decode}},
            std::to_string(out.size()) + " bytes");
}

}  // namespace

void bench_hash(const Options& options) {
  bench_crc32c(options);
  bench_siphash(options);
  bench_lz4(options);
  const std::string key = sample_key(0);
  const Bytes key_bytes(reinterpret_cast<const uint8_t*>(key.data()), key.size());
  const std::vector<uint8_t> meta = sample_head(kKiB);
  bench_record(options, "single of 1 KiB", single_header(key_bytes, meta), key_bytes, meta);
  bench_record(options, "chunk of 1 MiB", chunk_header(), Bytes(), Bytes());
  bench_head(options);
}

}  // namespace millrace::bench
