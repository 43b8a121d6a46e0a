// Callable from any thread; values only. The result of everything that can fail for a reason outside
// the program: a code, the errno behind it, a static sentence, and an offset where one is known.
#pragma once

#include <cstdint>
#include <utility>

#include "base/assert.h"

namespace millrace {

enum class Code : uint8_t {
#define MR_STATUS_CODE(name, number, suffix) name = number,
#include "base/status-codes.inc"
#undef MR_STATUS_CODE
};

class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  constexpr Status(Code code, const char* message, int error_number = 0, uint64_t offset = 0)
      : code_(code), error_number_(error_number), message_(message), offset_(offset) {}

  constexpr bool ok() const { return code_ == Code::ok; }
  constexpr Code code() const { return code_; }
  constexpr int error_number() const { return error_number_; }
  // A string with static storage; never null.
  constexpr const char* message() const { return message_; }
  constexpr uint64_t offset() const { return offset_; }

 private:
  Code code_ = Code::ok;
  int error_number_ = 0;
  const char* message_ = "";
  uint64_t offset_ = 0;
};

const char* code_name(Code code);

// Either a value or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(status) {      // NOLINT(google-explicit-constructor)
    MR_ASSERT(!status.ok());
  }
  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  T& value() {
    MR_ASSERT(status_.ok());
    return value_;
  }
  const T& value() const {
    MR_ASSERT(status_.ok());
    return value_;
  }

 private:
  T value_{};
  Status status_{};
};

}  // namespace millrace
