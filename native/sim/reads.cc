// Steps of look-ups, reads, 304s and purges. See world.h.
#include <algorithm>
#include <memory>

#include "layout/head.h"
#include "sim/failure.h"
#include "sim/world.h"

namespace millrace::sim {

namespace {
constexpr size_t kMaximumHeld = 6;
}

void World::answered(void* context, Status status, Ref<MemoryRecord> record) {
  auto* answer = static_cast<Answer*>(context);
  MutexLock lock(answer->mutex);
  answer->status = status;
  answer->record = std::move(record);
  answer->done = true;
  answer->condition.signal();
}

Ref<MemoryRecord> World::find(uint32_t key, Floor* floor) {
  report_.finds++;
  *floor = oracle_.floor_of(key);
  if (!oracle_.is_variant(key)) return look_up(oracle_.name(key), oracle_.name(key), 0);
  const Ref<MemoryRecord> marker = find_marker(key);
  if (!marker) return marker;
  return look_up(oracle_.primary_name(key), oracle_.name(key), marker->header.incarnation);
}

Ref<MemoryRecord> World::find_marker(uint32_t key) {
  Ref<MemoryRecord> marker = look_up(oracle_.primary_name(key), oracle_.primary_name(key), 0);
  if (marker && (head_flags(marker->head_bytes()) & kHeadVaryMarker) == 0) {
    fail("%s: something else than its marker", oracle_.primary_name(key).c_str());
  }
  return marker;
}

Ref<MemoryRecord> World::look_up(const std::string& primary, const std::string& name,
                                 Sequence minimum_birth) {
  const Ref<Store> store = store_;
  Answer answer;
  Ref<MemoryRecord> record;
  const KeyPlace place = store->place_in(store->place_of(primary).volume, name);
  const Found found =
      store->find(place, name, minimum_birth, &record, &World::answered, &answer);
  if (found == Found::pending) {
    MutexLock lock(answer.mutex);
    while (!answer.done) answer.condition.wait(answer.mutex);
    if (answer.status.ok() != static_cast<bool>(answer.record)) fail("a hit without a record");
    record = std::move(answer.record);
    if (record) report_.disk_hits++;
  }
  if (record) report_.hits++;
  return record;
}

// Reads and compares; false when a part is a miss.
bool World::read(const Version& version, const RecordHeader& header, ByteOffset offset,
                 ByteCount length) {
  const Ref<Store> store = store_;
  while (length > 0) {
    std::vector<PageSpan> spans;
    Answer answer;
    const Store::BodyRange range{0,      header.hash, header.incarnation, header.object_length,
                                 offset, length};
    const Found found = store->read_chunk(range, &spans, &World::answered, &answer);
    if (found == Found::miss) return false;
    Ref<MemoryRecord> record;
    if (found == Found::pending) {
      {
        MutexLock lock(answer.mutex);
        while (!answer.done) answer.condition.wait(answer.mutex);
      }
      if (!answer.status.ok()) return false;
      record = std::move(answer.record);
      for (const PageSpan& span : record->body) spans.push_back(span.share());
    }
    ByteCount got = 0;
    for (const PageSpan& span : spans) {
      oracle_.check_bytes(version, offset + got, Bytes(span.data(), span.length));
      got += span.length;
    }
    if (got == 0 || got > length) fail("a read of %llu bytes gave %llu",
                                       static_cast<unsigned long long>(length),
                                       static_cast<unsigned long long>(got));
    if (held_.size() < kMaximumHeld && random_.one_in(10)) {
      held_.push_back(HeldBytes{version.number, offset, std::move(spans)});
    }
    offset += got;
    length -= got;
  }
  return true;
}

void World::find_and_read() {
  const uint32_t key = some_key();
  Floor floor;
  const Ref<MemoryRecord> record = find(key, &floor);
  if (!record) return;
  uint32_t head = 0;
  Version& version = oracle_.version(oracle_.check_record(*record, key, floor, &head).number);
  if (Oracle::is_stale(version, head, floor) && store_->verdict(*record) == PurgeVerdict::keep) {
    fail("version %llu was purged softly and passes for fresh",
         static_cast<unsigned long long>(version.number));
  }
  trace("hit: version %llu of %s", static_cast<unsigned long long>(version.number),
        oracle_.name(key).c_str());
  if (record->header.kind == RecordKind::single) {
    ByteOffset at = 0;
    for (const PageSpan& span : record->body) {
      oracle_.check_bytes(version, at, Bytes(span.data(), span.length));
      at += span.length;
    }
    if (at != version.length) fail("a single record is shorter than its version");
    return;
  }
  if (record->header.kind != RecordKind::head) fail("a look-up found no head");
  if ((head_flags(record->head_bytes()) & kHeadIncomplete) != 0) return read_incomplete(record, version);
  if (version.in_parts) report_.completed++;
  if (version.length == 0) return;
  // All of it, or a range.
  const ByteOffset begin = random_.one_in(2) ? 0 : random_.below(version.length);
  const ByteCount rest = version.length - begin;
  const ByteCount length = random_.one_in(2) ? rest : random_.between(1, rest);
  const Ref<Store> store = store_;
  if (store->first_missing_chunk(*record, begin, length) != Store::kNoChunk) {
    // As the proxy does. While footers are loaded nothing comes of it.
    store->forget(record);
    if (!store->is_warming(0)) expect_nothing_of(key);
    return;
  }
  // The next chunks ahead of the client, as a proxy that prefetches.
  std::vector<Ref<AheadChunk>> ahead;
  for (ByteOffset at = begin; random_.one_in(2) && at < begin + length; at += kChunkSize) {
    const Store::BodyRange range{0,  record->header.hash, record->header.incarnation, version.length,
                                 at, kChunkSize};
    if (Ref<AheadChunk> chunk = store->read_ahead(range)) ahead.push_back(std::move(chunk));
  }
  report_.ahead += ahead.size();
  read(version, record->header, begin, length);
  for (const Ref<AheadChunk>& chunk : ahead) store->end_read_ahead(chunk);
}

// End of what is stored from `offset` on. What lies on the disk alone tells its bounds when it is read.
ByteOffset World::stored_end(const MemoryRecord& record, const Version& version, ByteOffset offset) {
  const Ref<Store> store = store_;
  uint32_t last = Store::kNoChunk;
  for (;;) {
    uint32_t unread = Store::kNoChunk;
    const ByteOffset end = store->stored_end(record, offset, version.length, &unread);
    if (end < offset || end > version.length) fail("what is stored ends before it begins, or too far");
    if (unread == Store::kNoChunk || unread == last) return end;
    last = unread;
    static_cast<void>(read(version, record.header, ByteOffset{unread} * kChunkSize, 1));
  }
}

// What it says that it has is right or missing; what is there was given to it.
void World::read_incomplete(const Ref<MemoryRecord>& record, Version& version) {
  const ByteOffset begin = random_.below(version.length);
  const ByteOffset end = stored_end(*record, version, begin);
  if (end == begin) {
    const ByteOffset next = store_->missing_end(*record, begin, version.length);
    if (next < begin || next > version.length) fail("what is missing ends before it begins");
    return;
  }
  // A word in the index may be another record's: what it seems to know is not there when it is read.
  const bool was_given = Oracle::was_given(version, begin, end);
  if (read(version, record->header, begin, end - begin) && !was_given) {
    fail("version %llu has %llu to %llu, which nobody gave it",
         static_cast<unsigned long long>(version.number), static_cast<unsigned long long>(begin),
         static_cast<unsigned long long>(end));
  }
}

void World::refresh() {
  const uint32_t key = some_key();
  Floor floor;
  const Ref<MemoryRecord> record = find(key, &floor);
  if (!record) return;
  uint32_t old_head = 0;
  Version& version =
      oracle_.version(oracle_.check_record(*record, key, floor, &old_head).number);
  // A revalidation is a fill until its 304 comes.
  const Ref<Fill> asking = store_->begin_fill(oracle_.primary_name(key), Notice{});
  const auto head = static_cast<uint32_t>(version.heads_begun_at.size());
  version.heads_begun_at.push_back(oracle_.next_event());
  if (random_.one_in(2)) sleep_us(random_.below(2000));
  const Floor now = oracle_.floor_of(key);
  const bool is_incomplete = (head_flags(record->head_bytes()) & kHeadIncomplete) != 0;
  const Status status =
      store_->refresh(record, oracle_.head_of(version, head, is_incomplete), asking->birth());
  asking->fail();
  report_.refreshes++;
  trace("304 for version %llu: %s", static_cast<unsigned long long>(version.number),
        status.ok() ? "refreshed" : status.message());
  if (status.ok() && Oracle::is_dead(version, old_head, now)) {
    fail("a 304 brought back version %llu, which had been purged",
         static_cast<unsigned long long>(version.number));
  }
}

namespace {
struct PurgeCall {
  Oracle* oracle;
  const bool* has_crashed;
  const Store* store;
  PurgeTarget target;
  uint64_t called_at;
  uint64_t not_durable;  // purges by unsafe methods for which the tables had no room, before this one
};
}  // namespace

void World::purged(void* context, Status status, uint32_t volume) {
  static_cast<void>(volume);
  const std::unique_ptr<PurgeCall> call(static_cast<PurgeCall*>(context));
  // What a dead machine says reaches nobody.
  if (!status.ok() || *call->has_crashed) return;
  // This one or another by an unsafe method may hold in memory alone.
  if (call->store->total(&Counters::purges_not_durable) > call->not_durable) return;
  call->oracle->purge_is_durable(call->target, call->called_at);
}

void World::purge() {
  PurgeTarget target;
  PurgeRequest request;
  const uint64_t kind = random_.below(40);
  if (kind == 0) {
    target.kind = PurgeKind::all;
  } else if (kind < 4) {
    target.kind = PurgeKind::prefix;
    target.number = static_cast<uint32_t>(random_.below(kPrefixes));
    request.text = Oracle::prefix_name(target.number);
  } else if (kind < 8) {
    target.kind = PurgeKind::tag;
    target.number = static_cast<uint32_t>(random_.below(kTags));
    request.tag = Oracle::tag_value(target.number);
  } else {
    target.number = some_key();
    request.text = oracle_.primary_name(target.number);
  }
  target.soft = random_.one_in(4);
  request.kind = target.kind;
  request.soft = target.soft;
  request.unsafe_method = target.kind == PurgeKind::key && !target.soft && random_.one_in(4);
  const Ref<Store> store = store_;
  const uint64_t called_at = oracle_.call_purge(target);
  store->purge(request, &World::purged,
               new PurgeCall{&oracle_, &has_crashed_, store.get(), target, called_at,
                             store->total(&Counters::purges_not_durable)});
  trace("purge of kind %u, %s", static_cast<uint32_t>(target.kind), request.text.c_str());
  report_.purges++;
  oracle_.purge_holds(target, called_at);
}

void World::check_held(size_t number) {
  const HeldBytes held = std::move(held_[number]);
  held_[number] = std::move(held_.back());
  held_.pop_back();
  ByteOffset at = held.offset;
  for (const PageSpan& span : held.spans) {
    oracle_.check_bytes(oracle_.version(held.version), at, Bytes(span.data(), span.length));
    at += span.length;
  }
}

}  // namespace millrace::sim
