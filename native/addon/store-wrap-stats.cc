// stats(): what the store and each of its volumes have done and hold. See store-wrap.h.
#include <algorithm>

#include "addon/arguments.h"
#include "addon/store-wrap.h"

namespace millrace {

namespace {

// An object that takes numbers and texts by name.
class Report {
 public:
  explicit Report(Napi::Env env) : env_(env), object_(Napi::Object::New(env)) {}
  void set(const char* name, uint64_t value) {
    object_.Set(name, Napi::Number::New(env_, static_cast<double>(value)));
  }
  void set_flag(const char* name, bool value) {
    object_.Set(name, Napi::Boolean::New(env_, value));
  }
  void set_text(const char* name, const std::string& value) {
    object_.Set(name, Napi::String::New(env_, value));
  }
  void set_list(const char* name, const Napi::Array& list) { object_.Set(name, list); }
  const Napi::Object& object() const { return object_; }

 private:
  Napi::Env env_;
  Napi::Object object_;
};

struct NamedCounter {
  const char* name;
  Counters::Count Counters::* counter;
};

// Of the whole store.
constexpr NamedCounter kStoreCounters[] = {
    {"lookups", &Counters::lookups},
    {"memoryHits", &Counters::memory_hits},
    {"diskHits", &Counters::disk_hits},
    {"misses", &Counters::misses},
    {"fills", &Counters::fills},
    {"droppedOverload", &Counters::dropped_overload},
    {"droppedErrors", &Counters::dropped_errors},
    {"droppedNoPages", &Counters::dropped_pages},
    {"purges", &Counters::purges},
    {"purgesUnsafe", &Counters::purges_unsafe},
    {"purgesUnknown", &Counters::purges_unknown},
    {"purgesNotDurable", &Counters::purges_not_durable},
    {"purgesFailed", &Counters::purges_failed},
    {"writesDropped", &Counters::writes_dropped},
    {"prefetchedBytes", &Counters::prefetched_bytes},
    {"prefetchUsedBytes", &Counters::prefetch_used_bytes},
    {"prefetchWastedBytes", &Counters::prefetch_wasted_bytes},
    {"prefetchOff", &Counters::prefetch_off},
};

// Of each volume, and of all together beside the store's own.
constexpr NamedCounter kVolumeCounters[] = {
    {"recordsAppended", &Counters::records_appended},
    {"recordsFlushed", &Counters::records_flushed},
    {"admittedBytes", &Counters::admitted_bytes},
    {"storedBytes", &Counters::stored_bytes},
    {"lz4Blocks", &Counters::lz4_blocks},
    {"lz4BlocksKeptRaw", &Counters::lz4_blocks_kept_raw},
    {"lz4BytesBefore", &Counters::lz4_bytes_before},
    {"lz4BytesAfter", &Counters::lz4_bytes_after},
    {"lz4SkippedByType", &Counters::lz4_skipped_by_type},
    {"lz4SkippedBySample", &Counters::lz4_skipped_by_sample},
    {"lz4SkippedSmall", &Counters::lz4_skipped_small},
    {"deviceReads", &Counters::device_reads},
    {"deviceReadBytes", &Counters::device_read_bytes},
    {"deviceWrites", &Counters::device_writes},
    {"deviceWrittenBytes", &Counters::device_written_bytes},
    {"readErrors", &Counters::read_errors},
    {"writeErrors", &Counters::write_errors},
    {"corruptRecords", &Counters::corrupt_records},
    {"falsePositives", &Counters::false_positives},
    {"looksAgain", &Counters::looks_again},
    {"purgeJournalBlocks", &Counters::purge_journal_blocks},
    {"purgeJournalChanges", &Counters::purge_journal_changes},
    {"purgeJournalDamaged", &Counters::purge_journal_damaged},
    {"segmentsSealed", &Counters::segments_sealed},
    {"segmentsReclaimed", &Counters::segments_reclaimed},
    {"segmentsSkipped", &Counters::segments_skipped},
    {"fillsAdmitted", &Counters::fills_admitted},
    {"fillsRefused", &Counters::fills_refused},
    {"reinsertedRecords", &Counters::reinserted_records},
    {"reinsertedBytes", &Counters::reinserted_bytes},
    {"reinsertionsDropped", &Counters::reinsertions_dropped},
    {"reclaimReadBytes", &Counters::reclaim_read_bytes},
    {"scrubbedBytes", &Counters::scrubbed_bytes},
    {"scrubDamaged", &Counters::scrub_damaged},
    {"scrubPasses", &Counters::scrub_passes},
    {"recoveredRecords", &Counters::recovered_records},
    {"recoveredSegments", &Counters::recovered_segments},
    {"recoveryMs", &Counters::recovery_ms},
    {"warmingMs", &Counters::warming_ms},
};

Napi::Object report_volume(Napi::Env env, Volume& volume) {
  Report out(env);
  const DeviceFacts& facts = volume.device().facts();
  out.set_text("device", facts.path);
  out.set_flag("directIo", facts.direct);
  out.set_text("directIoRefusal", facts.direct_refusal);
  out.set_text("ioBackend", facts.io_uring ? "io_uring" : "threads");
  out.set_text("ioUringRefusal", facts.io_uring_refusal);
  out.set_flag("writesOff", volume.appender().writes_off());
  out.set_flag("off", volume.is_off());
  out.set_flag("warming", volume.is_warming());
  out.set("segmentsLoaded", volume.warmer().loaded());
  out.set("segmentsToLoad", volume.warmer().total());
  out.set("purgeJournalBytes", volume.purge_log().bytes_used());
  const FlushedPosition flushed = volume.appender().flushed();
  out.set("flushedSegmentSequence", flushed.segment_sequence);
  out.set("flushedOffset", flushed.offset);
  out.set("stagedBytes", volume.staging().bytes());
  out.set("size", volume.superblock().geometry.device_size);
  out.set("blockSize", volume.superblock().block_size);
  out.set("segments", volume.ring().segment_count());
  out.set("segmentSize", volume.ring().geometry().segment_size);
  out.set("indexRecords", volume.index().records());
  out.set("indexCapacity", volume.index().capacity());
  out.set("indexMemory", volume.index().memory());
  out.set("indexOverwritten", volume.index().overwritten());
  out.set("ghostMemory", volume.ghost().memory());
  for (const NamedCounter& item : kVolumeCounters) {
    out.set(item.name, (volume.counters().*item.counter).load(std::memory_order_relaxed));
  }
  return out.object();
}

}  // namespace

// stats(): numbers of the whole store, and `volumes` with those of each device.
Napi::Value StoreWrap::stats(Info info) {
  if (!usable(info)) return Napi::Value();
  Store& store = session_->store();
  Report out(info.Env());
  for (const NamedCounter& item : kStoreCounters) out.set(item.name, store.total(item.counter));
  out.set("memoryLimit", store.pool().limit());
  out.set("memoryUsed", store.pool().used());
  out.set("l1Budget", store.tier().budget());
  out.set("l1Used", store.tier().used());
  out.set("l1Records", store.tier().records());
  out.set("l1Refused", store.tier().refused());
  out.set("prefetchHeldBytes", store.read_ahead_bytes());
  out.set("openLeases", session_->leases.count());
  out.set("openObjects", session_->objects.count());
  out.set("openFills", session_->fills.count());
  out.set("openFollowers", session_->followers.count());
  PurgeTableStats purges;
  for (uint32_t number = 0; number < std::max(1u, store.volume_count()); number++) {
    const PurgeTableStats part = store.purges(number).stats();
    purges.entries += part.entries;
    purges.memory += part.memory;
    purges.folded += part.folded;
  }
  out.set("purgeEntries", purges.entries);
  out.set("purgeMemory", purges.memory);
  out.set("purgesFolded", purges.folded);
  if (store.volume_count() == 0) {
    if (Staging* staging = store.staging()) out.set("stagedBytes", staging->bytes());
    return out.object();
  }
  for (const NamedCounter& item : kVolumeCounters) out.set(item.name, store.total(item.counter));
  ByteCount staged = 0;
  uint64_t records = 0;
  uint64_t capacity = 0;
  ByteCount index_memory = 0;
  uint64_t overwritten = 0;
  bool is_warming = false;
  uint64_t loaded = 0;
  uint64_t to_load = 0;
  Napi::Array volumes = Napi::Array::New(info.Env(), store.volume_count());
  for (uint32_t number = 0; number < store.volume_count(); number++) {
    Volume& volume = store.volume(number);
    staged += volume.staging().bytes();
    records += volume.index().records();
    capacity += volume.index().capacity();
    index_memory += volume.index().memory();
    overwritten += volume.index().overwritten();
    is_warming = is_warming || volume.is_warming();
    loaded += volume.warmer().loaded();
    to_load += volume.warmer().total();
    volumes.Set(number, report_volume(info.Env(), volume));
  }
  out.set_flag("warming", is_warming);
  out.set("segmentsLoaded", loaded);
  out.set("segmentsToLoad", to_load);
  out.set("stagedBytes", staged);
  out.set("indexRecords", records);
  out.set("indexCapacity", capacity);
  out.set("indexMemory", index_memory);
  out.set("indexOverwritten", overwritten);
  out.set_list("volumes", volumes);
  Napi::Array left_out = Napi::Array::New(info.Env(), store.left_out().size());
  uint32_t at = 0;
  for (const LeftOutVolume& volume : store.left_out()) {
    Report item(info.Env());
    item.set_text("device", volume.path);
    item.set_text("reason", volume.status.message());
    left_out.Set(at++, item.object());
  }
  out.set_list("leftOut", left_out);
  return out.object();
}

// countUse(volume, place, words, out): adds to out, for each segment, its records in a part of the index and
// how many of them were hit; returns where the next part begins, 0 at the end. The whole takes many calls, so
// that nobody waits for it.
Napi::Value StoreWrap::count_use(Info info) {
  if (!usable(info)) return Napi::Value();
  Arguments arguments(info);
  const uint32_t number = arguments.u32();
  const uint64_t first = arguments.whole();
  const uint64_t count = arguments.whole();
  const Napi::Value given = arguments.next();
  Store& store = session_->store();
  if (!arguments.ok() || number >= store.volume_count() || !given.IsTypedArray()) {
    return Napi::Number::New(info.Env(), 0);
  }
  Volume& volume = store.volume(number);
  auto out = given.As<Napi::Uint32Array>();
  const uint32_t segments = volume.ring().segment_count();
  if (out.TypedArrayType() != napi_uint32_array || out.ElementLength() < size_t{2} * segments ||
      first >= volume.index().capacity()) {
    return Napi::Number::New(info.Env(), 0);
  }
  uint32_t* use = out.Data();
  const uint64_t next = volume.index().visit(first, count, [&](uint64_t word) {
    const SegmentId segment = volume.ring().segment_at(Index::address_of(word));
    if (segment >= segments) return;
    use[2 * segment]++;
    if (Index::hits_of(word) > 0) use[2 * segment + 1]++;
  });
  const bool is_end = next >= volume.index().capacity();
  return Napi::Number::New(info.Env(), is_end ? 0 : static_cast<double>(next));
}

}  // namespace millrace
