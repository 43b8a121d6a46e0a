// Reads of footers that are asked for ahead. See footers-ahead.h.
#include "engine/footers-ahead.h"

#include "engine/segment-scan.h"

namespace millrace {

FootersAhead::~FootersAhead() {
  for (const Wanted& wanted : wanted_) wait_for(wanted);
}

bool FootersAhead::ask(const FooterTrailer& trailer) {
  const ByteCount size = footer_entries_size(trailer);
  const bool is_full = wanted_.size() == kMaximumCount || bytes_ + size > kMaximumBytes;
  if (is_full && !wanted_.empty()) return false;
  Wanted& wanted = wanted_.emplace_back(this, trailer, size);
  bytes_ += size;
  IoRequest& request = wanted.request;
  request.operation = IoOperation::read;
  request.offset = footer_entries_offset(geometry_, trailer);
  request.span_count = 1;
  request.spans[0] = iovec{wanted.array.data(), size};
  request.done = &FootersAhead::on_read;
  request.context = &wanted;
  // Refused, by a full queue say: read when it is taken.
  wanted.is_submitted = size > 0 && device_.submit(&request).ok();
  return true;
}

Result<std::vector<FooterEntry>> FootersAhead::take() {
  MR_ASSERT(!wanted_.empty());
  Wanted& wanted = wanted_.front();
  wait_for(wanted);
  Result<std::vector<FooterEntry>> entries =
      !wanted.is_submitted ? read_footer_entries(device_, geometry_, wanted.trailer)
      : wanted.request.result.ok()
          ? decode_footer_entries(wanted.trailer, wanted.array.bytes(), geometry_.segment_size)
          : Result<std::vector<FooterEntry>>(wanted.request.result);
  bytes_ -= wanted.request.spans[0].iov_len;
  wanted_.pop_front();
  return entries;
}

void FootersAhead::on_read(IoRequest* request) {
  auto* wanted = static_cast<Wanted*>(request->context);
  FootersAhead* footers = wanted->footers;
  MutexLock lock(footers->mutex_);
  wanted->is_done = true;
  // Under the lock: whoever waits may destroy both once it has seen it.
  footers->condition_.signal();
}

void FootersAhead::wait_for(const Wanted& wanted) {
  if (!wanted.is_submitted) return;
  MutexLock lock(mutex_);
  while (!wanted.is_done) condition_.wait(mutex_);
}

}  // namespace millrace
