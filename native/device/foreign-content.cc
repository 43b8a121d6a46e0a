// Is there something of somebody else's on a device? Part of posix-device.h. Promise 10: a device that
// is not ours is never written, so everything that is not zero counts.
#include <cstring>
#include <memory>

#include "base/endian.h"
#include "device/posix-device.h"

namespace millrace {

namespace {

struct Signature {
  const char* name;
  ByteOffset offset;
  const char* bytes;
  size_t length;
  ByteOffset label_offset;  // 0: the format has no label here
  size_t label_length;
};

// Offsets by each format's own description; the first match wins, so the more specific come first.
constexpr Signature kSignatures[] = {
    {"an ext2/ext3/ext4 file system", 1024 + 56, "\x53\xef", 2, 1024 + 120, 16},
    {"an XFS file system", 0, "XFSB", 4, 108, 12},
    {"a Btrfs file system", 65536 + 64, "_BHRfS_M", 8, 65536 + 299, 64},
    {"an F2FS file system", 1024, "\x10\x20\xf5\xf2", 4, 0, 0},
    {"a squashfs image", 0, "hsqs", 4, 0, 0},
    {"an ISO 9660 image", 32769, "CD001", 5, 32768 + 40, 32},
    {"a LUKS container", 0, "LUKS\xba\xbe", 6, 0, 0},
    // In one of the first four sectors, as pvcreate --labelsector says.
    {"an LVM physical volume", 512, "LABELONE", 8, 0, 0},
    {"an LVM physical volume", 0, "LABELONE", 8, 0, 0},
    {"an LVM physical volume", 1024, "LABELONE", 8, 0, 0},
    {"an LVM physical volume", 1536, "LABELONE", 8, 0, 0},
    {"a member of a Linux RAID", 4096, "\xfc\x4e\x2b\xa9", 4, 4096 + 32, 32},
    {"a member of a Linux RAID", 0, "\xfc\x4e\x2b\xa9", 4, 32, 32},
    // At the end of the first page, whose size is the machine's that made it.
    {"a swap area", 4096 - 10, "SWAPSPACE2", 10, 0, 0},
    {"a swap area", 16384 - 10, "SWAPSPACE2", 10, 0, 0},
    {"a swap area", 65536 - 10, "SWAPSPACE2", 10, 0, 0},
    {"a GPT partition table", 512, "EFI PART", 8, 0, 0},
    {"a GPT partition table", 4096, "EFI PART", 8, 0, 0},
    {"an NTFS file system", 3, "NTFS    ", 8, 0, 0},
    {"an exFAT file system", 3, "EXFAT   ", 8, 0, 0},
    {"a FAT file system", 54, "FAT", 3, 43, 11},
    {"a FAT file system", 82, "FAT32", 5, 71, 11},
    {"a QCOW2 image", 0, "QFI\xfb", 4, 0, 0},
    {"a gzip archive", 0, "\x1f\x8b\x08", 3, 0, 0},
    {"an MBR partition table", 510, "\x55\xaa", 2, 0, 0},
};

constexpr ByteCount kEdge = 1 * kMiB;
// Between the edges: one block at each of this many places. Data that leaves all of these and both
// edges zero is not something that a file system, a database or an archive writes.
constexpr uint32_t kSamples = 256;

std::string label_of(Bytes head, const Signature& signature) {
  std::string label;
  if (signature.label_offset == 0) return label;
  for (size_t i = 0; i < signature.label_length; i++) {
    const uint8_t byte = head[signature.label_offset + i];
    if (byte < ' ' || byte > '~') break;
    label.push_back(static_cast<char>(byte));
  }
  while (!label.empty() && label.back() == ' ') label.pop_back();
  return label.empty() ? label : " labelled \"" + label + "\"";
}

bool find_signature(Bytes head, std::string* found) {
  for (const Signature& signature : kSignatures) {
    if (signature.offset + signature.length > head.size()) continue;
    if (std::memcmp(head.data() + signature.offset, signature.bytes, signature.length) != 0) continue;
    *found = signature.name + label_of(head, signature);
    return true;
  }
  return false;
}

bool find_byte(Bytes bytes, ByteOffset begin, std::string* found) {
  for (size_t i = 0; i < bytes.size(); i++) {
    if (bytes[i] == 0) continue;
    *found = "unknown data at offset " + std::to_string(begin + i);
    return true;
  }
  return false;
}

}  // namespace

bool find_foreign_signature(Bytes head, std::string* found) { return find_signature(head, found); }

Status probe_foreign_content(Device& device, std::string* found) {
  const ByteCount size = round_down(device.facts().size, kBlockAlignment);
  void* memory = nullptr;
  if (posix_memalign(&memory, kPageSize, kEdge) != 0) return Status(Code::io, "out of memory");
  const std::unique_ptr<void, void (*)(void*)> owner(memory, &std::free);
  const MutableBytes buffer(static_cast<uint8_t*>(memory), kEdge);
  const Status not_ours(Code::foreign, "the device is not empty and not a millrace store");
  const MutableBytes head = buffer.first(size < kEdge ? size : kEdge);
  Status status = device.read(0, head);
  if (!status.ok()) return status;
  if (find_signature(head, found) || find_byte(head, 0, found)) return not_ours;
  if (size <= kEdge) return Status();
  status = device.read(size - kEdge, buffer);
  if (!status.ok()) return status;
  if (find_byte(buffer, size - kEdge, found)) return not_ours;
  const ByteCount step = round_down(size / kSamples, kBlockAlignment);
  const MutableBytes block = buffer.first(kBlockAlignment);
  for (ByteOffset at = step; step > 0 && at + kBlockAlignment <= size; at += step) {
    status = device.read(at, block);
    if (!status.ok()) return status;
    if (find_byte(block, at, found)) return not_ours;
  }
  return Status();
}

}  // namespace millrace
