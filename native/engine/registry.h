// The one process global: which store is open on which device. Every environment (main thread, workers)
// that opens the same device gets the same store; the last handle closes it. Never destroyed, because
// worker environments may outlive the order in which statics die.
#pragma once

#include <string>

#include "device/posix-device.h"
#include "engine/store.h"

namespace millrace {

struct OpenRequest {
  PosixDeviceOptions device;
  StoreOptions store;
};

struct OpenOutcome {
  Status status{};
  std::string detail;  // one line for a person, when the device could not be opened
  Ref<Store> store;
};

// Opens the device or joins the store that is open on it. Blocks; not for a JavaScript thread. Each
// success is paired with one release_store.
OpenOutcome acquire_store(const OpenRequest& request);

// Gives one handle back; the last one closes the store and blocks until its device is quiet.
void release_store(Ref<Store> store);

}  // namespace millrace
