// Closing a session and delivering records to it. See session.h.
#include "addon/session.h"

namespace millrace {

Ref<Store> Session::close() {
  MR_ASSERT(open_);
  open_ = false;
  followers.clear([](FollowerEntry& entry) { entry.fill->unfollow(entry.follower); });
  fills.clear([](FillEntry& entry) { entry.fill->fail(); });
  objects.clear([](Ref<MemoryRecord>&) {});
  aheads.clear([this](Ref<AheadChunk>& chunk) { store_->end_read_ahead(chunk); });
  results.clear([](std::vector<PageSpan>&) {});
  staged.clear([](Ref<MemoryRecord>&) {});
  if (has_policy) store_->tier().detach_policy();
  has_policy = false;
  for (Napi::Reference<Napi::ArrayBuffer>& view : views) {
    if (!view.IsEmpty()) napi_detach_arraybuffer(view.Env(), view.Value());
    view.Reset();
  }
  views.clear();
  return store_;
}

uint32_t RecordPayload::deliver() {
  if (!session->open() || !record) return 0;
  if (kind == Kind::object) return session->objects.add(std::move(record));
  std::vector<PageSpan> spans = record->slice(0, record->header.body_length);
  record.reset();
  return session->results.add(std::move(spans));
}

void RecordPayload::done(void* context, Status status, Ref<MemoryRecord> record) {
  std::unique_ptr<RecordPayload> self(static_cast<RecordPayload*>(context));
  self->record = std::move(record);
  const Ref<Completions> completions = self->session->completions();
  const uint32_t token = self->token;
  completions->post_payload(token, status.code(), std::move(self));
}

}  // namespace millrace
