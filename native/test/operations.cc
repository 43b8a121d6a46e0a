// Threads, what they do at random, and one life after the other. See operations.h.
#include "test/operations.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/endian.h"
#include "engine/recovery.h"
#include "test/history.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr ByteCount kMemoryLimit = 64 * kMiB;

// Mostly small, sometimes of two chunks; the same for a version wherever it is asked for.
size_t size_of(uint64_t version) {
  const size_t sizes[] = {0, 100, 900, 3000, 20000, 40000, 66000, 150000};
  if (version % 17 == 0) return kChunkSize + 1000 * (version % 5);
  return sizes[version * 7 % std::size(sizes)] + version % 9;
}

// Each 64 bytes tell key, version and place; in between there is little, so that bodies may be compressed.
void generate(uint32_t key, uint64_t version, size_t begin, MutableBytes out) {
  std::fill(out.begin(), out.end(), uint8_t{0});
  for (size_t at = 0; at + 24 <= out.size(); at += 64) {
    store_le<uint64_t>(out, at, key + 1);
    store_le<uint64_t>(out, at + 8, version);
    store_le<uint64_t>(out, at + 16, begin + at);
  }
}

struct Answer {
  Mutex mutex;
  Condition condition;
  bool done = false;
  Status status{};
};

void answered(void* context, Status status, uint32_t) {
  auto* answer = static_cast<Answer*>(context);
  MutexLock lock(answer->mutex);
  answer->status = status;
  answer->done = true;
  answer->condition.signal();
}

class Operator;

// What all threads of one life share.
struct Life {
  Store& store;
  History& history;
  OperationReport& report;
  Mutex mutex{};  // of the report, and of the policy's side of the tier
  std::atomic<bool> failed{false};

  void fail(const std::string& violation) {
    if (violation.empty() || failed.exchange(true)) return;
    MutexLock lock(mutex);
    report.violation = violation;
  }
  void count(uint64_t OperationReport::* counter, uint64_t amount = 1) {
    MutexLock lock(mutex);
    report.*counter += amount;
  }
};

class Operator {
 public:
  Operator(Life& life, uint64_t seed) : life_(life), store_(life.store), random_(seed) {}

  // `reads_only`: puts nothing, so that what earlier lives have left is read from the disk.
  void step(bool reads_only) {
    const uint64_t what = random_.below(100);
    const auto key = static_cast<uint32_t>(random_.below(kOperationKeys));
    if (what < 30 && !reads_only) return put(key);
    if (what < 75) return static_cast<void>(look_up(key, nullptr));
    if (what < 83) return refresh(key);
    if (what < 91) return purge(key);
    evict();
  }

  Ref<MemoryRecord> look_up(uint32_t key, uint64_t* head_out) {
    const uint64_t from = life_.history.now();
    const Lookup lookup = find(store_, History::key_name(key));
    const uint64_t to = life_.history.now();
    if (lookup.found != Found::hit) return Ref<MemoryRecord>();
    const Result<HeadView> view = decode_head(lookup.record->head_bytes());
    if (!view.ok()) {
      life_.fail("a head that does not decode");
      return Ref<MemoryRecord>();
    }
    const std::string etag = text_of(view.value().etag);
    const uint64_t head = std::strtoull(etag.c_str() + 1, nullptr, 10);
    const bool is_stale = store_.verdict(*lookup.record) != PurgeVerdict::keep;
    life_.fail(life_.history.judge_find(key, head, is_stale, from, to));
    life_.count(&OperationReport::finds);
    if (head_out != nullptr) *head_out = head;
    read_body_of(lookup.record, key, life_.history.version_of(head));
    return lookup.record;
  }

 private:
  void put(uint32_t key) {
    History& history = life_.history;
    const auto sink = Ref<CountingSink>::adopt(new CountingSink());
    const uint64_t head = history.begin_head(key, 0);
    const uint64_t version = history.version_of(head);
    const Ref<Fill> fill = store_.begin_fill(History::key_name(key), notice(sink, 0));
    history.born(head);
    const size_t size = size_of(version);
    FillHead begun;
    begun.key = History::key_name(key);
    begun.head = head_of(head, version);
    if (random_.below(4) > 0) begun.body_length = size;
    begun.keep = true;
    begun.may_compress = random_.below(2) == 0;
    if (!fill->begin(std::move(begun)).ok()) return life_.fail("a fill does not begin");
    // Some origins break off.
    const size_t end = random_.below(10) == 0 ? size / 2 : size;
    if (!append(*fill, *sink, key, version, end)) return;
    if (end < size) return fill->fail();
    const uint64_t dropped = store_.total(&Counters::dropped_pages);
    const uint64_t asked = history.now();
    const bool is_purged = fill->is_purged();
    if (!is_purged && !history.judge_refresh(head, asked).empty()) {
      life_.fail("a running fill does not know of a purge: " + history.judge_refresh(head, asked));
    }
    history.publishing(head);
    const bool is_taken = fill->finish().ok();
    history.published(head, is_taken && store_.total(&Counters::dropped_pages) == dropped);
    life_.count(&OperationReport::puts);
  }

