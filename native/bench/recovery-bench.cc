// Start, look-ups, purges and reclaim at a size that no machine here has, over a procedural device: the
// shipped store opens a disk full of records, loads every footer through the true decoders and checksums,
// and finds records again. What making the bytes costs is CPU time of the device's own threads and shown
// apart. --records: so many small ones.
#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/procedural-device.h"
#include "engine/store.h"

namespace millrace::bench {

namespace {

constexpr ByteCount kMemoryLimit = 256 * kMiB;
constexpr uint64_t kNanosecondsPerMs = 1000000;

double ms_of(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / kNanosecondsPerMs; }

struct Answer {
  Mutex mutex;
  Condition condition;
  bool done = false;
  Status status{};
  Ref<MemoryRecord> record;

  static void found(void* context, Status status, Ref<MemoryRecord> record) {
    auto* answer = static_cast<Answer*>(context);
    MutexLock lock(answer->mutex);
    answer->status = status;
    answer->record = std::move(record);
    answer->done = true;
    answer->condition.signal();
  }
  static void purged(void* context, Status status, uint32_t) { found(context, status, {}); }
  void wait() {
    MutexLock lock(mutex);
    while (!done) condition.wait(mutex);
  }
};

// Clocks of this process and of the device's threads.
struct Moment {
  uint64_t wall = now_ns();
  uint64_t cpu = cpu_ns();
  uint64_t device = 0;
  explicit Moment(const ProceduralDevice& disk) : device(disk.device_cpu_ns()) {}
};

struct Elapsed {
  double wall;
  double engine;  // CPU
  double device;  // CPU
  Elapsed(const Moment& from, const Moment& to)
      : wall(ms_of(to.wall - from.wall)),
        engine(ms_of((to.cpu - from.cpu) - (to.device - from.device))),
        device(ms_of(to.device - from.device)) {}
};

class AtSize {
 public:
  AtSize(const std::string& name, Contents contents, uint64_t records, ByteCount size)
      : name_(name), contents_(contents) {
    auto disk = std::make_unique<ProceduralDevice>(contents, records, size);
    disk_ = disk.get();
    start(std::move(disk));
  }
  ~AtSize() { store_->close(); }

  void run() {
    measure_decoding();
    find_some();
    purge_some();
    if (contents_ == Contents::singles) reclaim_some();
  }

 private:
  void start(std::unique_ptr<Device> disk) {
    StoreOptions options;
    options.memory_limit = kMemoryLimit;
    options.l1_budget = 16 * kMiB;
    // The default for chunks; for small records whatever the device may want: a word per 4 KiB, an eighth
    // more for the ghost, a sixteenth for purges.
    if (contents_ == Contents::singles) {
      options.index_memory_limit = disk_->facts().size / 4096 * 8 * 5 / 4 + 64 * kMiB;
    }
    options.admit_everything = true;
    options.warm_grace_ms = 0;
    const Moment begun(*disk_);
    Result<Ref<Store>> opened = Store::open(options, std::move(disk));
    MR_ASSERT(opened.ok());
    store_ = std::move(opened.value());
    const Moment ready(*disk_);
    MR_ASSERT(store_->wait_until_warm(~uint32_t{0}));
    const Moment warm(*disk_);
    const Elapsed to_ready(begun, ready);
    const Elapsed to_warm(begun, warm);
    engine_ms_ = to_warm.engine;
    const Index& index = store_->volume().index();
    const auto records = static_cast<double>(disk_->records());
    MR_ASSERT_OP(index.records() + index.overwritten(), <=, disk_->records());
    print_row("millrace", name_ + ": ready to serve",
              {{"time", "ms", "lower", to_ready.wall},
               {"CPU of the engine", "ms", "lower", to_ready.engine},
               {"CPU of making the bytes", "ms", "none", to_ready.device}});
    print_row(
        "millrace", name_ + ": every record found again",
        {{"time", "ms", "lower", to_warm.wall},
         {"CPU of the engine", "ms", "lower", to_warm.engine},
         {"CPU of making the bytes", "ms", "none", to_warm.device},
         {"engine per record", "ns", "lower", to_warm.engine * 1e6 / records},
         {"read", "bytes", "lower", static_cast<double>(disk_->read_bytes())},
         {"memory per record", "bytes", "lower", static_cast<double>(index.memory()) / records},
         {"not in the index", "ratio", "lower",
          1 - static_cast<double>(index.records()) / records}},
        std::to_string(disk_->records()) + " records in " + std::to_string(disk_->segment_count()) +
            " segments");
  }

