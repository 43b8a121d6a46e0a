// Stores by device identity. See registry.h.
#include "engine/registry.h"

#include <list>

namespace millrace {

namespace {

struct Entry {
  DeviceIdentity identity;
  Ref<Store> store;      // null while it is being opened
  uint32_t handles = 0;
  bool closing = false;
};

struct Registry {
  Mutex mutex;
  Condition condition;
  std::list<Entry> entries;

  Entry* find(const DeviceIdentity& identity) {
    for (Entry& entry : entries) {
      if (entry.identity == identity) return &entry;
    }
    return nullptr;
  }
  void erase(const Entry* entry) {
    for (auto at = entries.begin(); at != entries.end(); ++at) {
      if (&*at != entry) continue;
      entries.erase(at);
      return;
    }
  }
};

Registry& registry() {
  static Registry* const instance = new Registry();
  return *instance;
}

}  // namespace

OpenOutcome acquire_store(const OpenRequest& request) {
  OpenOutcome outcome;
  const Result<DeviceIdentity> identity = device_identity(request.device.path);
  Registry& all = registry();
  Entry* entry = nullptr;
  if (identity.ok()) {
    MutexLock lock(all.mutex);
    for (;;) {
      entry = all.find(identity.value());
      if (entry == nullptr) break;
      if (entry->store && !entry->closing) {
        entry->handles++;
        outcome.store = entry->store;
        return outcome;
      }
      all.condition.wait(all.mutex);
    }
    all.entries.push_back(Entry{identity.value(), Ref<Store>(), 1, false});
    entry = &all.entries.back();
  }
  PosixDeviceFailure failure;
  std::unique_ptr<Device> device = open_posix_device(request.device, &failure);
  if (device) {
    Result<Ref<Store>> store = Store::open(request.store, std::move(device));
    outcome.status = store.status();
    if (store.ok()) outcome.store = store.value();
  } else {
    outcome.status = failure.status;
    outcome.detail = failure.detail;
  }
  if (entry != nullptr) {
    {
      MutexLock lock(all.mutex);
      if (outcome.store) {
        entry->store = outcome.store;
      } else {
        all.erase(entry);
      }
    }
    all.condition.broadcast();
  }
  return outcome;
}

void release_store(Ref<Store> store) {
  Registry& all = registry();
  Entry* last = nullptr;
  {
    MutexLock lock(all.mutex);
    for (Entry& entry : all.entries) {
      if (entry.store.get() != store.get()) continue;
      MR_ASSERT(entry.handles > 0);
      if (--entry.handles > 0) return;
      entry.closing = true;
      last = &entry;
    }
  }
  store->close();
  if (last == nullptr) return;
  {
    MutexLock lock(all.mutex);
    all.erase(last);
  }
  all.condition.broadcast();
}

}  // namespace millrace
