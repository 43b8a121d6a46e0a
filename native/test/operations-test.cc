// Random operations by several threads against a history of what may be found (operations.h). A few seeds
// here; as long as is wanted by hand:
//
//   MILLRACE_OPERATIONS_SECONDS=600 MILLRACE_OPERATIONS_SEED=7 millrace-test -tc='operations: random*'
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

OperationReport run(uint64_t seed, DiskImage* disk) {
  OperationOptions options;
  options.seed = seed;
  const OperationReport report = run_operations(options, disk);
  INFO("seed ", seed, "; again: MILLRACE_OPERATIONS_SEED=", seed,
       " millrace-test --test-case='operations: random*'");
  CHECK(report.violation == "");
  CHECK(report.finds > 100);
  CHECK(report.puts > 100);
  CHECK(report.purges > 20);
  CHECK(report.refreshes > 5);
  CHECK(report.body_bytes > kMiB);
  return report;
}

}  // namespace

TEST_CASE("operations: random ones by several threads find only what they may find") {
  const uint64_t seconds = number_from("MILLRACE_OPERATIONS_SECONDS", 0);
  const uint64_t first = number_from("MILLRACE_OPERATIONS_SEED", 1);
  const uint64_t started = monotonic_ms();
  // The disk goes on, so that a long run laps it.
  DiskImage disk = formatted_disk();
  uint64_t seed = first;
  do {
    const OperationReport report = run(seed, &disk);
    if (seconds > 0) {
      std::printf("seed %llu: %llu finds, %llu puts, %llu purges, %llu refreshes\n",
                  static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(report.finds),
                  static_cast<unsigned long long>(report.puts),
                  static_cast<unsigned long long>(report.purges),
                  static_cast<unsigned long long>(report.refreshes));
      std::fflush(stdout);
    }
    REQUIRE(report.violation == "");
    seed++;
  } while (monotonic_ms() - started < 1000 * seconds);
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
