// External Buffers over pages. See lease-buffer.h.
#include "addon/lease-buffer.h"

namespace millrace {

Napi::Value make_lease_buffer(Napi::Env env, const PageSpan& span, bool* copied) {
  napi_value buffer = nullptr;
  *copied = false;
  napi_status status =
      napi_create_external_buffer(env, span.length, span.data(), nullptr, nullptr, &buffer);
  if (status == napi_no_external_buffers_allowed) {
    *copied = true;
    status = napi_create_buffer_copy(env, span.length, span.data(), nullptr, &buffer);
  }
  if (status != napi_ok) {
    Napi::Error::New(env, "no memory for a lease").ThrowAsJavaScriptException();
    return Napi::Value();
  }
  return Napi::Value(env, buffer);
}

bool detach_lease_buffer(Napi::Env env, Napi::Value buffer, const PageSpan& span) {
  if (!buffer.IsTypedArray()) return false;
  napi_value array_buffer = nullptr;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, buffer, nullptr, nullptr, &data, &array_buffer, nullptr) !=
      napi_ok) {
    return false;
  }
  if (data != span.data()) return false;
  return napi_detach_arraybuffer(env, array_buffer) == napi_ok;
}

}  // namespace millrace
