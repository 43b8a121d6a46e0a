// One life after the other. See operations.h.
#include "test/operations.h"

#include "test/history.h"
#include "test/operator.h"
#include "test/support.h"

namespace millrace::test {

namespace {

constexpr ByteCount kMemoryLimit = 64 * kMiB;

// Every footer is loaded. Null and a violation where the store does not open.
Ref<Store> open_store(OperationDisk* disk, ByteCount tier_budget, bool admit_everything,
                      OperationReport* report) {
  StoreOptions options;
  options.compress = true;
  options.memory_limit = kMemoryLimit;
  options.l1_budget = tier_budget;
  options.index_memory_limit = 4 * kMiB;
  options.poison_pages = true;
  options.admit_everything = admit_everything;
  Result<Ref<Store>> opened = Store::open(options, disk->open());
  if (!opened.ok()) {
    report->violation = std::string("the store does not open: ") + opened.status().message();
    return Ref<Store>();
  }
  if (!opened.value()->wait_until_warm(120000)) report->violation = "footers are not loaded";
  return std::move(opened.value());
}

void run_life(const OperationOptions& options, uint32_t number, History* history, OperationDisk* disk,
              OperationReport* report) {
  Random random(options.seed * 1000 + number);
  const Ref<Store> store = open_store(disk, options.tier_budget, random.below(2) == 0, report);
  if (!report->violation.empty()) return;
  history->begin_life(number);
  Life life{*store, *history, *report};
  // One life in two ends while everybody is in the middle of something.
  const bool is_cut_short = random.below(2) == 0;
  std::atomic<uint64_t> steps{0};
  run_threads(options.threads + 1, [&](uint32_t thread) {
    if (thread == options.threads) {
      const uint64_t half = uint64_t{options.threads} * options.operations / 2;
      if (is_cut_short) wait_until([&] { return steps.load() >= half || life.failed.load(); });
      if (is_cut_short) store->close();
      return;
    }
    Operator operations(life, (options.seed * 1000 + number) * 100 + thread + 1);
    for (uint32_t i = 0; i < options.operations && !life.failed.load(); i++) {
      operations.step(/*reads_only=*/i < options.operations / 4);
      steps.fetch_add(1);
    }
    steps.fetch_add(options.operations);
  });
  Operator last(life, options.seed + number);
  for (uint32_t key = 0; key < kOperationKeys; key++) last.look_up(key, nullptr);
  report->closed_early += is_cut_short;
  report->device_reads += store->total(&Counters::device_reads);
  if (store->total(&Counters::corrupt_records) > 0) life.fail("a record counted as damaged");
  store->close();
  disk->closed();
}

}  // namespace

OperationReport run_operations(const OperationOptions& options, OperationDisk* disk) {
  OperationReport report;
  History history;
  {
    // Nothing of an earlier run is there, and nothing of it may come back.
    const Ref<Store> store = open_store(disk, 0, true, &report);
    if (!report.violation.empty()) return report;
    if (!purge(*store, PurgeRequest{PurgeKind::all, "", 0, false, false}).ok()) {
      report.violation = "an empty store cannot be purged";
    }
    store->close();
    disk->closed();
  }
  for (uint32_t life = 1; life <= options.lives && report.violation.empty(); life++) {
    run_life(options, life, &history, disk, &report);
  }
  return report;
}

}  // namespace millrace::test
