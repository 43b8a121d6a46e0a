// The life of a transfer. See io-backend.h.
#include "device/io-backend.h"

namespace millrace {

Status io_failure(IoOperation operation, int error_number, ByteOffset offset) {
  switch (operation) {
    case IoOperation::read:
      return Status(Code::io, "the device failed a read", error_number, offset);
    case IoOperation::write:
      return Status(Code::io, "the device failed a write", error_number, offset);
    case IoOperation::flush:
      return Status(Code::io, "the device failed a flush", error_number);
  }
  MR_UNREACHABLE();
}

void IoTransfer::begin(IoRequest* request) {
  MR_ASSERT_OP(request->span_count, <=, IoRequest::kMaximumSpans);
  request_ = request;
  offset_ = request->offset;
  left_ = request->length();
  first_ = 0;
  refusals_ = 0;
  for (uint32_t i = 0; i < request->span_count; i++) spans_[i] = request->spans[i];
}

bool IoTransfer::settle(int64_t outcome) {
  MR_ASSERT(request_ != nullptr);
  if (outcome == -EINTR || outcome == -EAGAIN) {
    if (++refusals_ <= kMaximumRefusals) return false;
  }
  if (outcome < 0) {
    request_->result = io_failure(request_->operation, static_cast<int>(-outcome), offset_);
    return true;
  }
  auto moved = static_cast<ByteCount>(outcome);
  MR_ASSERT_OP(moved, <=, left_);
  if (moved == 0 && left_ > 0) {
    request_->result = Status(Code::io, "the device ended early", 0, offset_);
    return true;
  }
  refusals_ = 0;
  offset_ += moved;
  left_ -= moved;
  if (left_ == 0) {
    request_->result = Status();
    return true;
  }
  while (moved >= spans_[first_].iov_len) {
    moved -= spans_[first_].iov_len;
    first_++;
    MR_ASSERT_OP(first_, <, request_->span_count);
  }
  spans_[first_].iov_base = static_cast<uint8_t*>(spans_[first_].iov_base) + moved;
  spans_[first_].iov_len -= moved;
  return false;
}

}  // namespace millrace
