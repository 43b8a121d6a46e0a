// Where the engine reports what became of an operation or that a follower has news. Today the JavaScript
// batch of one environment (addon/completion), later a serving thread's eventfd. post() may be called
// from any thread, with engine locks held: it must not block and must not call back into the engine.
#pragma once

#include "base/ref.h"
#include "base/status.h"

namespace millrace {

struct Completion {
  uint32_t token = 0;   // chosen by whoever asked
  Code code = Code::ok;
  uint32_t value = 0;   // meaning depends on the operation
};

class CompletionSink : public RefCounted<CompletionSink> {
 public:
  virtual ~CompletionSink() = default;
  virtual void post(const Completion& completion) = 0;
};

// An address for one report: nothing happens when the sink is empty.
struct Notice {
  Ref<CompletionSink> sink;
  uint32_t token = 0;

  void post(Code code = Code::ok, uint32_t value = 0) const {
    if (sink) sink->post(Completion{token, code, value});
  }
};

}  // namespace millrace
