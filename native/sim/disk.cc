// Image, unflushed pages and loss of power. See disk.h.
#include "sim/disk.h"

#include <sys/mman.h>

#include <cstring>

namespace millrace::sim {

Disk::Disk(ByteCount size)
    : size_(size), is_read_(size / kPage), slot_of_page_(size / kPage, kNone) {
  MR_ASSERT(is_aligned(size, kPage));
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  MR_ASSERT(memory != MAP_FAILED);
  image_ = static_cast<uint8_t*>(memory);
}

Disk::~Disk() { munmap(image_, size_); }

Bytes Disk::view(ByteOffset offset, ByteCount length) const {
  MR_ASSERT_OP(offset + length, <=, size_);
  return Bytes(image_ + offset, length);
}

Disk::Block Disk::take_block() {
  if (spare_.empty()) return Block(new uint8_t[kPage]);
  Block block = std::move(spare_.back());
  spare_.pop_back();
  return block;
}

void Disk::remove(size_t slot) {
  Unflushed& gone = unflushed_[slot];
  slot_of_page_[gone.page] = kNone;
  for (Older& older : gone.older) spare_.push_back(std::move(older.bytes));
  if (slot + 1 < unflushed_.size()) {
    gone = std::move(unflushed_.back());
    slot_of_page_[gone.page] = static_cast<uint32_t>(slot);
  }
  unflushed_.pop_back();
}

void Disk::save_older(uint32_t page) {
  uint32_t slot = slot_of_page_[page];
  if (slot == kNone) {
    if (unflushed_.size() >= kMaximumUnflushed) {
      remove(static_cast<size_t>(mix(write_number_) % unflushed_.size()));
    }
    slot = static_cast<uint32_t>(unflushed_.size());
    slot_of_page_[page] = slot;
    unflushed_.emplace_back();
    unflushed_.back().page = page;
  }
  Unflushed& entry = unflushed_[slot];
  Older older{entry.written, Block()};
  if (entry.older.size() >= kMaximumOlder) {
    older.bytes = std::move(entry.older.back().bytes);  // the last but one is forgotten
    entry.older.pop_back();
  } else {
    older.bytes = take_block();
  }
  std::memcpy(older.bytes.get(), image_ + page * kPage, kPage);
  entry.older.push_back(std::move(older));
  entry.written = write_number_;
}

void Disk::write(ByteOffset offset, Bytes bytes) {
  MR_ASSERT_OP(offset + bytes.size(), <=, size_);
  MR_ASSERT(is_aligned(offset, kSector) && is_aligned(bytes.size(), kSector));
  const ByteOffset end = offset + bytes.size();
  for (ByteOffset page = offset / kPage; page * kPage < end; page++) {
    save_older(static_cast<uint32_t>(page));
    is_read_[page] = false;
  }
  std::memcpy(image_ + offset, bytes.data(), bytes.size());
  write_number_++;
}

void Disk::read(ByteOffset offset, MutableBytes out) {
  MR_ASSERT_OP(offset + out.size(), <=, size_);
  std::memcpy(out.data(), image_ + offset, out.size());
  const ByteOffset end = offset + out.size();
  for (ByteOffset page = offset / kPage; page * kPage < end; page++) is_read_[page] = true;
}

void Disk::flush(uint64_t before_write) {
  for (size_t slot = unflushed_.size(); slot-- > 0;) {
    Unflushed& entry = unflushed_[slot];
    if (entry.written < before_write) {
      remove(slot);
      continue;
    }
    size_t durable = 0;
    for (size_t i = 0; i < entry.older.size(); i++) {
      if (entry.older[i].written < before_write) durable = i;
    }
    for (size_t i = 0; i < durable; i++) spare_.push_back(std::move(entry.older[i].bytes));
    entry.older.erase(entry.older.begin(),
                      entry.older.begin() + static_cast<std::ptrdiff_t>(durable));
  }
}

void Disk::forget_reads() { is_read_.assign(is_read_.size(), false); }

void Disk::lose_power(Random& random, uint32_t lost_percent, bool by_sector) {
  for (const Unflushed& entry : unflushed_) {
    uint8_t* page = image_ + ByteOffset{entry.page} * kPage;
    if (by_sector) {
      for (ByteOffset at = 0; at < kPage; at += kSector) {
        if (random.below(100) >= lost_percent) continue;
        const Older& older = entry.older[random.below(entry.older.size())];
        std::memcpy(page + at, older.bytes.get() + at, kSector);
      }
    } else if (random.below(100) < lost_percent) {
      std::memcpy(page, entry.older[random.below(entry.older.size())].bytes.get(), kPage);
    }
  }
  settle();
}

void Disk::settle() {
  while (!unflushed_.empty()) remove(unflushed_.size() - 1);
}

}  // namespace millrace::sim
