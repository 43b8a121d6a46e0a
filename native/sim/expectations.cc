// What has to be found by the next life, and whether it is: promise 6. When a life ends, what its index knew
// is looked for on the disk itself; when the next one has loaded its footers, that is asked for. See world.h.
#include <algorithm>
#include <cstdio>

#include "base/crc32c.h"
#include "layout/record.h"
#include "layout/segment.h"
#include "sim/failure.h"
#include "sim/world.h"

namespace millrace::sim {

namespace {
unsigned long long number(uint64_t value) { return value; }
}

void World::expect_nothing_of(uint32_t key) { is_touched_[key] = true; }

// Whether a record lies whole at this place of the disk as it is now.
bool World::is_whole(ByteOffset address, KeyHash hash, RecordHeader* header) {
  const Ring& ring = store_->volume().ring();
  const Geometry& geometry = ring.geometry();
  const SegmentId segment = ring.segment_at(address);
  if (segment == ring.segment_count()) return false;
  const ByteOffset start = geometry.segment_offset(segment);
  const Result<SegmentHeader> opened =
      decode_segment_header(disk_->view(start, kSegmentHeaderSize), store_->volume().superblock().uuid);
  if (!opened.ok() || opened.value().segment_sequence != ring.sequence(segment)) return false;
  const Bytes bytes = disk_->view(address, start + geometry.segment_size - address);
  if (bytes.size() < kRecordFixedSize) return false;
  const Result<ByteCount> distance = peek_record_distance(bytes);
  if (!distance.ok() || distance.value() > bytes.size()) return false;
  const Result<RecordView> view = decode_record(bytes);
  if (!view.ok()) return false;
  *header = view.value().header;
  if (header->segment_sequence != ring.sequence(segment) || !(header->hash == hash)) return false;
  if (record_length(*header) > bytes.size()) return false;
  const Bytes body = bytes.subspan(distance.value(), header->stored_length);
  for (uint32_t block = 0; block < body_block_count(*header); block++) {
    const Bytes part = body.subspan(view.value().stored_block_begin(block),
                                    view.value().stored_block_length(block));
    if (crc32c(part) != view.value().block_crc(block)) return false;
  }
  return true;
}

bool World::find_whole(const KeyHash& hash, bool wants_chunk, RecordHeader* header,
                       Expectation* expectation) {
  const Ring& ring = store_->volume().ring();
  IndexHit hits[Index::kMaximumHits];
  const uint32_t count = store_->volume().index().lookup(hash.low, hits);
  for (uint32_t i = 0; i < count; i++) {
    if ((Index::kind_of(hits[i].word) == RecordKind::chunk) != wants_chunk) continue;
    if (!is_whole(Index::address_of(hits[i].word), hash, header)) continue;
    const ByteOffset address = Index::address_of(hits[i].word);
    expectation->places.push_back({address, hash, ring.sequence(ring.segment_at(address))});
    return true;
  }
  return false;
}

// Of one from an earlier life that was not looked for yet: nobody has touched the key, and it is still there.
bool World::lies_whole(const Expectation& expectation) {
  if (is_touched_[expectation.key]) return false;
  const Ring& ring = store_->volume().ring();
  for (const Expectation::Place& place : expectation.places) {
    RecordHeader ignored;
    if (ring.sequence(ring.segment_at(place.address)) != place.sequence ||
        !is_whole(place.address, place.hash, &ignored)) {
      return false;
    }
  }
  return true;
}

// Whether a miss is right after all: stored anew, purged or reclaimed since the start, or nobody serves.
bool World::may_be_missed(const Expectation& expectation) {
  if (has_crashed_ || store_->closed() || is_touched_[expectation.key]) return true;
  const Version* version = oracle_.version_of(expectation.incarnation);
  if (version == nullptr || oracle_.may_be_gone(expectation.key, *version)) return true;
  if (store_->volume().index().overwritten() > 0) return true;
  const Ring& ring = store_->volume().ring();
  for (const Expectation::Place& place : expectation.places) {
    const SegmentId segment = ring.segment_at(place.address);
    if (ring.sequence(segment) != place.sequence || ring.state(segment) != SegmentState::sealed) {
      return true;
    }
  }
  return false;
}

// Of records that a sealed segment's footer promises under this hash and that do not lie whole where it says,
// the latest one's segment; 0 where there are none. A footer may have landed without what it lists: neither
// a write that the device lost nor an order of writes before a loss of power tells the store.
Sequence World::latest_broken_promise(const KeyHash& hash) {
  Sequence latest = 0;
  const Ring& ring = store_->volume().ring();
  const Geometry& geometry = ring.geometry();
  const DeviceUuid& uuid = store_->volume().superblock().uuid;
  for (SegmentId segment = 0; segment < geometry.segment_count; segment++) {
    const ByteOffset start = geometry.segment_offset(segment);
    const ByteOffset end = start + geometry.segment_size;
    const Result<FooterTrailer> trailer =
        decode_footer_trailer(disk_->view(end - kFooterTrailerSize, kFooterTrailerSize), uuid,
                              geometry.segment_size);
    if (!trailer.ok() || trailer.value().header.segment_sequence != ring.sequence(segment)) continue;
    const ByteCount size = footer_size(trailer.value().entry_count);
    const Result<std::vector<FooterEntry>> entries = decode_footer_entries(
        trailer.value(), disk_->view(end - size, size - kFooterTrailerSize), geometry.segment_size);
    if (!entries.ok()) continue;
    for (const FooterEntry& entry : entries.value()) {
      RecordHeader ignored;
      const ByteOffset address = start + ByteCount{entry.offset_grains} * kRecordGrain;
      if (entry.hash != hash.low || is_whole(address, hash, &ignored)) continue;
      latest = std::max(latest, ring.sequence(segment));
    }
  }
  return latest;
}

// Everything on the disk that carries this hash, for the report of a failure. Returns whether a later record
// than that of `incarnation` was torn by the crash, or purged by its tag: recovery trusts headers and
// footers, so the later one takes the place of the whole one, and its first read makes it a miss.
bool World::is_shadowed(uint32_t key, const KeyHash& hash, uint64_t incarnation) {
  std::string list;
  Sequence later_sequence = latest_broken_promise(hash);
  Sequence whole_sequence = 0;
  const Ring& ring = store_->volume().ring();
  const Geometry& geometry = ring.geometry();
  for (SegmentId segment = 0; segment < geometry.segment_count; segment++) {
    const ByteOffset start = geometry.segment_offset(segment);
    for (ByteOffset at = kSegmentHeaderSize; at < geometry.segment_size; at += kRecordGrain) {
      const Bytes bytes = disk_->view(start + at, geometry.segment_size - at);
      if (bytes.size() < kRecordFixedSize || !peek_record_distance(bytes).ok()) continue;
      if (peek_record_distance(bytes).value() > bytes.size()) continue;
      const Result<RecordView> view = decode_record(bytes);
      if (!view.ok() || !(view.value().header.hash == hash)) continue;
      const RecordHeader& header = view.value().header;
      RecordHeader ignored;
      const bool whole = is_whole(start + at, hash, &ignored);
      if (whole && header.incarnation == incarnation) {
        whole_sequence = std::max(whole_sequence, header.segment_sequence);
      } else if (header.segment_sequence == ring.sequence(segment) && !whole) {
        later_sequence = std::max(later_sequence, header.segment_sequence);
      } else if (const Version* version = oracle_.version_of(header.incarnation);
                 version != nullptr && oracle_.may_be_gone(key, *version)) {
        later_sequence = std::max(later_sequence, header.segment_sequence);
      }
      char line[200];
      std::snprintf(line, sizeof(line),
                    "sim: segment %u, sequence %llu, offset %llu: kind %u of sequence %llu, birth "
                    "%llu, incarnation %llu, %u bytes, %s\n",
                    segment, number(ring.sequence(segment)), number(at),
                    static_cast<uint32_t>(header.kind), number(header.segment_sequence),
                    number(header.birth), number(header.incarnation), header.body_length,
                    whole ? "whole" : "not whole");
      list += line;
    }
  }
  if (later_sequence >= whole_sequence && later_sequence > 0) return true;
  std::fputs(list.c_str(), stderr);
  IndexHit hits[Index::kMaximumHits];
  const uint32_t count = store_->volume().index().lookup(hash.low, hits);
  for (uint32_t i = 0; i < count; i++) {
    const ByteOffset address = Index::address_of(hits[i].word);
    std::fprintf(stderr, "sim: the index names segment %u offset %llu\n", ring.segment_at(address),
                 number(address - geometry.segment_offset(ring.segment_at(address))));
  }
  return false;
}

// Promise 6, and a little more: what the index knew and lies whole on the disk is found by the next life.
void World::expect_records() {
  // What the index does not know yet is still on the disk.
  std::vector<Expectation> earlier = std::move(expected_);
  expected_.clear();
  if (store_->volume().index().overwritten() > 0) return;
  if (!looks_later_) earlier.clear();
  // Of variants the marker would have to be found as well, and what it vouches for.
  for (uint32_t key = 0; key < oracle_.key_count() && !oracle_.is_variant(key); key++) {
    RecordHeader header;
    const KeyHash hash = store_->place_of(oracle_.name(key)).hash;
    Expectation expectation;
    if (!find_whole(hash, false, &header, &expectation)) continue;
    const Version* version = oracle_.version_of(header.incarnation);
    if (version == nullptr || oracle_.may_be_gone(key, *version)) continue;
    expectation.key = key;
    expectation.incarnation = header.incarnation;
    if (header.kind == RecordKind::head) {
      const auto chunks = static_cast<uint32_t>((version->length + kChunkSize - 1) / kChunkSize);
      for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        RecordHeader part;
        if (find_whole(store_->chunk_hash(0, hash, header.incarnation, chunk), true, &part,
                       &expectation) &&
            part.incarnation == header.incarnation && part.chunk_number == chunk) {
          expectation.chunks.push_back(chunk);
        }
      }
    }
    is_touched_[key] = true;  // by this very expectation, for the earlier ones
    expected_.push_back(std::move(expectation));
  }
  for (Expectation& expectation : earlier) {
    if (lies_whole(expectation)) expected_.push_back(std::move(expectation));
  }
  trace("%zu objects have to be found", expected_.size());
}

