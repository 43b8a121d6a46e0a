// The page pool: free lists, cells and reference counts. See pages.h for the contract.
#include "engine/pages.h"

#include <sys/mman.h>

#include <bit>
#include <cstring>

namespace millrace {

PageRef& PageRef::operator=(PageRef&& other) noexcept {
  if (this != &other) {
    reset();
    pool_ = std::exchange(other.pool_, nullptr);
    unit_ = other.unit_;
  }
  return *this;
}

PageRef PageRef::share() const {
  if (pool_ == nullptr) return PageRef();
  pool_->retain_unit(unit_);
  return PageRef(pool_, unit_);
}

void PageRef::reset() {
  if (pool_ == nullptr) return;
  std::exchange(pool_, nullptr)->release_unit(unit_);
}

uint8_t* PageRef::data() const {
  MR_DCHECK(pool_ != nullptr);
  return pool_->unit_data(unit_);
}

ByteCount PageRef::capacity() const {
  return PagePool::kUnit << pool_->pages_[unit_ / PagePool::kUnitsPerPage].size_class;
}

PagePool::PagePool(ByteCount limit, bool poison)
    : limit_(round_down(limit, kPageSize)), poison_(poison) {
  MR_ASSERT_OP(limit_, >=, kPageSize);
  mapping_size_ = limit_ + kPageSize;
  mapping_ = mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  MR_ASSERT(mapping_ != MAP_FAILED);
  base_ = reinterpret_cast<uint8_t*>(
      round_up(reinterpret_cast<uint64_t>(mapping_), kPageSize));
  const auto page_count = static_cast<uint32_t>(limit_ / kPageSize);
  references_ = std::make_unique<std::atomic<uint32_t>[]>(size_t{page_count} * kUnitsPerPage);
  pages_.resize(page_count);
  free_pages_.reserve(page_count);
  for (uint32_t& first : partial_) first = kNone;
}

PagePool::~PagePool() {
  MR_ASSERT_OP(used(), ==, 0u);
  munmap(mapping_, mapping_size_);
}

PageRef PagePool::allocate(ByteCount bytes, const PageRef* after) {
  MR_ASSERT(bytes > 0 && bytes <= kPageSize);
  const ByteCount rounded = std::bit_ceil(bytes < kUnit ? kUnit : bytes);
  const auto size_class = static_cast<uint32_t>(std::countr_zero(rounded / kUnit));
  uint32_t unit;
  {
    MutexLock lock(mutex_);
    if (size_class == kClasses - 1) {
      const uint32_t page = take_page_locked(
          after == nullptr || !*after ? kNone : after->unit_ / kUnitsPerPage + 1);
      if (page == kNone) return PageRef();
      pages_[page].size_class = static_cast<uint8_t>(size_class);
      unit = page * kUnitsPerPage;
    } else {
      unit = take_cell_locked(size_class);
      if (unit == kNone) return PageRef();
    }
    MR_ASSERT_OP(references_[unit].load(std::memory_order_relaxed), ==, 0u);
    references_[unit].store(1, std::memory_order_relaxed);
    used_.store(used_.load(std::memory_order_relaxed) + rounded, std::memory_order_relaxed);
  }
  return PageRef(this, unit);
}

uint32_t PagePool::take_page_locked(uint32_t wanted) {
  if (free_pages_.empty()) return fresh_page_ < pages_.size() ? fresh_page_++ : kNone;
  uint32_t page = wanted;
  if (page >= pages_.size() || !is_free_locked(page)) {
    // Last in, first out: the most recently used page is the one still in the CPU's cache.
    page = first_of_run_locked(free_pages_.back());
  }
  const uint32_t last = free_pages_.back();
  free_pages_[pages_[page].free_at] = last;
  pages_[last].free_at = pages_[page].free_at;
  free_pages_.pop_back();
  pages_[page].free_at = kNone;
  return page;
}

// A body gave its pages back first to last: who takes the first of them can have the others after it.
uint32_t PagePool::first_of_run_locked(uint32_t page) const {
  for (uint32_t steps = 1; steps < kPagesPerChunk && page > 0; steps++, page--) {
    if (!is_free_locked(page - 1)) break;
  }
  return page;
}

void PagePool::give_page_locked(uint32_t page) {
  MR_ASSERT(!is_free_locked(page));
  pages_[page].free_at = static_cast<uint32_t>(free_pages_.size());
  free_pages_.push_back(page);
}

uint32_t PagePool::take_cell_locked(uint32_t size_class) {
  uint32_t page = partial_[size_class];
  if (page == kNone) {
    page = take_page_locked(kNone);
    if (page == kNone) return kNone;
    const uint32_t cells = kUnitsPerPage >> size_class;
    pages_[page].size_class = static_cast<uint8_t>(size_class);
    pages_[page].free_cells = cells == 64 ? ~uint64_t{0} : (uint64_t{1} << cells) - 1;
    link_locked(page);
  }
  Page& divided = pages_[page];
  MR_ASSERT(divided.free_cells != 0);
  const auto cell = static_cast<uint32_t>(std::countr_zero(divided.free_cells));
  divided.free_cells &= divided.free_cells - 1;
  if (divided.free_cells == 0) unlink_locked(page);
  return page * kUnitsPerPage + (cell << size_class);
}

void PagePool::link_locked(uint32_t page) {
  uint32_t& first = partial_[pages_[page].size_class];
  pages_[page].previous = kNone;
  pages_[page].next = first;
  if (first != kNone) pages_[first].previous = page;
  first = page;
}

void PagePool::unlink_locked(uint32_t page) {
  Page& item = pages_[page];
  if (item.previous != kNone) {
    pages_[item.previous].next = item.next;
  } else {
    MR_ASSERT_OP(partial_[item.size_class], ==, page);
    partial_[item.size_class] = item.next;
  }
  if (item.next != kNone) pages_[item.next].previous = item.previous;
  item.previous = item.next = kNone;
}

void PagePool::retain_unit(uint32_t unit) {
  const uint32_t before = references_[unit].fetch_add(1, std::memory_order_relaxed);
  MR_ASSERT(before > 0);
}

void PagePool::release_unit(uint32_t unit) {
  const uint32_t before = references_[unit].fetch_sub(1, std::memory_order_acq_rel);
  MR_ASSERT(before > 0);
  if (before == 1) free_unit(unit);
}

void PagePool::free_unit(uint32_t unit) {
  const uint32_t page = unit / kUnitsPerPage;
  // The class of a page cannot change while one of its cells is in use, so it is read without the lock.
  const uint32_t size_class = pages_[page].size_class;
  const ByteCount bytes = kUnit << size_class;
  if (poison_) std::memset(unit_data(unit), kPoison, bytes);
  {
    MutexLock lock(mutex_);
    used_.store(used_.load(std::memory_order_relaxed) - bytes, std::memory_order_relaxed);
    if (size_class == kClasses - 1) {
      give_page_locked(page);
    } else {
      Page& divided = pages_[page];
      const uint32_t cell = (unit % kUnitsPerPage) >> size_class;
      MR_ASSERT((divided.free_cells >> cell & 1) == 0);
      if (divided.free_cells == 0) link_locked(page);
      divided.free_cells |= uint64_t{1} << cell;
      const uint32_t cells = kUnitsPerPage >> size_class;
      if (static_cast<uint32_t>(std::popcount(divided.free_cells)) == cells) {
        unlink_locked(page);
        divided.free_cells = 0;
        give_page_locked(page);
      }
    }
  }
  if (has_waiters_.load(std::memory_order_acquire)) wake_waiters();
}

void PagePool::notify_when_freed(Notice notice) {
  MutexLock lock(waiters_mutex_);
  waiters_.push_back(std::move(notice));
  has_waiters_.store(true, std::memory_order_release);
}

void PagePool::wake_waiters() {
  std::vector<Notice> woken;
  {
    MutexLock lock(waiters_mutex_);
    woken.swap(waiters_);
    has_waiters_.store(false, std::memory_order_release);
  }
  for (const Notice& notice : woken) notice.post();
}

}  // namespace millrace
