// Numbered objects on a disk in trouble, for the tests of faults and of pressure: what they are called, how a
// disk gets them, and the one thing that must always hold of each: right bytes or a miss.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "engine/store.h"
#include "test/support.h"

namespace millrace::test {

inline std::string key_for(uint64_t number) { return "http://h/f" + std::to_string(number); }

// hit with the right bytes, or a miss; anything else fails the test.
inline bool is_right_or_miss(Store& store, const std::string& key, Bytes expected) {
  const Lookup lookup = find(store, key);
  if (lookup.found != Found::hit) return false;
  std::vector<uint8_t> got;
  if (!body_of(store, lookup.record, &got)) return false;
  INFO("key ", key);
  REQUIRE(got.size() == expected.size());
  REQUIRE(same_bytes(got, expected));
  return true;
}

// A disk with `count` objects of this size, cleanly closed.
inline DiskImage disk_with(uint64_t count, size_t size) {
  TestStore store(formatted_disk());
  for (uint64_t i = 0; i < count; i++) put(*store.store, key_for(i), body_for("f", i, size));
  store->close();
  return store.device->snapshot();
}

}  // namespace millrace::test
