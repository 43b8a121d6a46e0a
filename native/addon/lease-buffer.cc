// External Buffers over pages. See lease-buffer.h.
#include "addon/lease-buffer.h"

namespace millrace {

std::vector<LentSpans> runs_of(std::vector<PageSpan> spans, ByteCount longest) {
  std::vector<LentSpans> runs;
  for (PageSpan& span : spans) {
    const bool follows = !runs.empty() && runs.back().data() + runs.back().length == span.data() &&
                         runs.back().length + span.length <= longest;
    if (!follows) runs.emplace_back();
    LentSpans& run = runs.back();
    run.length += span.length;
    run.spans.push_back(std::move(span));
  }
  return runs;
}

Napi::Value make_lease_buffer(Napi::Env env, const LentSpans& run, bool* copied) {
  napi_value buffer = nullptr;
  *copied = false;
  napi_status status =
      napi_create_external_buffer(env, run.length, run.data(), nullptr, nullptr, &buffer);
  if (status == napi_no_external_buffers_allowed) {
    *copied = true;
    status = napi_create_buffer_copy(env, run.length, run.data(), nullptr, &buffer);
  }
  if (status != napi_ok) {
    Napi::Error::New(env, "no memory for a lease").ThrowAsJavaScriptException();
    return Napi::Value();
  }
  return Napi::Value(env, buffer);
}

bool detach_lease_buffer(Napi::Env env, Napi::Value buffer, const uint8_t* expected) {
  if (!buffer.IsTypedArray()) return false;
  napi_value array_buffer = nullptr;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, buffer, nullptr, nullptr, &data, &array_buffer, nullptr) !=
      napi_ok) {
    return false;
  }
  if (data != expected) return false;
  return napi_detach_arraybuffer(env, array_buffer) == napi_ok;
}

}  // namespace millrace
