// One thread of the operation fuzzer: what it does at random, and how it judges what it finds. An Operator
// is for one thread; Life is shared by all of them.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/sync.h"
#include "engine/store.h"
#include "test/history.h"
#include "test/operations.h"
#include "test/support.h"

namespace millrace::test {

// What all threads of one life share.
struct Life {
  Store& store;
  History& history;
  OperationReport& report;
  Mutex mutex{};  // of the report, and of the policy's side of the tier
  std::atomic<bool> failed{false};

  void fail(const std::string& violation);
  void count(uint64_t OperationReport::* counter, uint64_t amount = 1);
};

class Operator {
 public:
  Operator(Life& life, uint64_t seed) : life_(life), store_(life.store), random_(seed) {}

  // `reads_only`: puts nothing, so that what earlier lives have left is read from the disk.
  void step(bool reads_only);
  // Judges what is found under the key, and all that is read of it.
  Ref<MemoryRecord> look_up(uint32_t key, uint64_t* head_out);

 private:
  // Mostly small, sometimes of two chunks; the same for a version wherever it is asked for.
  static size_t size_of(uint64_t version);
  static std::vector<uint8_t> head_of(uint64_t head, uint64_t version, uint16_t flags = 0,
                                      uint64_t length = kUnknownLength);

  void put(uint32_t key);
  // False: somebody else has ended the fill, or a failure.
  bool append(Fill& fill, const CountingSink& sink, uint32_t key, uint64_t version, size_t begin,
              size_t end);
  void read_body_of(const Ref<MemoryRecord>& record, uint32_t key, uint64_t version);
  // What was got from `begin` on is what was appended there.
  void check_bytes(uint32_t key, uint64_t version, ByteOffset begin, std::vector<uint8_t> got);
  void refresh(uint32_t key);
  void purge(uint32_t key);
  void evict();

  // A part of the incomplete object that is stored, or the first one of another version.
  void put_part(uint32_t key);
  void choose_part(const Ref<MemoryRecord>& known, size_t size, FillHead* part);
  void read_parts_of(const Ref<MemoryRecord>& record, uint32_t key, uint64_t version);

  Life& life_;
  Store& store_;
  Random random_;
};

}  // namespace millrace::test
