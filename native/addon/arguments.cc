// Argument checks of the addon. See arguments.h.
#include "addon/arguments.h"

#include "layout/record.h"

namespace millrace {

namespace {
constexpr double kMaximumSafeInteger = 9007199254740991.0;
}

Napi::Value Arguments::next() {
  if (position_ >= info_.Length()) {
    position_++;
    return info_.Env().Undefined();
  }
  return info_[position_++];
}

void Arguments::fail(const char* what) {
  if (!ok_) return;
  ok_ = false;
  const std::string message =
      "argument " + std::to_string(position_) + " of a native call must be " + what;
  Napi::TypeError::New(info_.Env(), message).ThrowAsJavaScriptException();
}

uint32_t Arguments::u32() {
  const uint64_t value = whole();
  if (value > 0xffffffffu) {
    fail("a number below 2^32");
    return 0;
  }
  return static_cast<uint32_t>(value);
}

uint64_t Arguments::whole() {
  const Napi::Value value = next();
  if (!ok_) return 0;
  if (!value.IsNumber()) {
    fail("a whole number");
    return 0;
  }
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0) || number > kMaximumSafeInteger ||
      static_cast<double>(static_cast<uint64_t>(number)) != number) {
    fail("a whole number from 0 to 2^53 - 1");
    return 0;
  }
  return static_cast<uint64_t>(number);
}

uint64_t Arguments::whole_or_unknown() {
  if (position_ < info_.Length() && info_[position_].IsNumber() &&
      info_[position_].As<Napi::Number>().DoubleValue() == -1) {
    position_++;
    return kUnknownLength;
  }
  return whole();
}

bool Arguments::boolean() {
  const Napi::Value value = next();
  if (!ok_) return false;
  if (!value.IsBoolean()) {
    fail("a boolean");
    return false;
  }
  return value.As<Napi::Boolean>().Value();
}

std::string latin1_of(const Napi::String& text) {
  size_t length = 0;
  napi_get_value_string_latin1(text.Env(), text, nullptr, 0, &length);
  std::string out(length, '\0');
  if (length > 0) {
    napi_get_value_string_latin1(text.Env(), text, out.data(), length + 1, &length);
  }
  return out;
}

Napi::String js_latin1(Napi::Env env, std::string_view text) {
  napi_value value = nullptr;
  napi_create_string_latin1(env, text.data(), text.size(), &value);
  return Napi::String(env, value);
}

std::string Arguments::latin1() {
  const Napi::Value value = next();
  if (!ok_) return std::string();
  if (!value.IsString()) {
    fail("a string");
    return std::string();
  }
  return latin1_of(value.As<Napi::String>());
}

std::string Arguments::utf8() {
  const Napi::Value value = next();
  if (!ok_) return std::string();
  if (!value.IsString()) {
    fail("a string");
    return std::string();
  }
  return value.As<Napi::String>().Utf8Value();
}

MutableBytes Arguments::writable_bytes() {
  const Napi::Value value = next();
  if (!ok_) return MutableBytes();
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    fail("a Uint8Array");
    return MutableBytes();
  }
  auto array = value.As<Napi::Uint8Array>();
  return MutableBytes(array.Data(), array.ByteLength());
}

Bytes Arguments::bytes() { return writable_bytes(); }

Napi::Error error_of(Napi::Env env, const Status& status, const std::string& detail) {
  std::string message = detail.empty() ? std::string(status.message()) : detail;
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("status", Napi::Number::New(env, static_cast<double>(status.code())));
  error.Set("errno", Napi::Number::New(env, status.error_number()));
  return error;
}

}  // namespace millrace
