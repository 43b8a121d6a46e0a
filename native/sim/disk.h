// The simulated disk: what it holds, what of that would survive a loss of power, and what the engine has
// read. Outlives the stores that open it. Knows nothing of requests and time; that is device.h.
//
// Completed writes are visible at once and durable only after a flush: until then any subset of 4 KiB pages
// (or 512-byte sectors) may fall back to an earlier content when power fails.
#pragma once

#include <memory>
#include <vector>

#include "base/units.h"
#include "sim/random.h"

namespace millrace::sim {

class Disk {
 public:
  static constexpr ByteCount kPage = 4096;
  static constexpr ByteCount kSector = 512;

  explicit Disk(ByteCount size);
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  ByteCount size() const { return size_; }
  Bytes view(ByteOffset offset, ByteCount length) const;

  void write(ByteOffset offset, Bytes bytes);
  void read(ByteOffset offset, MutableBytes out);
  // Number of the next write; a flush covers those below what this was when it was submitted.
  uint64_t write_number() const { return write_number_; }
  void flush(uint64_t before_write);

  // Whether somebody has read the page since it was written, in this life of the store. A store may trust
  // what it has verified once, so silent damage is done to other pages only.
  bool is_read(ByteOffset offset) const { return is_read_[offset / kPage]; }
  void forget_reads();

  // Unflushed pages fall back, each with a chance of `lost_percent`, whole or sector by sector.
  void lose_power(Random& random, uint32_t lost_percent, bool by_sector);
  // What is there is durable: the power stayed on.
  void settle();
  void flip(ByteOffset offset, uint8_t mask) { image_[offset] ^= mask; }
  uint64_t unflushed_pages() const { return unflushed_.size(); }

 private:
  using Block = std::unique_ptr<uint8_t[]>;
  struct Older {
    uint64_t written = 0;  // number of the write that made it
    Block bytes;
  };
  struct Unflushed {
    uint32_t page = 0;
    uint64_t written = 0;       // what the image holds
    std::vector<Older> older;   // durable content first
  };
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr size_t kMaximumOlder = 4;
  // A real disk writes back on its own; this also bounds what is kept.
  static constexpr size_t kMaximumUnflushed = 2048;

  Block take_block();
  void remove(size_t slot);
  void save_older(uint32_t page);

  const ByteCount size_;
  uint8_t* image_ = nullptr;
  uint64_t write_number_ = 1;
  std::vector<bool> is_read_;
  std::vector<uint32_t> slot_of_page_;
  std::vector<Unflushed> unflushed_;
  std::vector<Block> spare_;
};

}  // namespace millrace::sim