  bool append(Fill& fill, const CountingSink& sink, uint32_t key, uint64_t version, size_t end) {
    std::vector<uint8_t> piece(kPageSize);
    uint32_t resumed = 0;
    for (size_t at = 0; at < end;) {
      const MutableBytes bytes = MutableBytes(piece).first(std::min(piece.size(), end - at));
      generate(key, version, at, bytes);
      const Fill::Appended appended = fill.append(bytes);
      at += appended.accepted;
      if (appended.pause == FillPause::none) {
        if (appended.accepted == bytes.size()) continue;
        life_.fail("a fill takes no more bytes");
        return false;
      }
      wait_until([&] { return sink.count(0) > resumed; });
      resumed = sink.count(0);
    }
    return true;
  }

  static std::vector<uint8_t> head_of(uint64_t head, uint64_t version) {
    HeadOptions options;
    options.etag = "\"" + std::to_string(head) + "\"";
    options.tags = {History::tag_value(History::tag_of(version))};
    return make_head(options);
  }

  void read_body_of(const Ref<MemoryRecord>& record, uint32_t key, uint64_t version) {
    const RecordHeader& header = record->header;
    if (header.object_length != size_of(version)) return life_.fail("a version of another length");
    Ref<AheadChunk> ahead;
    if (header.kind == RecordKind::head && random_.below(2) == 0) {
      ahead = store_.read_ahead(Store::BodyRange{0, header.hash, header.incarnation,
                                                 header.object_length, 0, kChunkSize});
    }
    std::vector<uint8_t> got;
    const ByteCount length = header.object_length;
    const ByteOffset begin = random_.below(3) == 0 && length > 0 ? random_.below(length) / 64 * 64 : 0;
    bool is_whole = true;
    if (header.kind == RecordKind::single) {
      got = joined(record->body);
      if (got.size() == length) got.erase(got.begin(), got.begin() + static_cast<ptrdiff_t>(begin));
    } else {
      is_whole = read_body(store_, header.hash, header.incarnation, length, begin, length - begin, &got);
    }
    if (ahead) store_.end_read_ahead(ahead);
    if (!is_whole) return store_.forget(record);
    std::vector<uint8_t> wanted(length - begin);
    for (size_t at = 0; at < wanted.size(); at += kPageSize) {
      // As it was appended: in pieces of a page from the body's beginning.
      generate(key, version, begin + at,
               MutableBytes(wanted).subspan(at, std::min<size_t>(kPageSize, wanted.size() - at)));
    }
    blank_cut_stamps(begin, length, wanted);
    blank_cut_stamps(begin, length, got);
    if (got != wanted) life_.fail("wrong bytes in version " + std::to_string(version));
    life_.count(&OperationReport::body_bytes, got.size());
  }

  // The last stamp of a page's or body's rest may be cut short; where depends on how it was cut into pieces.
  static void blank_cut_stamps(ByteOffset begin, ByteCount length, std::vector<uint8_t>& bytes) {
    const ByteOffset last = length / 64 * 64;
    for (ByteOffset at = std::max(last, begin); at < length && at - begin < bytes.size(); at++) {
      bytes[at - begin] = 0;
    }
  }

  void refresh(uint32_t key) {
    uint64_t old_head = 0;
    const Ref<MemoryRecord> record = look_up(key, &old_head);
    if (!record) return;
    History& history = life_.history;
    const uint64_t version = history.version_of(old_head);
    const auto sink = Ref<CountingSink>::adopt(new CountingSink());
    const uint64_t head = history.begin_head(key, version);
    const Ref<Fill> fill = store_.begin_fill(History::key_name(key), notice(sink, 0));
    history.born(head);
    history.publishing(head);
    const uint64_t from = history.now();
    const bool is_taken = store_.refresh(record, head_of(head, version), fill->birth()).ok();
    history.published(head, is_taken);
    fill->fail();
    if (!is_taken) return;
    life_.fail(history.judge_refresh(old_head, from));
    life_.count(&OperationReport::refreshes);
  }

  void purge(uint32_t key) {
    const uint64_t what = random_.below(20);
    PurgeRequest request{PurgeKind::key, History::key_name(key), 0, random_.below(3) == 0, false};
    uint32_t number = key;
    if (what < 4) {
      number = History::prefix_of(key);
      request.kind = PurgeKind::prefix;
      request.text = History::prefix_name(number);
    } else if (what < 8) {
      number = static_cast<uint32_t>(random_.below(kOperationTags));
      request = PurgeRequest{PurgeKind::tag, "", History::tag_value(number), request.soft, false};
    } else if (what < 9) {
      number = 0;
      request = PurgeRequest{PurgeKind::all, "", 0, request.soft, false};
    } else if (what < 13) {
      request.soft = false;
      request.unsafe_method = true;
    }
    History& history = life_.history;
    const size_t purge = history.begin_purge(request.kind, number, request.soft, request.unsafe_method);
    Answer answer;
    store_.purge(request, &answered, &answer);
    history.purge_holds(purge);
    {
      MutexLock lock(answer.mutex);
      while (!answer.done) answer.condition.wait(answer.mutex);
    }
    if (answer.status.ok()) history.purge_durable(purge);
    life_.count(&OperationReport::purges);
  }

