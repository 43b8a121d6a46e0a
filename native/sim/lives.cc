// Starts, ends and crashes of the store, and what must be found after them. See world.h.
#include <algorithm>
#include <cstdio>

#include "base/crc32c.h"
#include "engine/format.h"
#include "layout/record.h"
#include "layout/segment.h"
#include "sim/failure.h"
#include "sim/world.h"

namespace millrace::sim {

namespace {
unsigned long long number(uint64_t value) { return value; }
}

void World::open() {
  for (uint32_t attempt = 0;; attempt++) {
    if (attempt >= 20) fail("the store does not open in 20 attempts");
    if (try_open()) break;
    store_.reset();
    device_ = nullptr;
  }
  is_touched_.assign(oracle_.key_count(), false);
  const uint64_t choice = random_.below(4);
  looks_later_ = !ending_ && choice < 2;
  if (looks_later_) {
    // So slow that there is something to see.
    if (random_.one_in(2)) device_->plan.delay_us = random_.one_in(2) ? 20000 : 200000;
    return;
  }
  // What goes wrong meanwhile excuses whatever is missed.
  if (!ending_ && choice == 2) {
    expected_.clear();
    held_.clear();
  } else {
    while (!store_->wait_until_warm(1000)) made_progress();
    if (!has_crashed_) check_expectations();
  }
  device_->plan = plan_;
}

// The first client that finds all footers loaded looks for what has to be there; the others wait.
void World::look_after_warming() {
  if (store_->is_warming(0)) report_.warming_steps++;
  if (!looks_later_ || has_crashed_ || store_->closed() || store_->is_warming(0)) return;
  looks_later_ = false;
  is_looking_ = true;
  check_expectations();
  is_looking_ = false;
  if (!has_crashed_) device_->plan = plan_;
}

void World::expect_nothing_of(uint32_t key) { is_touched_[key] = true; }

// False: the start failed for a reason, or the machine died in the middle of it.
bool World::try_open() {
  disk_->forget_reads();
  has_crashed_ = false;
  place().life++;
  report_.lives++;
  auto device = std::make_unique<SimDevice>(*disk_, random_.next(), report_.device, silent_begin_,
                                            silent_end_);
  SimDevice* raw = device.get();
  device_ = raw;
  raw->on_crash = &World::crashed;
  raw->on_crash_context = this;
  raw->plan.delay_us = plan_.delay_us;
  const uint64_t errors = report_.device.errors;
  if (!ending_ && random_.one_in(5)) {
    raw->plan.read_error = plan_.read_error;
    raw->plan.write_error = plan_.write_error;
    raw->plan.flush_error = plan_.flush_error;
    raw->plan.submit_again = plan_.submit_again;
  }
  if (options_.crash_after_writes != kNever) {
    raw->crash_after_writes = place().life == 1 ? options_.crash_after_writes : kNever;
  } else if (!ending_ && random_.one_in(3)) {
    raw->crash_after_writes = random_.below(random_.one_in(4) ? 12 : 400);
  }
  raw->crash_kind = random_.one_in(2) ? CrashKind::kill : CrashKind::power;
  StoreOptions options;
  options.memory_limit = memory_limit_;
  options.l1_budget = random_.one_in(3) ? 0 : l1_budget_;
  options.index_memory_limit = kMiB;
  options.poison_pages = poisons_;
  options.compress = compresses_;
  options.warm_grace_ms = random_.one_in(2) ? 0 : 20;
  options.scrub_interval_ms = random_.one_in(3) ? random_.between(100, 5000) : 0;
  options.scrub_rate = random_.one_in(2) ? kMiB : 1024 * kMiB;
  made_progress();
  Result<Ref<Store>> opened = Store::open(options, std::move(device));
  made_progress();
  const bool had_errors = report_.device.errors != errors;
  if (!opened.ok()) {
    if (!has_crashed_ && !had_errors) fail("the store does not open: %s", opened.status().message());
    trace("life %u does not begin: %s", place().life, opened.status().message());
    return false;
  }
  store_ = std::move(opened.value());
  oracle_.begin_life();
  if (has_crashed_) {
    store_->close();
    return false;
  }
  if (had_errors) expected_.clear();
  raw->plan = FaultPlan();
  raw->plan.delay_us = plan_.delay_us;
  trace("life %u begins", place().life);
  return true;
}

void World::crashed(void* self) {
  auto* world = static_cast<World*>(self);
  world->has_crashed_ = true;
  world->report_.crashes++;
  if (world->device_->crashed_in_write()) world->report_.armed_crashes++;
  trace("crash");
  if (world->options_.faults && world->random_.one_in(4)) {
    // Damage while nobody looks: in segments, and in one copy of the superblock.
    world->expected_.clear();
    const uint64_t flips = world->random_.between(1, 20);
    for (uint64_t i = 0; i < flips; i++) {
      const ByteOffset at = world->silent_begin_ +
                            world->random_.below(world->silent_end_ - world->silent_begin_);
      world->disk_->flip(at, static_cast<uint8_t>(1u << world->random_.below(8)));
    }
    const Geometry geometry = geometry_of(world->disk_->size()).value();
    const auto copy = static_cast<uint32_t>(world->random_.below(kSuperblockCopies));
    world->disk_->flip(geometry.superblock_offset(copy) + world->random_.below(kSuperblockSize), 1);
  }
  // In the middle of a start there is no index yet that could be believed; what had to be found before
  // it still has to be.
  if (world->store_) world->expect_records();
  wake_all(world->main_);
}

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

// Everything on the disk that carries this hash, for the report of a failure. Returns whether a later record
// than that of `incarnation` was torn by the crash, or purged by its tag: recovery trusts headers, so the
// later one takes the place of the whole one, and its first read makes it a miss.
bool World::is_shadowed(uint32_t key, const KeyHash& hash, uint64_t incarnation) {
  std::string list;
  Sequence later_sequence = 0;
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
  for (uint32_t key = 0; key < oracle_.key_count(); key++) {
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

void World::start_clients() {
  stopping_ = false;
  clients_ = std::make_unique<Client[]>(client_count_);
  for (uint32_t i = 0; i < client_count_; i++) {
    clients_[i].world = this;
    clients_[i].scratch.resize(2 * kChunkSize);
    clients_[i].thread.start(&World::run_client, &clients_[i]);
  }
}

void World::stop_clients() {
  stopping_ = true;
  for (uint32_t i = 0; i < client_count_; i++) clients_[i].thread.join();
  clients_.reset();
}

void World::end_life() {
  made_progress();
  const uint64_t choice = random_.below(3);
  const bool closes = choice == 0 && !has_crashed_;
  const uint64_t errors = report_.device.errors;
  if (closes && random_.one_in(2)) {
    // While the clients go on: they see closed and misses.
    store_->close();
  } else if (!closes) {
    device_->crash(choice == 1 ? CrashKind::kill : CrashKind::power);
  }
  stop_clients();
  while (!fills_.empty()) drop_fill(fills_.size() - 1);
  while (!held_.empty()) check_held(held_.size() - 1);
  store_->close();
  if (closes && !has_crashed_) {
    trace("clean end");
    // Closing promises that a loss of power right after it loses nothing.
    const bool promised = report_.device.errors == errors;
    if (promised) expect_records();
    disk_->lose_power(random_, 100, false);
    if (!promised) expect_records();
  }
  report_.reclaimed += store_->total(&Counters::segments_reclaimed);
  MR_ASSERT_OP(store_->tier().used(), <=, store_->tier().budget());
  store_.reset();
  device_ = nullptr;
}

void World::check_liveness() {
  // Faults are over: what is stored now is found now.
  device_->plan = FaultPlan();
  for (uint32_t i = 0; i < 8; i++) {
    made_progress();
    const auto key = static_cast<uint32_t>(random_.below(oracle_.key_count()));
    for (uint32_t round = 0; round < 2; round++) {
      Floor floor;
      static_cast<void>(find(key, &floor));
      Version& version = oracle_.add_version(key, false);
      const Ref<Fill> fill = store_->begin_fill(oracle_.name(key), Notice{});
      version.begun_at = oracle_.next_event();
      version.heads_begun_at.push_back(version.begun_at);
      version.length = 1000;
      FillHead head;
      head.key = oracle_.name(key);
      head.keep = true;
      head.body_length = version.length;
      head.head = oracle_.head_of(version, 0);
      MR_ASSERT(fill->begin(std::move(head)).ok());
      version.incarnation = fill->incarnation();
      oracle_.identify(version);
      std::vector<uint8_t> body(version.length);
      Oracle::generate(version, 0, body);
      while (fill->append(body).accepted == 0) sleep_us(10000);
      version.finished = true;
      MR_ASSERT(fill->finish().ok());
      sleep_us(300000);
    }
    Floor floor;
    const Ref<MemoryRecord> record = find(key, &floor);
    if (!record) fail("after all faults, what was stored is not found");
    oracle_.check_record(*record, key, floor);
  }
}

}  // namespace millrace::sim
