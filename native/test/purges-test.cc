// Purge tables: what each kind of purge takes, what stays, what happens when they are full, and that
// forgetting never gives anything back.
#include "engine/purges.h"

#include <map>

#include "base/endian.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr ByteCount kRoomy = 1 * kMiB;

PurgeEntry key(uint64_t hash, Sequence bound) {
  return PurgeEntry{PurgeKind::key, false, false, bound, hash, ""};
}
PurgeEntry soft_key(uint64_t hash, Sequence bound) {
  return PurgeEntry{PurgeKind::key, true, false, bound, hash, ""};
}
PurgeEntry unsafe_key(uint64_t hash, Sequence bound) {
  return PurgeEntry{PurgeKind::key, false, true, bound, hash, ""};
}
PurgeEntry tag(uint64_t hash, Sequence bound) {
  return PurgeEntry{PurgeKind::tag, false, false, bound, hash, ""};
}
PurgeEntry prefix(const std::string& text, Sequence bound) {
  return PurgeEntry{PurgeKind::prefix, false, false, bound, 0, text};
}
PurgeEntry everything(Sequence bound) {
  return PurgeEntry{PurgeKind::all, false, false, bound, 0, ""};
}

PurgeSubject born(Sequence birth, uint64_t hash = 0, std::string_view text = "", Bytes tags = {}) {
  return PurgeSubject{birth, hash, text, tags};
}

}  // namespace

TEST_CASE("purges: a key takes what was born before it, and only its own") {
  Purges purges(kRoomy);
  CHECK(purges.verdict(born(1, 5)) == PurgeVerdict::keep);
  CHECK(purges.add(key(5, 10)));
  CHECK(purges.verdict(born(9, 5)) == PurgeVerdict::gone);
  CHECK(purges.verdict(born(10, 5)) == PurgeVerdict::keep);
  CHECK(purges.verdict(born(9, 6)) == PurgeVerdict::keep);
  CHECK(purges.verdict(born(9)) == PurgeVerdict::keep);
}

TEST_CASE("purges: a soft purge makes stale, a hard one of any kind outweighs it") {
  Purges purges(kRoomy);
  CHECK(purges.add(soft_key(5, 10)));
  CHECK(purges.verdict(born(9, 5)) == PurgeVerdict::soft);
  CHECK(purges.verdict(born(10, 5)) == PurgeVerdict::keep);
  CHECK(purges.add(prefix("http://h/", 8)));
  CHECK(purges.verdict(born(9, 5, "http://h/x")) == PurgeVerdict::soft);
  CHECK(purges.verdict(born(7, 5, "http://h/x")) == PurgeVerdict::gone);
  CHECK(purges.verdict(born(7, 5, "http://other/x")) == PurgeVerdict::soft);
}

TEST_CASE("purges: a prefix takes every key that begins with it, variants too") {
  Purges purges(kRoomy);
  CHECK(purges.add(prefix("http://h/a/", 10)));
  CHECK(purges.add(prefix("http://h/a/deep/", 20)));
  CHECK(purges.verdict(born(9, 0, "http://h/a/x")) == PurgeVerdict::gone);
  CHECK(purges.verdict(born(9, 0, "http://h/a/x\naccept:y")) == PurgeVerdict::gone);
  CHECK(purges.verdict(born(15, 0, "http://h/a/x")) == PurgeVerdict::keep);
  CHECK(purges.verdict(born(15, 0, "http://h/a/deep/x")) == PurgeVerdict::gone);
  CHECK(purges.verdict(born(9, 0, "http://h/a")) == PurgeVerdict::keep);
  CHECK(purges.verdict(born(9, 0, "http://h/b/")) == PurgeVerdict::keep);
}

TEST_CASE("purges: a tag takes whatever carries it among others") {
  Purges purges(kRoomy);
  CHECK(purges.add(tag(77, 10)));
  std::vector<uint8_t> tags(24);
  store_le<uint64_t>(tags, 0, 1);
  store_le<uint64_t>(tags, 8, 2);
  store_le<uint64_t>(tags, 16, 77);
  CHECK(purges.verdict(born(9, 0, "", tags)) == PurgeVerdict::gone);
  CHECK(purges.verdict(born(9, 0, "", Bytes(tags).first(16))) == PurgeVerdict::keep);
  CHECK(purges.verdict(born(10, 0, "", tags)) == PurgeVerdict::keep);
  // A key's hash is no tag's.
  CHECK(purges.verdict(born(9, 77)) == PurgeVerdict::keep);
}

