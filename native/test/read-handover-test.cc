// Which thread does the work of a read: the ring's serves everybody, so it decompresses little.
#include <pthread.h>

#include "engine/recovery.h"
#include "test/device-file.h"
#include "test/support.h"

namespace millrace::test {

namespace {

struct Answer {
  Mutex mutex;
  Condition condition;
  bool done = false;
  bool is_right = false;
  std::string thread;
};

// Finds the key on the device; the name of the thread that brought it.
std::string thread_of(Store& store, const std::string& key, const std::vector<uint8_t>& body) {
  Answer answer;
  Ref<MemoryRecord> record;
  const Found found = store.find(
      store.place_of(key), key, 0, &record,
      [](void* context, Status status, Ref<MemoryRecord> got) {
        auto* self = static_cast<Answer*>(context);
        char name[16] = {};
        pthread_getname_np(pthread_self(), name, sizeof name);
        MutexLock lock(self->mutex);
        self->thread = name;
        self->is_right = status.ok() && got;
        self->done = true;
        self->condition.signal();
      },
      &answer);
  REQUIRE(found == Found::pending);
  MutexLock lock(answer.mutex);
  while (!answer.done) answer.condition.wait(answer.mutex);
  CHECK(answer.is_right);
  CHECK(!body.empty());
  return answer.thread;
}

StoreOptions small_store() {
  StoreOptions options;
  options.memory_limit = 64 * kMiB;
  options.l1_budget = 0;
  options.index_memory_limit = 4 * kMiB;
  options.compress = true;
  options.admit_everything = true;
  return options;
}

}  // namespace

TEST_CASE("read: a short one that decompresses to much leaves the ring's thread") {
  for (const IoChoice choice : usable_backends()) {
    if (choice != IoChoice::io_uring) continue;
    DeviceFile file(kDiskSize);
    {
      const std::unique_ptr<Device> device = file.open(choice);
      FaultDevice formatted(formatted_disk());
      REQUIRE(write_superblock(*device, read_superblock(formatted).value()).ok());
      device->close();
    }
    const std::vector<uint8_t> zeros(1000000, 0);
    const std::vector<uint8_t> little(20000, 7);
    {
      Result<Ref<Store>> opened = Store::open(small_store(), file.open(choice));
      REQUIRE(opened.ok());
      put(*opened.value(), "much", zeros);
      put(*opened.value(), "little", little);
      opened.value()->close();
    }
    Result<Ref<Store>> opened = Store::open(small_store(), file.open(choice));
    REQUIRE(opened.ok());
    Store& store = *opened.value();
    REQUIRE(store.wait_until_warm(120000));
    CHECK(thread_of(store, "much", zeros) == "millrace-check");
    CHECK(thread_of(store, "little", little) == "millrace-uring");
    // A few KiB each were read.
    CHECK(store.total(&Counters::device_read_bytes) < 128 * kKiB);
    store.close();
  }
}

}  // namespace millrace::test
