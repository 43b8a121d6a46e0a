// The Store object of JavaScript: finding, reading, leases, L1 policy, outside tier, statistics. Numbers
// that it returns are handles; -1 means that the completion with the given token will bring one. The
// producer's and followers' methods are in fill-wrap.cc. JS thread only.
#pragma once

#include <napi.h>

#include "addon/session.h"

namespace millrace {

class Arguments;

class StoreWrap final : public Napi::ObjectWrap<StoreWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit StoreWrap(const Napi::CallbackInfo& info);
  void attach(millrace::Ref<Session> session, Napi::Object self);

 private:
  using Info = const Napi::CallbackInfo&;
  static constexpr int32_t kMiss = 0;
  static constexpr int32_t kPending = -1;

  bool usable(Info info);
  Napi::Value number(Info info, double value) { return Napi::Number::New(info.Env(), value); }
  Napi::Value found_now(Info info, const KeyPlace& place, const std::string& key,
                        Sequence minimum_birth);
  Napi::Value find_at(Info info, uint32_t token, const KeyPlace& place, const std::string& key,
                      Sequence minimum_birth);
  Napi::Value give_spans(Info info, std::vector<PageSpan> spans);
  // Appends leases to a list, from index `at` on; empty with an exception pending.
  Napi::Value lend(Info info, std::vector<PageSpan> spans, ByteCount longest, Napi::Array out,
                   uint32_t at);
  Found spans_now(const MemoryRecord& record, ByteOffset offset, ByteCount length,
                  std::vector<PageSpan>* spans);
  Napi::Value read_range(Info info, uint32_t token, const Store::BodyRange& range);
  MemoryRecord* object_of(Arguments& arguments, millrace::Ref<MemoryRecord>* keep);

  // store-wrap.cc
  Napi::Value find_now(Info info);
  Napi::Value find_variant_now(Info info);
  Napi::Value read_now(Info info);
  Napi::Value copy_body(Info info);
  Napi::Value find(Info info);
  Napi::Value find_variant(Info info);
  Napi::Value head(Info info);
  Napi::Value peek(Info info);
  Napi::Value floor(Info info);
  Napi::Value read(Info info);
  Napi::Value first_missing(Info info);
  Napi::Value read_ahead(Info info);
  Napi::Value end_read_ahead(Info info);
  Napi::Value take_pages(Info info);
  Napi::Value release(Info info);
  Napi::Value close_object(Info info);
  Napi::Value refresh(Info info);
  Napi::Value forget(Info info);
  Napi::Value detach(Info info);
  // purge-wrap.cc
  Napi::Value purge(Info info);
  Napi::Value purge_key(Info info);
  Napi::Value restore_purge(Info info);
  Napi::Value purge_state(Info info);
  Napi::Value is_fill_purged(Info info);
  // store-wrap-tiers.cc
  Napi::Value attach_policy(Info info);
  Napi::Value take_events(Info info);
  Napi::Value evict(Info info);
  Napi::Value memory_used(Info info);
  Napi::Value on_staged(Info info);
  Napi::Value on_warmed(Info info);
  Napi::Value count_use(Info info);
  Napi::Value take_staged(Info info);
  Napi::Value staged_header(Info info);
  Napi::Value settle_staged(Info info);
  Napi::Value record_name(Info info);
  Napi::Value chunk_name(Info info);
  Napi::Value adopt(Info info);
  Napi::Value adopt_chunk(Info info);
  Napi::Value stats(Info info);
  // fill-wrap.cc
  Fill* fill_of(Arguments& arguments, millrace::Ref<Fill>* keep);
  FollowerEntry* follower_of(Arguments& arguments);
  Napi::Value begin_fill(Info info);
  Napi::Value fill_begin(Info info);
  Napi::Value fill_append(Info info);
  Napi::Value fill_finish(Info info);
  Napi::Value fill_marker(Info info);
  Napi::Value stored_end(Info info);
  Napi::Value missing_end(Info info);
  Napi::Value fill_fail(Info info);
  Napi::Value fill_pause(Info info);
  Napi::Value fill_drop_laggards(Info info);
  Napi::Value fill_read(Info info);
  Napi::Value close_fill(Info info);
  Napi::Value follow(Info info);
  Napi::Value poll(Info info);
  Napi::Value skip_to(Info info);
  Napi::Value unfollow(Info info);

  millrace::Ref<Session> session_;
  Napi::Reference<Napi::Float64Array> found_;  // what JavaScript sees as `found`
  double* found_words_ = nullptr;
};

Napi::Value js_tag_hashes(const Napi::CallbackInfo& info);

}  // namespace millrace
