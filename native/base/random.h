// Unpredictable bytes from the kernel: device uuids and hash keys. Callable from any thread.
#pragma once

#include "base/status.h"
#include "base/units.h"

namespace millrace {

// Fills `out`; io when the kernel has no random source.
Status fill_random(MutableBytes out);

}  // namespace millrace
