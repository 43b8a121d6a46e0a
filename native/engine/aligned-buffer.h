// A block of memory aligned for direct I/O, outside the page pool: for footers, headers and recovery.
#pragma once

#include <cstdlib>
#include <cstring>

#include "base/units.h"

namespace millrace {

class AlignedBuffer {
 public:
  explicit AlignedBuffer(ByteCount size) : size_(round_up(size, kBlockAlignment)) {
    void* memory = nullptr;
    // 64 KiB satisfies every device alignment that is accepted.
    MR_ASSERT(posix_memalign(&memory, kPageSize, size_) == 0);
    data_ = static_cast<uint8_t*>(memory);
    std::memset(data_, 0, size_);
  }
  ~AlignedBuffer() { std::free(data_); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  uint8_t* data() { return data_; }
  ByteCount size() const { return size_; }
  MutableBytes bytes() { return MutableBytes(data_, size_); }

 private:
  uint8_t* data_ = nullptr;
  ByteCount size_;
};

}  // namespace millrace
