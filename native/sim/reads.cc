// Steps of look-ups, reads, 304s and purges. See world.h.
#include <algorithm>

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
  const Ref<Store> store = store_;
  report_.finds++;
  *floor = oracle_.floor_of(key);
  Answer answer;
  Ref<MemoryRecord> record;
  const Found found = store->find(store->place_of(oracle_.name(key)), oracle_.name(key), 0, &record,
                                  &World::answered, &answer);
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
  const Version& version = oracle_.check_record(*record, key, floor);
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
  if (version.length == 0) return;
  // All of it, or a range.
  const ByteOffset begin = random_.one_in(2) ? 0 : random_.below(version.length);
  const ByteCount rest = version.length - begin;
  const ByteCount length = random_.one_in(2) ? rest : random_.between(1, rest);
  static_cast<void>(store_->first_missing_chunk(*record, begin, length));
  read(version, record->header, begin, length);
}

void World::refresh() {
  const uint32_t key = some_key();
  Floor floor;
  const Ref<MemoryRecord> record = find(key, &floor);
  if (!record) return;
  Version& version =
      oracle_.version(oracle_.check_record(*record, key, floor).number);
  // Some time passes while the origin answers.
  if (random_.one_in(2)) sleep_us(random_.below(2000));
  const uint32_t head = version.heads++;
  const Status status = store_->refresh(record, oracle_.head_of(version, head));
  report_.refreshes++;
  trace("304 for version %llu: %s", static_cast<unsigned long long>(version.number),
        status.ok() ? "refreshed" : status.message());
}

void World::purge() {
  const uint32_t key = some_key();
  const uint64_t called_at = oracle_.call_purge(key);
  trace("purge of %s", oracle_.name(key).c_str());
  store_->purge_key(oracle_.name(key));
  report_.purges++;
  // An answer that a dead machine gives reaches nobody.
  if (!has_crashed_) oracle_.acknowledge_purge(key, called_at);
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
