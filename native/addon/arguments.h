// JavaScript values -> checked C++ values. Everything from JavaScript is hostile until it passed here: a
// wrong type or range throws a JavaScript TypeError and the call returns undefined. JS thread only.
#pragma once

#include <napi.h>

#include <string>

#include "base/status.h"
#include "base/units.h"

#if !defined(NAPI_VERSION) || NAPI_VERSION != 9
#error "the build must define NAPI_VERSION=9"
#endif
#if !defined(NAPI_DISABLE_CPP_EXCEPTIONS)
#error "the build must define NAPI_DISABLE_CPP_EXCEPTIONS"
#endif
// A worker that is being terminated takes no exception any more: that must not end the process.
#if !defined(NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS)
#error "the build must define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
#endif

namespace millrace {

// Reads the arguments of one call in order. After the first failure every further read gives a zero value
// and ok() is false; a JavaScript exception is then pending.
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  bool ok() const { return ok_; }
  uint32_t u32();
  // A whole number from 0 to 2^53 - 1.
  uint64_t whole();
  // The same, or kUnknownLength for -1.
  uint64_t whole_or_unknown();
  bool boolean();
  // Each UTF-16 unit must be below 256: header fields and keys are bytes.
  std::string latin1();
  std::string utf8();
  // Contents of a Buffer or Uint8Array; valid during the call only.
  Bytes bytes();
  // The same, to be written to.
  MutableBytes writable_bytes();
  Napi::Value next();

 private:
  void fail(const char* what);
  const Napi::CallbackInfo& info_;
  size_t position_ = 0;
  bool ok_ = true;
};

std::string latin1_of(const Napi::String& text);
Napi::String js_latin1(Napi::Env env, std::string_view text);

// A JavaScript Error for a status: message, plus `status` (the number of the code) and `errno`.
Napi::Error error_of(Napi::Env env, const Status& status, const std::string& detail = "");

}  // namespace millrace
