// See ring-policy.h.
#include "bench/ring-policy.h"

#include <algorithm>

#include "bench/bench.h"
#include "layout/record.h"
#include "layout/segment.h"

namespace millrace::bench {

namespace {

constexpr ByteCount kIndexMemoryLimit = 64 * kMiB;  // the default
constexpr ByteCount kKeyAndHead = 500;              // of an object: URL and stored head
constexpr ByteCount kSmallestMeanRecord = 4 * kKiB;

Geometry geometry_for(ByteCount capacity) {
  return geometry_of(std::max(capacity + 66 * kMiB, kMinimumDeviceSize)).value();
}

// As Volume::recover() sizes it.
ByteCount ghost_memory(const Geometry& geometry) {
  const ByteCount lap =
      geometry.device_size / kGhostBytesPerObject * Ghost::kBitsPerKey / 8 * Ghost::kFilters / 2;
  return std::min(lap, kIndexMemoryLimit / kGhostShare);
}

}  // namespace

RingPolicy::RingPolicy(ByteCount capacity)
    : geometry_(geometry_for(capacity)),
      index_(geometry_.device_size / kSmallestMeanRecord),
      ghost_(ghost_memory(geometry_)),
      segments_(geometry_.segment_count),
      free_count_(geometry_.segment_count),
      clean_ahead_(clean_segments_ahead(geometry_.segment_count, geometry_.segment_size)) {
  open_segment();
}

KeyHash RingPolicy::hash_of(uint64_t object, uint32_t part) {
  const uint64_t low = mixed(object * 64 + part);
  return KeyHash{low, mixed(low)};
}

bool RingPolicy::holds(ByteOffset address, const KeyHash& hash) const {
  const auto segment =
      static_cast<size_t>((address - geometry_.segments_offset) / geometry_.segment_size);
  const ByteOffset offset = (address - geometry_.segments_offset) % geometry_.segment_size;
  const std::vector<Entry>& entries = segments_[segment].entries;
  const auto at =
      std::lower_bound(entries.begin(), entries.end(), offset,
                       [](const Entry& entry, ByteOffset wanted) { return entry.offset < wanted; });
  return at != entries.end() && at->offset == offset && at->hash == hash;
}

// The word of this very record, as a read would find out.
const IndexHit* RingPolicy::find(const KeyHash& hash, bool is_chunk) {
  IndexHit hits[Index::kMaximumHits];
  const uint32_t count = index_.lookup(hash.low, hits);
  for (uint32_t i = 0; i < count; i++) {
    if ((Index::kind_of(hits[i].word) == RecordKind::chunk) != is_chunk) continue;
    if (!holds(Index::address_of(hits[i].word), hash)) continue;
    hit_ = hits[i];
    return &hit_;
  }
  return nullptr;
}

bool RingPolicy::request(const TraceRequest& request) {
  const KeyHash object = hash_of(request.object, 0);
  const uint32_t chunks = request.size <= kChunkSize
                              ? 0
                              : static_cast<uint32_t>((request.size + kChunkSize - 1) / kChunkSize);
  MR_ASSERT_OP(chunks, <, 64u);
  bool is_whole = find(object, false) != nullptr;
  for (uint32_t i = 1; is_whole && i <= chunks; i++) {
    is_whole = find(hash_of(request.object, i), true) != nullptr;
  }
  if (is_whole) {
    index_.mark_hit(*find(object, false));
    for (uint32_t i = 1; i <= chunks; i++) index_.mark_hit(*find(hash_of(request.object, i), true));
    return true;
  }
  ghost_.remember(ghost_keys(index_.records()));
  AdmissionView view;
  view.free_segments = free_count_;
  view.clean_ahead = clean_ahead_;
  // A part that is missing makes the object forgotten (Store::forget), so its head counts for nothing.
  if (chunks > 0) index_.remove_heads(object.low);
  view.is_indexed = index_.has_head(object.low);
  if (!admits(view)) {
    view.was_refused = ghost_.contains(object);
    if (!admits(view)) {
      ghost_.add(object);
      return false;
    }
  }
  admitted_ += request.size;
  for (uint32_t i = 1; i <= chunks; i++) {
    append(hash_of(request.object, i), RecordKind::chunk,
           std::min(kChunkSize, request.size - (i - 1) * kChunkSize));
  }
  append(object, chunks == 0 ? RecordKind::single : RecordKind::head,
         chunks == 0 ? request.size : 0);
  return false;
}

void RingPolicy::append(const KeyHash& hash, RecordKind kind, ByteCount body) {
  RecordHeader header;
  header.kind = kind;
  header.body_length = header.interval_end = header.stored_length = static_cast<uint32_t>(body);
  if (kind != RecordKind::chunk) {
    header.key_length = kKeyAndHead / 5;
    header.meta_length = kKeyAndHead - header.key_length;
  }
  Entry entry{hash, 0, record_length(header), kind};
  const ByteOffset address = place(entry, body);
  index_.insert(hash.low, address, entry.length, kind, address);
}

// Room for a record at the write head, in the next segment where this one is full.
ByteOffset RingPolicy::place(const Entry& wanted, ByteCount body) {
  const auto start_of = [&] {
    const ByteCount to_body = wanted.length - round_up(body, kRecordGrain);
    if (body < kAlignedBodyThreshold) return head_;
    return round_up(head_ + to_body, kBlockAlignment) - to_body;
  };
  const ByteCount footer = footer_size(segments_[open_].entries.size() + 1);
  if (start_of() + wanted.length + footer > geometry_.segment_size) {
    written_ += footer;
    open_segment();
  }
  Entry entry = wanted;
  entry.offset = start_of();
  written_ += entry.offset + entry.length - head_;
  head_ = entry.offset + entry.length;
  segments_[open_].entries.push_back(entry);
  return geometry_.segment_offset(open_) + entry.offset;
}

void RingPolicy::open_segment() {
  if (segments_written_ > 0) open_ = (open_ + 1) % geometry_.segment_count;
  MR_ASSERT(segments_[open_].is_free);
  segments_[open_].is_free = false;
  free_count_--;
  segments_written_++;
  head_ = kSegmentHeaderSize;
  written_ += kSegmentHeaderSize;
  // What reclaim writes may open the next segment itself.
  if (is_reclaiming_) return;
  is_reclaiming_ = true;
  while (free_count_ < clean_ahead_) reclaim();
  is_reclaiming_ = false;
}

void RingPolicy::reclaim() {
  const ByteOffset start = geometry_.segment_offset(oldest_);
  const std::vector<Entry> entries = segments_[oldest_].entries;
  std::vector<Survivor> survivors;
  for (uint32_t i = 0; i < entries.size(); i++) {
    const uint64_t word = index_.word_at(entries[i].hash.low, start + entries[i].offset);
    if (word != 0) survivors.push_back(Survivor{i, Index::hits_of(word), entries[i].length});
  }
  choose_survivors(&survivors, geometry_.segment_size);
  for (const Survivor& survivor : survivors) {
    const Entry& entry = entries[survivor.entry];
    const ByteCount body = entry.length > kAlignedBodyThreshold + kKeyAndHead + 2 * kRecordGrain
                               ? kAlignedBodyThreshold
                               : 0;
    const ByteOffset to = place(entry, body);
    MR_ASSERT(index_.move(entry.hash.low, start + entry.offset, to, kHitsAfterReinsertion));
    reinserted_ += entry.length;
  }
  for (const Entry& entry : entries) index_.remove(entry.hash.low, start + entry.offset);
  segments_[oldest_].entries.clear();
  segments_[oldest_].is_free = true;
  free_count_++;
  oldest_ = (oldest_ + 1) % geometry_.segment_count;
}

}  // namespace millrace::bench
