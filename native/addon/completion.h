// Completions of one environment: gathered from any thread, delivered to JavaScript in batches through one
// thread-safe function. Each report is three 32-bit words (token, code, value) in a typed array that
// both sides share, so a batch costs one call and no allocation per report.
#pragma once

#include <napi.h>

#include <deque>
#include <memory>

#include "base/sync.h"
#include "engine/memory-record.h"
#include "engine/sink.h"

namespace millrace {

// Something that a report carries and that becomes a handle on the JavaScript thread.
struct CompletionPayload {
  virtual ~CompletionPayload() = default;
  // Called on the JavaScript thread when the report is delivered; returns the report's value word.
  virtual uint32_t deliver() = 0;
};

class Completions final : public CompletionSink {
 public:
  static constexpr uint32_t kWordsPerReport = 3;
  static constexpr uint32_t kReportsPerBatch = 512;

  // JS thread. `callback(count)` is called for each batch; the words are in words().
  static Ref<Completions> create(Napi::Env env, Napi::Function callback);
  ~Completions() override = default;

  void post(const Completion& completion) override;
  void post_payload(uint32_t token, Code code, std::unique_ptr<CompletionPayload> payload);

  // JS thread: moves reports into the shared array; returns how many. For callers that know that some
  // are waiting and need not wait for the event loop.
  uint32_t take();
  bool waiting() const { return waiting_.load(std::memory_order_acquire); }
  Napi::Value words() { return words_.Value(); }
  // JS thread: keeps the process alive while operations are under way.
  void hold(bool hold);
  // JS thread, at the end of the environment: nothing is delivered afterwards.
  void close();

 private:
  struct Report {
    Completion completion;
    std::unique_ptr<CompletionPayload> payload;
  };
  Completions() = default;
  static void finalize(napi_env env, void* data, void* hint);
  static void call_js(napi_env env, napi_value callback, void* context, void* data);
  void push(Report report);

  Mutex mutex_;
  std::deque<Report> reports_;
  bool scheduled_ = false;
  bool closed_ = false;
  std::atomic<bool> waiting_{false};
  napi_env env_ = nullptr;
  napi_threadsafe_function function_ = nullptr;
  Napi::Reference<Napi::Uint32Array> words_;
};

}  // namespace millrace
