// The one process global: which store is open on which devices. Every environment (main thread, workers)
// that opens the same devices gets the same store; the last handle closes it. Never destroyed, because
// worker environments may outlive the order in which statics die.
#pragma once

#include <string>

#include "device/posix-device.h"
#include "engine/store.h"

namespace millrace {

struct OpenRequest {
  std::vector<PosixDeviceOptions> devices;  // at least one
  StoreOptions store;
};

struct OpenOutcome {
  Status status{};
  std::string path;    // the device at fault; empty where none is
  std::string detail;  // one line for a person, when that device could not be opened
  Ref<Store> store;
};

// Opens the devices or joins the store that is open on the very same ones; busy when it is open on some
// of them only. Of several devices, those that are missing or fail are left out (Store::left_out); any
// other defect of any device is the outcome. Blocks; not for a JavaScript thread. Each success is paired
// with one release_store.
OpenOutcome acquire_store(const OpenRequest& request);

// Gives one handle back; the last one closes the store and blocks until its device is quiet.
void release_store(Ref<Store> store);

}  // namespace millrace
