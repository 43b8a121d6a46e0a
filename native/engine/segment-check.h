// Whether a record lies on the device as its footer says, with every checksum of it: for `verify`, which
// looks at whole devices, and for the scrub of a running store. On a thread that may block.
#pragma once

#include <string>

#include "device/device.h"
#include "layout/segment.h"

namespace millrace {

// A piece of a segment in memory: records follow one another, so that most lie in the piece already read. The
// memory is the caller's, longer than the longest record and a block.
class SegmentWindow {
 public:
  SegmentWindow(Device& device, ByteOffset start, ByteCount size, MutableBytes memory);

  // `length` bytes at `at`, relative to the segment; empty when the device fails.
  Bytes at(ByteOffset at, ByteCount length);
  // Whether they are there without a read.
  bool holds(ByteOffset at, ByteCount length) const {
    return at >= begin_ && at + length <= begin_ + length_;
  }
  // Read from the device so far.
  ByteCount bytes_read() const { return bytes_read_; }

 private:
  Device& device_;
  const ByteOffset start_;
  const ByteCount size_;
  const MutableBytes memory_;
  ByteOffset begin_ = 0;
  ByteCount length_ = 0;
  ByteCount bytes_read_ = 0;
};

struct RecordCheck {
  const char* damage = nullptr;  // null: none; static
  bool is_unreadable = false;    // the device failed: it may be readable another time
};

// The record of a footer's entry, of the lap `sequence`. *key gets its key where it is wanted and can be
// told.
RecordCheck check_record(SegmentWindow& window, const FooterEntry& entry, Sequence sequence,
                         std::string* key);

}  // namespace millrace
