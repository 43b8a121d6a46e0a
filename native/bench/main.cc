// The native micro benchmarks' command line: millrace-bench PART [--directory PATH] [--quick] [--large] ...
// Prints one JSON line per measurement; started by bench/micro/native.ts, and by hand where perf is to
// look at one.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/bench.h"

namespace {

constexpr int kBadUse = 2;

int usage() {
  std::fprintf(stderr,
               "usage: millrace-bench device|index|hash|kill|policy|recovery|store\n"
               "                      [--directory PATH] [--quick] [--large] [--records COUNT]\n");
  return kBadUse;
}

}  // namespace

int main(int count, char** arguments) {
  millrace::bench::Options options;
  for (int i = 1; i < count; i++) {
    if (std::strcmp(arguments[i], "--quick") == 0) {
      options.quick = true;
    } else if (std::strcmp(arguments[i], "--large") == 0) {
      options.large = true;
    } else if (std::strcmp(arguments[i], "--directory") == 0 && i + 1 < count) {
      options.directory = arguments[++i];
    } else if (std::strcmp(arguments[i], "--records") == 0 && i + 1 < count) {
      options.records = std::strtoull(arguments[++i], nullptr, 10);
    } else if (options.part.empty() && arguments[i][0] != '-') {
      options.part = arguments[i];
    } else {
      return usage();
    }
  }
  if (options.part == "device" && !options.directory.empty()) {
    millrace::bench::bench_device(options);
  } else if (options.part == "index") {
    millrace::bench::bench_index(options);
  } else if (options.part == "hash") {
    millrace::bench::bench_hash(options);
  } else if (options.part == "kill" && !options.directory.empty()) {
    millrace::bench::bench_kill(options);
  } else if (options.part == "policy") {
    millrace::bench::bench_policy(options);
  } else if (options.part == "recovery") {
    millrace::bench::bench_recovery(options);
  } else if (options.part == "store") {
    millrace::bench::bench_store(options);
  } else {
    return usage();
  }
  return 0;
}
