// Functions on devices that are not open as a store: formatting and inspection, each a task on a thread of
// its own. JS thread only.
#pragma once

#include <napi.h>

namespace millrace {

// Adds format, formatProgress and takeFormat to the exports.
void define_format(Napi::Env env, Napi::Object exports);

// Adds inspect, inspectProgress and takeInspect to the exports.
void define_inspect(Napi::Env env, Napi::Object exports);

}  // namespace millrace
