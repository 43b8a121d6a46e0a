// Incomplete objects: parts of a body as chunks and pieces, found again, joined, completed; and what a fill
// that broke off leaves.
#include <algorithm>

#include "engine/store.h"
#include "layout/head.h"
#include "layout/key.h"
#include "test/parts.h"

namespace millrace::test {

namespace {

constexpr size_t kBody = 2 * kChunkSize + 5000;
constexpr ByteCount kMemory = 8 * kMiB;

void check_part(Store& store, const Ref<MemoryRecord>& record, Bytes body, ByteOffset begin,
                ByteOffset end) {
  std::vector<uint8_t> out;
  CHECK(stored_end(store, record, begin, end) == end);
  REQUIRE(read_body(store, record->header.hash, record->header.incarnation,
                    record->header.object_length, begin, end - begin, &out));
  CHECK(std::equal(out.begin(), out.end(), body.begin() + static_cast<ptrdiff_t>(begin)));
}

void check_object(Store& store, const std::string& key, const std::vector<uint8_t>& body) {
  const Lookup found = find(store, key);
  REQUIRE(found.found == Found::hit);
  std::vector<uint8_t> out;
  REQUIRE(body_of(store, found.record, &out));
  CHECK(out == body);
}

}  // namespace

TEST_CASE("store parts: of a body without end the next stored byte is looked for a bounded way") {
  TestStore store(formatted_disk(), kMemory);
  constexpr uint64_t kEndless = uint64_t{1} << 41;
  const Ref<Fill> fill = begin_part(*store.store, "k", 0, 100, Ref<MemoryRecord>(), kEndless);
  REQUIRE(fill->append(body_for("k", 1, 100)).accepted == 100);
  REQUIRE(fill->finish().ok());
  const Ref<MemoryRecord> record = find(*store.store, "k").record;
  REQUIRE(record);
  const ByteOffset end = store->missing_end(*record, 200, kEndless);
  CHECK(end > kGiB);
  CHECK(end < kEndless / 64);
  CHECK(store->missing_end(*record, end, kEndless) > end);
  CHECK(store->missing_end(*record, kEndless - 5, kEndless) == kEndless);
}

TEST_CASE("store parts: a part is found with its bytes and no others, in memory and after a start") {
  const std::vector<uint8_t> body = body_for("k", 1, kBody);
  // Within one page, over a page's border, over a chunk's, a whole chunk with two pieces, the end.
  const std::pair<ByteOffset, ByteOffset> parts[] = {{4, 10},
                                                     {kPageSize - 3, kPageSize + 5},
                                                     {kChunkSize - 1, kChunkSize + 1},
                                                     {kChunkSize - 70000, 2 * kChunkSize + 9},
                                                     {2 * kChunkSize + 7, kBody}};
  for (const auto& [begin, end] : parts) {
    INFO("part ", begin, " to ", end);
    DiskImage disk = formatted_disk();
    for (int life = 0; life < 2; life++) {
      TestStore store(disk, kMemory);
      Ref<MemoryRecord> record = life == 0 ? put_part(*store.store, "k", body, begin, end)
                                           : find(*store.store, "k").record;
      REQUIRE(record);
      CHECK(is_incomplete(*record));
      check_part(*store.store, record, body, begin, end);
      CHECK(stored_end(*store.store, record, begin, kBody) == end);
      if (begin > 0) CHECK(stored_end(*store.store, record, begin - 1, kBody) == begin - 1);
      store->close();
      disk = store.device->snapshot();
    }
  }
}

TEST_CASE("store parts: what touches is joined, what makes a chunk whole is the chunk") {
  const std::vector<uint8_t> body = body_for("k", 1, kBody);
  TestStore store(formatted_disk(), kMemory);
  Ref<MemoryRecord> record = put_part(*store.store, "k", body, 100, 200);
  const uint64_t incarnation = record->header.incarnation;
  record = put_part(*store.store, "k", body, 200, 300);
  record = put_part(*store.store, "k", body, 50, 250);
  CHECK(record->header.incarnation == incarnation);
  CHECK(stored_end(*store.store, record, 50, kBody) == 300);
  check_part(*store.store, record, body, 50, 300);
  // One that touches nothing takes the place of what was there.
  record = put_part(*store.store, "k", body, 1000, 1100);
  CHECK(stored_end(*store.store, record, 50, kBody) == 50);
  CHECK(store->missing_end(*record, 50, kBody) == 1000);
  check_part(*store.store, record, body, 1000, 1100);
  record = put_part(*store.store, "k", body, 0, 1050);
  record = put_part(*store.store, "k", body, 1100, kChunkSize + 1);
  CHECK(is_incomplete(*record));
  check_part(*store.store, record, body, 0, kChunkSize + 1);
  CHECK(store->first_missing_chunk(*record, 0, kBody) == 1);
  CHECK(store->missing_end(*record, kChunkSize + 1, kBody) == kBody);
}

TEST_CASE("store parts: the last part that lacked makes the object whole, also for the next start") {
  const std::vector<uint8_t> body = body_for("k", 1, kBody);
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk, kMemory);
    put_part(*store.store, "k", body, kChunkSize, kBody);
    CHECK(is_incomplete(*put_part(*store.store, "k", body, 4, kChunkSize)));
    CHECK(!is_incomplete(*put_part(*store.store, "k", body, 0, 4)));
    check_object(*store.store, "k", body);
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk, kMemory);
  CHECK(!is_incomplete(*find(*store.store, "k").record));
  check_object(*store.store, "k", body);
}

