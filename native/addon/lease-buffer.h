// Page spans as JavaScript Buffers without a copy. JS thread only. A lease is given back by detaching its
// Buffer first: what JavaScript still holds then has length 0 and shows nobody's bytes.
#pragma once

#include <napi.h>

#include <vector>

#include "engine/pages.h"

namespace millrace {

// What one Buffer shows: spans whose bytes follow one another in memory.
struct LentSpans {
  std::vector<PageSpan> spans;
  ByteCount length = 0;

  uint8_t* data() const { return spans.front().data(); }
};

// The spans as they are lent, in order: as few runs as the pages' addresses allow, each at most `longest`
// (0: a run for every span).
std::vector<LentSpans> runs_of(std::vector<PageSpan> spans, ByteCount longest);

// A Buffer over the run's memory; a copy where the runtime forbids external memory (Electron), *copied
// says which. Empty value on failure, with an exception pending.
Napi::Value make_lease_buffer(Napi::Env env, const LentSpans& run, bool* copied);

// Detaches the Buffer's memory if it begins at `data`. False when it is some other memory.
bool detach_lease_buffer(Napi::Env env, Napi::Value buffer, const uint8_t* data);

}  // namespace millrace
