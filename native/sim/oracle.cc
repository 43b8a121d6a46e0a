// Versions, purges and the judgement over answers. See oracle.h.
#include "sim/oracle.h"

#include <cstring>

#include "layout/head.h"
#include "sim/failure.h"

namespace millrace::sim {

namespace {

Bytes bytes_of(const std::string& text) {
  return Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

unsigned long long number(uint64_t value) { return value; }

// Eight bytes of a body. Cheap, because every byte that is served is compared, and different for
// every version and place.
struct Words {
  uint64_t seed;
  uint64_t shift;  // compressible bodies repeat each word 64 times
  explicit Words(const Version& version)
      : seed(mix(version.number)), shift(version.compressible ? 6 : 0) {}
  uint64_t at(uint64_t index) const {
    const uint64_t value = ((index >> shift) + seed) * 0x9e3779b97f4a7c15u;
    return value ^ (value >> 29);
  }
};

}  // namespace

Oracle::Oracle(uint32_t key_count) {
  for (uint32_t i = 0; i < key_count; i++) {
    keys_.push_back(Key{"http://sim/" + std::to_string(i % 7) + "/object-" + std::to_string(i)});
  }
}

Version& Oracle::add_version(uint32_t key, bool compressible) {
  Version version;
  version.number = versions_.size() + 1;
  version.key = key;
  version.compressible = compressible;
  versions_.push_back(version);
  return versions_.back();
}

void Oracle::identify(const Version& version) {
  const auto [known, is_new] = by_incarnation_.emplace(version.incarnation, version.number);
  if (is_new) return;
  // What a closed store still hands out dies with it; the next life may begin with the same number.
  if (!versions_[known->second - 1].after_close) {
    fail("incarnation %llu was given out twice", number(version.incarnation));
  }
  known->second = version.number;
}

void Oracle::generate(const Version& version, ByteOffset offset, MutableBytes out) {
  const Words words(version);
  size_t at = 0;
  while (at < out.size() && (offset + at) % 8 != 0) {
    out[at] = static_cast<uint8_t>(words.at((offset + at) / 8) >> (offset + at) % 8 * 8);
    at++;
  }
  uint64_t index = (offset + at) / 8;
  for (; at + 8 <= out.size(); at += 8) {
    const uint64_t word = words.at(index++);
    std::memcpy(out.data() + at, &word, 8);
  }
  for (; at < out.size(); at++) {
    out[at] = static_cast<uint8_t>(words.at((offset + at) / 8) >> (offset + at) % 8 * 8);
  }
}

std::vector<uint8_t> Oracle::head_of(const Version& version, uint32_t head) const {
  const std::string etag = "\"v" + std::to_string(version.number) + "\"";
  const std::string fields = "Content-Type: text/plain\r\nX-Head: " + std::to_string(head) + "\r\n";
  HeadView view;
  view.status = 200;
  view.flags = version.number % 3 == 0 ? 0 : kHeadStrongValidator;
  view.response_ms = version.number;
  view.date_s = head;
  view.body_length = version.finished ? version.length : kUnknownLength;
  view.etag = bytes_of(etag);
  view.fields = bytes_of(fields);
  std::vector<uint8_t> out(encoded_head_size(view));
  encode_head(view, out);
  return out;
}

uint64_t Oracle::call_purge(uint32_t key) {
  keys_[key].called_at = next_event();
  return keys_[key].called_at;
}

const Version* Oracle::version_of(uint64_t incarnation) const {
  const auto found = by_incarnation_.find(incarnation);
  return found == by_incarnation_.end() ? nullptr : &versions_[found->second - 1];
}

void Oracle::acknowledge_purge(uint32_t key, uint64_t called_at) {
  Floor& floor = keys_[key].floor;
  if (called_at > floor.dead_before) floor.dead_before = called_at;
}

void Oracle::forget_purges() {
  for (Key& key : keys_) key.floor = Floor();
}

void Oracle::check_bytes(const Version& version, ByteOffset offset, Bytes bytes) const {
  const Words words(version);
  compared_bytes_ += bytes.size();
  size_t at = 0;
  const auto check_byte = [&] {
    const auto expected = static_cast<uint8_t>(words.at((offset + at) / 8) >> (offset + at) % 8 * 8);
    if (bytes[at] != expected) {
      fail("a wrong byte of %s version %llu at %llu: %u instead of %u",
           name(version.key).c_str(), number(version.number), number(offset + at), bytes[at],
           expected);
    }
    at++;
  };
  while (at < bytes.size() && (offset + at) % 8 != 0) check_byte();
  uint64_t difference = 0;
  const size_t whole_at = at;
  const size_t whole_end = at + (bytes.size() - at) / 8 * 8;
  uint64_t index = (offset + at) / 8;
  for (; at < whole_end; at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    difference |= word ^ words.at(index++);
  }
  if (difference != 0) {
    for (at = whole_at; at < whole_end;) check_byte();
  }
  while (at < bytes.size()) check_byte();
}

const Version& Oracle::check_record(const MemoryRecord& record, uint32_t key,
                                    const Floor& floor) const {
  const RecordHeader& header = record.header;
  const auto found = by_incarnation_.find(header.incarnation);
  if (record.key != name(key)) fail("asked for %s, got %s", name(key).c_str(), record.key.c_str());
  if (found == by_incarnation_.end()) {
    fail("%s: incarnation %llu was never stored", name(key).c_str(), number(header.incarnation));
  }
  const Version& version = versions_[found->second - 1];
  if (version.key != key) {
    fail("%s: version %llu belongs to %s", name(key).c_str(), number(version.number),
         name(version.key).c_str());
  }
  if (!version.finished) {
    fail("%s: version %llu was never finished", name(key).c_str(), number(version.number));
  }
  if (version.begun_at < floor.dead_before) {
    fail("%s: version %llu, begun at event %llu, was purged by a call at %llu", name(key).c_str(),
         number(version.number), number(version.begun_at), number(floor.dead_before));
  }
  if (header.object_length != version.length) {
    fail("%s: version %llu of %llu bytes says it has %llu", name(key).c_str(),
         number(version.number), number(version.length), number(header.object_length));
  }
  const Result<HeadView> head = decode_head(record.head_bytes());
  if (!head.ok()) fail("%s: a head that does not decode", name(key).c_str());
  const uint64_t which = head.value().date_s;
  if (which >= version.heads) fail("%s: head %llu was never given", name(key).c_str(), number(which));
  const std::vector<uint8_t> expected = head_of(version, static_cast<uint32_t>(which));
  const Bytes actual = record.head_bytes();
  if (actual.size() != expected.size() ||
      std::memcmp(actual.data(), expected.data(), expected.size()) != 0) {
    fail("%s: version %llu has a wrong head", name(key).c_str(), number(version.number));
  }
  return version;
}

}  // namespace millrace::sim
