// Chunks read ahead of their readers, over a whole store: one device read whoever asks, nothing kept that
// nobody wants, bounds of memory and device, and the judgement of use.
#include "engine/read-ahead.h"

#include "engine/store.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr ByteCount kBodySize = 12 * kMiB + 5000;

// One object that lies on the device alone.
struct ColdObject {
  std::vector<uint8_t> body;
  TestStore store;
  Store::BodyRange range;

  explicit ColdObject(ByteCount size = kBodySize, ByteCount l1_budget = 0)
      : body(body_for("ahead", 1, size)), store(disk_with(body), l1_budget) {
    const Lookup lookup = find(*store.store, "http://h/ahead");
    REQUIRE(lookup.found == Found::hit);
    const RecordHeader& header = lookup.record->header;
    range = Store::BodyRange{0, header.hash, header.incarnation, header.object_length, 0, 0};
  }

  static DiskImage disk_with(Bytes bytes) {
    TestStore writer(formatted_disk());
    put(*writer.store, "http://h/ahead", bytes);
    writer.flush();
    writer.store->close();
    return writer.device->snapshot();
  }

  Store::BodyRange at(ByteOffset offset, ByteCount length) const {
    Store::BodyRange part = range;
    part.offset = offset;
    part.length = length;
    return part;
  }
  Ref<AheadChunk> ahead(uint32_t chunk) {
    return store->read_ahead(at(ByteOffset{chunk} * kChunkSize, 1));
  }
  bool reads_right(ByteOffset offset, ByteCount length) {
    std::vector<uint8_t> got;
    if (!read_body(*store.store, range.hash, range.incarnation, range.object_length, offset, length,
                   &got)) {
      return false;
    }
    return same_bytes(got, Bytes(body).subspan(offset, length));
  }
  uint64_t total(Counters::Count Counters::* counter) const { return store->total(counter); }
  void landed(uint64_t bytes) {
    wait_until([&] { return total(&Counters::prefetched_bytes) == bytes; });
  }
};

struct Reply {
  std::atomic<bool> done{false};
  Status status{};
  Ref<MemoryRecord> record;

  static void answered(void* context, Status status, Ref<MemoryRecord> record) {
    auto* reply = static_cast<Reply*>(context);
    reply->status = status;
    reply->record = std::move(record);
    reply->done.store(true);
  }
};

}  // namespace

TEST_CASE("read ahead: whoever asks for a chunk under way waits for that read") {
  ColdObject cold;
  FaultDevice& device = *cold.store.device;
  device.hold_reads(true);
  const uint64_t before = cold.total(&Counters::device_reads);
  Ref<AheadChunk> chunk = cold.ahead(3);
  REQUIRE(chunk);
  CHECK(cold.total(&Counters::device_reads) == before + 1);

  Reply whole;
  Reply part;
  std::vector<PageSpan> spans;
  const ByteOffset begin = 3 * kChunkSize;
  CHECK(cold.store->read_chunk(cold.at(begin, kChunkSize), &spans, nullptr, nullptr) ==
        Found::pending);
  CHECK(cold.store->read_chunk(cold.at(begin, kChunkSize), &spans, &Reply::answered, &whole) ==
        Found::pending);
  CHECK(cold.store->read_chunk(cold.at(begin + 70000, 1000), &spans, &Reply::answered, &part) ==
        Found::pending);
  CHECK(cold.total(&Counters::device_reads) == before + 1);
  device.hold_reads(false);
  wait_until([&] { return whole.done.load() && part.done.load(); });
  REQUIRE(whole.status.ok());
  REQUIRE(part.status.ok());
  CHECK(same_bytes(joined(whole.record->body), Bytes(cold.body).subspan(begin, kChunkSize)));
  CHECK(same_bytes(joined(part.record->body), Bytes(cold.body).subspan(begin + 70000, 1000)));
  CHECK(part.record->header.interval_begin == 70000);
  CHECK(cold.total(&Counters::device_reads) == before + 1);

  // And who comes later has it at once.
  CHECK(cold.reads_right(begin, kChunkSize));
  CHECK(cold.total(&Counters::device_reads) == before + 1);
  CHECK(cold.total(&Counters::prefetched_bytes) == kChunkSize);
  CHECK(cold.total(&Counters::prefetch_used_bytes) == kChunkSize);
  cold.store->end_read_ahead(chunk);
  CHECK(cold.total(&Counters::prefetch_wasted_bytes) == 0);
  CHECK(cold.store->read_ahead_bytes() == 0);
}