  // The part of decoding and checksums alone, on some footers that were made before.
  void measure_decoding() {
    const Superblock& superblock = store_->volume().superblock();
    uint64_t entries = 0;
    uint64_t elapsed = 0;
    for (SegmentId segment = 0; segment < disk_->segment_count();
         segment += disk_->segment_count() / 32 + 1) {
      const std::vector<uint8_t> footer = disk_->footer_bytes(segment);
      const uint64_t started = now_ns();
      const Result<FooterTrailer> trailer =
          decode_footer_trailer(Bytes(footer).last(kFooterTrailerSize), superblock.uuid,
                                superblock.geometry.segment_size);
      MR_ASSERT(trailer.ok());
      const auto decoded = decode_footer_entries(
          trailer.value(), Bytes(footer).first(footer.size() - kFooterTrailerSize),
          superblock.geometry.segment_size);
      MR_ASSERT(decoded.ok());
      elapsed += now_ns() - started;
      entries += decoded.value().size();
    }
    const double each = static_cast<double>(elapsed) / static_cast<double>(entries);
    const double decoding = each * static_cast<double>(disk_->records()) / 1e6;
    print_row("millrace", name_ + ": of the engine's time",
              {{"decoding and checksums", "ms", "lower", decoding},
               {"everything else, the index most of all", "ms", "lower", engine_ms_ - decoding}},
              "decoding measured on 32 footers");
  }

  bool find(uint64_t object, Ref<MemoryRecord>* record) {
    const std::string key = ProceduralDevice::key_of(object);
    Answer answer;
    const Found found =
        store_->find(store_->place_of(key), key, 0, record, &Answer::found, &answer);
    if (found != Found::pending) return found == Found::hit;
    answer.wait();
    *record = std::move(answer.record);
    return answer.status.ok();
  }

  void find_some() {
    constexpr uint64_t kFinds = 2000;
    uint64_t missed = 0;
    const Moment begun(*disk_);
    for (uint64_t i = 0; i < kFinds; i++) {
      const uint64_t object = mixed(i) % disk_->objects();
      Ref<MemoryRecord> record;
      if (!find(object, &record)) {
        missed++;
        continue;
      }
      std::vector<uint8_t> body;
      for (const PageSpan& span : record->body) {
        body.insert(body.end(), span.data(), span.data() + span.length);
      }
      std::vector<uint8_t> wanted(body.size());
      ProceduralDevice::body_of(object, 0, wanted);
      MR_ASSERT(body == wanted && record->header.body_length == body.size());
    }
    const Elapsed elapsed(begun, Moment(*disk_));
    // What lay in two full buckets is a miss: below 2 %.
    MR_ASSERT_OP(missed * 50, <=, kFinds);
    print_row("millrace", name_ + ": finds, bodies compared",
              {{"engine per find", "us", "lower", elapsed.engine * 1000 / kFinds},
               {"missed", "ratio", "lower", static_cast<double>(missed) / kFinds}});
  }

  void purge(const PurgeRequest& request) {
    Answer answer;
    store_->purge(request, &Answer::purged, &answer);
    answer.wait();
    MR_ASSERT(answer.status.ok());
  }

