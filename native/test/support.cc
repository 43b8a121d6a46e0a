// Helpers shared by the tests. See support.h.
#include "test/support.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "engine/recovery.h"

namespace millrace::test {

void Random::fill(MutableBytes out) {
  size_t at = 0;
  for (; at + 8 <= out.size(); at += 8) {
    const uint64_t word = next();
    std::memcpy(out.data() + at, &word, 8);
  }
  for (; at < out.size(); at++) out[at] = static_cast<uint8_t>(next() >> 56);
}

std::vector<uint8_t> Random::bytes(size_t count) {
  std::vector<uint8_t> out(count);
  fill(out);
  return out;
}

namespace {

struct ThreadStart {
  const std::function<void(uint32_t)>* body;
  uint32_t number;
};

void* run_body(void* argument) {
  const auto* start = static_cast<const ThreadStart*>(argument);
  (*start->body)(start->number);
  return nullptr;
}

}  // namespace

void run_threads(uint32_t count, const std::function<void(uint32_t)>& body) {
  std::vector<ThreadStart> starts;
  for (uint32_t i = 0; i < count; i++) starts.push_back(ThreadStart{&body, i});
  const auto threads = std::make_unique<Thread[]>(count);
  for (uint32_t i = 0; i < count; i++) threads[i].start(&run_body, &starts[i]);
  for (uint32_t i = 0; i < count; i++) threads[i].join();
}

std::vector<uint8_t> make_head(const HeadOptions& options) {
  HeadView head;
  head.status = options.status;
  head.flags = options.flags;
  head.response_ms = 1000;
  head.fresh_until_ms = options.fresh_until_ms;
  head.body_length = options.body_length;
  head.etag = bytes_of(options.etag);
  head.vary = bytes_of(options.vary);
  std::vector<uint8_t> tags(options.tags.size() * 8);
  for (size_t i = 0; i < options.tags.size(); i++) store_le<uint64_t>(tags, i * 8, options.tags[i]);
  head.tags = tags;
  head.fields = bytes_of(options.fields);
  head.reason = bytes_of("OK");
  std::vector<uint8_t> out(encoded_head_size(head));
  encode_head(head, out);
  return out;
}

DiskImage formatted_disk(uint32_t block_size, bool lazy_zero) {
  Superblock superblock;
  for (uint8_t i = 0; i < 16; i++) {
    superblock.uuid[i] = static_cast<uint8_t>(0xa0 + i);
    superblock.hash_key[i] = static_cast<uint8_t>(3 * i + 1);
  }
  superblock.block_size = block_size;
  superblock.geometry = geometry_of(kDiskSize).value();
  superblock.superblock_sequence = 1;
  superblock.lazy_zero = lazy_zero;
  FaultDevice device((DiskImage(kDiskSize)));
  REQUIRE(write_superblock(device, superblock).ok());
  return device.snapshot();
}

TestStore::TestStore(const DiskImage& image, ByteCount l1_budget, ByteCount memory_limit,
                     bool compress, bool admit_everything) {
  StoreOptions options;
  options.compress = compress;
  options.memory_limit = memory_limit;
  options.l1_budget = l1_budget;
  options.index_memory_limit = 4 * kMiB;
  options.poison_pages = true;
  options.admit_everything = admit_everything;
  auto owned = std::make_unique<FaultDevice>(image);
  device = owned.get();
  Result<Ref<Store>> opened = Store::open(options, std::move(owned));
  INFO(std::string(opened.status().message()));
  REQUIRE(opened.ok());
  store = std::move(opened.value());
  REQUIRE(store->wait_until_warm(120000));
}

TestStore::~TestStore() {
  if (store) store->close();
}

void TestStore::settle() {
  wait_until([&] { return store->staging()->bytes() == 0; });
  // The bytes are given back before the record is published, both under the lock: wait for its end.
  static_cast<void>(store->staging()->closed());
}

void TestStore::flush() {
  settle();
  wait_until([&] {
    return store->total(&Counters::records_flushed) == store->total(&Counters::records_appended);
  });
}

namespace {

struct Answer {
  Mutex mutex;
  Condition condition;
  bool done = false;
  Status status{};
  Ref<MemoryRecord> record;
};

void answered(void* context, Status status, Ref<MemoryRecord> record) {
  auto* answer = static_cast<Answer*>(context);
  MutexLock lock(answer->mutex);
  answer->status = status;
  answer->record = std::move(record);
  answer->done = true;
  answer->condition.signal();
}

void await(Answer* answer) {
  MutexLock lock(answer->mutex);
  while (!answer->done) answer->condition.wait(answer->mutex);
}

}  // namespace

Lookup find(Store& store, const std::string& key, Sequence minimum_birth) {
  Lookup lookup;
  Answer answer;
  lookup.found =
      store.find(store.place_of(key), key, minimum_birth, &lookup.record, &answered, &answer);
  if (lookup.found != Found::pending) return lookup;
  await(&answer);
  lookup.status = answer.status;
  lookup.record = std::move(answer.record);
  lookup.found = answer.status.ok() ? Found::hit : Found::miss;
  return lookup;
}

Status purge(Store& store, const PurgeRequest& request) {
  Answer answer;
  store.purge(
      request, [](void* context, Status status, uint32_t) { answered(context, status, {}); }, &answer);
  await(&answer);
  return answer.status;
}

std::vector<uint8_t> joined(const std::vector<PageSpan>& spans) {
  std::vector<uint8_t> out;
  for (const PageSpan& span : spans) out.insert(out.end(), span.data(), span.data() + span.length);
  return out;
}

bool read_body(Store& store, const KeyHash& hash, uint64_t incarnation, uint64_t object_length,
               ByteOffset offset, ByteCount length, std::vector<uint8_t>* out) {
  while (length > 0) {
    std::vector<PageSpan> spans;
    Answer answer;
    const Store::BodyRange range{0, hash, incarnation, object_length, offset, length};
    const Found found = store.read_chunk(range, &spans, &answered, &answer);
    if (found == Found::miss) return false;
    std::vector<uint8_t> part;
    if (found == Found::hit) {
      part = joined(spans);
    } else {
      await(&answer);
      if (!answer.status.ok()) return false;
      part = joined(answer.record->body);
    }
    REQUIRE(!part.empty());
    REQUIRE(part.size() <= length);
    out->insert(out->end(), part.begin(), part.end());
    offset += part.size();
    length -= part.size();
  }
  return true;
}

bool body_of(Store& store, const Ref<MemoryRecord>& record, std::vector<uint8_t>* out) {
  const RecordHeader& header = record->header;
  if (header.kind == RecordKind::single) {
    *out = joined(record->body);
    return true;
  }
  return read_body(store, header.hash, header.incarnation, header.object_length, 0,
                   header.object_length, out);
}

void put_marker(Fill& fill, const PutOptions& options) {
  if (options.primary.empty()) return;
  HeadOptions names;
  names.flags = kHeadVaryMarker;
  names.vary = options.head.vary;
  REQUIRE(fill.publish_marker(options.marker.empty() ? make_head(names) : options.marker,
                              options.floor)
              .ok());
}

uint64_t put(Store& store, const std::string& key, Bytes body, const PutOptions& options) {
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  const Ref<Fill> fill =
      store.begin_fill(options.primary.empty() ? key : options.primary, notice(sink, 0));
  FillHead head;
  head.key = key;
  head.head = make_head(options.head);
  if (options.knows_length) head.body_length = body.size();
  head.keep = true;
  head.may_compress = options.may_compress;
  REQUIRE(fill->begin(std::move(head)).ok());
  uint32_t resumed = 0;
  while (!body.empty()) {
    const Fill::Appended appended = fill->append(body.first(std::min(body.size(), kChunkSize)));
    body = body.subspan(appended.accepted);
    if (appended.pause == FillPause::none) continue;
    if (appended.pause != FillPause::pages && !options.heeds_pause) continue;
    wait_until([&] { return sink->count(0) > resumed; });
    resumed = sink->count(0);
  }
  REQUIRE(fill->finish().ok());
  put_marker(*fill, options);
  return fill->incarnation();
}

std::vector<uint8_t> body_for(std::string_view key, uint64_t version, size_t size) {
  uint64_t seed = version;
  for (const char c : key) seed = seed * 131 + static_cast<uint8_t>(c);
  Random random(seed);
  return random.bytes(size);
}

std::vector<uint8_t> text_for(uint64_t seed, size_t size) {
  static const char* words[] = {"cache ", "record ", "segment ", "the ", "a ", "ring\n", "{\"id\":"};
  Random random(seed);
  std::vector<uint8_t> out;
  while (out.size() < size) {
    const std::string_view word = words[random.below(std::size(words))];
    out.insert(out.end(), word.begin(), word.end());
  }
  out.resize(size);
  return out;
}

}  // namespace millrace::test
