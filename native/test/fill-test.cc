// Fills: states, cursors, the window, who is behind, and when the producer pauses.
#include "test/fill-bench.h"

namespace millrace::test {

TEST_CASE("fill: states follow begin, append and finish, and bad steps are refused") {
  FillBench bench(false);
  const Ref<Fill> fill = bench.store->begin_fill("k", notice(bench.sink, 0));
  CHECK(fill->state() == FillState::waiting);
  CHECK(fill->append(bench.part(0, 10)).accepted == 0);
  CHECK(fill->finish().code() == Code::invalid);
  CHECK(fill->begin(FillHead{"k", {1, 2, 3}, 5, true}).code() == Code::invalid);
  CHECK(fill->state() == FillState::waiting);
  CHECK(fill->begin(FillHead{"k", make_head(), 5, true}).ok());
  CHECK(fill->begin(FillHead{"k", make_head(), 5, true}).code() == Code::invalid);
  CHECK(fill->append(bench.part(0, 5)).accepted == 5);
  CHECK(fill->finish().ok());
  CHECK(fill->state() == FillState::complete);
  CHECK(fill->finish().code() == Code::invalid);
  CHECK(fill->append(bench.part(0, 5)).accepted == 0);
  fill->fail();
  CHECK(fill->state() == FillState::complete);
}

TEST_CASE("fill: a short or long body is never published as complete") {
  FillBench bench(true, 8 * kMiB);
  for (const ByteCount produced : {0, 99, 101}) {
    const Ref<Fill> fill = bench.begin(true, 100);
    bench.append_to(*fill, std::min<ByteCount>(produced, 100));
    // What is too much is taken, and counts for nothing but that.
    if (produced > 100) CHECK(fill->append(bench.part(100, produced - 100)).accepted == 1);
    CHECK(fill->produced() == std::min<ByteCount>(produced, 100));
    CHECK(fill->finish().code() == Code::invalid);
    fill->fail();
    CHECK(fill->state() == FillState::failed);
    CHECK(find(*bench.store, "http://h/a").found == Found::miss);
  }
  const Ref<Fill> large = bench.begin(true, 3 * kMiB);
  bench.append_to(*large, 3 * kMiB - 1);
  CHECK(!large->finish().ok());
  large->fail();
  CHECK(find(*bench.store, "http://h/a").found == Found::miss);
  bench.drain();
}

TEST_CASE("fill: followers read at their own pace and each gets every byte") {
  const uint64_t seed = 150;
  INFO("seed ", seed);
  Random random(seed);
  FillBench bench(true);
  const ByteCount length = 3 * kMiB + 777;
  const Ref<Fill> fill = bench.begin(true, length);
  Fill::Follower* followers[3];
  std::vector<uint8_t> got[3];
  const ByteOffset starts[3] = {0, 5, 100000};
  for (uint32_t i = 0; i < 3; i++)
    followers[i] = fill->follow(starts[i], notice(bench.sink, 1 + i));
  CHECK(fill->follower_count() == 3);
  bool ended[3] = {};
  while (!(ended[0] && ended[1] && ended[2])) {
    if (fill->state() == FillState::running) {
      const ByteCount rest = length - fill->produced();
      fill->append(bench.part(fill->produced(), std::min<ByteCount>(rest, random.below(90000))));
      if (fill->produced() == length) REQUIRE(fill->finish().ok());
    }
    for (uint32_t i = 0; i < 3; i++) {
      if (random.below(3) == 0) continue;
      std::vector<PageSpan> spans;
      const FollowerPoll result = fill->poll(followers[i], 1 + random.below(200000), &spans);
      if (result == FollowerPoll::end) ended[i] = true;
      const std::vector<uint8_t> part = joined(spans);
      got[i].insert(got[i].end(), part.begin(), part.end());
    }
    bench.drain();
  }
  for (uint32_t i = 0; i < 3; i++) {
    CHECK(got[i].size() == length - starts[i]);
    CHECK(same_bytes(got[i], bench.part(starts[i], got[i].size())));
    CHECK(fill->cursor(followers[i]) == length);
    fill->unfollow(followers[i]);
  }
}

TEST_CASE("fill: a waiting follower is told of bytes, of the end and of failure, once each") {
  FillBench bench(false);
  const Ref<Fill> fill = bench.begin(false);
  Fill::Follower* follower = fill->follow(0, notice(bench.sink, 1));
  CHECK(poll(*fill, follower) == FollowerPoll::wait);
  fill->append(bench.part(0, 10));
  fill->append(bench.part(10, 10));
  CHECK(bench.sink->count(1) == 1);
  CHECK(read_some(*fill, follower, 100).size() == 20);
  CHECK(poll(*fill, follower) == FollowerPoll::wait);
  REQUIRE(fill->finish().ok());
  CHECK(bench.sink->count(1) == 2);
  CHECK(poll(*fill, follower) == FollowerPoll::end);
  fill->unfollow(follower);
  const Ref<Fill> failing = bench.begin(false);
  follower = failing->follow(0, notice(bench.sink, 2));
  CHECK(poll(*failing, follower) == FollowerPoll::wait);
  failing->append(bench.part(0, 10));
  failing->fail();
  // What came before the failure is still delivered; the failure follows it.
  CHECK(read_some(*failing, follower, 100).size() == 10);
  CHECK(poll(*failing, follower) == FollowerPoll::failed);
  failing->unfollow(follower);
}

TEST_CASE("fill: the reader of a body that is not kept paces the producer") {
  FillBench bench(false);
  const Ref<Fill> fill = bench.begin(false);
  Fill::Follower* follower = fill->follow(0, notice(bench.sink, 1));
  CHECK(bench.append_to(*fill, 20 * kMiB) == FillPause::reader);
  CHECK(fill->produced() <= Fill::kUnkeptWindow + kPageSize);
  CHECK(bench.store->pool().used() <= Fill::kUnkeptWindow + 2 * kPageSize);
  CHECK(bench.sink->count(0) == 0);
  std::vector<uint8_t> got;
  while (got.size() < 10 * kMiB) {
    const std::vector<uint8_t> part = read_some(*fill, follower, 300000);
    got.insert(got.end(), part.begin(), part.end());
    CHECK(bench.store->pool().used() <= Fill::kUnkeptWindow + 2 * kPageSize);
    bench.append_to(*fill, 20 * kMiB);
  }
  CHECK(bench.sink->count(0) > 10);
  CHECK(same_bytes(got, bench.part(0, got.size())));
  fill->unfollow(follower);
  fill->fail();
  CHECK(find(*bench.store, "http://h/a").found == Found::miss);
}

TEST_CASE("fill: a slow follower of a kept body falls behind and reads the rest from the store") {
  FillBench bench(true, 64 * kMiB, 96 * kMiB);
  const ByteCount length = 12 * kMiB;
  const Ref<Fill> fill = bench.begin(true, length);
  Fill::Follower* slow = fill->follow(0, notice(bench.sink, 1));
  while (fill->produced() < length) {
    REQUIRE(bench.append_to(*fill, fill->produced() + kMiB) == FillPause::none);
    bench.drain();
  }
  REQUIRE(poll(*fill, slow) == FollowerPoll::behind);
  std::vector<uint8_t> got;
  REQUIRE(
      read_body(*bench.store, fill->hash(), fill->incarnation(), kUnknownLength, 0, length, &got));
  fill->skip_to(slow, length);
  CHECK(poll(*fill, slow) == FollowerPoll::wait);
  CHECK(got.size() == length);
  CHECK(same_bytes(got, bench.part(0, got.size())));
  REQUIRE(fill->finish().ok());
  CHECK(poll(*fill, slow) == FollowerPoll::end);
  fill->unfollow(slow);
  bench.drain();
}

TEST_CASE("fill: pages of the window are bounded and freed behind it") {
  FillBench bench(true);
  const Ref<Fill> fill = bench.begin(true, 20 * kMiB, kHeadStrongValidator);
  while (fill->produced() < 20 * kMiB) {
    REQUIRE(bench.append_to(*fill, fill->produced() + kMiB) == FillPause::none);
    bench.drain();
    // Nobody follows: what was handed over need not stay.
    CHECK(bench.store->pool().used() <= Fill::kTightWindow + kPageSize);
  }
  Fill::Follower* late = fill->follow(0, notice(bench.sink, 1));
  CHECK(poll(*fill, late) == FollowerPoll::behind);
  fill->skip_to(late, 20 * kMiB);
  CHECK(poll(*fill, late) == FollowerPoll::wait);
  fill->unfollow(late);
  REQUIRE(fill->finish().ok());
  bench.drain();
}

TEST_CASE("fill: with a strong validator nobody holds the producer, without one a laggard does") {
  for (const uint16_t flags : std::initializer_list<uint16_t>{kHeadStrongValidator, 0}) {
    // No tier keeps anything: chunks that leave the window are lost.
    FillBench bench(false);
    const Ref<Fill> fill = bench.begin(true, 20 * kMiB, flags);
    Fill::Follower* slow = fill->follow(0, notice(bench.sink, 1));
    const FillPause pause = bench.append_to(*fill, 20 * kMiB);
    if (flags != 0) {
      CHECK(pause == FillPause::none);
      CHECK(poll(*fill, slow) == FollowerPoll::behind);
    } else {
      CHECK(pause == FillPause::laggard);
      CHECK(fill->produced() == 2 * Fill::kWindow);
      CHECK(bench.sink->count(0) == 0);
      CHECK(same_bytes(read_some(*fill, slow, kMiB), bench.part(0, kMiB)));
      CHECK(bench.sink->count(0) == 1);
      CHECK(bench.append_to(*fill, 20 * kMiB) == FillPause::laggard);
      fill->drop_laggards();
      CHECK(bench.sink->count(0) == 2);
      CHECK(poll(*fill, slow) == FollowerPoll::behind);
      CHECK(bench.append_to(*fill, 20 * kMiB) == FillPause::none);
    }
    fill->unfollow(slow);
    fill->fail();
  }
}

TEST_CASE("fill: a laggard that leaves lets the producer go on") {
  FillBench bench(false);
  const Ref<Fill> fill = bench.begin(true, 20 * kMiB);
  Fill::Follower* slow = fill->follow(0, notice(bench.sink, 1));
  REQUIRE(bench.append_to(*fill, 20 * kMiB) == FillPause::laggard);
  fill->unfollow(slow);
  CHECK(bench.sink->count(0) == 1);
  CHECK(bench.append_to(*fill, 20 * kMiB) == FillPause::none);
  fill->fail();
}

TEST_CASE(
    "fill: a backlogged disk paces the producer only while every follower has bytes in hand") {
  FillBench bench(true, 0, 96 * kMiB);
  const Ref<Fill> fill = bench.begin(true, 20 * kMiB, kHeadStrongValidator);
  REQUIRE(bench.append_to(*fill, 20 * kMiB) == FillPause::disk);
  CHECK(bench.store->disk_backlogged(0));
  const ByteCount at = fill->produced();
  Fill::Follower* hungry = fill->follow(at, notice(bench.sink, 1));
  CHECK(poll(*fill, hungry) == FollowerPoll::wait);
  CHECK(bench.sink->count(0) == 1);
  CHECK(bench.append_to(*fill, at + kPageSize) == FillPause::none);
  fill->unfollow(hungry);
  CHECK(bench.append_to(*fill, 20 * kMiB) == FillPause::disk);
  CHECK(bench.sink->count(0) == 1);
  bench.drain();
  CHECK(bench.sink->count(0) == 2);
  fill->fail();
}

TEST_CASE("fill: without a free page the producer is told when there is one") {
  FillBench bench(false, 0, 24 * kMiB);
  std::vector<PageRef> hoard;
  for (PageRef page = bench.store->pool().allocate(); page; page = bench.store->pool().allocate()) {
    hoard.push_back(std::move(page));
  }
  const Ref<Fill> fill = bench.begin(false);
  const auto appended = fill->append(bench.part(0, 100));
  CHECK(appended.accepted == 0);
  CHECK(appended.pause == FillPause::pages);
  hoard.pop_back();
  CHECK(bench.sink->count(0) == 1);
  CHECK(fill->append(bench.part(0, 100)).accepted == 100);
  fill->fail();
}

}  // namespace millrace::test
