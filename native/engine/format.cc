// The format command's work. See format.h.
#include "engine/format.h"

#include "base/clock.h"
#include "base/random.h"
#include "device/posix-device.h"
#include "engine/aligned-buffer.h"
#include "engine/recovery.h"

namespace millrace {

Status format_device(Device& device, const FormatOptions& options, FormatReport* report,
                     std::atomic<uint64_t>* progress, const std::atomic<bool>* cancel) {
  const Result<Geometry> geometry = geometry_of(device.facts().size);
  if (!geometry.ok()) return geometry.status();
  const Result<Superblock> existing = read_superblock(device);
  if (existing.ok() || existing.status().code() != Code::foreign) {
    if (!options.force) {
      report->found = existing.ok() ? "a millrace store" : "a damaged millrace store";
      return Status(Code::busy, "the device holds a millrace store");
    }
  } else {
    const Status probed = probe_foreign_content(device, &report->found);
    if (!probed.ok()) return probed;
  }
  Superblock superblock;
  superblock.block_size = options.block_size;
  superblock.geometry = geometry.value();
  // Above the old ones: a copy that cannot be written now must not win later.
  superblock.superblock_sequence = existing.ok() ? existing.value().superblock_sequence + 1 : 1;
  superblock.lazy_zero = !options.zero_fill;
  superblock.created_ms = wall_clock_ms();
  Status status = fill_random(superblock.uuid);
  if (status.ok()) status = fill_random(superblock.hash_key);
  if (!status.ok()) return status;

  AlignedBuffer zeros(kMiB);
  // An earlier store's superblocks go first: an interrupted format leaves a device that is no store, and
  // that shows whose it was until it is all zero, so that it can be formatted again.
  const ByteCount size = geometry.value().device_size;
  superblock.feature_incompatible = kFeatureFormatting;
  status = write_superblock(device, superblock);
  if (!status.ok()) return status;
  superblock.feature_incompatible = 0;
  superblock.superblock_sequence++;
  if (options.zero_fill) {
    for (ByteOffset at = 0; at < size;) {
      if (cancel->load(std::memory_order_relaxed)) return Status(Code::closed, "format was cancelled");
      const ByteCount length = size - at < kMiB ? size - at : kMiB;
      status = device.write(at, zeros.bytes().first(length));
      if (!status.ok()) return status;
      at += length;
      progress->store(at, std::memory_order_relaxed);
    }
  } else {
    for (SegmentId segment = 0; segment < geometry.value().segment_count; segment++) {
      status = device.write(geometry.value().segment_offset(segment),
                            zeros.bytes().first(kBlockAlignment));
      if (!status.ok()) return status;
    }
    progress->store(size, std::memory_order_relaxed);
  }
  status = device.flush();
  if (!status.ok()) return status;
  encode_identification(superblock.uuid, zeros.bytes().first(512));
  status = device.write(0, zeros.bytes().first(kBlockAlignment));
  if (status.ok()) status = write_superblock(device, superblock);
  if (status.ok()) report->superblock = superblock;
  return status;
}

}  // namespace millrace
