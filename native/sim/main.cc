// The simulator's command: runs seeds, one after another, and says what they did. See docs/TESTING.md.
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "sim/failure.h"
#include "sim/world.h"

namespace millrace::sim {

namespace {

struct Arguments {
  Options options;
  uint64_t seeds = 1;
  uint64_t jobs = 1;
  double seconds = 0;  // 0: no limit
  bool forever = false;
  bool every_write = false;
};

constexpr char kUsage[] =
    "usage: millrace-sim [--seed N] [--seeds COUNT | --forever | --every-write] [--steps N]\n"
    "                    [--crash-after WRITES] [--seconds N] [--jobs N] [--no-faults] [--trace]\n"
    "Runs the engine over a simulated disk. Without --seed, seeds begin at 1; --forever at a random one.\n"
    "--every-write crashes one short run after its first write, then after its second, and so on.\n"
    "--seconds begins no new seed after that time.\n";

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double wall_seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

[[noreturn]] void bad_usage() {
  std::fputs(kUsage, stderr);
  std::exit(2);
}

Arguments parse(int count, char** words) {
  Arguments arguments;
  bool has_seed = false;
  for (int i = 1; i < count; i++) {
    const std::string word = words[i];
    const auto value = [&]() -> uint64_t {
      char* end = nullptr;
      if (i + 1 >= count) bad_usage();
      const uint64_t parsed = std::strtoull(words[++i], &end, 10);
      if (*end != 0) bad_usage();
      return parsed;
    };
    if (word == "--seed") {
      arguments.options.seed = value();
      has_seed = true;
    } else if (word == "--seeds") {
      arguments.seeds = value();
    } else if (word == "--steps") {
      arguments.options.steps = value();
    } else if (word == "--crash-after") {
      arguments.options.crash_after_writes = value();
    } else if (word == "--seconds") {
      arguments.seconds = static_cast<double>(value());
    } else if (word == "--jobs") {
      arguments.jobs = value();
    } else if (word == "--forever") {
      arguments.forever = true;
    } else if (word == "--every-write") {
      arguments.every_write = true;
    } else if (word == "--no-faults") {
      arguments.options.faults = false;
    } else if (word == "--trace") {
      place().traces = true;
    } else {
      bad_usage();
    }
  }
  if (arguments.jobs == 0) bad_usage();
  if (arguments.forever && !has_seed) {
    arguments.options.seed = static_cast<uint64_t>(time(nullptr)) * 1000003;
  }
  return arguments;
}

void set_command(const char* program, const Options& options) {
  std::string command = std::string(program) + " --seed " + std::to_string(options.seed) +
                        " --steps " + std::to_string(options.steps);
  if (options.crash_after_writes != kNever) {
    command += " --crash-after " + std::to_string(options.crash_after_writes);
  }
  if (!options.faults) command += " --no-faults";
  place().command = command;
}

Report run_one(const char* program, const Options& options) {
  set_command(program, options);
  World world(options);
  return world.run();
}

unsigned long long number(uint64_t value) { return value; }

void print(const Report& report, uint64_t seeds) {
  std::printf(
      "sim: %llu seeds, %llu steps, 0 violations; %llu lives, %llu crashes, %llu fills (%llu of "
      "parts), %llu chunks read ahead, %llu objects completed by parts, %llu "
      "finds, %llu hits (%llu from disk), %llu purges, %llu refreshes, %llu found again as promised "
      "(%llu shadowed by a later one), %llu steps while footers were loaded, "
      "%llu segments reclaimed, %llu MB compared; device: %llu reads, %llu writes, %llu flushes, "
      "%llu MB written, %llu errors, %llu silent faults; %llu switches\n",
      number(seeds), number(report.steps), number(report.lives), number(report.crashes),
      number(report.fills), number(report.parts), number(report.ahead), number(report.completed),
      number(report.finds), number(report.hits), number(report.disk_hits),
      number(report.purges), number(report.refreshes), number(report.recovered_checks),
      number(report.shadowed), number(report.warming_steps),
      number(report.reclaimed), number(report.compared_bytes / 1000000),
      number(report.device.reads), number(report.device.writes), number(report.device.flushes),
      number(report.device.written_bytes / 1000000), number(report.device.errors),
      number(report.device.silent), number(report.switches));
}

// Every `jobs`-th seed from the first on.
int run_share(const char* program, const Arguments& arguments, uint64_t first) {
  const double started = wall_seconds();
  Report total;
  uint64_t done = 0;
  for (uint64_t i = first; arguments.forever || i < arguments.seeds; i += arguments.jobs) {
    if (arguments.seconds > 0 && wall_seconds() - started > arguments.seconds) break;
    Options options = arguments.options;
    options.seed += i;
    total.add(run_one(program, options));
    done++;
    if (arguments.forever && done % 100 == 0) print(total, done);
  }
  print(total, done);
  std::printf("sim: %.1f CPU seconds, %.0f steps per CPU second\n", cpu_seconds(),
              static_cast<double>(total.steps) / cpu_seconds());
  return done > 0 ? 0 : 1;
}

int run_every_write(const char* program, const Arguments& arguments) {
  Report total;
  uint64_t points = 0;
  for (uint64_t i = 0; i < arguments.seeds; i++) {
    for (uint64_t write = 0;; write++) {
      Options options = arguments.options;
      options.seed += i;
      options.faults = false;
      options.crash_after_writes = write;
      const Report report = run_one(program, options);
      total.add(report);
      if (report.armed_crashes == 0) break;
      points++;
    }
  }
  std::printf("sim: crashed after each of %llu writes\n", number(points));
  print(total, points);
  return points > 0 ? 0 : 1;
}

int run(int count, char** words) {
  const Arguments arguments = parse(count, words);
  report_crashes();
  if (arguments.every_write) return run_every_write(words[0], arguments);
  if (arguments.jobs == 1) return run_share(words[0], arguments, 0);
  std::vector<pid_t> children;
  for (uint64_t job = 0; job < arguments.jobs; job++) {
    const pid_t child = fork();
    if (child == 0) {
      const int status = run_share(words[0], arguments, job);
      std::fflush(stdout);
      _exit(status);
    }
    if (child > 0) children.push_back(child);
  }
  int result = children.size() == arguments.jobs ? 0 : 1;
  for (const pid_t child : children) {
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      result = 1;
    }
  }
  return result;
}

}  // namespace

}  // namespace millrace::sim

int main(int count, char** words) { return millrace::sim::run(count, words); }
