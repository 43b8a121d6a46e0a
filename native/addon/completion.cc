// Batched delivery of completions. See completion.h.
#include "addon/completion.h"

namespace millrace {

Ref<Completions> Completions::create(Napi::Env env, Napi::Function callback) {
  auto self = Ref<Completions>::adopt(new Completions());
  self->env_ = env;
  const auto words = Napi::Uint32Array::New(env, kWordsPerReport * kReportsPerBatch);
  self->words_ = Napi::Persistent(words);
  const Napi::String name = Napi::String::New(env, "millrace completions");
  // The function's queue holds at most one wake-up: `scheduled_` sees to that.
  const napi_status status = napi_create_threadsafe_function(
      env, callback, nullptr, name, 0, 1, self.get(), &Completions::finalize, self.get(),
      &Completions::call_js, &self->function_);
  MR_ASSERT(status == napi_ok);
  self->retain();  // for the function's context; finalize gives it back
  napi_unref_threadsafe_function(env, self->function_);
  return self;
}

void Completions::post(const Completion& completion) { push(Report{completion, nullptr}); }

void Completions::post_payload(uint32_t token, Code code,
                               std::unique_ptr<CompletionPayload> payload) {
  push(Report{Completion{token, code, 0}, std::move(payload)});
}

void Completions::push(Report report) {
  MutexLock lock(mutex_);
  if (closed_) return;  // the report's payload goes with it
  reports_.push_back(std::move(report));
  waiting_.store(true, std::memory_order_release);
  if (scheduled_) return;
  scheduled_ = true;
  // Called with the lock held, so that close() cannot release the function in between.
  const napi_status status =
      napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
  if (status != napi_ok) scheduled_ = false;  // the environment is going down
}

void Completions::finalize(napi_env, void* data, void*) {
  static_cast<Completions*>(data)->release();
}

void Completions::call_js(napi_env env, napi_value callback, void* context, void*) {
  auto* self = static_cast<Completions*>(context);
  {
    MutexLock lock(self->mutex_);
    self->scheduled_ = false;
    if (self->closed_ || env == nullptr) return;
  }
  const Ref<Completions> keep = Ref<Completions>::share(self);
  const Napi::HandleScope scope{Napi::Env(env)};
  for (uint32_t count = self->take(); count > 0; count = self->take()) {
    napi_value argument;
    napi_value result;
    napi_value receiver;
    napi_create_uint32(env, count, &argument);
    napi_get_global(env, &receiver);
    if (napi_call_function(env, receiver, callback, 1, &argument, &result) != napi_ok) {
      // The callback never throws by contract; if it does, Node reports it as uncaught.
      napi_value exception;
      if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
        napi_fatal_exception(env, exception);
      }
      return;
    }
  }
}

uint32_t Completions::take() {
  std::deque<Report> batch;
  {
    MutexLock lock(mutex_);
    while (!reports_.empty() && batch.size() < kReportsPerBatch) {
      batch.push_back(std::move(reports_.front()));
      reports_.pop_front();
    }
    if (reports_.empty()) waiting_.store(false, std::memory_order_release);
  }
  if (batch.empty()) return 0;
  uint32_t* words = words_.Value().Data();
  uint32_t at = 0;
  for (Report& report : batch) {
    words[at] = report.completion.token;
    words[at + 1] = static_cast<uint32_t>(report.completion.code);
    words[at + 2] = report.payload ? report.payload->deliver() : report.completion.value;
    at += kWordsPerReport;
  }
  return static_cast<uint32_t>(batch.size());
}

void Completions::hold(bool hold) {
  if (closed_) return;
  if (hold) {
    napi_ref_threadsafe_function(env_, function_);
  } else {
    napi_unref_threadsafe_function(env_, function_);
  }
}

void Completions::close() {
  std::deque<Report> dropped;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    closed_ = true;
    dropped.swap(reports_);
    napi_release_threadsafe_function(function_, napi_tsfn_abort);
    function_ = nullptr;
  }
  words_.Reset();
}

}  // namespace millrace