  // The policy's part: gives up some of what changed.
  void evict() {
    std::vector<uint32_t> pairs(32);
    MutexLock lock(life_.mutex);
    const uint32_t count = store_.tier().take_events(pairs.data(), 16);
    for (uint32_t i = 0; i < count; i++) {
      if (random_.below(4) > 0) store_.tier().evict(pairs[2 * i], pairs[2 * i + 1]);
    }
  }

  Life& life_;
  Store& store_;
  Random random_;
};

// Every footer is loaded. Null and a violation where the store does not open.
Ref<Store> open_store(OperationDisk* disk, ByteCount tier_budget, bool admit_everything,
                      OperationReport* report) {
  StoreOptions options;
  options.compress = true;
  options.memory_limit = kMemoryLimit;
  options.l1_budget = tier_budget;
  options.index_memory_limit = 4 * kMiB;
  options.poison_pages = true;
  options.admit_everything = admit_everything;
  Result<Ref<Store>> opened = Store::open(options, disk->open());
  if (!opened.ok()) {
    report->violation = std::string("the store does not open: ") + opened.status().message();
    return Ref<Store>();
  }
  if (!opened.value()->wait_until_warm(120000)) report->violation = "footers are not loaded";
  return std::move(opened.value());
}

void run_life(const OperationOptions& options, uint32_t number, History* history, OperationDisk* disk,
              OperationReport* report) {
  Random random(options.seed * 1000 + number);
  const Ref<Store> store = open_store(disk, options.tier_budget, random.below(2) == 0, report);
  if (!report->violation.empty()) return;
  history->begin_life(number);
  Life life{*store, *history, *report};
  // One life in two ends while everybody is in the middle of something.
  const bool is_cut_short = random.below(2) == 0;
  std::atomic<uint64_t> steps{0};
  run_threads(options.threads + 1, [&](uint32_t thread) {
    if (thread == options.threads) {
      const uint64_t half = uint64_t{options.threads} * options.operations / 2;
      if (is_cut_short) wait_until([&] { return steps.load() >= half || life.failed.load(); });
      if (is_cut_short) store->close();
      return;
    }
    Operator operations(life, (options.seed * 1000 + number) * 100 + thread + 1);
    for (uint32_t i = 0; i < options.operations && !life.failed.load(); i++) {
      operations.step(/*reads_only=*/i < options.operations / 4);
      steps.fetch_add(1);
    }
    steps.fetch_add(options.operations);
  });
  Operator last(life, options.seed + number);
  for (uint32_t key = 0; key < kOperationKeys; key++) last.look_up(key, nullptr);
  report->closed_early += is_cut_short;
  report->device_reads += store->total(&Counters::device_reads);
  if (store->total(&Counters::corrupt_records) > 0) life.fail("a record counted as damaged");
  store->close();
  disk->closed();
}

}  // namespace

MemoryDisk::MemoryDisk() : image_(formatted_disk()) {}

std::unique_ptr<Device> MemoryDisk::open() {
  auto device = std::make_unique<FaultDevice>(image_);
  device_ = device.get();
  return device;
}

void MemoryDisk::closed() { image_ = device_->snapshot(); }

FileDisk::FileDisk(IoChoice choice) : file_(kDiskSize), choice_(choice) {
  file_.hide();
  const std::unique_ptr<Device> device = file_.open(choice);
  if (!device->facts().direct) direct_refusal_ = device->facts().direct_refusal;
  REQUIRE(device->facts().io_uring == (choice == IoChoice::io_uring));
  FaultDevice formatted(formatted_disk());
  REQUIRE(write_superblock(*device, read_superblock(formatted).value()).ok());
  device->close();
}

std::unique_ptr<Device> FileDisk::open() {
  return ++opened_ % 2 == 0 ? file_.open(choice_, kShortQueue) : file_.open(choice_);
}

OperationReport run_operations(const OperationOptions& options, OperationDisk* disk) {
  OperationReport report;
  History history;
  {
    // Nothing of an earlier run is there, and nothing of it may come back.
    const Ref<Store> store = open_store(disk, 0, true, &report);
    if (!report.violation.empty()) return report;
    if (!purge(*store, PurgeRequest{PurgeKind::all, "", 0, false, false}).ok()) {
      report.violation = "an empty store cannot be purged";
    }
    store->close();
    disk->closed();
  }
  for (uint32_t life = 1; life <= options.lives && report.violation.empty(); life++) {
    run_life(options, life, &history, disk, &report);
  }
  return report;
}

}  // namespace millrace::test
