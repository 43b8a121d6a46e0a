// A FaultDevice on which the entries of footers stay unread until the test lets them through, segment by
// segment: so a store can be watched while its footers are loaded. Everything else passes. Callable from
// any thread.
#pragma once

#include <vector>

#include "engine/store.h"
#include "layout/geometry.h"
#include "test/fault-device.h"

namespace millrace::test {

class GatedDevice : public Device {
 public:
  explicit GatedDevice(const DiskImage& image);

  const DeviceFacts& facts() const override { return inner_.facts(); }
  Status submit(IoRequest* request) override;
  // Lets everything through first.
  void close() override;

  void hold(SegmentId segment);
  void hold_all();
  void let_through(SegmentId segment);
  void let_all_through();
  // Reads that wait.
  size_t held();
  FaultDevice& inner() { return inner_; }

 private:
  // The segment whose entries a request reads; segment_count where it reads something else.
  SegmentId entries_read_by(const IoRequest& request) const;

  FaultDevice inner_;
  const Geometry geometry_;
  Mutex mutex_;
  std::vector<bool> is_held_;
  std::vector<IoRequest*> waiting_;
};

// A store over gated devices; all of their footers are held unless the test says which.
struct GatedStore {
  Ref<Store> store;
  std::vector<GatedDevice*> devices;  // owned by the store

  explicit GatedStore(const std::vector<DiskImage>& images,
                      const std::vector<SegmentId>& held_only = {});
  ~GatedStore();
  Store* operator->() const { return store.get(); }
  void finish_loading();
  // Ends and returns what is on the (first) disk then.
  DiskImage close();
};

}  // namespace millrace::test
