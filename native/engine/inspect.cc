// Reading a device for people. See inspect.h.
#include "engine/inspect.h"

#include <algorithm>

#include "base/endian.h"
#include "base/siphash.h"
#include "engine/aligned-buffer.h"
#include "engine/recovery.h"
#include "engine/segment-check.h"
#include "engine/segment-scan.h"
#include "layout/key.h"
#include "layout/purge-journal.h"

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
    // No body that is stored is larger than its device, whatever a head says.
    const auto stored = std::min<ByteCount>(record.chunks_wanted, geometry.device_size / kChunkSize);
    for (uint32_t chunk = 0; chunk < stored; chunk++) {
      const uint64_t name =
          chunk_hash(hash_key, record.header.hash, record.header.incarnation, chunk).low;
      if (std::binary_search(names.begin(), names.end(), name)) record.chunks_found++;
    }
  }
  return Status();
}

namespace {

// Collects what is damaged: counts all of it, lists the first ones.
class Verification {
 public:
  Verification(Device& device, const Superblock& superblock, VerifyReport* report)
      : device_(device), superblock_(superblock), report_(report) {}

  void add(SegmentId segment, ByteOffset offset, const char* reason, std::string key = "") {
    report_->damaged++;
    if (report_->listed.size() >= VerifyReport::kListed) return;
    report_->listed.push_back(DamagedRecord{offset, segment, reason, std::move(key)});
  }

  void check_superblocks() {
    AlignedBuffer page(kSuperblockSize);
    for (uint32_t copy = 0; copy < kSuperblockCopies; copy++) {
      const ByteOffset offset = superblock_.geometry.superblock_offset(copy);
      const Status read = device_.read(offset, page.bytes());
      const Status status = read.ok() ? decode_superblock(page.bytes()).status() : read;
      if (!status.ok()) add(DamagedRecord::kNoSegment, offset, "a copy of the superblock is damaged");
    }
  }

  // Only of the half that is in use: what was found damaged at a start is written anew in the other one.
  void check_journal() {
    JournalHalf halves[2];
    for (uint32_t half = 0; half < 2; half++) halves[half] = read_journal(half);
    for (uint32_t half = 0; half < 2; half++) {
      if (halves[half].generation < halves[1 - half].generation) continue;
      for (const uint32_t number : halves[half].damaged) {
        add(DamagedRecord::kNoSegment, purge_block_offset(half, number),
            "a block of the purge journal is damaged");
      }
    }
  }

  void check_segment(SegmentId segment, const Result<FoundFooter>& footer, MutableBytes memory) {
    const ByteOffset start = superblock_.geometry.segment_offset(segment);
    if (!footer.ok()) {
      const bool is_empty = footer.status().code() == Code::not_found && has_no_header(start);
      if (is_empty) return;
      const bool is_known = footer.status().code() != Code::not_found;
      add(segment, start,
          is_known ? footer.status().message() : "the segment's header is damaged: nothing in it is found");
      return;
    }
    const Sequence sequence = footer.value().header.segment_sequence;
    report_->segments++;
    newest_ = std::max(newest_, sequence);
    if (!footer.value().is_sealed) open_.emplace_back(sequence, segment);
    SegmentWindow window(device_, start, superblock_.geometry.segment_size, memory);
    for (const FooterEntry& entry : footer.value().entries) {
      std::string key;
      const char* damage = check_record(window, entry, sequence, &key).damage;
      report_->records++;
      report_->bytes += ByteCount{entry.length_grains} * kRecordGrain;
      if (damage == nullptr) continue;
      add(segment, start + ByteCount{entry.offset_grains} * kRecordGrain, damage, std::move(key));
    }
  }

  // A store that was closed has no segment without a footer. Of one that was not, the write head's has none,
  // and the one before may not have got it yet.
  void check_open_segments() {
    std::sort(open_.begin(), open_.end());
    const Geometry& geometry = superblock_.geometry;
    size_t allowed = 0;
    if (!superblock_.clean && !open_.empty() && open_.back().first == newest_) allowed = 2;
    const size_t damaged = open_.size() - std::min(allowed, open_.size());
    for (size_t i = 0; i < damaged; i++) {
      const SegmentId segment = open_[i].second;
      add(segment, geometry.segment_offset(segment) + geometry.segment_size - kFooterTrailerSize,
          "the segment's footer is damaged; its records were found without it");
    }
  }

 private:
  struct JournalHalf {
    uint64_t generation = 0;  // the highest found; 0: none
    std::vector<uint32_t> damaged;
  };

  // Blocks are written one after the other from the beginning of a half: the first piece that holds none
  // ends it, and zeros before a block are one that is lost.
  JournalHalf read_journal(uint32_t half) {
    constexpr uint32_t kBlocks = kMiB / kPurgeBlockSize;
    AlignedBuffer piece(kMiB);
    JournalHalf found;
    uint32_t end = 0;
    for (uint32_t first = 0; first < kPurgeBlocksPerHalf; first += kBlocks) {
      if (!device_.read(purge_block_offset(half, first), piece.bytes()).ok()) {
        found.damaged.push_back(first);
        continue;
      }
      bool is_used = false;
      for (uint32_t number = first; number < first + kBlocks; number++) {
        const Bytes bytes = piece.bytes().subspan((number - first) * kPurgeBlockSize, kPurgeBlockSize);
        if (all_zero(bytes)) continue;
        is_used = true;
        const Result<PurgeBlock> block = decode_purge_block(bytes, superblock_.uuid);
        const bool is_whole = block.ok() && block.value().number == number &&
                              block.value().generation % 2 == half;
        if (is_whole) found.generation = std::max(found.generation, block.value().generation);
        if (is_whole && end < number) found.damaged.push_back(end);
        if (!is_whole) found.damaged.push_back(number);
        end = number + 1;
      }
      if (!is_used) break;
    }
    return found;
  }

  bool has_no_header(ByteOffset start) {
    AlignedBuffer page(kSegmentHeaderSize);
    return device_.read(start, page.bytes()).ok() && all_zero(page.bytes());
  }

  Device& device_;
  const Superblock& superblock_;
  VerifyReport* const report_;
  Sequence newest_ = 0;
  std::vector<std::pair<Sequence, SegmentId>> open_;
};

}  // namespace

Status verify_device(Device& device, VerifyReport* report, InspectProgress* progress) {
  const Result<Superblock> superblock = read_superblock(device);
  if (!superblock.ok()) return superblock.status();
  AlignedBuffer memory(kPiece);
  Verification verification(device, superblock.value(), report);
  verification.check_superblocks();
  verification.check_journal();
  const Status status = visit_segments(
      device, superblock.value(), progress,
      [&](SegmentId segment, const Result<FoundFooter>& footer) {
        verification.check_segment(segment, footer, memory.bytes());
      });
  if (status.ok()) verification.check_open_segments();
  return status;
}

}  // namespace millrace