TEST_CASE("purges: everything takes everything and makes the older entries superfluous") {
  Purges purges(kRoomy);
  for (uint64_t i = 1; i <= 50; i++) CHECK(purges.add(key(i, i)));
  CHECK(purges.add(prefix("http://h/", 51)));
  CHECK(purges.stats().entries == 51);
  CHECK(purges.add(everything(60)));
  CHECK(purges.stats().entries == 1);
  CHECK(purges.stats().memory == 0);
  CHECK(purges.verdict(born(59, 1000)) == PurgeVerdict::gone);
  CHECK(purges.verdict(born(60, 1)) == PurgeVerdict::keep);
}

TEST_CASE("purges: full tables fold the oldest into one of everything and lose none") {
  constexpr uint64_t kPurges = 1000;
  Purges purges(100 * Purges::kHashCharge);
  for (uint64_t i = 1; i <= kPurges; i++) {
    CHECK(purges.add(key(i, 10 * i)));
    REQUIRE(purges.stats().memory <= 100 * Purges::kHashCharge);
  }
  for (uint64_t i = 1; i <= kPurges; i++) {
    REQUIRE(purges.verdict(born(10 * i - 1, i)) == PurgeVerdict::gone);
  }
  CHECK(purges.stats().folded >= 900);
  // The younger ones are still their keys' alone.
  CHECK(purges.verdict(born(10 * kPurges - 1, kPurges + 1)) == PurgeVerdict::keep);
}

TEST_CASE("purges: a fold of soft purges makes nothing harder than stale") {
  Purges purges(4 * Purges::kHashCharge);
  for (uint64_t i = 1; i <= 40; i++) CHECK(purges.add(soft_key(i, i)));
  CHECK(purges.verdict(born(1, 1000)) == PurgeVerdict::soft);
}

TEST_CASE("purges: tables too small for one entry purge everything rather than nothing") {
  Purges purges(10);
  CHECK(purges.add(key(5, 10)));
  CHECK(purges.verdict(born(9, 5)) == PurgeVerdict::gone);
  CHECK(purges.add(prefix("http://h/", 20)));
  CHECK(purges.verdict(born(19, 0, "http://h/x")) == PurgeVerdict::gone);
}

TEST_CASE("purges: unsafe methods fill half and never fold") {
  Purges purges(100 * Purges::kHashCharge);
  uint64_t taken = 0;
  for (uint64_t i = 1; i <= 1000; i++) taken += purges.add(unsafe_key(i, i)) ? 1 : 0;
  CHECK(taken == 50);
  for (uint64_t i = 1001; i <= 2000; i++) CHECK(purges.add(key(i, i)));
  CHECK(purges.stats().memory <= 100 * Purges::kHashCharge);
  // Those that were asked for folded; what the unsafe ones named stays gone either way.
  for (uint64_t i = 1; i <= 50; i++) CHECK(purges.verdict(born(i - 1, i)) == PurgeVerdict::gone);
  // The same key again needs no room.
  Purges few(2 * Purges::kHashCharge);
  CHECK(few.add(unsafe_key(1, 1)));
  CHECK(!few.add(unsafe_key(2, 2)));
  CHECK(few.add(unsafe_key(1, 3)));
  CHECK(few.verdict(born(2, 1)) == PurgeVerdict::gone);
  CHECK(few.verdict(born(2, 9)) == PurgeVerdict::keep);
}

TEST_CASE("purges: a fold does not make a later unsafe method part of everything") {
  Purges purges(4 * Purges::kHashCharge);
  CHECK(purges.add(key(1, 1)));
  CHECK(purges.add(unsafe_key(1, 1000)));
  for (uint64_t i = 2; i <= 20; i++) CHECK(purges.add(key(i, i)));
  CHECK(purges.verdict(born(999, 1)) == PurgeVerdict::gone);
  CHECK(purges.verdict(born(500, 77)) == PurgeVerdict::keep);
}

