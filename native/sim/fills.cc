// Steps of producers and followers. See world.h.
#include <algorithm>

#include "layout/head.h"
#include "sim/failure.h"
#include "sim/world.h"

namespace millrace::sim {

namespace {
constexpr size_t kMaximumFills = 6;
constexpr size_t kMaximumFollowers = 4;
}  // namespace

void World::begin_fill() {
  if (fills_.size() >= kMaximumFills) return;
  const uint32_t key = some_key();
  Version& version = oracle_.add_version(key, random_.one_in(4));
  expect_nothing_of(key);
  auto running = std::make_unique<RunningFill>();
  running->bell = Ref<Bell>::adopt(new Bell());
  running->version = version.number;
  running->target = some_length();
  running->has_length = !random_.one_in(3);
  running->keep = !random_.one_in(12);
  running->busy = true;
  RunningFill* fill = running.get();
  fills_.push_back(std::move(running));
  FillHead head;
  head.keep = fill->keep;
  if (fill->has_length) {
    head.body_length = fill->target;
    version.length = fill->target;
  }
  run_fill(fill, version, std::move(head), true);
  trace("fill version %llu of %s, %llu bytes%s%s", static_cast<unsigned long long>(version.number),
        oracle_.name(key).c_str(), static_cast<unsigned long long>(fill->target),
        fill->has_length ? "" : ", length not told", fill->keep ? "" : ", not kept");
  fill->busy = false;
}

// As the store of the proxy does: one that vouches for the variants of the marker that is found.
void World::publish_marker(RunningFill& running, uint32_t key) {
  Ref<MemoryRecord> marker = find_marker(key);
  if (has_crashed_) return;
  static_cast<void>(running.fill->publish_marker(Oracle::marker_head(),
                                                 marker ? marker->header.incarnation : 0));
}

// Into an incomplete object that is found, or the first one of a new version: as the proxy does for a range.
void World::begin_part() {
  if (fills_.size() >= kMaximumFills) return;
  const uint32_t key = some_key();
  Floor floor;
  Ref<MemoryRecord> known = find(key, &floor);
  uint64_t number = 0;
  if (known) {
    number = oracle_.check_record(*known, key, floor).number;
    const bool is_incomplete = (head_flags(known->head_bytes()) & kHeadIncomplete) != 0;
    if (!is_incomplete && !random_.one_in(4)) return;
    if (!is_incomplete || random_.one_in(12)) known.reset();
  }
  if (fills_.size() >= kMaximumFills) return;
  Version& version = known ? oracle_.version(number) : oracle_.add_version(key, random_.one_in(4));
  expect_nothing_of(key);
  if (!known) {
    version.in_parts = true;
    version.length = std::max<ByteCount>(some_length(), 1);
  }
  ByteOffset begin = random_.below(version.length);
  ByteOffset end = random_.between(begin + 1, version.length);
  // Whole chunks, mostly, as they are asked for.
  if (!random_.one_in(3)) begin = round_down(begin, kChunkSize);
  if (!random_.one_in(3)) end = std::min<ByteOffset>(round_up(end, kChunkSize), version.length);
  auto running = std::make_unique<RunningFill>();
  running->bell = Ref<Bell>::adopt(new Bell());
  running->version = version.number;
  running->target = end;
  running->produced = begin;
  running->has_length = true;
  running->is_part = true;
  running->busy = true;
  RunningFill* fill = running.get();
  fills_.push_back(std::move(running));
  FillHead head;
  head.keep = true;
  head.body_length = version.length;
  head.part_begin = begin;
  head.part_end = end;
  head.known = known;
  const bool is_new = !known;
  run_fill(fill, version, std::move(head), is_new);
  report_.parts++;
  trace("part %llu to %llu of version %llu of %s", static_cast<unsigned long long>(begin),
        static_cast<unsigned long long>(end), static_cast<unsigned long long>(version.number),
        oracle_.name(key).c_str());
  fill->busy = false;
}

void World::run_fill(RunningFill* fill, Version& version, FillHead head, bool is_new) {
  fill->fill = store_->begin_fill(oracle_.primary_name(version.key),
                                  Notice{Ref<CompletionSink>::share(fill->bell.get()), 0});
  // Whatever is purged from here on was called after this fill had its birth.
  const auto number = static_cast<uint32_t>(version.heads_begun_at.size());
  version.heads_begun_at.push_back(oracle_.next_event());
  if (is_new) version.begun_at = version.heads_begun_at.front();
  head.key = oracle_.name(version.key);
  head.may_compress = version.compressible || random_.one_in(4);
  head.head = oracle_.head_of(version, number, fill->is_part);
  const Status status = fill->fill->begin(std::move(head));
  if (!status.ok()) fail("a fill did not begin: %s", status.message());
  report_.fills++;
  if (!is_new) return;
  oracle_.identify(version, fill->fill->incarnation());
}

// One that no other client works on, marked busy; null when there is none.
RunningFill* World::take_fill(size_t* number) {
  if (fills_.empty()) return nullptr;
  *number = random_.below(fills_.size());
  RunningFill* running = fills_[*number].get();
  if (running->busy) return nullptr;
  running->busy = true;
  return running;
}

void World::drop_fill(size_t number) {
  RunningFill& running = *fills_[number];
  if (!running.ended) running.fill->fail();
  for (Fill::Follower* follower : running.followers) running.fill->unfollow(follower);
  for (size_t i = 0; i < fills_.size(); i++) {
    // Other clients may have moved it meanwhile.
    if (fills_[i].get() != &running) continue;
    const std::unique_ptr<RunningFill> gone = std::move(fills_[i]);
    fills_[i] = std::move(fills_.back());
    fills_.pop_back();
    return;
  }
  MR_UNREACHABLE();
}

void World::advance_fill(Client& client) {
  size_t number = 0;
  RunningFill* running = take_fill(&number);
  if (running == nullptr) return;
  Version& version = oracle_.version(running->version);
  if (running->ended) {
    if (running->followers.empty() || random_.one_in(8)) {
      drop_fill(number);
    } else {
      running->busy = false;
    }
    return;
  }
  if (running->paused_until_ring > running->bell->rings && !random_.one_in(20)) {
    running->busy = false;
    return;
  }
  running->paused_until_ring = 0;
  if (random_.one_in(60)) {
    trace("version %llu breaks off", static_cast<unsigned long long>(version.number));
    running->fill->fail();
    running->ended = true;
    running->busy = false;
    return;
  }
  const ByteCount left = running->target - running->produced;
  if (left > 0) {
    // Often the whole rest, else a piece as an origin's socket would deliver it.
    ByteCount count = std::min<ByteCount>(left, client.scratch.size());
    if (random_.one_in(3)) count = random_.between(1, count);
    const MutableBytes bytes = MutableBytes(client.scratch).first(count);
    Oracle::generate(version, running->produced, bytes);
    const uint64_t rings = running->bell->rings;
    if (running->is_part) Oracle::give(version, running->produced, running->produced + count);
    const Fill::Appended appended = running->fill->append(bytes);
    running->produced += appended.accepted;
    if (appended.pause != FillPause::none) running->paused_until_ring = rings + 1;
  }
  if (running->produced == running->target) {
    if (!running->is_part) {
      version.length = running->target;
      version.finished = running->keep;
    }
    const Status status = running->fill->finish();
    if (!status.ok()) fail("a whole fill did not finish: %s", status.message());
    running->ended = true;
    trace("version %llu is complete", static_cast<unsigned long long>(version.number));
    if (running->keep && oracle_.is_variant(version.key)) publish_marker(*running, version.key);
  } else if (running->has_length && random_.one_in(50)) {
    // Promise 3: a body that ends early is not complete.
    if (running->fill->finish().ok()) fail("a fill finished before its end");
  }
  running->busy = false;
}

void World::poll_follower() {
  size_t number = 0;
  RunningFill* running = take_fill(&number);
  if (running == nullptr) return;
  if (running->followers.size() < kMaximumFollowers && (!running->ended || random_.one_in(4)) &&
      (running->keep || (running->followers.empty() && running->produced == 0)) &&
      random_.one_in(3)) {
    const ByteOffset offset =
        running->keep && random_.one_in(3) ? random_.below(running->produced + 1)
        : running->is_part                 ? running->produced
                                           : 0;
    running->followers.push_back(running->fill->follow(
        offset, Notice{Ref<CompletionSink>::share(running->bell.get()), 1}));
  }
  if (!running->followers.empty()) {
    check_follower(*running, running->followers[random_.below(running->followers.size())]);
  }
  running->busy = false;
}

void World::check_follower(RunningFill& running, Fill::Follower* follower) {
  const Version& version = oracle_.version(running.version);
  const auto leave = [&] {
    running.fill->unfollow(follower);
    running.followers.erase(
        std::find(running.followers.begin(), running.followers.end(), follower));
  };
  if (random_.one_in(20)) return leave();
  const ByteOffset cursor = running.fill->cursor(follower);
  std::vector<PageSpan> spans;
  const ByteCount maximum = random_.one_in(2) ? 4 * kChunkSize : random_.between(1, kChunkSize);
  const FollowerPoll poll = running.fill->poll(follower, maximum, &spans);
  ByteOffset at = cursor;
  for (const PageSpan& span : spans) {
    oracle_.check_bytes(version, at, Bytes(span.data(), span.length));
    at += span.length;
  }
  switch (poll) {
    case FollowerPoll::data:
      if (running.fill->cursor(follower) != at) fail("a follower's cursor is not behind its bytes");
      return;
    case FollowerPoll::wait:
      return;
    case FollowerPoll::end:
      if (!running.ended || cursor != running.target) fail("a follower saw an end that is none");
      return leave();
    case FollowerPoll::failed:
      if (!running.ended) fail("a fill failed by itself");
      return leave();
    case FollowerPoll::behind: {
      RecordHeader header;
      header.hash = running.fill->hash();
      header.incarnation = version.incarnation;
      header.object_length = running.is_part      ? version.length
                             : running.has_length ? running.target
                                                  : kUnknownLength;
      const ByteCount wanted =
          std::min(kChunkSize - cursor % kChunkSize, running.produced - cursor);
      if (!read(version, header, cursor, wanted)) return leave();
      running.fill->skip_to(follower, cursor + wanted);
      return;
    }
  }
}

}  // namespace millrace::sim
