// What each thread does at random, and what it finds. See operator.h; parts are in operator-parts.cc.
#include "test/operator.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "layout/head.h"
#include "test/parts.h"

namespace millrace::test {

namespace {

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

// The last stamp of a page's or body's rest may be cut short; where depends on how it was cut into pieces.
void blank_cut_stamps(ByteOffset begin, ByteCount length, std::vector<uint8_t>& bytes) {
  const ByteOffset last = length / 64 * 64;
  for (ByteOffset at = std::max(last, begin); at < length && at - begin < bytes.size(); at++) {
    bytes[at - begin] = 0;
  }
}

}  // namespace

void Life::fail(const std::string& violation) {
  if (violation.empty() || failed.exchange(true)) return;
  MutexLock lock(mutex);
  report.violation = violation;
}

void Life::count(uint64_t OperationReport::* counter, uint64_t amount) {
  MutexLock lock(mutex);
  report.*counter += amount;
}

void Operator::step(bool reads_only) {
  const uint64_t what = random_.below(100);
  const auto key = static_cast<uint32_t>(random_.below(kOperationKeys));
  if (what < 18 && !reads_only) return put(key);
  if (what < 30 && !reads_only) return put_part(key);
  if (what < 75) return static_cast<void>(look_up(key, nullptr));
  if (what < 83) return refresh(key);
  if (what < 91) return purge(key);
  evict();
}

Ref<MemoryRecord> Operator::look_up(uint32_t key, uint64_t* head_out) {
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

size_t Operator::size_of(uint64_t version) {
  const size_t sizes[] = {0, 100, 900, 3000, 20000, 40000, 66000, 150000};
  if (version % 17 == 0) return kChunkSize + 1000 * (version % 5);
  return sizes[version * 7 % std::size(sizes)] + version % 9;
}

void Operator::put(uint32_t key) {
  History& history = life_.history;
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  const uint64_t head = history.begin_head(key, 0);
  const uint64_t version = history.version_of(head);
  const Ref<Fill> fill = store_.begin_fill(History::key_name(key), notice(sink, 0));
  history.born(head);
  const size_t size = size_of(version);
  FillHead begun;
  begun.key = History::key_name(key);
  // Of what breaks off the beginning may be kept where a later request can go on.
  const uint16_t resumes = random_.below(2) == 0 ? kHeadAcceptsRanges : 0;
  begun.head = head_of(head, version, resumes);
  if (random_.below(4) > 0) begun.body_length = size;
  begun.keep = true;
  begun.may_compress = random_.below(2) == 0;
  if (!fill->begin(std::move(begun)).ok()) return life_.fail("a fill does not begin");
  // Some origins break off.
  const size_t end = random_.below(10) == 0 ? size / 128 * 64 : size;
  if (!append(*fill, *sink, key, version, 0, end)) return;
  if (end < size) {
    history.publishing(head);
    fill->fail();
    return history.published(head, false);
  }
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

bool Operator::append(Fill& fill, const CountingSink& sink, uint32_t key, uint64_t version,
                      size_t begin, size_t end) {
  std::vector<uint8_t> piece(kPageSize);
  uint32_t resumed = 0;
  for (size_t at = begin; at < end;) {
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

std::vector<uint8_t> Operator::head_of(uint64_t head, uint64_t version, uint16_t flags,
                                       uint64_t length) {
  HeadOptions options;
  options.flags |= flags;
  options.body_length = length;
  options.etag = "\"" + std::to_string(head) + "\"";
  options.tags = {History::tag_value(History::tag_of(version))};
  return make_head(options);
}

void Operator::read_body_of(const Ref<MemoryRecord>& record, uint32_t key, uint64_t version) {
  const RecordHeader& header = record->header;
  if (header.object_length != size_of(version)) return life_.fail("a version of another length");
  if (is_incomplete(*record)) return read_parts_of(record, key, version);
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
  check_bytes(key, version, begin, std::move(got));
}

void Operator::check_bytes(uint32_t key, uint64_t version, ByteOffset begin,
                           std::vector<uint8_t> got) {
  std::vector<uint8_t> wanted(got.size());
  generate(key, version, begin, wanted);
  blank_cut_stamps(begin, size_of(version), wanted);
  blank_cut_stamps(begin, size_of(version), got);
  if (got != wanted) life_.fail("wrong bytes in version " + std::to_string(version));
  life_.count(&OperationReport::body_bytes, got.size());
}

void Operator::refresh(uint32_t key) {
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
  const uint16_t flags = head_flags(record->head_bytes());
  const bool is_taken =
      store_.refresh(record, head_of(head, version, flags, size_of(version)), fill->birth()).ok();
  // Of one that was completed or replaced meanwhile, this says ok and does nothing.
  const bool is_certain = is_taken && !is_incomplete(*record);
  history.published(head, is_certain);
  fill->fail();
  if (!is_certain) return;
  life_.fail(history.judge_refresh(old_head, from));
  life_.count(&OperationReport::refreshes);
}

void Operator::purge(uint32_t key) {
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
void Operator::evict() {
  std::vector<uint32_t> pairs(32);
  MutexLock lock(life_.mutex);
  const uint32_t count = store_.tier().take_events(pairs.data(), 16);
  for (uint32_t i = 0; i < count; i++) {
    if (random_.below(4) > 0) store_.tier().evict(pairs[2 * i], pairs[2 * i + 1]);
  }
}

}  // namespace millrace::test
