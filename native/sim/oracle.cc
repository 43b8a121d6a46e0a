// Versions, purges and the judgement over answers. See oracle.h.
#include "sim/oracle.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
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
  first_variant_ = key_count - key_count / 4;
  for (uint32_t i = 0; i < key_count; i++) {
    const std::string primary =
        prefix_name(prefix_of(i)) + "object-" + std::to_string(leader_of(i));
    primaries_.push_back(primary);
    names_.push_back(is_variant(i) ? primary + "\nx:" + std::to_string(i) : primary);
    keys_.emplace_back();
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

void Oracle::identify(Version& version, uint64_t incarnation) {
  // The head of an incomplete object may be found while the fill that publishes it still begins.
  if (version.incarnation == incarnation) return;
  if (version.incarnation != 0) fail("version %llu has two incarnations", number(version.number));
  version.incarnation = incarnation;
  const auto [known, is_new] = by_incarnation_.emplace(incarnation, version.number);
  if (!is_new) {
    fail("incarnation %llu was given to versions %llu and %llu", number(version.incarnation),
         number(known->second), number(version.number));
  }
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

std::vector<uint8_t> Oracle::marker_head() {
  HeadView view;
  view.status = 200;
  view.flags = kHeadVaryMarker;
  view.vary = Bytes(reinterpret_cast<const uint8_t*>("x"), 2);
  std::vector<uint8_t> out(encoded_head_size(view));
  encode_head(view, out);
  return out;
}

void Oracle::give(Version& version, ByteOffset begin, ByteOffset end) {
  std::vector<std::pair<ByteOffset, ByteOffset>> kept;
  for (const auto& [from, to] : version.given) {
    if (to < begin || from > end) {
      kept.emplace_back(from, to);
    } else {
      begin = std::min(begin, from);
      end = std::max(end, to);
    }
  }
  kept.emplace_back(begin, end);
  std::sort(kept.begin(), kept.end());
  version.given = std::move(kept);
  if (was_given(version, 0, version.length)) version.finished = true;
}

bool Oracle::was_given(const Version& version, ByteOffset begin, ByteOffset end) {
  return std::any_of(version.given.begin(), version.given.end(), [&](const auto& interval) {
    return interval.first <= begin && interval.second >= end;
  });
}

std::vector<uint8_t> Oracle::head_of(const Version& version, uint32_t head, bool is_incomplete) const {
  const std::string etag = "\"v" + std::to_string(version.number) + "\"";
  const std::string fields = "Content-Type: text/plain\r\nX-Head: " + std::to_string(head) + "\r\n";
  HeadView view;
  view.status = 200;
  view.flags = version.number % 3 == 0 ? 0 : kHeadStrongValidator;
  if (version.in_parts) view.flags = kHeadStrongValidator | kHeadAcceptsRanges;
  if (is_incomplete) view.flags |= kHeadIncomplete;
  view.response_ms = version.number;
  view.date_s = head;
  view.body_length = version.finished || version.in_parts ? version.length : kUnknownLength;
  uint8_t tag[8];
  store_le<uint64_t>(MutableBytes(tag), 0, tag_value(tag_of(version)));
  view.tags = tag;
  view.etag = bytes_of(etag);
  view.fields = bytes_of(fields);
  std::vector<uint8_t> out(encoded_head_size(view));
  encode_head(view, out);
  return out;
}

const Version* Oracle::version_of(uint64_t incarnation) const {
  const auto found = by_incarnation_.find(incarnation);
  return found == by_incarnation_.end() ? nullptr : &versions_[found->second - 1];
}

std::string Oracle::prefix_name(uint32_t prefix) {
  return "http://sim/" + std::to_string(prefix) + "/";
}

Oracle::Bounds& Oracle::bounds_of(const PurgeTarget& target) {
  if (target.kind == PurgeKind::key) return keys_[leader_of(target.number)];
  if (target.kind == PurgeKind::prefix) return prefixes_[target.number];
  if (target.kind == PurgeKind::tag) return tags_[target.number];
  return everything_;
}

uint64_t Oracle::call_purge(const PurgeTarget& target) {
  return bounds_of(target).of(target.soft).called = next_event();
}

void Oracle::purge_holds(const PurgeTarget& target, uint64_t called_at) {
  uint64_t& holds = bounds_of(target).of(target.soft).holds;
  holds = std::max(holds, called_at);
}

void Oracle::purge_is_durable(const PurgeTarget& target, uint64_t called_at) {
  Bound& bound = bounds_of(target).of(target.soft);
  bound.durable = std::max(bound.durable, called_at);
  bound.holds = std::max(bound.holds, called_at);
}

void Oracle::begin_life() {
  const auto fall_back = [](Bounds& bounds) {
    bounds.hard.holds = bounds.hard.durable;
    bounds.soft.holds = bounds.soft.durable;
  };
  for (Bounds& bounds : keys_) fall_back(bounds);
  for (Bounds& bounds : prefixes_) fall_back(bounds);
  for (Bounds& bounds : tags_) fall_back(bounds);
  fall_back(everything_);
}

Floor Oracle::floor_of(uint32_t key) const {
  Floor floor;
  for (const Bounds* bounds : {&keys_[leader_of(key)], &prefixes_[prefix_of(key)], &everything_}) {
    floor.hard = std::max(floor.hard, bounds->hard.holds);
    floor.soft = std::max(floor.soft, bounds->soft.holds);
  }
  for (uint32_t tag = 0; tag < kTags; tag++) {
    floor.hard_by_tag[tag] = tags_[tag].hard.holds;
    floor.soft_by_tag[tag] = tags_[tag].soft.holds;
  }
  return floor;
}

bool Oracle::may_be_gone(uint32_t key, const Version& version) const {
  uint64_t called = tags_[tag_of(version)].hard.called;
  for (const Bounds* bounds : {&keys_[leader_of(key)], &prefixes_[prefix_of(key)], &everything_}) {
    called = std::max(called, bounds->hard.called);
  }
  return version.begun_at < called;
}

bool Oracle::is_dead(const Version& version, uint32_t head, const Floor& floor) {
  return version.heads_begun_at[head] < std::max(floor.hard, floor.hard_by_tag[tag_of(version)]);
}

bool Oracle::is_stale(const Version& version, uint32_t head, const Floor& floor) {
  return version.heads_begun_at[head] < std::max(floor.soft, floor.soft_by_tag[tag_of(version)]);
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
                                    const Floor& floor, uint32_t* head_number) {
  const RecordHeader& header = record.header;
  const Result<HeadView> head = decode_head(record.head_bytes());
  if (!head.ok()) fail("%s: a head that does not decode", name(key).c_str());
  const uint64_t told = head.value().response_ms;
  if (told > 0 && told <= versions_.size() && version(told).in_parts &&
      version(told).incarnation == 0) {
    identify(version(told), header.incarnation);
  }
  const auto found = by_incarnation_.find(header.incarnation);
  if (record.key != name(key)) fail("asked for %s, got %s", name(key).c_str(), record.key.c_str());
  if (found == by_incarnation_.end()) {
    fail("%s: incarnation %llu was never stored", name(key).c_str(), number(header.incarnation));
  }
  const Version& version = versions_[found->second - 1];
  if (version.number != told) fail("%s: the head of another version", name(key).c_str());
  if (version.key != key) {
    fail("%s: version %llu belongs to %s", name(key).c_str(), number(version.number),
         name(version.key).c_str());
  }
  const bool is_incomplete = (head_flags(record.head_bytes()) & kHeadIncomplete) != 0;
  if (!(is_incomplete ? version.in_parts : version.finished)) {
    fail("%s: version %llu was never finished", name(key).c_str(), number(version.number));
  }
  if (header.object_length != version.length) {
    fail("%s: version %llu of %llu bytes says it has %llu", name(key).c_str(),
         number(version.number), number(version.length), number(header.object_length));
  }
  const uint64_t which = head.value().date_s;
  if (which >= version.heads_begun_at.size()) {
    fail("%s: head %llu was never given", name(key).c_str(), number(which));
  }
  if (head_number != nullptr) *head_number = static_cast<uint32_t>(which);
  if (is_dead(version, static_cast<uint32_t>(which), floor)) {
    fail("%s: version %llu was purged: head %llu of event %llu, purges of it called at %llu, of its tag "
         "at %llu", name(key).c_str(), number(version.number), number(which),
         number(version.heads_begun_at[which]), number(floor.hard),
         number(floor.hard_by_tag[tag_of(version)]));
  }
  const std::vector<uint8_t> expected =
      head_of(version, static_cast<uint32_t>(which), is_incomplete);
  const Bytes actual = record.head_bytes();
  if (actual.size() != expected.size() ||
      std::memcmp(actual.data(), expected.data(), expected.size()) != 0) {
    fail("%s: version %llu has a wrong head", name(key).c_str(), number(version.number));
  }
  return version;
}

}  // namespace millrace::sim
