// The producer's and the followers' side of a fill; what is published from it is in fill-publish.cc.
#include "engine/fill.h"

#include <algorithm>
#include <cstring>

#include "engine/store.h"
#include "layout/head.h"

namespace millrace {

namespace {

// What can be validated may be refreshed at any time, chunks included, whose hint no 304 renews: then there
// is no such moment.
uint64_t useless_from_ms(const HeadView& head) {
  if (!head.etag.empty() || head.last_modified_s != kUnknownLength) return 0;
  return std::max({head.fresh_until_ms, head.stale_while_revalidate_until_ms,
                   head.stale_if_error_until_ms});
}

}  // namespace

Fill::Fill(Ref<Store> store, std::string primary_key, Sequence birth, Notice producer)
    : store_(std::move(store)),
      primary_key_(std::move(primary_key)),
      primary_(store_->place_of(primary_key_)),
      birth_(birth),
      producer_(std::move(producer)) {}

Fill::~Fill() {
  MR_ASSERT(followers_.empty());
  store_->forget_fill(this);
}

Status Fill::begin(FillHead head) {
  const Result<HeadView> view = decode_head(head.head);
  if (!view.ok()) return Status(Code::invalid, view.status().message());
  if (head.key.size() + head.head.size() > kMaximumKeyAndHead) head.keep = false;
  const KeyHash hash = store_->place_in(primary_.volume, head.key).hash;
  if (head.is_part() &&
      (!head.keep || head.part_end > head.body_length || head.body_length == kUnknownLength ||
       (view.value().flags & kHeadIncomplete) == 0 ||
       (head.known && !(head.known->header.hash == hash)))) {
    return Status(Code::invalid, "a part that does not fit its body or cannot be stored");
  }
  const Ref<MemoryRecord> known = head.known;
  MutexLock lock(mutex_);
  if (state_ != FillState::waiting) return Status(Code::invalid, "the fill has begun already");
  state_ = FillState::running;
  head_ = std::move(head);
  hash_ = hash;
  incarnation_ = known ? known->header.incarnation : store_->next_incarnation();
  has_strong_validator_ = (view.value().flags & kHeadStrongValidator) != 0;
  may_resume_ = has_strong_validator_ && (view.value().flags & kHeadAcceptsRanges) != 0;
  expires_ms_ = useless_from_ms(view.value());
  // Once, so that all parts of an object go the same way.
  const KeyPlace place{primary_.volume, hash_};
  to_disk_ = head_.keep && ((known && store_->is_on_disk(place)) || store_->admits(place));
  if (head_.is_part()) {
    produced_ = head_.part_begin;
    handed_end_ = head_.part_begin;
    window_begin_ = round_down(head_.part_begin, kPageSize);
    if (!known) publish_incomplete_locked();
  }
  wake_locked();
  return Status();
}

// What lies behind the end that the head tells belongs to no body: it is taken, and never stored.
Bytes Fill::within_end(Bytes bytes) {
  MutexLock lock(mutex_);
  const uint64_t end = head_.is_part() ? head_.part_end : head_.body_length;
  if (state_ != FillState::running || end == kUnknownLength) return bytes;
  const ByteCount room = end - produced_;
  if (bytes.size() <= room) return bytes;
  overrun_ = true;
  return bytes.first(room);
}

Fill::Appended Fill::append(Bytes all) {
  Appended result;
  Bytes bytes = within_end(all);
  const ByteCount surplus = all.size() - bytes.size();
  while (!bytes.empty()) {
    uint8_t* target = nullptr;
    ByteCount count = 0;
    {
      MutexLock lock(mutex_);
      if (state_ != FillState::running) return result;
      const ByteCount in_page = produced_ % kPageSize;
      if (window_begin_ + pages_.size() * kPageSize <= produced_) {
        const PageRef* last = pages_.empty() ? nullptr : &pages_.back();
        PageRef page = store_->pool().allocate(kPageSize, last);
        if (!page) {
          store_->pool().notify_when_freed(producer_);
          // A page that came free before the notice was in place would not be told of.
          page = store_->pool().allocate(kPageSize, last);
        }
        if (!page) {
          paused_ = true;
          result.pause = FillPause::pages;
          return result;
        }
        pages_.push_back(std::move(page));
      }
      target = pages_.back().data() + in_page;
      count = bytes.size() < kPageSize - in_page ? bytes.size() : kPageSize - in_page;
    }
    // Only the producer writes beyond produced_, and the incomplete chunk's pages are never trimmed, so
    // the copy needs no lock.
    std::memcpy(target, bytes.data(), count);
    bytes = bytes.subspan(count);
    result.accepted += count;
    MutexLock lock(mutex_);
    produced_ += count;
    const bool stays_single = head_.body_length <= kChunkSize && !head_.is_part();
    if (head_.keep && !stays_single && is_aligned(produced_, kChunkSize)) {
      hand_over_locked(produced_);
    }
    wake_locked();
    if (is_aligned(produced_, kPageSize)) trim_locked();
  }
  result.accepted += surplus;
  MutexLock lock(mutex_);
  result.pause = pause_reason_locked();
  paused_ = result.pause != FillPause::none;
  return result;
}

Status Fill::finish() {
  Ref<MemoryRecord> known;
  {
    MutexLock lock(mutex_);
    if (state_ != FillState::running) return Status(Code::invalid, "the fill is not running");
    const uint64_t end = head_.is_part() ? head_.part_end : head_.body_length;
    if (end != kUnknownLength && (end != produced_ || overrun_)) {
      return Status(Code::invalid, "the body is shorter or longer than its head says", 0, produced_);
    }
    state_ = FillState::complete;
    if (!head_.is_part()) head_.body_length = produced_;
    paused_ = false;
    // A soft purge makes stale what is found later; it may be stored.
    if (verdict_locked() == PurgeVerdict::gone) purged_ = true;
    if (head_.is_part()) {
      if (produced_ > handed_end_) hand_over_locked(produced_);
      if (!purged_) known = head_.known;
    } else if (head_.keep) {
      if (produced_ <= kChunkSize && handed_end_ == 0) {
        if (!purged_) publish_single_locked();
      } else {
        if (produced_ > handed_end_) hand_over_locked(produced_);
        if (!purged_) publish_head_locked();
      }
    }
    handed_end_ = produced_;
    wake_locked();
    trim_locked();
  }
  // Takes a lock of the store, which calls fills with it.
  if (known) complete(known);
  return Status();
}

void Fill::fail() {
  Ref<MemoryRecord> known;
  {
    MutexLock lock(mutex_);
    if (state_ == FillState::complete || state_ == FillState::failed) return;
    const bool kept = keep_what_came_locked();
    if (kept && !head_.is_part()) publish_incomplete_locked();
    // One that was cut where another part goes on may be the last to end.
    if (kept && head_.is_part()) known = head_.known;
    state_ = FillState::failed;
    paused_ = false;
    wake_locked();
  }
  // Takes a lock of the store, which calls fills with it.
  if (known) complete(known);
}

Fill::Follower* Fill::follow(ByteOffset offset, Notice notice) {
  MutexLock lock(mutex_);
  followers_.push_back(Follower{offset, std::move(notice), false});
  return &followers_.back();
}

void Fill::unfollow(Follower* follower) {
  MutexLock lock(mutex_);
  for (auto at = followers_.begin(); at != followers_.end(); ++at) {
    if (&*at != follower) continue;
    followers_.erase(at);
    trim_locked();
    resume_locked();
    return;
  }
  MR_UNREACHABLE();
}

FollowerPoll Fill::poll(Follower* follower, ByteCount maximum, std::vector<PageSpan>* spans) {
  MutexLock lock(mutex_);
  follower->waiting = false;
  if (follower->cursor < std::max(window_begin_, head_.part_begin)) return FollowerPoll::behind;
  if (follower->cursor >= produced_) {
    if (state_ == FillState::complete) return FollowerPoll::end;
    if (state_ == FillState::failed) return FollowerPoll::failed;
    follower->waiting = true;
    resume_locked();
    return FollowerPoll::wait;
  }
  ByteOffset at = follower->cursor;
  const ByteCount in_window = produced_ - at;
  const ByteOffset end = at + (maximum < in_window ? maximum : in_window);
  while (at < end) {
    const auto number = static_cast<size_t>((at - window_begin_) / kPageSize);
    const auto offset = static_cast<uint32_t>(at % kPageSize);
    const ByteCount room = kPageSize - offset;
    const auto length = static_cast<uint32_t>(end - at < room ? end - at : room);
    spans->push_back(PageSpan{pages_[number].share(), offset, length});
    at += length;
  }
  follower->cursor = end;
  trim_locked();
  resume_locked();
  return FollowerPoll::data;
}

void Fill::skip_to(Follower* follower, ByteOffset offset) {
  MutexLock lock(mutex_);
  if (offset > follower->cursor) follower->cursor = offset;
  trim_locked();
  resume_locked();
}

ByteOffset Fill::cursor(const Follower* follower) {
  MutexLock lock(mutex_);
  return follower->cursor;
}

void Fill::drop_laggards() {
  MutexLock lock(mutex_);
  laggards_dropped_ = true;
  trim_locked();
  resume_locked();
}

void Fill::relieve() {
  MutexLock lock(mutex_);
  resume_locked();
}

void Fill::purge() {
  MutexLock lock(mutex_);
  purged_ = true;
}

bool Fill::is_purged() {
  MutexLock lock(mutex_);
  return purged_ || verdict_locked() != PurgeVerdict::keep;
}

PurgeVerdict Fill::verdict_locked() const {
  return store_->verdict(primary_, primary_key_, birth_, head_tags(head_.head));
}

FillPause Fill::pause_reason() {
  MutexLock lock(mutex_);
  return pause_reason_locked();
}

FillState Fill::state() {
  MutexLock lock(mutex_);
  return state_;
}

ByteOffset Fill::produced() {
  MutexLock lock(mutex_);
  return produced_;
}

uint64_t Fill::body_length() {
  MutexLock lock(mutex_);
  return head_.body_length;
}

uint32_t Fill::follower_count() {
  MutexLock lock(mutex_);
  return static_cast<uint32_t>(followers_.size());
}

ByteCount Fill::window_locked() const {
  const PagePool& pool = store_->pool();
  return pool.available() < pool.limit() / 8 ? kTightWindow : kWindow;
}

// Lowers `target`, the offset below which pages may go, to what no follower would lose for good.
ByteOffset Fill::hold_for_laggards_locked(ByteOffset target) {
  if (has_strong_validator_ || laggards_dropped_) return target;
  for (const Follower& follower : followers_) {
    if (follower.cursor < window_begin_ || follower.cursor >= target) continue;
    const ByteOffset first = window_begin_ / kChunkSize;
    for (ByteOffset chunk = follower.cursor / kChunkSize; chunk * kChunkSize < target; chunk++) {
      const auto number = static_cast<size_t>(chunk - first);
      if (number < lost_.size() && lost_[number]) {
        const ByteOffset start = chunk * kChunkSize;
        target = follower.cursor > start ? follower.cursor : start;
        break;
      }
    }
  }
  return target;
}

void Fill::trim_locked() {
  ByteOffset slowest = produced_;
  for (const Follower& follower : followers_) {
    if (follower.cursor >= window_begin_ && follower.cursor < slowest) slowest = follower.cursor;
  }
  ByteOffset target = slowest;
  if (head_.keep) {
    const ByteCount window = window_locked();
    const ByteOffset far = produced_ > window ? produced_ - window : 0;
    if (far > target) target = far;
    if (target > handed_end_) target = handed_end_;
    target = hold_for_laggards_locked(target);
  }
  const ByteOffset old_chunk = window_begin_ / kChunkSize;
  while (window_begin_ + kPageSize <= target && !pages_.empty()) {
    pages_.pop_front();
    window_begin_ += kPageSize;
  }
  for (ByteOffset chunk = old_chunk; chunk < window_begin_ / kChunkSize && !lost_.empty(); chunk++) {
    lost_.pop_front();
  }
}

FillPause Fill::pause_reason_locked() {
  if (state_ != FillState::running) return FillPause::none;
  ByteOffset slowest = produced_;
  bool hungry = false;
  for (const Follower& follower : followers_) {
    if (follower.cursor < slowest) slowest = follower.cursor;
    if (produced_ - follower.cursor < kInHand) hungry = true;
  }
  if (!head_.keep) {
    const bool behind = produced_ - slowest >= kUnkeptWindow;
    return behind ? FillPause::reader : FillPause::none;
  }
  // Whole pages are held only for laggards once twice the window is in memory.
  if (produced_ - window_begin_ >= 2 * kWindow) return FillPause::laggard;
  if (to_disk_ && store_->disk_backlogged(primary_.volume) && !hungry) return FillPause::disk;
  return FillPause::none;
}

void Fill::resume_locked() {
  if (!paused_ || pause_reason_locked() != FillPause::none) return;
  paused_ = false;
  producer_.post();
}

void Fill::wake_locked() {
  for (Follower& follower : followers_) {
    if (!follower.waiting) continue;
    follower.waiting = false;
    follower.notice.post();
  }
}

}  // namespace millrace
