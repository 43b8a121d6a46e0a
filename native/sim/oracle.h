// What the simulation knows to be true: every version that was ever given to the store, what was purged and
// when that was acknowledged, and so which answers are right. It decides; it does not ask the engine.
//
// Time is counted in events. A version is gone for a look-up when its fill was begun before a purge was
// called that was acknowledged before the look-up.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/units.h"
#include "engine/memory-record.h"
#include "sim/random.h"

namespace millrace::sim {

struct Version {
  uint64_t number = 0;       // 1-based
  uint32_t key = 0;          // stored under
  uint64_t incarnation = 0;  // 0 until the fill has begun
  uint64_t begun_at = 0;     // event
  ByteCount length = 0;      // once it is finished
  uint32_t heads = 1;        // how many heads it was given: the response's and those of 304s
  bool finished = false;     // finish() was called: it may be found
  bool compressible = false;
  bool after_close = false;  // begun when the store was closed: known to memory alone
};

// What a look-up may find, as of its start.
struct Floor {
  uint64_t dead_before = 0;
};

class Oracle {
 public:
  explicit Oracle(uint32_t key_count);

  uint32_t key_count() const { return static_cast<uint32_t>(keys_.size()); }
  const std::string& name(uint32_t key) const { return keys_[key].name; }
  uint64_t next_event() { return ++event_; }

  Version& add_version(uint32_t key, bool compressible);
  // The engine has given it its identity.
  void identify(const Version& version);
  Version& version(uint64_t number) { return versions_[number - 1]; }

  // Bytes of a version's body.
  static void generate(const Version& version, ByteOffset offset, MutableBytes out);
  std::vector<uint8_t> head_of(const Version& version, uint32_t head) const;

  // A purge is called; the version may be gone from now on. Returns the event.
  uint64_t call_purge(uint32_t key);
  bool may_be_gone(uint32_t key, const Version& version) const {
    return version.begun_at < keys_[key].called_at;
  }
  // The purge that was called at `called_at` is acknowledged.
  void acknowledge_purge(uint32_t key, uint64_t called_at);
  // Tombstones are not durable when a purge is acknowledged: a crash may undo it (decision 0002).
  void forget_purges();
  Floor floor_of(uint32_t key) const { return keys_[key].floor; }

  // Fails unless these are bytes of the version at this offset.
  void check_bytes(const Version& version, ByteOffset offset, Bytes bytes) const;
  // Fails unless the record is a version of this key that may be found; returns which.
  const Version& check_record(const MemoryRecord& record, uint32_t key, const Floor& floor) const;

  const Version* version_of(uint64_t incarnation) const;
  uint64_t compared_bytes() const { return compared_bytes_; }

 private:
  struct Key {
    std::string name;
    Floor floor{};
    uint64_t called_at = 0;  // the last purge
  };
  std::vector<Key> keys_;
  std::deque<Version> versions_;  // versions stay where they are
  std::unordered_map<uint64_t, uint64_t> by_incarnation_;
  uint64_t event_ = 0;
  mutable uint64_t compared_bytes_ = 0;
};

}  // namespace millrace::sim
