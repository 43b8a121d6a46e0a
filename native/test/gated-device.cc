// See gated-device.h.
#include "test/gated-device.h"

#include <algorithm>

#include "layout/segment.h"
#include "test/support.h"

namespace millrace::test {

GatedDevice::GatedDevice(const DiskImage& image)
    : inner_(image),
      geometry_(geometry_of(image.size()).value()),
      is_held_(geometry_.segment_count, false) {}

SegmentId GatedDevice::entries_read_by(const IoRequest& request) const {
  if (request.operation != IoOperation::read) return geometry_.segment_count;
  const ByteOffset end = request.offset + request.length() + kFooterTrailerSize;
  if (end <= geometry_.segments_offset) return geometry_.segment_count;
  const ByteOffset into = end - geometry_.segments_offset;
  const ByteOffset number = into / geometry_.segment_size - 1;
  const bool is_footer = into % geometry_.segment_size == 0 && number < geometry_.segment_count;
  return is_footer ? static_cast<SegmentId>(number) : geometry_.segment_count;
}

Status GatedDevice::submit(IoRequest* request) {
  {
    MutexLock lock(mutex_);
    const SegmentId segment = entries_read_by(*request);
    if (segment < geometry_.segment_count && is_held_[segment]) {
      waiting_.push_back(request);
      return Status();
    }
  }
  return inner_.submit(request);
}

void GatedDevice::close() {
  let_all_through();
  inner_.close();
}

void GatedDevice::hold(SegmentId segment) {
  MutexLock lock(mutex_);
  is_held_[segment] = true;
}

void GatedDevice::hold_all() {
  MutexLock lock(mutex_);
  is_held_.assign(geometry_.segment_count, true);
}

void GatedDevice::let_through(SegmentId segment) {
  MutexLock lock(mutex_);
  is_held_[segment] = false;
  const auto passes = std::stable_partition(
      waiting_.begin(), waiting_.end(),
      [&](const IoRequest* request) { return entries_read_by(*request) != segment; });
  for (auto at = passes; at != waiting_.end(); ++at) REQUIRE(inner_.submit(*at).ok());
  waiting_.erase(passes, waiting_.end());
}

void GatedDevice::let_all_through() {
  for (SegmentId segment = 0; segment < geometry_.segment_count; segment++) let_through(segment);
}

size_t GatedDevice::held() {
  MutexLock lock(mutex_);
  return waiting_.size();
}

GatedStore::GatedStore(const std::vector<DiskImage>& images,
                       const std::vector<SegmentId>& held_only) {
  StoreOptions options;
  options.memory_limit = 96 * kMiB;
  options.l1_budget = 0;
  options.index_memory_limit = 4 * kMiB;
  options.poison_pages = true;
  options.warm_grace_ms = 0;
  std::vector<std::unique_ptr<Device>> owned;
  for (const DiskImage& image : images) {
    auto device = std::make_unique<GatedDevice>(image);
    if (held_only.empty()) device->hold_all();
    for (const SegmentId segment : held_only) device->hold(segment);
    devices.push_back(device.get());
    owned.push_back(std::move(device));
  }
  std::vector<LeftOutVolume> left_out;
  Result<Ref<Store>> opened = Store::open(options, std::move(owned), &left_out);
  REQUIRE(opened.ok());
  store = std::move(opened.value());
}

GatedStore::~GatedStore() {
  if (!store) return;
  for (GatedDevice* device : devices) device->let_all_through();
  store->close();
}

void GatedStore::finish_loading() {
  for (GatedDevice* device : devices) device->let_all_through();
  REQUIRE(store->wait_until_warm(120000));
}

DiskImage GatedStore::close() {
  for (GatedDevice* device : devices) device->let_all_through();
  store->close();
  return devices[0]->inner().snapshot();
}

}  // namespace millrace::test