TEST_CASE("read ahead: the last, short chunk is whole, and there is none behind it") {
  ColdObject cold;
  const uint32_t last = kBodySize / kChunkSize;
  Ref<AheadChunk> chunk = cold.ahead(last);
  REQUIRE(chunk);
  cold.landed(kBodySize % kChunkSize);
  const uint64_t before = cold.total(&Counters::device_reads);
  CHECK(cold.reads_right(ByteOffset{last} * kChunkSize, kBodySize % kChunkSize));
  CHECK(cold.total(&Counters::device_reads) == before);
  CHECK_FALSE(cold.ahead(last + 1));
  cold.store->end_read_ahead(chunk);
}

TEST_CASE("read ahead: what nobody wants any more is freed, under way or landed") {
  ColdObject cold;
  const ByteCount used = cold.store->pool().used();
  FaultDevice& device = *cold.store.device;
  Ref<AheadChunk> landed = cold.ahead(1);
  cold.landed(kChunkSize);
  CHECK(cold.store->pool().used() >= used + kChunkSize);
  cold.store->end_read_ahead(landed);
  CHECK(cold.store->pool().used() == used);

  device.hold_reads(true);
  Ref<AheadChunk> first = cold.ahead(2);
  Ref<AheadChunk> second = cold.ahead(2);
  REQUIRE(first.get() == second.get());
  cold.store->end_read_ahead(first);
  cold.store->end_read_ahead(second);
  device.hold_reads(false);
  cold.landed(2 * kChunkSize);
  wait_until([&] { return cold.store->read_ahead_bytes() == 0; });
  first.reset();
  second.reset();
  wait_until([&] { return cold.store->pool().used() == used; });
  CHECK(cold.total(&Counters::prefetch_used_bytes) == 0);
  CHECK(cold.total(&Counters::prefetch_wasted_bytes) == 2 * kChunkSize);
}

TEST_CASE("read ahead: bytes behind the last one read are waste") {
  ColdObject cold;
  Ref<AheadChunk> chunk = cold.ahead(0);
  cold.landed(kChunkSize);
  CHECK(cold.reads_right(0, 300000));
  CHECK(cold.reads_right(1000, 1000));
  cold.store->end_read_ahead(chunk);
  CHECK(cold.total(&Counters::prefetch_used_bytes) == 300000);
  CHECK(cold.total(&Counters::prefetch_wasted_bytes) == kChunkSize - 300000);
}

TEST_CASE("read ahead: after a failed read each who waits reads for himself") {
  ColdObject cold;
  FaultDevice& device = *cold.store.device;
  device.hold_reads(true);
  Ref<AheadChunk> chunk = cold.ahead(4);
  device.fail_reads(1, 1);
  Reply reply;
  std::vector<PageSpan> spans;
  const ByteOffset begin = 4 * kChunkSize;
  CHECK(cold.store->read_chunk(cold.at(begin, kChunkSize), &spans, &Reply::answered, &reply) ==
        Found::pending);
  device.hold_reads(false);
  wait_until([&] { return reply.done.load(); });
  REQUIRE(reply.status.ok());
  CHECK(same_bytes(joined(reply.record->body), Bytes(cold.body).subspan(begin, kChunkSize)));
  CHECK(cold.total(&Counters::prefetched_bytes) == 0);
  CHECK(cold.total(&Counters::read_errors) == 1);
  CHECK(cold.store->read_ahead_bytes() == 0);
  cold.store->end_read_ahead(chunk);
}

TEST_CASE("read ahead: only what is read goes to the memory tier") {
  ColdObject cold(kBodySize, 8 * kMiB);
  const uint64_t records = cold.store->tier().records();
  Ref<AheadChunk> chunk = cold.ahead(5);
  cold.landed(kChunkSize);
  CHECK(cold.store->tier().records() == records);
  CHECK(cold.reads_right(5 * kChunkSize, 10));
  CHECK(cold.store->tier().records() == records + 1);
  cold.store->end_read_ahead(chunk);
  // In memory already: there is nothing to read.
  CHECK_FALSE(cold.ahead(5));
}

