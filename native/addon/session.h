// What one environment holds of one open store: the handle tables behind the numbers that JavaScript has.
// Used on that environment's JavaScript thread; only its last reference may go away elsewhere, after
// close(). Leases outlive close(), because a socket may still be sending from them.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "addon/completion.h"
#include "addon/handle-table.h"
#include "addon/lease-buffer.h"
#include "engine/store.h"

namespace millrace {

struct FillEntry {
  Ref<Fill> fill;
};

struct FollowerEntry {
  Ref<Fill> fill;
  Fill::Follower* follower = nullptr;
};

class Session : public RefCounted<Session> {
 public:
  Session(Ref<Store> store, Ref<Completions> completions)
      : store_(std::move(store)), completions_(std::move(completions)) {}
  ~Session() = default;

  Store& store() { return *store_; }
  const Ref<Completions>& completions() { return completions_; }
  Notice notice(uint32_t token) {
    return Notice{Ref<CompletionSink>::share(completions_.get()), token};
  }
  bool open() const { return open_; }
  // Lets go of everything but the leases. The caller then gives the store back to the registry.
  Ref<Store> close();

  HandleTable<Ref<MemoryRecord>> objects;
  HandleTable<std::vector<PageSpan>> results;
  HandleTable<LentSpans> leases;
  HandleTable<Ref<AheadChunk>> aheads;
  HandleTable<FillEntry> fills;
  HandleTable<FollowerEntry> followers;
  HandleTable<Ref<MemoryRecord>> staged;  // taken by an outside tier, not settled yet
  bool has_policy = false;
  std::vector<Napi::Reference<Napi::ArrayBuffer>> views;  // over native memory; detached by close()

 private:
  const Ref<Store> store_;
  const Ref<Completions> completions_;
  bool open_ = true;
};

// Delivers the end of a find or read as an object or result handle.
struct RecordPayload final : CompletionPayload {
  enum class Kind : uint8_t { object, body };
  Ref<Session> session;
  Kind kind = Kind::object;
  uint32_t token = 0;
  Ref<MemoryRecord> record;

  uint32_t deliver() override;
  // FindDone of the engine; `context` is a RecordPayload*.
  static void done(void* context, Status status, Ref<MemoryRecord> record);
};

}  // namespace millrace
