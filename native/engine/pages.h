// The one budget of native memory: 64 KiB aligned pages, refcounted, handed to fills, the memory tier, the
// appender and disk reads. Small records share a page as cells of 1 to 32 KiB (powers of two), so that a
// thousand small objects cost what they weigh. Callable from any thread; the lock is held for a few
// loads and stores, never across I/O.
#pragma once

#include <atomic>
#include <bit>
#include <memory>
#include <vector>

#include "base/sync.h"
#include "base/units.h"
#include "engine/sink.h"

namespace millrace {

class PagePool;

// One reference to one page or cell. Move-only; share() makes another.
class PageRef {
 public:
  PageRef() = default;
  PageRef(PageRef&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), unit_(other.unit_) {}
  PageRef& operator=(PageRef&& other) noexcept;
  PageRef(const PageRef&) = delete;
  PageRef& operator=(const PageRef&) = delete;
  ~PageRef() { reset(); }

  PageRef share() const;
  void reset();
  explicit operator bool() const { return pool_ != nullptr; }
  uint8_t* data() const;
  ByteCount capacity() const;

 private:
  friend class PagePool;
  PageRef(PagePool* pool, uint32_t unit) : pool_(pool), unit_(unit) {}
  PagePool* pool_ = nullptr;
  uint32_t unit_ = 0;
};

// A run of bytes inside one page.
struct PageSpan {
  PageRef page;
  uint32_t offset = 0;
  uint32_t length = 0;

  uint8_t* data() const { return page.data() + offset; }
  PageSpan share() const { return PageSpan{page.share(), offset, length}; }
};

class PagePool : public RefCounted<PagePool> {
 public:
  static constexpr ByteCount kUnit = 1 * kKiB;  // smallest cell
  static constexpr uint32_t kUnitsPerPage = kPageSize / kUnit;
  static constexpr uint8_t kPoison = 0xdb;

  // `limit` bytes of address space are reserved now and become resident as they are used. With `poison`,
  // freed memory is overwritten, so that a use after release shows.
  PagePool(ByteCount limit, bool poison);
  ~PagePool();

  // Room for `bytes` (1 .. kPageSize); empty when the budget is used up. Contents are undefined. A whole
  // page is the one that follows `after` in memory where that is free: a body that lies in one run is
  // lent and read as one piece.
  PageRef allocate(ByteCount bytes = kPageSize, const PageRef* after = nullptr);

  // Posts `notice` once as soon as a page is freed after now. For producers that found the pool empty.
  void notify_when_freed(Notice notice);

  ByteCount limit() const { return limit_; }
  ByteCount used() const { return used_.load(std::memory_order_relaxed); }
  ByteCount available() const { return limit_ - used(); }
  bool poisons() const { return poison_; }

 private:
  friend class PageRef;
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr uint32_t kClasses = std::bit_width(kUnitsPerPage);  // kUnit << class, up to a page

  // A 64 KiB page: free, whole, or divided into cells of one class.
  struct Page {
    uint64_t free_cells = 0;  // bit per cell, divided pages only
    uint32_t previous = kNone;
    uint32_t next = kNone;    // list of divided pages with a free cell, by class
    uint32_t free_at = kNone;  // place in free_pages_
    uint8_t size_class = 0;
  };

  uint8_t* unit_data(uint32_t unit) const { return base_ + ByteCount{unit} * kUnit; }
  void retain_unit(uint32_t unit);
  void release_unit(uint32_t unit);
  void free_unit(uint32_t unit);
  uint32_t take_page_locked(uint32_t wanted);
  uint32_t first_of_run_locked(uint32_t page) const;
  bool is_free_locked(uint32_t page) const { return pages_[page].free_at != kNone; }
  void give_page_locked(uint32_t page);
  uint32_t take_cell_locked(uint32_t size_class);
  void link_locked(uint32_t page);
  void unlink_locked(uint32_t page);
  void wake_waiters();

  ByteCount limit_;
  bool poison_;
  uint8_t* base_ = nullptr;
  void* mapping_ = nullptr;
  ByteCount mapping_size_ = 0;
  std::unique_ptr<std::atomic<uint32_t>[]> references_;  // by unit; only a cell's first unit is used
  Mutex mutex_;
  std::vector<Page> pages_;
  std::vector<uint32_t> free_pages_;
  uint32_t fresh_page_ = 0;  // pages from here on were never used
  uint32_t partial_[kClasses];
  std::atomic<ByteCount> used_{0};
  std::atomic<bool> has_waiters_{false};
  Mutex waiters_mutex_;
  std::vector<Notice> waiters_;
};

}  // namespace millrace
