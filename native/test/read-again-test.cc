// A look-up whose record is moved, replaced or purged while the device reads it: the first answer is not
// believed, and the key is looked up once more.
#include "test/support.h"

namespace millrace::test {

namespace {

// A look-up that has begun and whose read the device does not answer.
class HeldFind {
 public:
  HeldFind(TestStore& store, const std::string& key) : store_(store) {
    store.device->set_next_read_aside();
    Ref<MemoryRecord> none;
    REQUIRE(store->find(store->place_of(key), key, 0, &none, &HeldFind::answered, this) ==
            Found::pending);
  }
  ~HeldFind() { static_cast<void>(answer()); }

  // Lets the device answer. Null: a miss.
  Ref<MemoryRecord> answer() {
    store_.device->let_read_go();
    MutexLock lock(mutex_);
    while (!is_done_) condition_.wait(mutex_);
    return record_;
  }

 private:
  static void answered(void* context, Status, Ref<MemoryRecord> record) {
    auto* self = static_cast<HeldFind*>(context);
    MutexLock lock(self->mutex_);
    self->record_ = std::move(record);
    self->is_done_ = true;
    self->condition_.signal();
  }

  TestStore& store_;
  Mutex mutex_;
  Condition condition_;
  bool is_done_ = false;
  Ref<MemoryRecord> record_;
};

void write_cold(TestStore& store, uint64_t* next) {
  const uint64_t number = (*next)++;
  put(*store.store, "cold" + std::to_string(number), body_for("cold", number, 900000));
  store.settle();
  wait_until([&] { return store->volume().ring().free_count() > 0; });
}

// An object on the device, not in the write head's buffers any more, that somebody has asked for.
uint64_t put_warm(TestStore& store, const std::string& key, const std::vector<uint8_t>& body) {
  put(*store.store, key, body);
  uint64_t cold = 0;
  for (uint32_t i = 0; i < 2 * Appender::kBufferCount; i++) write_cold(store, &cold);
  store.flush();
  REQUIRE(find(*store.store, key).found == Found::hit);
  return cold;
}

ByteOffset address_of(TestStore& store, const std::string& key) {
  IndexHit hits[Index::kMaximumHits];
  const KeyPlace place = store->place_of(key);
  REQUIRE(store->volume().index().lookup(place.hash.low, hits) == 1);
  return Index::address_of(hits[0].word);
}

}  // namespace

TEST_CASE("read again: a record that reclaim moves meanwhile is found where it went") {
  TestStore store(formatted_disk());
  const std::vector<uint8_t> body = body_for("k", 1, 50000);
  uint64_t cold = put_warm(store, "k", body);
  const ByteOffset before = address_of(store, "k");
  HeldFind held(store, "k");
  while (address_of(store, "k") == before) write_cold(store, &cold);
  const Ref<MemoryRecord> record = held.answer();
  REQUIRE(record);
  CHECK(same_bytes(joined(record->body), body));
  CHECK(record->disk_address.load() != before);
  CHECK(store->total(&Counters::looks_again) == 1);
  CHECK(store->total(&Counters::misses) == 0);
  CHECK(store->total(&Counters::disk_hits) == 2);
}

TEST_CASE("read again: of a key that is stored again meanwhile the later version is found") {
  for (const bool is_written : {false, true}) {
    INFO("on the device ", is_written);
    TestStore store(formatted_disk());
    static_cast<void>(put_warm(store, "k", body_for("k", 1, 50000)));
    HeldFind held(store, "k");
    store.device->hold_writes(!is_written);
    const std::vector<uint8_t> later = body_for("k", 2, 40000);
    put(*store.store, "k", later);
    // Until the index leads to it, the older one is as right an answer to who asked before.
    is_written ? store.flush() : store.settle();
    const Ref<MemoryRecord> record = held.answer();
    store.device->hold_writes(false);
    REQUIRE(record);
    CHECK(same_bytes(joined(record->body), later));
    CHECK(store->total(&Counters::misses) == 0);
  }
}

TEST_CASE("read again: of a key that is purged meanwhile nothing is found") {
  TestStore store(formatted_disk());
  static_cast<void>(put_warm(store, "k", body_for("k", 1, 50000)));
  HeldFind held(store, "k");
  REQUIRE(purge_key(*store.store, "k").ok());
  CHECK(!held.answer());
  CHECK(store->total(&Counters::misses) == 1);
}

}  // namespace millrace::test
