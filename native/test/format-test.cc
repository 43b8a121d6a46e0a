// Formatting: a device that holds somebody else's data is never written, an empty one becomes a
// store, and an interrupted format leaves nothing that looks like one.
#include "engine/format.h"

#include "engine/recovery.h"
#include "test/support.h"

namespace millrace::test {

namespace {

struct Outcome {
  Status status{};
  FormatReport report;
  uint64_t progress = 0;
};

Outcome format(FaultDevice& device, bool zero_fill = false, bool force = false) {
  Outcome outcome;
  FormatOptions options;
  options.zero_fill = zero_fill;
  options.force = force;
  std::atomic<uint64_t> progress{0};
  const std::atomic<bool> cancel{false};
  outcome.status = format_device(device, options, &outcome.report, &progress, &cancel);
  outcome.progress = progress.load();
  return outcome;
}

struct Foreign {
  const char* name;
  ByteOffset offset;
  std::string bytes;
};

const Foreign kForeign[] = {
    {"ext2/ext3/ext4", 1024 + 56, "\x53\xef"},
    {"XFS", 0, "XFSB"},
    {"Btrfs", 65536 + 64, "_BHRfS_M"},
    {"F2FS", 1024, "\x10\x20\xf5\xf2"},
    {"squashfs", 0, "hsqs"},
    {"ISO 9660", 32769, "CD001"},
    {"LUKS", 0, "LUKS\xba\xbe"},
    {"LVM", 512, "LABELONE"},
    {"RAID", 4096, "\xfc\x4e\x2b\xa9"},
    {"swap", 4096 - 10, "SWAPSPACE2"},
    {"GPT", 512, "EFI PART"},
    {"NTFS", 3, "NTFS    "},
    {"MBR", 510, "\x55\xaa"},
    {"unknown data at offset 5000", 5000, "x"},
    {"unknown data at offset 1048575", kMiB - 1, "x"},
    {"unknown data at offset", kDiskSize - 1, "x"},
    {"unknown data at offset", kDiskSize / 2, "x"},
};

}  // namespace

TEST_CASE("format: an empty device becomes an empty store") {
  for (const bool zero_fill : {false, true}) {
    FaultDevice device((DiskImage(kDiskSize)));
    const Outcome outcome = format(device, zero_fill);
    REQUIRE(outcome.status.ok());
    CHECK(outcome.progress == kDiskSize);
    CHECK(outcome.report.superblock.lazy_zero == !zero_fill);
    uint8_t sector[512];
    device.snapshot().read(0, sector);
    CHECK(is_identification(sector));
    TestStore store(device.snapshot());
    CHECK(store->volume().superblock().uuid == outcome.report.superblock.uuid);
    put(*store.store, "k", bytes_of("hello"));
    store.settle();
    CHECK(find(*store.store, "k").found == Found::hit);
  }
}

TEST_CASE("format: two stores never share identity or hash key") {
  FaultDevice first((DiskImage(kDiskSize)));
  FaultDevice second((DiskImage(kDiskSize)));
  const Outcome a = format(first);
  const Outcome b = format(second);
  CHECK(a.report.superblock.uuid != b.report.superblock.uuid);
  CHECK(a.report.superblock.hash_key != b.report.superblock.hash_key);
}

TEST_CASE("format: foreign content is named and never written, force or not") {
  for (const Foreign& foreign : kForeign) {
    DiskImage disk(kDiskSize);
    disk.write(foreign.offset, bytes_of(foreign.bytes));
    for (const bool force : {false, true}) {
      FaultDevice device(disk);
      const Outcome outcome = format(device, true, force);
      INFO("content ", std::string(foreign.name), ", found ", outcome.report.found);
      CHECK(outcome.status.code() == Code::foreign);
      CHECK(outcome.report.found.find(foreign.name) != std::string::npos);
      CHECK(device.writes() == 0);
    }
  }
}

TEST_CASE("format: an ext4 label is part of what is found") {
  DiskImage disk(kDiskSize);
  disk.write(1024 + 56, bytes_of("\x53\xef"));
  disk.write(1024 + 120, bytes_of("backups"));
  FaultDevice device(disk);
  CHECK(format(device).report.found == "an ext2/ext3/ext4 file system labelled \"backups\"");
}

TEST_CASE("format: a store is overwritten with force only, and then nothing of it is found") {
  DiskImage disk(0);
  {
    TestStore store(formatted_disk());
    put(*store.store, "k", bytes_of("old"));
    store->close();
    disk = store.device->snapshot();
  }
  FaultDevice device(disk);
  const Outcome refused = format(device);
  CHECK(refused.status.code() == Code::busy);
  CHECK(device.writes() == 0);
  REQUIRE(format(device, false, true).status.ok());
  TestStore store(device.snapshot());
  CHECK(store->total(&Counters::recovered_records) == 0);
  CHECK(find(*store.store, "k").found == Found::miss);
}

TEST_CASE("format: a damaged store is not taken for an empty device") {
  DiskImage disk = formatted_disk();
  const Geometry geometry = geometry_of(kDiskSize).value();
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    disk.flip(geometry.superblock_offset(copy) + 100, 1);
  }
  FaultDevice device(disk);
  CHECK(format(device).status.code() == Code::busy);
  CHECK(device.writes() == 0);
}

TEST_CASE("format: sizes below the minimum are refused before anything is read") {
  FaultDevice device((DiskImage(kDiskSize - 4096)));
  CHECK(format(device).status.code() == Code::invalid);
  CHECK(device.reads() == 0);
}

TEST_CASE("format: cancelled it stops between two writes and leaves no store") {
  FaultDevice device((DiskImage(kDiskSize)));
  FormatReport report;
  std::atomic<uint64_t> progress{0};
  const std::atomic<bool> cancel{true};
  const Status status = format_device(device, FormatOptions{}, &report, &progress, &cancel);
  CHECK(status.code() == Code::closed);
  CHECK(read_superblock(device).status().code() == Code::corrupt);
}

TEST_CASE("format: interrupted at any write it leaves the old store, the new one or none") {
  DiskImage disk(0);
  DeviceUuid old_uuid;
  {
    FaultDevice device((DiskImage(kDiskSize)));
    REQUIRE(format(device).status.ok());
    TestStore store(device.snapshot());
    old_uuid = store->volume().superblock().uuid;
    put(*store.store, "k", bytes_of("old"));
    store->close();
    disk = store.device->snapshot();
  }
  uint64_t total = 0;
  {
    FaultDevice device(disk);
    REQUIRE(format(device, false, true).status.ok());
    total = device.writes();
  }
  REQUIRE(total > 20);
  for (uint64_t landed = 0; landed < total; landed++) {
    FaultDevice device(disk);
    device.fail_writes(landed + 1, 1000000);
    INFO("writes that landed ", landed, " of ", total);
    const Outcome outcome = format(device, false, true);
    CHECK(outcome.status.ok() == (landed + 2 >= total));
    const Result<Superblock> found = read_superblock(device);
    if (!found.ok()) {
      // Known as ours still, so that the person who ran the format may run it again.
      CHECK(found.status().code() == Code::corrupt);
      FaultDevice again(device.snapshot());
      CHECK(format(again, false, true).status.ok());
      continue;
    }
    // The old store in full, or the new one with nothing in it.
    TestStore store(device.snapshot());
    const bool is_old = found.value().uuid == old_uuid;
    CHECK(is_old == (landed < kSuperblockCopies));
    CHECK((find(*store.store, "k").found == Found::hit) == is_old);
  }
}

}  // namespace millrace::test
