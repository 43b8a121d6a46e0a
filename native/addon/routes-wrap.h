// Routes and keys for JavaScript: the compiled table and the pure key functions. JS thread only.
#pragma once

#include <napi.h>

namespace millrace {

// Adds the class Routes and the function variantKey to the exports.
void define_routes(Napi::Env env, Napi::Object exports);

}  // namespace millrace
