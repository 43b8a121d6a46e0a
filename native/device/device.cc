// The blocking conveniences over submit(). See device.h.
#include "device/device.h"

#include "base/sync.h"

namespace millrace {

namespace {

struct Waiter {
  Mutex mutex;
  Condition condition;
  bool done = false;
};

void wake(IoRequest* request) {
  auto* waiter = static_cast<Waiter*>(request->context);
  MutexLock lock(waiter->mutex);
  waiter->done = true;
  // Under the lock: the waiter lives on the stack of the thread that this wakes.
  waiter->condition.signal();
}

}  // namespace

Status Device::run(IoRequest* request) {
  Waiter waiter;
  request->context = &waiter;
  request->done = &wake;
  for (;;) {
    const Status status = submit(request);
    if (status.ok()) break;
    if (status.code() != Code::again) return status;
    MutexLock lock(waiter.mutex);
    waiter.condition.wait_for(waiter.mutex, 1);
  }
  MutexLock lock(waiter.mutex);
  while (!waiter.done) waiter.condition.wait(waiter.mutex);
  return request->result;
}

Status Device::read(ByteOffset offset, MutableBytes into) {
  IoRequest request;
  request.operation = IoOperation::read;
  request.offset = offset;
  request.span_count = 1;
  request.spans[0] = iovec{into.data(), into.size()};
  return run(&request);
}

Status Device::write(ByteOffset offset, Bytes from) {
  IoRequest request;
  request.operation = IoOperation::write;
  request.offset = offset;
  request.span_count = 1;
  request.spans[0] = iovec{const_cast<uint8_t*>(from.data()), from.size()};
  return run(&request);
}

Status Device::flush() {
  IoRequest request;
  request.operation = IoOperation::flush;
  return run(&request);
}

}  // namespace millrace
