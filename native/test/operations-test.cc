// Random operations by several threads against a history of what may be found (operations.h). A few seeds
// here; as long as is wanted by hand:
//
//   export MILLRACE_OPERATIONS_SECONDS=600 MILLRACE_OPERATIONS_SEED=7
//   millrace-test -tc='operations: random*memory'
//   millrace-test -tc='operations: random*file'
#include "test/operations.h"

#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "test/history.h"
#include "test/support.h"

namespace millrace::test {

namespace {

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Returns how many objects parts have made whole: too few in one run to be sure of any.
uint64_t run(uint64_t seed, OperationOptions options, const std::string& where, OperationDisk* disk) {
  const uint64_t steps = uint64_t{options.operations} * options.lives;
  options.seed = seed;
  const OperationReport report = run_operations(options, disk);
  INFO("again: MILLRACE_OPERATIONS_SEED=", seed, " and this test case, ", where);
  REQUIRE(report.violation == "");
  CHECK(report.finds > steps / 6);
  CHECK(report.puts > steps / 6);
  CHECK(report.parts > steps / 15);
  CHECK(report.part_reads > steps / 30);
  CHECK(report.purges > steps / 30);
  CHECK(report.refreshes > steps / 120);
  CHECK(report.body_bytes > steps * kKiB);
  CHECK(report.device_reads > 0);
  if (number_from("MILLRACE_OPERATIONS_SECONDS", 0) > 0) {
    std::printf("seed %llu %s: %llu finds, %llu puts, %llu parts (%llu reads, %llu completed), %llu purges, "
                "%llu refreshes, %llu device reads\n",
                static_cast<unsigned long long>(seed), where.c_str(),
                static_cast<unsigned long long>(report.finds),
                static_cast<unsigned long long>(report.puts),
                static_cast<unsigned long long>(report.parts),
                static_cast<unsigned long long>(report.part_reads),
                static_cast<unsigned long long>(report.completed),
                static_cast<unsigned long long>(report.purges),
                static_cast<unsigned long long>(report.refreshes),
                static_cast<unsigned long long>(report.device_reads));
    std::fflush(stdout);
  }
  return report.completed;
}

// Calls run_seed(seed) for one seed, or for as long as is wanted.
template <typename RunSeed>
void run_seeds(RunSeed run_seed) {
  const uint64_t seconds = number_from("MILLRACE_OPERATIONS_SECONDS", 0);
  const uint64_t started = monotonic_ms();
  uint64_t seed = number_from("MILLRACE_OPERATIONS_SEED", 1);
  do {
    run_seed(seed++);
  } while (monotonic_ms() - started < 1000 * seconds);
}

}  // namespace

TEST_CASE("operations: random ones by several threads find only what they may find, in memory") {
  MemoryDisk disk;
  uint64_t completed = 0;
  run_seeds([&](uint64_t seed) { completed += run(seed, OperationOptions{}, "in memory", &disk); });
  CHECK(completed > 0);
}

// A kill cannot be played in this process; the kill loop does that (docs/TESTING.md).
TEST_CASE("operations: random ones by several threads find only what they may find, in a file") {
  struct Backend {
    std::string name;
    std::unique_ptr<FileDisk> disk;
  };
  std::vector<Backend> backends;
  for (const IoChoice choice : usable_backends()) {
    const std::string name = choice == IoChoice::io_uring ? "by io_uring" : "by threads";
    backends.push_back(Backend{name, std::make_unique<FileDisk>(choice)});
    const std::string& refusal = backends.back().disk->direct_refusal();
    if (refusal.empty()) continue;
    MESSAGE("random operations in a file are left out: " << refusal << " in $TMPDIR or /tmp");
    return;
  }
  OperationOptions options;
  // Short lives: what is found at the beginning of one is read from the device.
  options.lives = 5;
  options.operations = 40;
  options.tier_budget = 100 * kKiB;
  uint64_t completed = 0;
  run_seeds([&](uint64_t seed) {
    for (const Backend& backend : backends) {
      completed += run(seed, options, backend.name, backend.disk.get());
    }
  });
  CHECK(completed > 0);
}

TEST_CASE("operations: the history tells what may be found from what may not") {
  History history;
  history.begin_life(1);
  const auto given = [&](uint32_t key) {
    const uint64_t head = history.begin_head(key, 0);
    history.born(head);
    history.publishing(head);
    history.published(head, true);
    return head;
  };
  const auto finds = [&](uint32_t key, uint64_t head, bool is_stale = false) {
    const uint64_t from = history.now();
    return history.judge_find(key, head, is_stale, from, history.now()).empty();
  };
  const uint64_t running = history.begin_head(1, 0);
  CHECK(!finds(1, running));
  const uint64_t old_head = given(0);
  CHECK(finds(0, old_head));
  CHECK(!finds(1, old_head));
  CHECK(!finds(0, 77));
  const uint64_t newer = given(0);
  CHECK(!finds(0, old_head));
  CHECK(finds(0, newer));
  const size_t soft = history.begin_purge(PurgeKind::prefix, History::prefix_of(0), true);
  CHECK(finds(0, newer));
  history.purge_holds(soft);
  CHECK(!finds(0, newer));
  CHECK(finds(0, newer, true));
  const size_t hard = history.begin_purge(PurgeKind::key, 0, false);
  history.purge_holds(hard);
  CHECK(!finds(0, newer, true));
  // Not acknowledged: the next life may have it back, the replaced version too.
  history.begin_life(2);
  CHECK(finds(0, newer, true));
  CHECK(finds(0, old_head, true));
  history.purge_durable(hard);
  CHECK(!finds(0, newer, true));
}

}  // namespace millrace::test
