// The page pool: cells and pages, reference counts, the limit, poison, waiting producers, many
// threads.
#include "engine/pages.h"

#include <cstring>

#include "test/support.h"

namespace millrace::test {

namespace {

Ref<PagePool> pool_of(ByteCount limit, bool poison = true) {
  return Ref<PagePool>::adopt(new PagePool(limit, poison));
}

bool filled_with(const PageRef& page, uint8_t byte) {
  for (ByteCount i = 0; i < page.capacity(); i++) {
    if (page.data()[i] != byte) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("pages: a request gets the smallest cell that holds it, aligned to its size") {
  const auto pool = pool_of(4 * kMiB);
  for (const ByteCount bytes : {1, 1023, 1024, 1025, 2048, 5000, 16384, 32768, 32769, 65536}) {
    const PageRef page = pool->allocate(bytes);
    REQUIRE(page);
    const ByteCount capacity = page.capacity();
    INFO("bytes ", bytes, " capacity ", capacity);
    CHECK(capacity >= bytes);
    CHECK((capacity == 1024 || capacity < 2 * bytes));
    CHECK(is_aligned(reinterpret_cast<uint64_t>(page.data()), capacity));
    CHECK(pool->used() == capacity);
  }
  CHECK(pool->used() == 0);
}

TEST_CASE("pages: a page that is asked for after another one is its neighbour where that is free") {
  const auto pool = pool_of(64 * kPageSize);
  const auto follows = [](const PageRef& first, const PageRef& second) {
    return first.data() + kPageSize == second.data();
  };
  std::vector<PageRef> all;
  for (uint32_t i = 0; i < 64; i++) all.push_back(pool->allocate());
  // Two bodies of 16 pages give theirs back, first to last, and two new ones take them in turn.
  for (uint32_t i = 0; i < 16; i++) all[8 + i].reset();
  for (uint32_t i = 0; i < 16; i++) all[40 + i].reset();
  std::vector<PageRef> left;
  std::vector<PageRef> right;
  left.push_back(pool->allocate());
  left.push_back(pool->allocate(kPageSize, &left.back()));
  left.push_back(pool->allocate(kPageSize, &left.back()));
  // A run that lies elsewhere, because the first one is in use up to its third page.
  all[0].reset();
  all[63].reset();
  right.push_back(pool->allocate());
  CHECK(!follows(left.back(), right.back()));
  while (left.size() < 16) {
    left.push_back(pool->allocate(kPageSize, &left.back()));
    REQUIRE(left.back());
    CHECK(follows(left[left.size() - 2], left.back()));
  }
  // The neighbour is taken: any other page will do.
  const PageRef other = pool->allocate(kPageSize, &left.back());
  REQUIRE(other);
  CHECK(!follows(left.back(), other));
}

TEST_CASE("pages: the limit is exact and freed memory is found again") {
  const auto pool = pool_of(10 * kPageSize + 100);
  CHECK(pool->limit() == 10 * kPageSize);
  std::vector<PageRef> pages;
  for (uint32_t i = 0; i < 10; i++) {
    pages.push_back(pool->allocate());
    REQUIRE(pages.back());
  }
  CHECK(pool->available() == 0);
  CHECK(!pool->allocate());
  CHECK(!pool->allocate(1));
  pages.erase(pages.begin() + 4);
  // One page, as 64 cells of 1 KiB.
  std::vector<PageRef> cells;
  for (uint32_t i = 0; i < 64; i++) {
    cells.push_back(pool->allocate(1));
    REQUIRE(cells.back());
  }
  CHECK(!pool->allocate(1));
  cells.clear();
  CHECK(pool->allocate());
}

TEST_CASE("pages: cells of one page do not overlap") {
  const auto pool = pool_of(kPageSize);
  for (const ByteCount size : {1024, 2048, 4096, 8192, 16384, 32768}) {
    std::vector<PageRef> cells;
    for (PageRef cell = pool->allocate(size); cell; cell = pool->allocate(size)) {
      std::memset(cell.data(), static_cast<int>(cells.size() + 1), size);
      cells.push_back(std::move(cell));
    }
    REQUIRE(cells.size() == kPageSize / size);
    for (size_t i = 0; i < cells.size(); i++) {
      REQUIRE(filled_with(cells[i], static_cast<uint8_t>(i + 1)));
    }
  }
}

TEST_CASE("pages: memory is poisoned with the last reference and not before") {
  const auto pool = pool_of(kPageSize);
  PageRef first = pool->allocate();
  uint8_t* memory = first.data();
  std::memset(memory, 7, kPageSize);
  PageRef second = first.share();
  first.reset();
  CHECK(filled_with(second, 7));
  CHECK(pool->used() == kPageSize);
  second.reset();
  CHECK(pool->used() == 0);
  CHECK(memory[0] == PagePool::kPoison);
  CHECK(memory[kPageSize - 1] == PagePool::kPoison);
}

TEST_CASE("pages: moving a reference keeps the count") {
  const auto pool = pool_of(2 * kPageSize);
  PageRef a = pool->allocate();
  PageRef b = std::move(a);
  CHECK(!a);  // NOLINT(bugprone-use-after-move): moved-from references are empty by contract
  a = pool->allocate();
  a = std::move(b);
  CHECK(pool->used() == kPageSize);
  PageRef& itself = a;
  a = std::move(itself);
  CHECK(a);
  CHECK(!PageRef().share());
}

TEST_CASE("pages: a waiting producer is told once, at the next free page") {
  const auto pool = pool_of(kPageSize);
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  PageRef page = pool->allocate();
  pool->notify_when_freed(notice(sink, 0));
  pool->notify_when_freed(notice(sink, 1));
  PageRef shared = page.share();
  page.reset();
  CHECK(sink->count(0) == 0);
  shared.reset();
  CHECK(sink->count(0) == 1);
  CHECK(sink->count(1) == 1);
  pool->allocate().reset();
  CHECK(sink->count(0) == 1);
}

TEST_CASE("pages: a random history never hands out memory twice") {
  const uint64_t seed = 90;
  INFO("seed ", seed);
  Random random(seed);
  const auto pool = pool_of(40 * kPageSize);
  struct Held {
    PageRef page;
    uint8_t mark;
  };
  std::vector<Held> held;
  ByteCount used = 0;
  for (uint32_t round = 0; round < 20000; round++) {
    if (random.below(100) < 55) {
      const ByteCount bytes = 1 + random.below(ByteCount{1} << (7 + random.below(10)));
      PageRef page = pool->allocate(bytes < kPageSize ? bytes : kPageSize);
      if (page) {
        const auto mark = static_cast<uint8_t>(random.next());
        page.data()[0] = page.data()[page.capacity() - 1] = mark;
        used += page.capacity();
        held.push_back(Held{std::move(page), mark});
      }
    } else if (!held.empty()) {
      const size_t at = random.below(held.size());
      const PageRef& page = held[at].page;
      REQUIRE(page.data()[0] == held[at].mark);
      REQUIRE(page.data()[page.capacity() - 1] == held[at].mark);
      used -= page.capacity();
      std::swap(held[at], held.back());
      held.pop_back();
    }
    REQUIRE(pool->used() == used);
    REQUIRE(pool->used() <= pool->limit());
  }
}

TEST_CASE("pages: many threads share one budget") {
  const auto pool = pool_of(30 * kPageSize, false);
  std::atomic<uint32_t> wrong{0};
  run_threads(4, [&](uint32_t number) {
    Random random(100 + number);
    std::vector<PageRef> held;
    for (uint32_t round = 0; round < 4000; round++) {
      if (held.size() < 40 && random.below(2) == 0) {
        PageRef page = pool->allocate(1 + random.below(kPageSize));
        if (!page) continue;
        page.data()[0] = static_cast<uint8_t>(number);
        PageRef copy = page.share();
        held.push_back(std::move(page));
        held.push_back(std::move(copy));
      } else if (!held.empty()) {
        if (held.back().data()[0] != number) wrong.fetch_add(1);
        held.pop_back();
      }
      if (pool->used() > pool->limit()) wrong.fetch_add(1);
    }
  });
  CHECK(wrong.load() == 0);
  CHECK(pool->used() == 0);
}

}  // namespace millrace::test
