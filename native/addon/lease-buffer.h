// Page spans as JavaScript Buffers without a copy. JS thread only. A Buffer is released by release_buffer,
// which detaches it first: what JavaScript still holds then has length 0 and shows nobody's bytes.
#pragma once

#include <napi.h>

#include "engine/pages.h"

namespace millrace {

// A Buffer over the span's memory; a copy where the runtime forbids external memory (Electron), *copied
// says which. Empty value on failure, with an exception pending.
Napi::Value make_lease_buffer(Napi::Env env, const PageSpan& span, bool* copied);

// Detaches the Buffer's memory if it is the span's. False when it is some other memory.
bool detach_lease_buffer(Napi::Env env, Napi::Value buffer, const PageSpan& span);

}  // namespace millrace