TEST_CASE("purges: forgetting drops what concerns nothing alive, and says up to where") {
  Purges purges(kRoomy);
  for (uint64_t i = 1; i <= 100; i++) CHECK(purges.add(key(i, i)));
  CHECK(purges.add(tag(5, 30)));
  CHECK(purges.add(prefix("http://h/", 101)));
  CHECK(purges.forgotten() == 0);
  purges.forget(40);
  CHECK(purges.forgotten() == 40);
  CHECK(purges.stats().entries == 61);
  CHECK(purges.verdict(born(40, 41)) == PurgeVerdict::gone);
  CHECK(purges.verdict(born(40, 0, "http://h/x")) == PurgeVerdict::gone);
  purges.forget(1000);
  CHECK(purges.stats().entries == 0);
  CHECK(purges.forgotten() == 101);
  CHECK(purges.highest() == 0);
}

TEST_CASE("purges: forgetting is announced before anything is dropped") {
  Purges purges(kRoomy);
  CHECK(purges.add(key(1, 10)));
  CHECK(purges.add(key(2, 20)));
  purges.announce_forget(15);
  CHECK(purges.forgotten() == 10);
  CHECK(purges.verdict(born(9, 1)) == PurgeVerdict::gone);
  // Something older turned up meanwhile: nothing is dropped.
  purges.forget(5);
  CHECK(purges.stats().entries == 2);
  CHECK(purges.verdict(born(9, 1)) == PurgeVerdict::gone);
}

TEST_CASE("purges: tables are crowded before they are full") {
  Purges purges(100 * Purges::kHashCharge);
  for (uint64_t i = 1; i <= 75; i++) CHECK(purges.add(key(i, i)));
  CHECK(!purges.is_crowded());
  CHECK(purges.add(key(76, 76)));
  CHECK(purges.is_crowded());
  Purges unsafe(100 * Purges::kHashCharge);
  for (uint64_t i = 1; i <= 38; i++) CHECK(unsafe.add(unsafe_key(i, i)));
  CHECK(unsafe.is_crowded());
}

TEST_CASE("purges: entries() rebuilds tables that judge alike") {
  const uint64_t seed = 72;
  INFO("seed ", seed);
  Random random(seed);
  Purges purges(kRoomy);
  std::vector<PurgeEntry> model;
  for (Sequence bound = 1; bound <= 600; bound++) {
    PurgeEntry entry = key(1 + random.below(40), bound);
    const uint64_t kind = random.below(20);
    if (kind >= 8) entry.soft = kind % 3 == 0;
    if (kind >= 8 && kind < 12) entry.kind = PurgeKind::tag;
    if (kind >= 12 && kind < 18) {
      entry.kind = PurgeKind::prefix;
      entry.hash = 0;
      const auto letter = static_cast<char>('a' + random.below(3));
      entry.prefix = "http://h/" + std::string(1 + random.below(3), letter);
    }
    if (kind == 18 && bound < 300) entry = PurgeEntry{PurgeKind::all, true, false, bound, 0, ""};
    if (kind == 19) entry = unsafe_key(entry.hash, bound);
    REQUIRE(purges.add(entry));
    model.push_back(entry);
  }
  Purges copy(kRoomy);
  for (const PurgeEntry& entry : purges.entries()) REQUIRE(copy.add(entry));
  for (uint32_t round = 0; round < 4000; round++) {
    const Sequence birth = random.below(620);
    const uint64_t hash = 1 + random.below(45);
    std::vector<uint8_t> tags(8);
    store_le<uint64_t>(tags, 0, 1 + random.below(45));
    const std::string text = "http://h/" + std::string(random.below(4), 'b') + "/x";
    PurgeVerdict expected = PurgeVerdict::keep;
    for (const PurgeEntry& entry : model) {
      const bool concerns =
          entry.kind == PurgeKind::all || (entry.kind == PurgeKind::key && entry.hash == hash) ||
          (entry.kind == PurgeKind::tag && entry.hash == load_le<uint64_t>(tags, 0)) ||
          (entry.kind == PurgeKind::prefix && text.starts_with(entry.prefix));
      if (!concerns || birth >= entry.bound) continue;
      if (!entry.soft) expected = PurgeVerdict::gone;
      if (entry.soft && expected == PurgeVerdict::keep) expected = PurgeVerdict::soft;
    }
    const PurgeSubject subject = born(birth, hash, text, tags);
    REQUIRE(purges.verdict(subject) == expected);
    REQUIRE(copy.verdict(subject) == expected);
  }
}

}  // namespace millrace::test
