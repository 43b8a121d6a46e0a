// Which head may be found when. See history.h.
#include "test/history.h"

namespace millrace::test {

namespace {

std::string described(const GivenHead& head, uint64_t number) {
  return "head " + std::to_string(number) + " of version " + std::to_string(head.version) + " of " +
         History::key_name(head.key) + " (life " + std::to_string(head.life) + ", born in " +
         std::to_string(head.born_from) + ".." + std::to_string(head.born_to) + ", published in " +
         std::to_string(head.published_from) + ".." + std::to_string(head.published_to) + ")";
}

std::string described(const GivenPurge& purge) {
  static const char* const kKinds[] = {"", "key", "prefix", "tag", "everything"};
  return std::string(purge.is_unsafe ? "unsafe method's" : purge.is_soft ? "soft" : "hard") + " purge of " +
         kKinds[static_cast<size_t>(purge.kind)] + " " + std::to_string(purge.number) + " (life " +
         std::to_string(purge.life) + ", called at " + std::to_string(purge.from) + ", returned by " +
         std::to_string(purge.holds) + ", acknowledged by " + std::to_string(purge.durable) + ")";
}

}  // namespace

std::string History::prefix_name(uint32_t prefix) { return "http://h/" + std::to_string(prefix) + "/"; }

std::string History::key_name(uint32_t key) { return prefix_name(prefix_of(key)) + std::to_string(key); }

uint64_t History::begin_head(uint32_t key, uint64_t version) {
  MutexLock lock(mutex_);
  GivenHead head;
  head.key = key;
  head.version = version == 0 ? heads_.size() + 1 : version;
  head.life = life_.load();
  head.born_from = now();
  heads_.push_back(head);
  heads_of_[key].push_back(heads_.size());
  return heads_.size();
}

void History::born(uint64_t head) {
  MutexLock lock(mutex_);
  heads_[head - 1].born_to = now();
}

void History::publishing(uint64_t head) {
  MutexLock lock(mutex_);
  heads_[head - 1].published_from = now();
}

void History::published(uint64_t head, bool is_taken) {
  MutexLock lock(mutex_);
  heads_[head - 1].published_to = now();
  heads_[head - 1].is_taken = is_taken;
}

size_t History::begin_purge(PurgeKind kind, uint32_t number, bool is_soft, bool is_unsafe) {
  MutexLock lock(mutex_);
  GivenPurge purge;
  purge.kind = kind;
  purge.number = number;
  purge.is_soft = is_soft;
  purge.is_unsafe = is_unsafe;
  purge.life = life_.load();
  purge.from = now();
  purges_.push_back(purge);
  return purges_.size() - 1;
}

void History::purge_holds(size_t purge) {
  MutexLock lock(mutex_);
  purges_[purge].holds = now();
}

void History::purge_durable(size_t purge) {
  MutexLock lock(mutex_);
  purges_[purge].durable = now();
}

uint64_t History::version_of(uint64_t head) const {
  MutexLock lock(mutex_);
  return head == 0 || head > heads_.size() ? 0 : heads_[head - 1].version;
}

bool History::concerns(const GivenPurge& purge, const GivenHead& head) {
  switch (purge.kind) {
    case PurgeKind::key:
      return purge.number == head.key;
    case PurgeKind::prefix:
      return purge.number == prefix_of(head.key);
    case PurgeKind::tag:
      return purge.number == tag_of(head.version);
    case PurgeKind::all:
      return true;
  }
  MR_UNREACHABLE();
}

bool History::holds_for(const GivenPurge& purge, uint64_t from) const {
  if (purge.durable < from) return true;
  return purge.life == life_.load() && purge.holds < from;
}

const GivenPurge* History::purged_before_locked(const GivenHead& head, uint64_t from,
                                                bool is_soft) const {
  for (const GivenPurge& purge : purges_) {
    if (purge.is_soft == is_soft && head.born_to < purge.from && concerns(purge, head) &&
        holds_for(purge, from)) {
      return &purge;
    }
  }
  return nullptr;
}

// A later version that was certainly there, in this life: after a restart the disk may lack the newest.
const GivenHead* History::replaced_before_locked(const GivenHead& head, uint64_t from) const {
  for (const uint64_t number : heads_of_[head.key]) {
    const GivenHead& later = heads_[number - 1];
    // A 304's head may get lost where the disk is behind: the same version's older one is no worse.
    if (!later.is_taken || later.version == head.version || later.life != life_.load() ||
        later.published_to >= from || later.published_from <= head.published_to) {
      continue;
    }
    // A purge that came before it was published kept it out, and the other one may be newer than the purge.
    bool is_certain = true;
    for (const GivenPurge& purge : purges_) {
      if (!purge.is_soft && concerns(purge, later) && purge.from < later.published_to &&
          purge.holds > later.born_from) {
        is_certain = false;
      }
    }
    if (is_certain) return &later;
  }
  return nullptr;
}

std::string History::judge_find(uint32_t key, uint64_t number, bool is_stale, uint64_t from,
                                uint64_t to) const {
  MutexLock lock(mutex_);
  const std::string asked =
      "look-up " + std::to_string(from) + ".." + std::to_string(to) + " for " + key_name(key) + ": ";
  if (number == 0 || number > heads_.size()) return asked + "a head that was never given";
  const GivenHead& head = heads_[number - 1];
  const std::string found = asked + "found " + described(head, number);
  if (head.key != key) return found + ", of another key";
  if (head.published_from > to) return found + ", which was not finished";
  if (const GivenPurge* purge = purged_before_locked(head, from, false)) {
    return found + " after the " + described(*purge);
  }
  const GivenPurge* soft = purged_before_locked(head, from, true);
  if (soft != nullptr && !is_stale) return found + " as fresh after the " + described(*soft);
  if (const GivenHead* later = replaced_before_locked(head, from)) {
    return found + " after " + described(*later, static_cast<uint64_t>(later - heads_.data()) + 1);
  }
  return std::string();
}

std::string History::judge_refresh(uint64_t number, uint64_t from) const {
  MutexLock lock(mutex_);
  const GivenHead& head = heads_[number - 1];
  const GivenPurge* purge = purged_before_locked(head, from, false);
  if (purge == nullptr) return std::string();
  return "a 304 at " + std::to_string(from) + " for " + described(head, number) + " was taken after the " +
         described(*purge);
}

}  // namespace millrace::test
