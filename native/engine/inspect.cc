// Reading a device for people. See inspect.h.
#include "engine/inspect.h"

#include <algorithm>

#include "base/siphash.h"
#include "engine/aligned-buffer.h"
#include "engine/recovery.h"
#include "engine/segment-check.h"
#include "engine/segment-scan.h"
#include "layout/key.h"

namespace millrace {

namespace {

// Read at once of a segment's records.
constexpr ByteCount kPiece = 4 * kMiB;

SegmentReport report_of(const FoundFooter& footer) {
  SegmentReport report;
  report.sequence = footer.header.segment_sequence;
  report.opened_ms = footer.header.opened_ms;
  report.finding = footer.is_sealed ? SegmentFinding::sealed : SegmentFinding::open;
  report.used = kSegmentHeaderSize;
  for (const FooterEntry& entry : footer.entries) {
    report.used += ByteCount{entry.length_grains} * kRecordGrain;
  }
  if (footer.is_sealed) report.used += footer_size(footer.entries.size());
  report.records = footer.entries.size();
  return report;
}

// Calls visit(segment, Result<FoundFooter>) for each segment, in order.
template <typename Visit>
Status visit_segments(Device& device, const Superblock& superblock, InspectProgress* progress,
                      Visit visit) {
  const Geometry& geometry = superblock.geometry;
  progress->total.store(geometry.segment_count);
  for (SegmentId segment = 0; segment < geometry.segment_count; segment++) {
    if (progress->cancelled.load(std::memory_order_relaxed)) {
      return Status(Code::closed, "stopped before the end");
    }
    visit(segment, find_footer(device, geometry, superblock.uuid, segment));
    progress->done.store(segment + 1, std::memory_order_relaxed);
  }
  return Status();
}

bool read_record(SegmentWindow& window, const FooterEntry& entry, ByteOffset segment_start,
                 StoredRecord* record) {
  std::string key;
  const ByteOffset at = ByteCount{entry.offset_grains} * kRecordGrain;
  const Bytes bytes = window.at(at, ByteCount{entry.length_grains} * kRecordGrain);
  if (bytes.empty()) return false;
  const Result<ByteCount> distance = peek_record_distance(bytes);
  if (!distance.ok() || distance.value() > bytes.size()) return false;
  const Result<RecordView> decoded = decode_record(bytes);
  if (!decoded.ok()) return false;
  record->offset = segment_start + at;
  record->header = decoded.value().header;
  record->key.assign(decoded.value().key.begin(), decoded.value().key.end());
  record->head.assign(decoded.value().meta.begin(), decoded.value().meta.end());
  return true;
}

}  // namespace

Status inspect_device(Device& device, DeviceReport* report, InspectProgress* progress) {
  const Result<Superblock> superblock = read_superblock(device);
  if (!superblock.ok()) return superblock.status();
  report->superblock = superblock.value();
  AlignedBuffer page(kSuperblockSize);
  const Geometry& geometry = report->superblock.geometry;
  for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
    const Status read = device.read(geometry.superblock_offset(copy), page.bytes());
    if (!read.ok()) {
      report->copies[copy] = read;
      continue;
    }
    const Result<Superblock> decoded = decode_superblock(page.bytes());
    report->copies[copy] = decoded.status();
    if (decoded.ok() &&
        decoded.value().superblock_sequence != report->superblock.superblock_sequence) {
      report->copies[copy] = Status(Code::not_found, "an older state");
    }
  }
  return visit_segments(device, report->superblock, progress,
                        [&](SegmentId, const Result<FoundFooter>& footer) {
                          SegmentReport segment;
                          if (footer.ok()) {
                            segment = report_of(footer.value());
                            for (const FooterEntry& entry : footer.value().entries) {
                              report->records_by_kind[entry.kind]++;
                            }
                          } else if (footer.status().code() != Code::not_found) {
                            segment.finding = SegmentFinding::unreadable;
                          }
                          report->segments.push_back(segment);
                        });
}

