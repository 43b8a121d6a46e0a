// Judging, taking in, folding and forgetting. See purges.h.
#include "engine/purges.h"

#include <algorithm>

#include "base/endian.h"

namespace millrace {

namespace {
// A fold takes this share of the entries, the oldest, so that the next one is not due at once.
constexpr size_t kFoldShare = 4;

// std::erase_if shows its predicate constant items; this one changes what it keeps.
template <typename Table, typename Prune>
void erase_where(Table* table, Prune prune) {
  for (auto at = table->begin(); at != table->end();) {
    at = prune(&at->second) ? table->erase(at) : std::next(at);
  }
}
}  // namespace

PurgeVerdict Purges::verdict(const PurgeSubject& subject) const {
  if (subject.birth >= highest_.load(std::memory_order_acquire)) return PurgeVerdict::keep;
  MutexLock lock(mutex_);
  Bounds found = all_;
  if (subject.primary_hash != 0) {
    const auto at = keys_.find(subject.primary_hash);
    if (at != keys_.end()) widen(&found, at->second);
  }
  for (size_t offset = 0; offset + 8 <= subject.tags.size() && !tags_.empty(); offset += 8) {
    const auto at = tags_.find(load_le<uint64_t>(subject.tags, offset));
    if (at != tags_.end()) widen(&found, at->second);
  }
  for (const uint32_t length : prefix_lengths_) {
    if (length > subject.key.size()) break;
    const auto at = prefixes_.find(subject.key.substr(0, length));
    if (at != prefixes_.end()) widen(&found, at->second);
  }
  if (subject.birth < std::max(found.hard, found.unsafe_method)) return PurgeVerdict::gone;
  return subject.birth < found.soft ? PurgeVerdict::soft : PurgeVerdict::keep;
}

ByteCount Purges::charge_of(const PurgeEntry& entry) {
  if (entry.kind == PurgeKind::all) return 0;
  if (entry.kind == PurgeKind::prefix) return kPrefixCharge + 2 * entry.prefix.size();
  return kHashCharge;
}

void Purges::raise(Bounds* bounds, const PurgeEntry& entry) {
  Sequence* bound = entry.unsafe_method ? &bounds->unsafe_method
                    : entry.soft        ? &bounds->soft
                                        : &bounds->hard;
  *bound = std::max(*bound, entry.bound);
}

void Purges::widen(Bounds* into, const Bounds& from) {
  into->hard = std::max(into->hard, from.hard);
  into->soft = std::max(into->soft, from.soft);
  into->unsafe_method = std::max(into->unsafe_method, from.unsafe_method);
}

const Purges::Bounds* Purges::find_locked(const PurgeEntry& entry) const {
  switch (entry.kind) {
    case PurgeKind::all:
      return &all_;
    case PurgeKind::prefix: {
      const auto at = prefixes_.find(std::string_view(entry.prefix));
      return at == prefixes_.end() ? nullptr : &at->second;
    }
    case PurgeKind::key:
    case PurgeKind::tag: {
      const HashTable& table = entry.kind == PurgeKind::key ? keys_ : tags_;
      const auto at = table.find(entry.hash);
      return at == table.end() ? nullptr : &at->second;
    }
  }
  MR_UNREACHABLE();
}

Purges::Bounds* Purges::slot_locked(const PurgeEntry& entry) {
  switch (entry.kind) {
    case PurgeKind::all:
      return &all_;
    case PurgeKind::prefix: {
      const auto length = static_cast<uint32_t>(entry.prefix.size());
      const auto at = std::lower_bound(prefix_lengths_.begin(), prefix_lengths_.end(), length);
      if (at == prefix_lengths_.end() || *at != length) prefix_lengths_.insert(at, length);
      return &prefixes_[entry.prefix];
    }
    case PurgeKind::key:
      return &keys_[entry.hash];
    case PurgeKind::tag:
      return &tags_[entry.hash];
  }
  MR_UNREACHABLE();
}

bool Purges::fits_locked(const PurgeEntry& entry) const {
  if (find_locked(entry) != nullptr) return true;
  const ByteCount charge = charge_of(entry);
  if (entry.unsafe_method && unsafe_memory_ + charge > limit_ / 2) return false;
  return memory_ + charge <= limit_;
}

bool Purges::is_crowded() const {
  MutexLock lock(mutex_);
  return memory_ > limit_ / 4 * 3 || unsafe_memory_ > limit_ / 8 * 3;
}

bool Purges::add(const PurgeEntry& entry) {
  MR_ASSERT_OP(entry.bound, >, 0u);
  MR_ASSERT(!entry.unsafe_method || (entry.kind == PurgeKind::key && !entry.soft));
  MutexLock lock(mutex_);
  if (!fits_locked(entry)) {
    if (entry.unsafe_method) return false;
    fold_locked();
    if (!fits_locked(entry)) {
      // Nothing left to fold but this: tables that are smaller than one entry, or half full of unsafe ones.
      PurgeEntry everything = entry;
      everything.kind = PurgeKind::all;
      raise(&all_, everything);
      folded_++;
      prune_locked(0);
      recount_locked();
      return true;
    }
  }
  const Bounds* before = find_locked(entry);
  const bool is_new = before == nullptr;
  const bool was_unsafe_only = !is_new && before->hard == 0 && before->soft == 0;
  Bounds* bounds = slot_locked(entry);
  raise(bounds, entry);
  const ByteCount charge = charge_of(entry);
  if (is_new) memory_ += charge;
  if (is_new && entry.unsafe_method) unsafe_memory_ += charge;
  if (!is_new && was_unsafe_only && !entry.unsafe_method && entry.kind == PurgeKind::key) {
    unsafe_memory_ -= charge;
  }
  if (entry.bound > highest_.load(std::memory_order_relaxed)) {
    highest_.store(entry.bound, std::memory_order_release);
  }
  if (entry.kind == PurgeKind::all) {
    prune_locked(0);
    recount_locked();
  }
  return true;
}

template <typename Visit>
void Purges::visit_locked(Visit visit) const {
  for (const auto& [hash, bounds] : keys_) visit(PurgeKind::key, hash, std::string_view(), bounds);
  for (const auto& [hash, bounds] : tags_) visit(PurgeKind::tag, hash, std::string_view(), bounds);
  for (const auto& [text, bounds] : prefixes_) {
    visit(PurgeKind::prefix, uint64_t{0}, std::string_view(text), bounds);
  }
  visit(PurgeKind::all, uint64_t{0}, std::string_view(), all_);
}

// Makes the oldest purges that were asked for part of one of everything.
void Purges::fold_locked() {
  std::vector<Sequence> ages;
  visit_locked([&](PurgeKind kind, uint64_t, std::string_view, const Bounds& bounds) {
    const Sequence asked = std::max(bounds.hard, bounds.soft);
    if (kind != PurgeKind::all && asked > 0) ages.push_back(asked);
  });
  if (ages.empty()) return;
  const auto last = ages.begin() + static_cast<std::ptrdiff_t>((ages.size() - 1) / kFoldShare);
  std::nth_element(ages.begin(), last, ages.end());
  const Sequence oldest = *last;
  Bounds taken;
  visit_locked([&](PurgeKind kind, uint64_t, std::string_view, const Bounds& bounds) {
    const Sequence asked = std::max(bounds.hard, bounds.soft);
    if (kind == PurgeKind::all || asked == 0 || asked > oldest) return;
    taken.hard = std::max(taken.hard, bounds.hard);
    taken.soft = std::max(taken.soft, bounds.soft);
    folded_++;
  });
  widen(&all_, taken);
  prune_locked(0);
  recount_locked();
}

// Clears every bound that nothing alive is judged by, or that a purge of everything covers.
void Purges::prune_locked(Sequence oldest_birth) {
  Sequence dropped = 0;
  const auto clear = [&](Sequence* bound, Sequence covered) {
    if (*bound > 0 && *bound <= oldest_birth) dropped = std::max(dropped, *bound);
    if (*bound <= std::max(oldest_birth, covered)) *bound = 0;
  };
  const auto prune = [&](Bounds* bounds) {
    clear(&bounds->hard, all_.hard);
    clear(&bounds->unsafe_method, all_.hard);
    clear(&bounds->soft, std::max(all_.hard, all_.soft));
    return bounds->empty();
  };
  erase_where(&keys_, prune);
  erase_where(&tags_, prune);
  erase_where(&prefixes_, prune);
  clear(&all_.hard, 0);
  clear(&all_.soft, all_.hard);
  if (dropped > forgotten_.load()) forgotten_.store(dropped);
}

void Purges::recount_locked() {
  memory_ = 0;
  unsafe_memory_ = 0;
  prefix_lengths_.clear();
  Sequence highest = 0;
  visit_locked([&](PurgeKind kind, uint64_t, std::string_view text, const Bounds& bounds) {
    highest = std::max({highest, bounds.hard, bounds.soft, bounds.unsafe_method});
    if (kind == PurgeKind::all) return;
    if (kind == PurgeKind::prefix) {
      memory_ += kPrefixCharge + 2 * text.size();
      prefix_lengths_.push_back(static_cast<uint32_t>(text.size()));
      return;
    }
    memory_ += kHashCharge;
    if (bounds.hard == 0 && bounds.soft == 0) unsafe_memory_ += kHashCharge;
  });
  std::sort(prefix_lengths_.begin(), prefix_lengths_.end());
  prefix_lengths_.erase(std::unique(prefix_lengths_.begin(), prefix_lengths_.end()),
                        prefix_lengths_.end());
  highest_.store(highest, std::memory_order_release);
}

void Purges::announce_forget(Sequence oldest_birth) {
  MutexLock lock(mutex_);
  Sequence dropped = forgotten_.load();
  visit_locked([&](PurgeKind, uint64_t, std::string_view, const Bounds& bounds) {
    for (const Sequence bound : {bounds.hard, bounds.soft, bounds.unsafe_method}) {
      if (bound <= oldest_birth) dropped = std::max(dropped, bound);
    }
  });
  forgotten_.store(dropped);
}

void Purges::forget(Sequence oldest_birth) {
  MutexLock lock(mutex_);
  prune_locked(oldest_birth);
  recount_locked();
}

std::vector<PurgeEntry> Purges::entries() const {
  std::vector<PurgeEntry> out;
  MutexLock lock(mutex_);
  visit_locked([&](PurgeKind kind, uint64_t hash, std::string_view text, const Bounds& bounds) {
    PurgeEntry entry{kind, false, false, bounds.hard, hash, std::string(text)};
    if (entry.bound > 0) out.push_back(entry);
    entry.bound = bounds.soft;
    entry.soft = true;
    if (entry.bound > 0) out.push_back(entry);
    entry.bound = bounds.unsafe_method;
    entry.soft = false;
    entry.unsafe_method = true;
    if (entry.bound > 0) out.push_back(entry);
  });
  return out;
}

PurgeTableStats Purges::stats() const {
  MutexLock lock(mutex_);
  const uint64_t whole = all_.empty() ? 0 : 1;
  return PurgeTableStats{keys_.size() + tags_.size() + prefixes_.size() + whole, memory_, folded_};
}

}  // namespace millrace
