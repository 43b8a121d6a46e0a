// Headers and trailers of all segments. See segment-boundaries.h.
#include "engine/segment-boundaries.h"

#include <algorithm>
#include <array>

#include "base/sync.h"
#include "engine/aligned-buffer.h"

namespace millrace {

namespace {

// Reads at once: enough to keep an SSD busy.
constexpr uint32_t kDepth = 32;
constexpr ByteCount kSlotSize = kFooterTrailerSize + kSegmentHeaderSize;

// Several requests on the device, waited for together.
class Batch {
 public:
  explicit Batch(Device& device) : device_(device), memory_(kDepth * kSlotSize) {}

  MutableBytes bytes(uint32_t slot) { return memory_.bytes().subspan(slot * kSlotSize, kSlotSize); }
  bool succeeded(uint32_t slot) const { return requests_[slot].result.ok(); }

  void submit(uint32_t slot, ByteOffset offset, ByteCount length) {
    IoRequest& request = requests_[slot];
    request = IoRequest{};
    request.offset = offset;
    request.span_count = 1;
    request.spans[0] = iovec{bytes(slot).data(), length};
    request.done = &Batch::read_done;
    request.context = this;
    {
      MutexLock lock(mutex_);
      under_way_++;
    }
    Status status = device_.submit(&request);
    MutexLock lock(mutex_);
    while (!status.ok() && status.code() == Code::again) {
      condition_.wait_for(mutex_, 1);
      status = device_.submit(&request);
    }
    if (status.ok()) return;
    request.result = status;
    under_way_--;
  }

  void wait() {
    MutexLock lock(mutex_);
    while (under_way_ > 0) condition_.wait(mutex_);
  }

 private:
  static void read_done(IoRequest* request) {
    auto* self = static_cast<Batch*>(request->context);
    // The one who waits may free this as soon as the lock is gone.
    MutexLock lock(self->mutex_);
    self->under_way_--;
    self->condition_.signal();
  }

  Device& device_;
  AlignedBuffer memory_;
  Mutex mutex_;
  Condition condition_;
  std::array<IoRequest, kDepth> requests_{};
  uint32_t under_way_ = 0;
};

// Where segment `boundary` begins and the one before it ends; one past the last segment is allowed.
ByteOffset boundary_offset(const Geometry& geometry, uint32_t boundary) {
  return geometry.segments_offset + boundary * geometry.segment_size;
}

void take_header(const Superblock& superblock, SegmentId segment, Bytes page, SegmentEnds* ends) {
  const Result<SegmentHeader> header = decode_segment_header(page, superblock.uuid);
  if (!header.ok() || header.value().segment != segment) return;
  ends->found.segment = segment;
  ends->found.sequence = header.value().segment_sequence;
}

void take_trailer(const Superblock& superblock, SegmentId segment, Bytes page, SegmentEnds* ends) {
  const Result<FooterTrailer> trailer =
      decode_footer_trailer(page, superblock.uuid, superblock.geometry.segment_size);
  if (trailer.ok() && trailer.value().header.segment == segment) {
    ends->found.trailer = trailer.value();
  }
}

// Where both could not be read together: one of them may be sound.
void take_apart(Device& device, const Superblock& superblock, uint32_t boundary, MutableBytes page,
                std::vector<SegmentEnds>* ends, Counters& counters) {
  const ByteOffset at = boundary_offset(superblock.geometry, boundary);
  if (boundary > 0 && device.read(at - kFooterTrailerSize, page).ok()) {
    take_trailer(superblock, boundary - 1, page, &(*ends)[boundary - 1]);
  }
  if (boundary == ends->size()) return;
  if (device.read(at, page).ok()) {
    take_header(superblock, boundary, page, &(*ends)[boundary]);
  } else {
    Counters::add(counters.read_errors);
    (*ends)[boundary].is_unreadable = true;
  }
}

}  // namespace

std::vector<SegmentEnds> read_segment_ends(Device& device, const Superblock& superblock,
                                           Counters& counters) {
  const Geometry& geometry = superblock.geometry;
  std::vector<SegmentEnds> ends(geometry.segment_count);
  Batch batch(device);
  // Boundary n lies before segment n; the last one behind all of them.
  for (uint32_t first = 0; first <= geometry.segment_count; first += kDepth) {
    const uint32_t end = std::min(first + kDepth, geometry.segment_count + 1);
    for (uint32_t boundary = first; boundary < end; boundary++) {
      const bool is_last = boundary == geometry.segment_count;
      batch.submit(boundary - first, boundary_offset(geometry, boundary) - kFooterTrailerSize,
                   is_last ? kFooterTrailerSize : kSlotSize);
    }
    batch.wait();
    for (uint32_t boundary = first; boundary < end; boundary++) {
      const MutableBytes bytes = batch.bytes(boundary - first);
      if (!batch.succeeded(boundary - first)) {
        take_apart(device, superblock, boundary, bytes.first(kSegmentHeaderSize), &ends, counters);
        continue;
      }
      if (boundary > 0) {
        take_trailer(superblock, boundary - 1, bytes.first(kFooterTrailerSize), &ends[boundary - 1]);
      }
      if (boundary < geometry.segment_count) {
        take_header(superblock, boundary, bytes.last(kSegmentHeaderSize), &ends[boundary]);
      }
    }
  }
  for (SegmentEnds& item : ends) {
    // A footer of an earlier lap is none.
    if (item.found.trailer &&
        item.found.trailer->header.segment_sequence != item.found.sequence) {
      item.found.trailer.reset();
    }
  }
  return ends;
}

}  // namespace millrace
