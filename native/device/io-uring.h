// The io_uring backend: one thread owns the ring of one descriptor. Other threads put requests into a bounded
// queue and, when that thread sleeps, wake it through an eventfd that the ring itself reads; it then submits
// all that waits in one system call, which is also the one that it sleeps in. done() runs on the ring's
// thread, or for large reads, whose checksums take long, on one of two helpers. submit() from any thread.
#pragma once

#include <memory>
#include <string>

#include "device/io-backend.h"

namespace millrace {

// Null, with the reason for a person in `refusal`, where the kernel, a filter or this build has no io_uring.
// Does not own `file`.
std::unique_ptr<IoBackend> open_io_uring(int file, uint32_t queue_limit, std::string* refusal);

}  // namespace millrace
