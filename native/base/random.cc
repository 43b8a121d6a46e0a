// getrandom(2). See random.h.
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

namespace millrace {

Status fill_random(MutableBytes out) {
  while (!out.empty()) {
    const ssize_t count = getrandom(out.data(), out.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Status(Code::io, "the kernel gives no random bytes", errno);
    out = out.subspan(static_cast<size_t>(count));
  }
  return Status();
}

}  // namespace millrace
