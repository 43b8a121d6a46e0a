// Store methods of producers and followers. See store-wrap.h and engine/fill.h.
#include "addon/arguments.h"
#include "addon/store-wrap.h"

namespace millrace {

namespace {
// poll(): anything below zero is not a result handle.
constexpr int32_t kPollWait = -1;
constexpr int32_t kPollEnd = -2;
constexpr int32_t kPollFailed = -3;
constexpr int32_t kPollBehind = -4;
}  // namespace

Fill* StoreWrap::fill_of(Arguments& arguments, millrace::Ref<Fill>* keep) {
  FillEntry* entry = session_->fills.find(arguments.u32());
  if (entry == nullptr) return nullptr;
  *keep = entry->fill;
  return keep->get();
}

FollowerEntry* StoreWrap::follower_of(Arguments& arguments) {
  return session_->followers.find(arguments.u32());
}

// beginFill(token, primaryKey): fill handle; the token is posted when a paused producer may go on.
Napi::Value StoreWrap::begin_fill(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  std::string key = arguments.latin1();
  if (!arguments.ok()) return Napi::Value();
  millrace::Ref<Fill> fill = session_->store().begin_fill(std::move(key), session_->notice(token));
  return number(info, session_->fills.add(FillEntry{std::move(fill)}));
}

// fillBegin(fill, key, head, bodyLength | -1, keep, may compress, part begin, part end, known object | 0)
Napi::Value StoreWrap::fill_begin(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<Fill> keep_alive;
  Fill* fill = fill_of(arguments, &keep_alive);
  FillHead head;
  head.key = arguments.latin1();
  const Bytes bytes = arguments.bytes();
  head.body_length = arguments.whole_or_unknown();
  head.keep = arguments.boolean();
  head.may_compress = arguments.boolean();
  head.part_begin = arguments.whole();
  head.part_end = arguments.whole();
  (void)object_of(arguments, &head.known);
  if (!arguments.ok() || fill == nullptr) return info.Env().Undefined();
  head.head.assign(bytes.begin(), bytes.end());
  const Status status = fill->begin(std::move(head));
  if (!status.ok()) error_of(info.Env(), status).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

// fillAppend(fill, bytes, from): accepted bytes x 16 + pause x 2 + 1 if completions are waiting.
Napi::Value StoreWrap::fill_append(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<Fill> keep_alive;
  Fill* fill = fill_of(arguments, &keep_alive);
  const Bytes bytes = arguments.bytes();
  const uint64_t from = arguments.whole();
  if (!arguments.ok() || fill == nullptr || from > bytes.size()) return number(info, 0);
  const Fill::Appended appended = fill->append(bytes.subspan(from));
  const double waiting = session_->completions()->waiting() ? 1 : 0;
  return number(info, static_cast<double>(appended.accepted) * 16 +
                          static_cast<double>(appended.pause) * 2 + waiting);
}

Napi::Value StoreWrap::fill_finish(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<Fill> keep_alive;
  Fill* fill = fill_of(arguments, &keep_alive);
  if (!arguments.ok() || fill == nullptr) return info.Env().Undefined();
  const Status status = fill->finish();
  if (!status.ok()) error_of(info.Env(), status).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

// peek(key): a handle on the head or single record that memory has right now, uncounted; 0: none.
Napi::Value StoreWrap::peek(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const std::string key = arguments.latin1();
  if (!arguments.ok()) return Napi::Value();
  Store& store = session_->store();
  millrace::Ref<MemoryRecord> record = store.peek_head(store.place_of(key), key);
  return number(info, record ? session_->objects.add(std::move(record)) : kMiss);
}

// floor(marker): the lowest birth of a variant that a Vary marker vouches for.
Napi::Value StoreWrap::floor(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> marker;
  const MemoryRecord* found = object_of(arguments, &marker);
  if (!arguments.ok()) return Napi::Value();
  return number(info, found == nullptr ? 0 : static_cast<double>(found->header.incarnation));
}

// fillMarker(fill, head, floor): the Vary marker of the fill's primary key; false where it was not taken.
Napi::Value StoreWrap::fill_marker(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<Fill> keep_alive;
  Fill* fill = fill_of(arguments, &keep_alive);
  const Bytes head = arguments.bytes();
  const uint64_t floor = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  return Napi::Boolean::New(info.Env(),
                            fill != nullptr && fill->publish_marker(head, floor).ok());
}

Napi::Value StoreWrap::fill_fail(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<Fill> keep_alive;
  Fill* fill = fill_of(arguments, &keep_alive);
  if (arguments.ok() && fill != nullptr) fill->fail();
  return info.Env().Undefined();
}

// fillPause(fill): FillPause, why the producer should pause right now.
Napi::Value StoreWrap::fill_pause(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<Fill> keep_alive;
  Fill* fill = fill_of(arguments, &keep_alive);
  if (!arguments.ok() || fill == nullptr) return number(info, 0);
  return number(info, static_cast<double>(fill->pause_reason()));
}

Napi::Value StoreWrap::fill_drop_laggards(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<Fill> keep_alive;
  Fill* fill = fill_of(arguments, &keep_alive);
  if (arguments.ok() && fill != nullptr) fill->drop_laggards();
  return info.Env().Undefined();
}

// fillRead(token, fill, offset, length): bytes of this version from the store, like read().
Napi::Value StoreWrap::fill_read(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t token = arguments.u32();
  millrace::Ref<Fill> keep_alive;
  Fill* fill = fill_of(arguments, &keep_alive);
  const uint64_t offset = arguments.whole();
  const uint64_t length = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  if (fill == nullptr || length == 0) return number(info, kMiss);
  const uint64_t object_length =
      fill->state() == FillState::complete ? fill->body_length() : kUnknownLength;
  return read_range(info, token,
                    Store::BodyRange{fill->volume(), fill->hash(), fill->incarnation(),
                                     object_length, offset, length});
}

// storedEnd(object, offset, end): the end of the stored bytes that begin at offset; or -1 - chunk where a
// piece of that chunk has to be read before anybody can tell.
Napi::Value StoreWrap::stored_end(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  const uint64_t offset = arguments.whole();
  const uint64_t end = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  if (record == nullptr) return number(info, static_cast<double>(offset));
  uint32_t unread = Store::kNoChunk;
  const ByteOffset stored = session_->store().stored_end(*record, offset, end, &unread);
  return number(info, unread == Store::kNoChunk ? static_cast<double>(stored)
                                                : -1 - static_cast<double>(unread));
}

// missingEnd(object, offset, end): the next stored byte, as far as memory and index tell.
Napi::Value StoreWrap::missing_end(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<MemoryRecord> keep;
  const MemoryRecord* record = object_of(arguments, &keep);
  const uint64_t offset = arguments.whole();
  const uint64_t end = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  const ByteOffset next =
      record == nullptr ? end : session_->store().missing_end(*record, offset, end);
  return number(info, static_cast<double>(next));
}

Napi::Value StoreWrap::close_fill(Info info) {
  Arguments arguments(info);
  const uint32_t handle = arguments.u32();
  if (!arguments.ok() || !session_) return info.Env().Undefined();
  FillEntry* entry = session_->fills.find(handle);
  if (entry != nullptr) {
    entry->fill->fail();  // no effect on a complete one
    session_->fills.remove(handle);
  }
  return info.Env().Undefined();
}

// follow(fill, token, offset): follower handle.
Napi::Value StoreWrap::follow(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  millrace::Ref<Fill> fill;
  Fill* found = fill_of(arguments, &fill);
  const uint32_t token = arguments.u32();
  const uint64_t offset = arguments.whole();
  if (!arguments.ok() || found == nullptr) return number(info, kMiss);
  Fill::Follower* follower = found->follow(offset, session_->notice(token));
  return number(info, session_->followers.add(FollowerEntry{std::move(fill), follower}));
}

// poll(follower, maximum): a result handle, or one of the kPoll values.
Napi::Value StoreWrap::poll(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  FollowerEntry* entry = follower_of(arguments);
  const uint64_t maximum = arguments.whole();
  if (!arguments.ok()) return Napi::Value();
  if (entry == nullptr || maximum == 0) return number(info, kPollFailed);
  std::vector<PageSpan> spans;
  switch (entry->fill->poll(entry->follower, maximum, &spans)) {
    case FollowerPoll::data:
      return give_spans(info, std::move(spans));
    case FollowerPoll::wait:
      return number(info, kPollWait);
    case FollowerPoll::end:
      return number(info, kPollEnd);
    case FollowerPoll::failed:
      return number(info, kPollFailed);
    case FollowerPoll::behind:
      return number(info, kPollBehind);
  }
  MR_UNREACHABLE();
}

Napi::Value StoreWrap::skip_to(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  FollowerEntry* entry = follower_of(arguments);
  const uint64_t offset = arguments.whole();
  if (arguments.ok() && entry != nullptr) entry->fill->skip_to(entry->follower, offset);
  return info.Env().Undefined();
}

Napi::Value StoreWrap::unfollow(Info info) {
  Arguments arguments(info);
  const uint32_t handle = arguments.u32();
  if (!arguments.ok() || !session_) return info.Env().Undefined();
  FollowerEntry* entry = session_->followers.find(handle);
  if (entry != nullptr) {
    entry->fill->unfollow(entry->follower);
    session_->followers.remove(handle);
  }
  return info.Env().Undefined();
}

}  // namespace millrace