  void purge_some() {
    constexpr uint64_t kPurges = 200;
    const Moment begun(*disk_);
    for (uint64_t i = 0; i < kPurges; i++) {
      const std::string key = ProceduralDevice::key_of(mixed(i) % disk_->objects());
      purge(PurgeRequest{PurgeKind::key, key, 0, false, false});
    }
    purge(PurgeRequest{PurgeKind::prefix, ProceduralDevice::key_of(9), 0, false, false});
    const Elapsed elapsed(begun, Moment(*disk_));
    for (uint64_t i = 0; i < kPurges; i++) {
      Ref<MemoryRecord> record;
      MR_ASSERT(!find(mixed(i) % disk_->objects(), &record));
    }
    print_row("millrace", name_ + ": purges, durable one by one",
              {{"engine per purge", "us", "lower", elapsed.engine * 1000 / (kPurges + 1)}});
  }

  // Writes into a ring that is full: each new segment costs the oldest, of which what was found is kept.
  void reclaim_some() {
    constexpr uint32_t kSegments = 6;
    const ByteCount segment_size = store_->volume().ring().geometry().segment_size;
    // One in 16 of the oldest segments' records is wanted.
    const uint64_t per_segment = disk_->records() / disk_->segment_count();
    for (uint64_t object = 0; object < 8 * per_segment; object += 16) {
      Ref<MemoryRecord> record;
      static_cast<void>(find(object, &record));
    }
    const Moment begun(*disk_);
    const ByteCount written_before = disk_->written_bytes();
    const std::vector<uint8_t> body(kChunkSize, 7);
    ByteCount admitted = 0;
    for (uint64_t number = 0; store_->total(&Counters::segments_reclaimed) < kSegments; number++) {
      const std::string key = "http://new.example/" + std::to_string(number);
      const Ref<Fill> fill = store_->begin_fill(key, Notice{});
      FillHead head;
      head.key = key;
      head.head = ProceduralDevice::head_of(body.size());
      head.body_length = body.size();
      head.keep = true;
      MR_ASSERT(fill->begin(std::move(head)).ok());
      // The appender is behind: as a fill does, wait.
      while (store_->disk_backlogged(0)) pause_ms(1);
      if (fill->append(body).accepted < body.size()) {
        pause_ms(1);
        fill->fail();
        continue;
      }
      MR_ASSERT(fill->finish().ok());
      admitted += body.size();
      MR_ASSERT_OP(admitted, <, 64 * segment_size);
    }
    const Elapsed elapsed(begun, Moment(*disk_));
    const uint64_t reclaimed = store_->total(&Counters::segments_reclaimed);
    const auto each = static_cast<double>(reclaimed);
    print_row("millrace", name_ + ": reclaim",
              {{"engine per segment, writing included", "ms", "lower", elapsed.engine / each},
               {"records kept", "count", "none",
                static_cast<double>(store_->total(&Counters::reinserted_records))},
               {"read for them", "bytes", "lower",
                static_cast<double>(store_->total(&Counters::reclaim_read_bytes))},
               {"written per byte admitted", "ratio", "lower",
                static_cast<double>(disk_->written_bytes() - written_before) /
                    static_cast<double>(admitted)}},
              std::to_string(reclaimed) + " segments of 64 MiB");
  }

  const std::string name_;
  const Contents contents_;
  ProceduralDevice* disk_ = nullptr;  // the store's
  Ref<Store> store_;
  double engine_ms_ = 0;
};

std::string singles_name(uint64_t records) {
  return std::to_string(records / 1000000) + " M records of 4.5 KiB";
}

}  // namespace

void bench_recovery(const Options& options) {
  uint64_t records = options.quick ? 5000000 : 100000000;
  if (options.records > 0) records = options.records;
  AtSize(singles_name(records), Contents::singles, records, 0).run();
  if (options.quick) {
    AtSize("100 GB of 1 MiB chunks", Contents::chunks, 0, 100000000000).run();
  } else {
    AtSize("1 TB of 1 MiB chunks", Contents::chunks, 0, 1000000000000).run();
  }
}

}  // namespace millrace::bench