TEST_CASE("store parts: a part that ends where others have gone on makes the object whole") {
  const std::vector<uint8_t> body = body_for("k", 1, kBody);
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk, kMemory);
    const Ref<Fill> fill = begin_part(*store.store, "k", 0, kBody, {}, kBody);
    CHECK(is_incomplete(*put_part(*store.store, "k", body, kChunkSize, kBody)));
    REQUIRE(fill->append(Bytes(body).subspan(0, kChunkSize)).accepted == kChunkSize);
    CHECK(is_incomplete(*find(*store.store, "k").record));
    fill->fail();
    CHECK(!is_incomplete(*find(*store.store, "k").record));
    check_object(*store.store, "k", body);
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk, kMemory);
  check_object(*store.store, "k", body);
}

TEST_CASE("store parts: a small object is completed from pieces") {
  const std::vector<uint8_t> body = body_for("k", 1, 10);
  DiskImage disk = formatted_disk();
  {
    TestStore store(disk, kMemory);
    put_part(*store.store, "k", body, 4, 10);
    CHECK(!is_incomplete(*put_part(*store.store, "k", body, 0, 4)));
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk, kMemory);
  check_object(*store.store, "k", body);
}

TEST_CASE("store parts: another version's part replaces the object, and no byte is mixed") {
  TestStore store(formatted_disk(), kMemory);
  const std::vector<uint8_t> first = body_for("k", 1, kBody);
  const std::vector<uint8_t> second = body_for("k", 2, kBody);
  const Ref<MemoryRecord> old = put_part(*store.store, "k", first, 0, 100);
  const Ref<MemoryRecord> now = put_part(*store.store, "k", second, 50, 150, true);
  CHECK(now->header.incarnation != old->header.incarnation);
  CHECK(stored_end(*store.store, now, 0, kBody) == 0);
  check_part(*store.store, now, second, 50, 150);
}

TEST_CASE("store parts: a purge takes what was stored, and a part asked for before adds nothing") {
  TestStore store(formatted_disk(), kMemory);
  const std::vector<uint8_t> body = body_for("k", 1, kBody);
  const Ref<MemoryRecord> known = put_part(*store.store, "k", body, 0, kChunkSize + 9);
  const Ref<Fill> late = begin_part(*store.store, "k", kChunkSize + 9, kBody, known, kBody);
  CHECK(purge_key(*store.store, "k").ok());
  CHECK(late->is_purged());
  REQUIRE(late->append(Bytes(body).subspan(kChunkSize + 9)).accepted == kBody - kChunkSize - 9);
  CHECK(late->finish().ok());
  CHECK(find(*store.store, "k").found == Found::miss);
  // Nor does one that was asked for later make the old parts whole.
  const Ref<MemoryRecord> again = put_part(*store.store, "k", body, kChunkSize + 9, kBody, true);
  CHECK(is_incomplete(*again));
  CHECK(stored_end(*store.store, again, 0, kBody) == 0);
  store.flush();
  TestStore reopened(store.device->snapshot(), kMemory);
  const Lookup found = find(*reopened.store, "k");
  REQUIRE(found.found == Found::hit);
  CHECK(stored_end(*reopened.store, found.record, 0, kBody) == 0);
}

TEST_CASE("store parts: followers of a part get its bytes, and none from before it") {
  TestStore store(formatted_disk(), kMemory);
  const std::vector<uint8_t> body = body_for("k", 1, kBody);
  const Ref<Fill> fill = begin_part(*store.store, "k", 1000, kBody, {}, kBody);
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  Fill::Follower* early = fill->follow(999, notice(sink, 0));
  Fill::Follower* first = fill->follow(1000, notice(sink, 0));
  std::vector<PageSpan> spans;
  CHECK(fill->poll(early, 10, &spans) == FollowerPoll::behind);
  CHECK(fill->poll(first, 10, &spans) == FollowerPoll::wait);
  REQUIRE(fill->append(Bytes(body).subspan(1000)).accepted == kBody - 1000);
  CHECK(fill->produced() == kBody);
  CHECK(fill->poll(first, 10, &spans) == FollowerPoll::data);
  CHECK(std::equal(body.begin() + 1000, body.begin() + 1010, joined(spans).begin()));
  CHECK(fill->finish().ok());
  fill->unfollow(early);
  fill->unfollow(first);
}