TEST_CASE("read ahead: a busy device and a full share of memory stop it") {
  ColdObject cold;
  FaultDevice& device = *cold.store.device;
  device.hold_reads(true);
  std::vector<Ref<AheadChunk>> chunks;
  for (uint32_t number = 0; number < 12; number++) {
    if (Ref<AheadChunk> chunk = cold.ahead(number)) chunks.push_back(std::move(chunk));
  }
  // No tier: an eighth of all pages.
  const ByteCount share = cold.store->pool().limit() / 8 / kChunkSize;
  CHECK(share >= 6);
  CHECK(chunks.size() == share);
  CHECK(cold.store->read_ahead_bytes() == share * kChunkSize);
  for (const Ref<AheadChunk>& chunk : chunks) cold.store->end_read_ahead(chunk);
  chunks.clear();
  device.hold_reads(false);
  wait_until([&] { return cold.store->read_ahead_bytes() == 0; });

  // Half of the pages are in use.
  std::vector<PageRef> pages;
  while (cold.store->pool().available() > cold.store->pool().limit() / 2) {
    pages.push_back(cold.store->pool().allocate());
  }
  CHECK_FALSE(cold.ahead(0));
  pages.clear();
  Ref<AheadChunk> chunk = cold.ahead(0);
  CHECK(chunk);
  cold.store->end_read_ahead(chunk);

  // Eight clients wait for the device.
  wait_until([&] { return cold.store->read_ahead_bytes() == 0; });
  device.hold_reads(true);
  std::array<Reply, 8> replies;
  std::vector<PageSpan> spans;
  for (uint32_t number = 0; number < replies.size(); number++) {
    REQUIRE(cold.store->read_chunk(cold.at(ByteOffset{number} * kChunkSize, kPageSize), &spans,
                                   &Reply::answered, &replies[number]) == Found::pending);
  }
  CHECK_FALSE(cold.ahead(9));
  device.hold_reads(false);
  for (Reply& reply : replies) wait_until([&] { return reply.done.load(); });
}

TEST_CASE("read ahead: what is useless stops for a while and is tried again") {
  ColdObject cold;
  uint64_t landed = 0;
  const auto waste = [&] {
    const Ref<AheadChunk> chunk = cold.ahead(0);
    if (!chunk) return false;
    landed += kChunkSize;
    cold.landed(landed);
    cold.store->end_read_ahead(chunk);
    return true;
  };
  for (ByteCount bytes = 0; bytes < ReadAhead::kJudgedBytes; bytes += kChunkSize) REQUIRE(waste());
  CHECK(cold.total(&Counters::prefetch_off) == 1);
  for (uint32_t skipped = 0; skipped < ReadAhead::kSkippedChunks; skipped++) REQUIRE_FALSE(waste());
  CHECK(waste());
  CHECK(cold.total(&Counters::prefetch_off) == 1);

  // Of two, one is used from here on: that is half, and enough.
  for (ByteCount bytes = 0; bytes < 3 * ReadAhead::kJudgedBytes; bytes += 2 * kChunkSize) {
    const Ref<AheadChunk> used = cold.ahead(1);
    REQUIRE(used);
    landed += kChunkSize;
    cold.landed(landed);
    REQUIRE(cold.reads_right(kChunkSize, kChunkSize));
    cold.store->end_read_ahead(used);
    if (bytes > 0) REQUIRE(waste());
  }
  CHECK(cold.total(&Counters::prefetch_off) == 1);
}

TEST_CASE("read ahead: threads that want, take and leave at once lose and leak nothing") {
  ColdObject cold(kBodySize, 4 * kMiB);
  std::atomic<uint32_t> wrong{0};
  run_threads(4, [&](uint32_t number) {
    Random random(number + 1);
    for (uint32_t turn = 0; turn < 150; turn++) {
      const auto chunk = static_cast<uint32_t>(random.below(kBodySize / kChunkSize));
      const Ref<AheadChunk> ahead = cold.ahead(chunk);
      const ByteOffset begin = ByteOffset{chunk} * kChunkSize + random.below(kChunkSize / 2);
      if (random.below(3) > 0 && !cold.reads_right(begin, 1 + random.below(200000))) wrong++;
      if (ahead) cold.store->end_read_ahead(ahead);
    }
  });
  CHECK(wrong.load() == 0);
  wait_until([&] { return cold.store->read_ahead_bytes() == 0; });
  CHECK(cold.total(&Counters::prefetched_bytes) ==
        cold.total(&Counters::prefetch_used_bytes) + cold.total(&Counters::prefetch_wasted_bytes));
  CHECK(cold.total(&Counters::reads_under_way) == 0);
}

}  // namespace millrace::test
