// One simulation: a disk, the store that is open on it in one life after another, clients that use it and the
// oracle that watches. world.cc has the plan and the clients' choice of steps, fills.cc and reads.cc the
// steps, lives.cc crashes and restarts, expectations.cc what must be found after them.
#pragma once

#include <memory>
#include <vector>

#include "engine/store.h"
#include "sim/device.h"
#include "sim/oracle.h"

namespace millrace::sim {

struct Options {
  uint64_t seed = 1;
  uint64_t steps = 100000;
  bool faults = true;
  // The first life crashes in the middle of this write or flush, 0 being the first, and no other does so by
  // itself.
  uint64_t crash_after_writes = kNever;
};

// What one simulation did, for the report and against tests that test nothing.
struct Report {
  uint64_t steps = 0;
  uint64_t lives = 0;
  uint64_t crashes = 0;
  uint64_t armed_crashes = 0;  // in the middle of a write, of these
  uint64_t fills = 0;
  uint64_t parts = 0;       // fills of parts, of these
  uint64_t completed = 0;   // objects that came in parts, found without a lack
  uint64_t ahead = 0;       // chunks read ahead
  uint64_t finds = 0;
  uint64_t hits = 0;
  uint64_t disk_hits = 0;
  uint64_t compared_bytes = 0;
  uint64_t purges = 0;
  uint64_t refreshes = 0;
  uint64_t recovered_checks = 0;  // records that had to be found after a restart, and were
  uint64_t warming_steps = 0;     // while footers of an earlier life were loaded
  uint64_t shadowed = 0;          // missed because a later record of the key is torn, lost or purged
  uint64_t reclaimed = 0;
  uint64_t switches = 0;
  FaultCounts device{};
  void add(const Report& other);
};

// A sink that remembers and wakes nobody: clients look at it at their next step.
class Bell : public CompletionSink {
 public:
  void post(const Completion& completion) override {
    static_cast<void>(completion);
    rings++;
  }
  uint64_t rings = 0;
};

struct RunningFill {
  Ref<Fill> fill;
  Ref<Bell> bell;
  uint64_t version = 0;
  ByteCount target = 0;       // length of the body, or end of the part
  bool is_part = false;
  ByteCount produced = 0;
  bool has_length = false;    // the head says it
  bool keep = true;
  bool busy = false;          // a client works on it
  bool ended = false;         // complete or failed
  uint64_t paused_until_ring = 0;  // rings that must have come before it goes on; 0: not paused
  std::vector<Fill::Follower*> followers;
};

// Bytes that a client still holds, as a slow socket would.
struct HeldBytes {
  uint64_t version = 0;
  ByteOffset offset = 0;
  std::vector<PageSpan> spans;
};

// A record that was on the disk, whole, when the store ended, and must be found by the next one.
struct Expectation {
  uint32_t key = 0;
  uint64_t incarnation = 0;
  std::vector<uint32_t> chunks;  // of it, those that are whole on the disk
  struct Place {
    ByteOffset address = 0;
    KeyHash hash{};
    Sequence sequence = 0;  // of the segment
  };
  std::vector<Place> places;  // of all that: reclaim may take it before it was looked for
};

class World {
 public:
  explicit World(const Options& options);
  ~World();
  // Runs to the end or does not return.
  Report run();

 private:
  struct Client {
    World* world = nullptr;
    Thread thread;
    std::vector<uint8_t> scratch;
  };
  // Waits for what find() and read_chunk() promise.
  struct Answer {
    Mutex mutex;
    Condition condition;
    bool done = false;
    Status status{};
    Ref<MemoryRecord> record;
  };

  // world.cc
  void make_plan();
  static void* run_client(void* client);
  void step(Client& client);
  uint32_t some_key();
  ByteCount some_length();
  void evict_some();
  void finish_quietly();

  // fills.cc
  void begin_fill();
  void begin_part();
  void publish_marker(RunningFill& running, uint32_t key);
  void run_fill(RunningFill* fill, Version& version, FillHead head, bool is_new);
  void advance_fill(Client& client);
  void poll_follower();
  void check_follower(RunningFill& running, Fill::Follower* follower);
  void drop_fill(size_t number);
  RunningFill* take_fill(size_t* number);

  // reads.cc
  static void answered(void* context, Status status, Ref<MemoryRecord> record);
  Ref<MemoryRecord> find(uint32_t key, Floor* floor);
  Ref<MemoryRecord> find_marker(uint32_t key);
  Ref<MemoryRecord> look_up(const std::string& primary, const std::string& name, Sequence minimum_birth);
  bool read(const Version& version, const RecordHeader& header, ByteOffset offset,
            ByteCount length);
  void find_and_read();
  void read_incomplete(const Ref<MemoryRecord>& record, Version& version);
  ByteOffset stored_end(const MemoryRecord& record, const Version& version, ByteOffset offset);
  void refresh();
  void purge();
  static void purged(void* call, Status status, uint32_t volume);
  void check_held(size_t number);

  // lives.cc
  void open();
  bool try_open();
  void end_life();
  void stop_clients();
  void start_clients();
  static void crashed(void* self);
  void look_after_warming();
  void check_liveness();

  // expectations.cc
  void expect_records();
  void expect_nothing_of(uint32_t key);
  void check_expectations();
  void check_expectation(const Expectation& expectation);
  bool is_whole(ByteOffset address, KeyHash hash, RecordHeader* header);
  bool find_whole(const KeyHash& hash, bool wants_chunk, RecordHeader* header,
                  Expectation* expectation);
  bool lies_whole(const Expectation& expectation);
  bool may_be_missed(const Expectation& expectation);
  Sequence latest_broken_promise(const KeyHash& hash);
  bool is_shadowed(uint32_t key, const KeyHash& hash, uint64_t incarnation);

  const Options options_;
  Random random_;
  Report report_;
  Oracle oracle_;
  std::unique_ptr<Disk> disk_;
  FaultPlan plan_;
  ByteOffset silent_begin_ = 0;
  ByteOffset silent_end_ = 0;

  // Of the seed.
  uint32_t client_count_ = 1;
  uint64_t think_us_ = 0;
  uint32_t size_mix_ = 0;
  uint64_t life_steps_ = 0;
  ByteCount memory_limit_ = 0;
  ByteCount l1_budget_ = 0;
  bool poisons_ = false;
  bool compresses_ = false;
  uint64_t purge_percent_ = 0;  // of a part of the steps, for journals that fill up
  uint64_t part_percent_ = 0;   // of fills
  bool ending_ = false;         // the last start: nothing goes wrong any more

  // Of the life.
  Ref<Store> store_;
  SimDevice* device_ = nullptr;
  uint64_t life_ends_at_ = 0;  // step
  bool stopping_ = false;
  bool has_crashed_ = false;
  bool silent_before_ = false;  // silent damage was done in this life or before it
  uint64_t overwritten_ = 0;
  std::vector<Expectation> expected_;
  std::vector<bool> is_touched_;  // by key: stored or given up in this life
  bool looks_later_ = false;      // clients came before the footers were loaded
  bool is_looking_ = false;       // the other clients wait meanwhile
  std::unique_ptr<Client[]> clients_;
  WaitList main_;
  std::vector<std::unique_ptr<RunningFill>> fills_;
  std::vector<HeldBytes> held_;
};

}  // namespace millrace::sim