void World::check_expectations() {
  const std::vector<Expectation> expected = std::move(expected_);
  expected_.clear();
  for (const Expectation& expectation : expected) {
    made_progress();
    if (!may_be_missed(expectation)) check_expectation(expectation);
  }
  held_.clear();
}

void World::check_expectation(const Expectation& expectation) {
  const std::string& name = oracle_.name(expectation.key);
  // Clients that came early may hold what memory there is; then it takes a while.
  constexpr uint32_t kPatience = 100;
  for (uint32_t attempt = 0;; attempt++) {
    Floor floor;
    const Ref<MemoryRecord> record = find(expectation.key, &floor);
    if (may_be_missed(expectation)) return;
    if (!record) {
      if (attempt < kPatience && client_count_ > 1) {
        sleep_us(20000);
        continue;
      }
      const KeyHash hash = store_->place_of(name).hash;
      if (!is_shadowed(expectation.key, hash, expectation.incarnation)) {
        fail("%s, incarnation %llu, is whole on the disk and was not found", name.c_str(),
             number(expectation.incarnation));
      }
      report_.shadowed++;
      return;
    }
    const Version& version = oracle_.check_record(*record, expectation.key, floor);
    report_.recovered_checks++;
    // A later record that the old life had given up may have survived in its place, an earlier one never.
    if (record->header.incarnation < expectation.incarnation) {
      fail("%s went back from incarnation %llu to %llu", name.c_str(),
           number(expectation.incarnation), number(record->header.incarnation));
    }
    if (record->header.incarnation != expectation.incarnation) return;
    for (const uint32_t chunk : expectation.chunks) {
      const ByteOffset begin = ByteOffset{chunk} * kChunkSize;
      const ByteCount length = std::min(kChunkSize, version.length - begin);
      uint32_t tries = 0;
      while (!read(version, record->header, begin, length)) {
        if (may_be_missed(expectation)) return;
        if (tries++ >= kPatience || client_count_ == 1) {
          const KeyHash hash =
              store_->chunk_hash(0, record->header.hash, expectation.incarnation, chunk);
          if (is_shadowed(expectation.key, hash, expectation.incarnation)) {
            report_.shadowed++;
            return;
          }
          fail("chunk %u of %s, version %llu, is whole on the disk and was not found", chunk,
               name.c_str(), number(version.number));
        }
        sleep_us(20000);
      }
      report_.recovered_checks++;
    }
    return;
  }
}

}  // namespace millrace::sim