TEST_CASE("store parts: a part that does not fit its body is refused") {
  TestStore store(formatted_disk(), kMemory);
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  const auto begin = [&](ByteOffset from, ByteOffset to, uint64_t length, bool is_marked) {
    const Ref<Fill> fill = store->begin_fill("k", notice(sink, 0));
    FillHead head;
    head.key = "k";
    head.head = is_marked ? incomplete_head(kBody) : make_head();
    head.body_length = length;
    head.keep = true;
    head.part_begin = from;
    head.part_end = to;
    return fill->begin(std::move(head)).code();
  };
  CHECK(begin(0, 11, 10, true) == Code::invalid);
  CHECK(begin(0, 5, kUnknownLength, true) == Code::invalid);
  CHECK(begin(0, 5, 10, false) == Code::invalid);
  CHECK(begin(0, 5, 10, true) == Code::ok);
  const Ref<Fill> fill = begin_part(*store.store, "k", 10, 20, {}, kBody);
  REQUIRE(fill->append(body_for("k", 1, 9)).accepted == 9);
  CHECK(fill->finish().code() == Code::invalid);
}

TEST_CASE("store parts: bytes behind the part's end reach neither followers nor the store") {
  const std::vector<uint8_t> body = body_for("k", 1, kBody);
  const std::vector<uint8_t> junk(3 * kChunkSize, 0xEE);
  for (const bool at_once : {true, false}) {
    INFO("at once ", at_once);
    TestStore store(formatted_disk(), kMemory);
    const Ref<Fill> fill = begin_part(*store.store, "k", 1000, 2000, {}, kBody);
    std::vector<uint8_t> sent(at_once ? 1000 + junk.size() : 1000, junk[0]);
    std::copy(body.begin() + 1000, body.begin() + 2000, sent.begin());
    CHECK(fill->append(sent).accepted == sent.size());
    if (!at_once) CHECK(fill->append(junk).accepted == junk.size());
    CHECK(fill->produced() == 2000);
    CHECK(fill->finish().code() == Code::invalid);
    fill->fail();
    const Lookup found = find(*store.store, "k");
    REQUIRE(found.found == Found::hit);
    CHECK(is_incomplete(*found.record));
    CHECK(stored_end(*store.store, found.record, 2000, kBody) == 2000);
    check_part(*store.store, found.record, body, 1000, 2000);
    (void)put_part(*store.store, "k", body, 0, kBody);
    check_object(*store.store, "k", body);
  }
}

TEST_CASE("store parts: a body that broke off leaves what came, where a later request can go on") {
  const std::vector<uint8_t> body = body_for("k", 1, kBody);
  for (const size_t came : {size_t{1}, size_t{70000}, size_t{kChunkSize}, size_t{kChunkSize + 5}}) {
    for (const bool has_ranges : {true, false}) {
      INFO("came ", came, " ranges ", has_ranges);
      TestStore store(formatted_disk(), kMemory);
      const auto sink = Ref<CountingSink>::adopt(new CountingSink());
      const Ref<Fill> fill = store->begin_fill("k", notice(sink, 0));
      HeadOptions options;
      options.body_length = kBody;
      options.flags = kHeadStrongValidator | (has_ranges ? kHeadAcceptsRanges : 0);
      FillHead head;
      head.key = "k";
      head.head = make_head(options);
      head.body_length = kBody;
      head.keep = true;
      REQUIRE(fill->begin(std::move(head)).ok());
      REQUIRE(fill->append(Bytes(body).first(came)).accepted == came);
      fill->fail();
      store.flush();
      TestStore again(store.device->snapshot(), kMemory);
      const Lookup found = find(*again.store, "k");
      CHECK((found.found == Found::hit) == has_ranges);
      if (!has_ranges) continue;
      CHECK(is_incomplete(*found.record));
      CHECK(stored_end(*again.store, found.record, 0, kBody) == came);
      check_part(*again.store, found.record, body, 0, came);
      const Ref<MemoryRecord> whole = put_part(*again.store, "k", body, came, kBody);
      CHECK(!is_incomplete(*whole));
      check_object(*again.store, "k", body);
    }
  }
}

}  // namespace millrace::test