Status find_on_device(Device& device, std::string_view key, std::vector<StoredRecord>* found,
                      InspectProgress* progress) {
  const Result<Superblock> superblock = read_superblock(device);
  if (!superblock.ok()) return superblock.status();
  const Geometry& geometry = superblock.value().geometry;
  const HashKey& hash_key = superblock.value().hash_key;
  const KeyHash hash =
      siphash_128(hash_key, Bytes(reinterpret_cast<const uint8_t*>(key.data()), key.size()));
  std::vector<FooterEntry> chunks;
  AlignedBuffer memory(kPiece);
  const Status status = visit_segments(
      device, superblock.value(), progress, [&](SegmentId segment, const Result<FoundFooter>& footer) {
        if (!footer.ok()) return;
        const ByteOffset start = geometry.segment_offset(segment);
        SegmentWindow window(device, start, geometry.segment_size, memory.bytes());
        for (const FooterEntry& entry : footer.value().entries) {
          const bool is_chunk = entry.kind == static_cast<uint8_t>(RecordKind::chunk);
          if (is_chunk) chunks.push_back(entry);
          if (is_chunk || entry.hash != hash.low) continue;
          if (ByteCount{entry.length_grains} * kRecordGrain > kLongestRecord) continue;
          StoredRecord record;
          if (!read_record(window, entry, start, &record) || record.key != key) continue;
          record.segment = segment;
          found->push_back(std::move(record));
        }
      });
  if (!status.ok()) return status;
  std::sort(found->begin(), found->end(), [](const StoredRecord& a, const StoredRecord& b) {
    return a.header.segment_sequence != b.header.segment_sequence
               ? a.header.segment_sequence < b.header.segment_sequence
               : a.offset < b.offset;
  });
  std::vector<uint64_t> names;
  names.reserve(chunks.size());
  for (const FooterEntry& chunk : chunks) names.push_back(chunk.hash);
  std::sort(names.begin(), names.end());
  for (StoredRecord& record : *found) {
    if (record.header.kind != RecordKind::head || record.header.object_length == kUnknownLength) {
      continue;
    }
    const ByteCount count = (record.header.object_length + kChunkSize - 1) / kChunkSize;
    record.chunks_wanted = static_cast<uint32_t>(std::min<ByteCount>(count, ~uint32_t{0}));
    for (uint32_t chunk = 0; chunk < record.chunks_wanted; chunk++) {
      const uint64_t name =
          chunk_hash(hash_key, record.header.hash, record.header.incarnation, chunk).low;
      if (std::binary_search(names.begin(), names.end(), name)) record.chunks_found++;
    }
  }
  return Status();
}

Status verify_device(Device& device, VerifyReport* report, InspectProgress* progress) {
  const Result<Superblock> superblock = read_superblock(device);
  if (!superblock.ok()) return superblock.status();
  const Geometry& geometry = superblock.value().geometry;
  AlignedBuffer memory(kPiece);
  const auto add = [&](SegmentId segment, ByteOffset offset, const char* reason, std::string key) {
    report->damaged++;
    if (report->listed.size() >= VerifyReport::kListed) return;
    report->listed.push_back(DamagedRecord{offset, segment, reason, std::move(key)});
  };
  return visit_segments(
      device, superblock.value(), progress, [&](SegmentId segment, const Result<FoundFooter>& footer) {
        const ByteOffset start = geometry.segment_offset(segment);
        if (!footer.ok()) {
          if (footer.status().code() != Code::not_found) {
            add(segment, start, footer.status().message(), std::string());
          }
          return;
        }
        report->segments++;
        SegmentWindow window(device, start, geometry.segment_size, memory.bytes());
        for (const FooterEntry& entry : footer.value().entries) {
          std::string key;
          const char* damage =
              check_record(window, entry, footer.value().header.segment_sequence, &key).damage;
          const ByteCount length = ByteCount{entry.length_grains} * kRecordGrain;
          report->records++;
          report->bytes += length;
          if (damage == nullptr) continue;
          add(segment, start + ByteCount{entry.offset_grains} * kRecordGrain, damage,
              std::move(key));
        }
      });
}

}  // namespace millrace
