// What PosixDevice is built on: something that takes requests for one descriptor and completes each exactly
// once. IoThreads is there on every kernel; IoUring where the kernel has and allows it. What both do alike
// lives here and in io-queue.h: the bounded queue, the life of a transfer and the words of its failures.
// submit() from any thread; close() from one, and never from done().
#pragma once

#include "device/device.h"

namespace millrace {

class IoBackend {
 public:
  virtual ~IoBackend() = default;
  // again: too many requests are waiting. closed: after close(). Else done() follows, exactly once.
  virtual Status submit(IoRequest* request) = 0;
  // As Device::hand_over.
  virtual bool hand_over(IoRequest* request) {
    static_cast<void>(request);
    return false;
  }
  // Finishes what was submitted and joins the threads. Idempotent.
  virtual void close() = 0;
};

// Why a request failed: the same sentence whoever moved the bytes.
Status io_failure(IoOperation operation, int error_number, ByteOffset offset);

// One request on its way: what is left of it after transfers that may each fall short. The spans of the
// request itself stay as the caller wrote them. Touched by one thread at a time.
class IoTransfer {
 public:
  // Takes the request; it must have been checked.
  void begin(IoRequest* request);
  // What a transfer of what was left returned: bytes moved, 0, or a negative errno. True: the request is
  // finished and its result set. False: submit what is left once more. A flush moves nothing and returns 0.
  bool settle(int64_t outcome);

  IoRequest* request() const { return request_; }
  ByteOffset offset() const { return offset_; }
  const iovec* spans() const { return spans_ + first_; }
  uint32_t span_count() const { return request_->span_count - first_; }
  // The kernel said EAGAIN to what is submitted again.
  bool was_refused() const { return refusals_ > 0; }

 private:
  // EINTR and EAGAIN without a byte in between; beyond it the device is not busy but broken.
  static constexpr uint32_t kMaximumRefusals = 1000;

  IoRequest* request_ = nullptr;
  ByteOffset offset_ = 0;
  ByteCount left_ = 0;
  uint32_t first_ = 0;
  uint32_t refusals_ = 0;
  iovec spans_[IoRequest::kMaximumSpans];
};

}  // namespace millrace
