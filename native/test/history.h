// What the operation fuzzer knows: every head of every version that was given to the store, every purge, and
// between which moments each of them took effect. Moments are numbers that all threads draw from one counter.
// A look-up that began at `from` and ended at `to` is judged by what was certain in between; what ran at the
// same time may have come before or after. Callable from any thread.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/sync.h"
#include "engine/purges.h"

namespace millrace::test {

inline constexpr uint32_t kOperationKeys = 12;
inline constexpr uint32_t kOperationPrefixes = 3;
inline constexpr uint32_t kOperationTags = 3;
inline constexpr uint64_t kNever = ~uint64_t{0};

// One head of a version: the fill's own, or that of a 304.
struct GivenHead {
  uint64_t version = 0;
  uint32_t key = 0;
  uint32_t life = 0;
  uint64_t born_from = kNever;  // the birth was taken in between
  uint64_t born_to = kNever;
  uint64_t published_from = kNever;  // finish() or refresh() was called in between
  uint64_t published_to = kNever;
  bool is_taken = false;  // by the store: finish() or refresh() said ok
};

struct GivenPurge {
  PurgeKind kind = PurgeKind::key;
  uint32_t number = 0;  // of the key, prefix or tag
  bool is_soft = false;
  bool is_unsafe = false;  // by an unsafe method
  uint32_t life = 0;
  uint64_t from = 0;
  uint64_t holds = kNever;    // the call returned: from here on in this life
  uint64_t durable = kNever;  // acknowledged: in every life
};

class History {
 public:
  static std::string key_name(uint32_t key);
  static std::string prefix_name(uint32_t prefix);
  static uint32_t prefix_of(uint32_t key) { return key % kOperationPrefixes; }
  static uint32_t tag_of(uint64_t version) { return static_cast<uint32_t>(version % kOperationTags); }
  static uint64_t tag_value(uint32_t tag) { return 0x7a60 + tag; }

  uint64_t now() { return moment_.fetch_add(1) + 1; }
  void begin_life(uint32_t life) { life_.store(life); }

  // A number for the head, to be found again in its ETag; its birth is taken from now on.
  uint64_t begin_head(uint32_t key, uint64_t version);
  void born(uint64_t head);
  void publishing(uint64_t head);
  void published(uint64_t head, bool is_taken);

  size_t begin_purge(PurgeKind kind, uint32_t number, bool is_soft, bool is_unsafe = false);
  void purge_holds(size_t purge);
  void purge_durable(size_t purge);

  // Why a look-up for this key may not have found this head; empty where it may. `is_stale`: the store says.
  std::string judge_find(uint32_t key, uint64_t head, bool is_stale, uint64_t from, uint64_t to) const;
  // Why a 304 for this head, called at `from`, may not have been taken.
  std::string judge_refresh(uint64_t head, uint64_t from) const;
  uint64_t version_of(uint64_t head) const;

 private:
  static bool concerns(const GivenPurge& purge, const GivenHead& head);
  // Whether the purge was certain to hold for whoever began at `from` in this life.
  bool holds_for(const GivenPurge& purge, uint64_t from) const;
  const GivenPurge* purged_before_locked(const GivenHead& head, uint64_t from, bool is_soft) const;
  const GivenHead* replaced_before_locked(const GivenHead& head, uint64_t from) const;

  std::atomic<uint64_t> moment_{0};
  std::atomic<uint32_t> life_{0};
  mutable Mutex mutex_;
  std::vector<GivenHead> heads_;
  std::vector<GivenPurge> purges_;
  std::vector<uint64_t> heads_of_[kOperationKeys];  // their numbers
};

}  // namespace millrace::test
