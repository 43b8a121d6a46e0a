// The disk tier's own policy without its bytes: the engine's index with its hit bits, its ghost, its
// geometry, and its decisions (policy.h: what is admitted, how many segments are kept clean, which records
// outlive their segment) around a ring of footers. Records are laid out as the appender does.
// Single-threaded.
#pragma once

#include <memory>
#include <vector>

#include "bench/trace.h"
#include "engine/ghost.h"
#include "engine/index.h"
#include "engine/policy.h"
#include "layout/geometry.h"

namespace millrace::bench {

class RingPolicy {
 public:
  // A device whose ring has about so many bytes, with the default index_memory_limit.
  explicit RingPolicy(ByteCount capacity);

  bool request(const TraceRequest& request);

  ByteCount capacity() const { return geometry_.segment_count * geometry_.segment_size; }
  ByteCount written() const { return written_; }        // records, headers and footers
  ByteCount admitted() const { return admitted_; }      // bodies
  ByteCount reinserted() const { return reinserted_; }  // of written
  uint64_t segments_written() const { return segments_written_; }

 private:
  struct Entry {
    KeyHash hash{};
    ByteOffset offset = 0;
    ByteCount length = 0;
    RecordKind kind = RecordKind::single;
  };
  struct Segment {
    std::vector<Entry> entries;
    bool is_free = true;
  };

  static KeyHash hash_of(uint64_t object, uint32_t part);
  const IndexHit* find(const KeyHash& hash, bool is_chunk);
  bool holds(ByteOffset address, const KeyHash& hash) const;
  ByteOffset place(const Entry& entry, ByteCount body);
  void append(const KeyHash& hash, RecordKind kind, ByteCount body);
  void open_segment();
  void reclaim();

  Geometry geometry_;
  Index index_;
  Ghost ghost_;
  std::vector<Segment> segments_;
  uint32_t free_count_;
  uint32_t clean_ahead_;
  SegmentId open_ = 0;
  SegmentId oldest_ = 0;
  ByteOffset head_ = 0;
  bool is_reclaiming_ = false;
  IndexHit hit_;
  ByteCount written_ = 0;
  ByteCount admitted_ = 0;
  ByteCount reinserted_ = 0;
  uint64_t segments_written_ = 0;
};

}  // namespace millrace::bench
