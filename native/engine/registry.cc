// Stores by the identities of their devices. See registry.h.
#include "engine/registry.h"

#include <algorithm>
#include <list>

namespace millrace {

namespace {

using Identities = std::vector<DeviceIdentity>;

struct Entry {
  Identities identities;
  Ref<Store> store;      // null while it is being opened
  uint32_t handles = 0;
  bool closing = false;
};

struct Registry {
  Mutex mutex;
  Condition condition;
  std::list<Entry> entries;

  // The store that has any of these devices.
  Entry* find(const Identities& wanted) {
    for (Entry& entry : entries) {
      for (const DeviceIdentity& identity : entry.identities) {
        if (std::find(wanted.begin(), wanted.end(), identity) != wanted.end()) return &entry;
      }
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

namespace {

bool same_devices(const Identities& a, const Identities& b) {
  return a.size() == b.size() && std::is_permutation(a.begin(), a.end(), b.begin());
}

// The identities of the devices that exist; two of the same are no two devices.
Status identify(const OpenRequest& request, Identities* identities) {
  for (const PosixDeviceOptions& device : request.devices) {
    const Result<DeviceIdentity> identity = device_identity(device.path);
    if (!identity.ok()) continue;
    if (std::find(identities->begin(), identities->end(), identity.value()) != identities->end()) {
      return Status(Code::invalid, "the same device is named twice");
    }
    identities->push_back(identity.value());
  }
  return Status();
}

// A disk that is gone or failing costs its share; anything else is a mistake to be told of.
bool may_be_left_out(Code code) { return code == Code::missing || code == Code::io; }

void open_store(const OpenRequest& request, OpenOutcome* outcome) {
  std::vector<std::unique_ptr<Device>> devices;
  std::vector<LeftOutVolume> left_out;
  for (const PosixDeviceOptions& options : request.devices) {
    PosixDeviceFailure failure;
    std::unique_ptr<Device> device = open_posix_device(options, &failure);
    if (device) {
      devices.push_back(std::move(device));
      continue;
    }
    outcome->status = failure.status;
    outcome->detail = failure.detail;
    outcome->path = options.path;
    if (!may_be_left_out(failure.status.code())) return;
    left_out.push_back(LeftOutVolume{options.path, failure.status});
  }
  if (devices.empty()) return;
  outcome->detail.clear();
  outcome->path.clear();
  Result<Ref<Store>> store = Store::open(request.store, std::move(devices), &left_out);
  outcome->status = store.status();
  if (store.ok()) {
    outcome->store = store.value();
    outcome->store->set_left_out(std::move(left_out));
  } else if (!left_out.empty()) {
    outcome->path = left_out.back().path;
  }
}

}  // namespace

OpenOutcome acquire_store(const OpenRequest& request) {
  OpenOutcome outcome;
  Identities identities;
  outcome.status = identify(request, &identities);
  if (!outcome.status.ok()) return outcome;
  Registry& all = registry();
  Entry* entry = nullptr;
  {
    MutexLock lock(all.mutex);
    while ((entry = all.find(identities)) != nullptr) {
      if (entry->store && !entry->closing) {
        if (!same_devices(entry->identities, identities)) {
          outcome.status = Status(Code::busy, "another store of this process has one of the devices");
          return outcome;
        }
        entry->handles++;
        outcome.store = entry->store;
        return outcome;
      }
      all.condition.wait(all.mutex);
    }
    all.entries.push_back(Entry{std::move(identities), Ref<Store>(), 1, false});
    entry = &all.entries.back();
  }
  open_store(request, &outcome);
  {
    MutexLock lock(all.mutex);
    if (outcome.store) {
      entry->store = outcome.store;
    } else {
      all.erase(entry);
    }
  }
  all.condition.broadcast();
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
