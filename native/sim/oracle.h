// What the simulation knows to be true: every version that was ever given to the store, what was purged and
// when that was acknowledged, and so which answers are right. It decides; it does not ask the engine.
//
// Time is counted in events. A purge holds in its own life from its return on, and for ever once it was
// acknowledged. Who was born (fill or 304) before it was called is gone for look-ups that begin later.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/units.h"
#include "engine/memory-record.h"
#include "layout/purge-journal.h"
#include "sim/random.h"

namespace millrace::sim {

struct Version {
  uint64_t number = 0;       // 1-based
  uint32_t key = 0;          // stored under
  uint64_t incarnation = 0;  // 0 until the fill has begun
  uint64_t begun_at = 0;     // event
  std::vector<uint64_t> heads_begun_at;  // of each head: the fill's, those of 304s
  ByteCount length = 0;      // once it is finished
  bool finished = false;     // finish() was called, or every part came: it may be found
  bool compressible = false;
  bool in_parts = false;     // of one that came so, what was given may be found before that
  std::vector<std::pair<ByteOffset, ByteOffset>> given;  // of it, in order and apart
};

inline constexpr uint32_t kPrefixes = 7;
inline constexpr uint32_t kTags = 5;
inline constexpr uint32_t kVariants = 3;

struct PurgeTarget {
  PurgeKind kind = PurgeKind::key;
  uint32_t number = 0;  // of the key, prefix or tag
  bool soft = false;
};

// What a look-up may find, as of its start: nothing that was begun before these.
struct Floor {
  uint64_t hard = 0;
  uint64_t soft = 0;  // found, but stale
  std::array<uint64_t, kTags> hard_by_tag{};
  std::array<uint64_t, kTags> soft_by_tag{};
};

class Oracle {
 public:
  explicit Oracle(uint32_t key_count);

  uint32_t key_count() const { return static_cast<uint32_t>(names_.size()); }
  const std::string& name(uint32_t key) const { return names_[key]; }
  uint64_t next_event() { return ++event_; }

  Version& add_version(uint32_t key, bool compressible);
  // The engine has given it its identity.
  void identify(Version& version, uint64_t incarnation);
  Version& version(uint64_t number) { return versions_[number - 1]; }

  // Bytes of a version's body.
  static void generate(const Version& version, ByteOffset offset, MutableBytes out);
  std::vector<uint8_t> head_of(const Version& version, uint32_t head, bool is_incomplete = false) const;
  static std::vector<uint8_t> marker_head();
  // These bytes are given to the store, or claimed by it to be there.
  static void give(Version& version, ByteOffset begin, ByteOffset end);
  static bool was_given(const Version& version, ByteOffset begin, ByteOffset end);

  // Some keys are variants, kVariants in a row of one primary key, which is what is purged of them.
  bool is_variant(uint32_t key) const { return key >= first_variant_; }
  const std::string& primary_name(uint32_t key) const { return primaries_[key]; }
  // The key that bears the purges of this one.
  uint32_t leader_of(uint32_t key) const {
    return is_variant(key) ? key - (key - first_variant_) % kVariants : key;
  }
  uint32_t prefix_of(uint32_t key) const { return leader_of(key) % kPrefixes; }
  static std::string prefix_name(uint32_t prefix);
  static uint32_t tag_of(const Version& version) {
    return static_cast<uint32_t>(version.number % kTags);
  }
  static uint64_t tag_value(uint32_t tag) { return mix(tag + 1000); }

  // A purge is called; what it names may be gone from now on. Returns the event.
  uint64_t call_purge(const PurgeTarget& target);
  // It returned: it holds in this life.
  void purge_holds(const PurgeTarget& target, uint64_t called_at);
  // It was acknowledged: it holds in every life.
  void purge_is_durable(const PurgeTarget& target, uint64_t called_at);
  // Purges that were not acknowledged may be undone from here on.
  void begin_life();
  Floor floor_of(uint32_t key) const;
  bool may_be_gone(uint32_t key, const Version& version) const;
  static bool is_dead(const Version& version, uint32_t head, const Floor& floor);
  static bool is_stale(const Version& version, uint32_t head, const Floor& floor);

  // Fails unless these are bytes of the version at this offset.
  void check_bytes(const Version& version, ByteOffset offset, Bytes bytes) const;
  // Fails unless the record is a version of this key that may be found; returns which, and which head.
  const Version& check_record(const MemoryRecord& record, uint32_t key, const Floor& floor,
                              uint32_t* head = nullptr);

  const Version* version_of(uint64_t incarnation) const;
  uint64_t compared_bytes() const { return compared_bytes_; }

 private:
  // When the last purge of one thing was called: at all, that returned in this life, that was acknowledged.
  struct Bound {
    uint64_t called = 0;
    uint64_t holds = 0;
    uint64_t durable = 0;
  };
  struct Bounds {
    Bound hard;
    Bound soft;
    Bound& of(bool is_soft) { return is_soft ? soft : hard; }
  };
  Bounds& bounds_of(const PurgeTarget& target);

  std::vector<std::string> names_;
  std::vector<std::string> primaries_;  // by key; the same name where it is no variant
  uint32_t first_variant_ = 0;
  std::vector<Bounds> keys_;
  std::array<Bounds, kPrefixes> prefixes_{};
  std::array<Bounds, kTags> tags_{};
  Bounds everything_{};
  std::deque<Version> versions_;  // versions stay where they are
  std::unordered_map<uint64_t, uint64_t> by_incarnation_;
  uint64_t event_ = 0;
  mutable uint64_t compared_bytes_ = 0;
};

}  // namespace millrace::sim
