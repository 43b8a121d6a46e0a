// The plan of one simulation and its clients. See world.h.
#include "sim/world.h"

#include <algorithm>

#include "engine/format.h"
#include "sim/failure.h"

namespace millrace::sim {

void Report::add(const Report& other) {
  steps += other.steps;
  lives += other.lives;
  crashes += other.crashes;
  armed_crashes += other.armed_crashes;
  fills += other.fills;
  parts += other.parts;
  completed += other.completed;
  ahead += other.ahead;
  finds += other.finds;
  hits += other.hits;
  disk_hits += other.disk_hits;
  compared_bytes += other.compared_bytes;
  purges += other.purges;
  refreshes += other.refreshes;
  recovered_checks += other.recovered_checks;
  warming_steps += other.warming_steps;
  shadowed += other.shadowed;
  reclaimed += other.reclaimed;
  switches += other.switches;
  device.reads += other.device.reads;
  device.writes += other.device.writes;
  device.flushes += other.device.flushes;
  device.errors += other.device.errors;
  device.silent += other.device.silent;
  device.written_bytes += other.device.written_bytes;
}

World::World(const Options& options)
    : options_(options),
      random_(mix(options.seed) ^ 0x51),
      oracle_(static_cast<uint32_t>(8 + mix(options.seed) % 120)) {
  start_fibers(options.seed);
  place().seed = options.seed;
  place().life = 0;
  make_plan();
}

World::~World() { stop_fibers(); }

void World::make_plan() {
  const ByteCount size = kMinimumDeviceSize + random_.below(4 * kMinimumSegmentSize);
  disk_ = std::make_unique<Disk>(round_down(size, Disk::kPage));
  const Geometry geometry = geometry_of(disk_->size()).value();
  silent_begin_ = geometry.segments_offset;
  silent_end_ = geometry.segments_offset + geometry.segment_count * geometry.segment_size;
  client_count_ = static_cast<uint32_t>(random_.between(1, 4));
  const uint64_t thinks[] = {0, 50, 500, 5000};
  think_us_ = thinks[random_.below(4)];
  size_mix_ = static_cast<uint32_t>(random_.below(3));
  const uint64_t lives[] = {300, 3000, 20000};
  life_steps_ = lives[random_.below(3)];
  memory_limit_ = random_.between(72, 160) * kChunkSize;
  l1_budget_ = random_.below(memory_limit_ / 2);
  const uint64_t purges[] = {0, 0, 5, 40};
  purge_percent_ = purges[random_.below(4)];
  const uint64_t parts[] = {0, 10, 60};
  part_percent_ = parts[random_.below(3)];
  compresses_ = random_.one_in(2);
  poisons_ = random_.one_in(3);
  const uint32_t delays[] = {20, 300, 3000};
  plan_.delay_us = delays[random_.below(3)];
  if (!options_.faults || random_.one_in(4)) return;
  const auto maybe = [&](uint32_t most) {
    return random_.one_in(2) ? 0 : static_cast<uint32_t>(random_.below(most));
  };
  plan_.read_error = maybe(10000);
  plan_.write_error = maybe(20000);
  plan_.flush_error = maybe(100000);
  plan_.submit_again = maybe(20000);
  plan_.slow = maybe(400);
  if (random_.one_in(3)) return;
  plan_.dropped = maybe(60000);
  plan_.torn = maybe(60000);
  plan_.misdirected = maybe(60000);
  plan_.flipped_write = maybe(60000);
  plan_.flipped_read = maybe(20000);
}

Report World::run() {
  {
    auto device = std::make_unique<SimDevice>(*disk_, random_.next(), report_.device, 0, 0);
    FormatOptions format;
    format.block_size = random_.one_in(3) ? static_cast<uint32_t>(2 * kBlockAlignment) : 4096;
    if (format.block_size > kPageSize) format.block_size = 4096;
    format.zero_fill = false;
    FormatReport formatted;
    std::atomic<uint64_t> progress{0};
    const std::atomic<bool> cancel{false};
    const Status status = format_device(*device, format, &formatted, &progress, &cancel);
    if (!status.ok()) fail("the disk cannot be formatted: %s", status.message());
    device->close();
    disk_->settle();
  }
  while (report_.steps < options_.steps) {
    open();
    life_ends_at_ = report_.steps + random_.between(1, 2 * life_steps_);
    if (life_ends_at_ > options_.steps) life_ends_at_ = options_.steps;
    start_clients();
    while (!has_crashed_ && report_.steps < life_ends_at_) wait_in(main_, kNever);
    end_life();
  }
  ending_ = true;
  open();
  finish_quietly();
  report_.switches = switches();
  report_.compared_bytes = oracle_.compared_bytes();
  return report_;
}

void World::finish_quietly() {
  device_->crash_after_writes = kNever;
  if (!has_crashed_) check_liveness();
  store_->close();
  store_.reset();
  device_ = nullptr;
}

void* World::run_client(void* argument) {
  Client& client = *static_cast<Client*>(argument);
  World& world = *client.world;
  while (!world.stopping_) {
    if (world.report_.steps >= world.life_ends_at_ || world.has_crashed_) {
      wake_all(world.main_);
      sleep_us(100);
      continue;
    }
    if (world.think_us_ > 0) sleep_us(world.random_.below(2 * world.think_us_));
    while (world.is_looking_) sleep_us(1000);
    world.look_after_warming();
    world.step(client);
    place().step = ++world.report_.steps;
    made_progress();
  }
  return nullptr;
}

void World::step(Client& client) {
  const uint64_t choice = random_.below(100);
  if (choice < 14) return random_.below(100) < part_percent_ ? begin_part() : begin_fill();
  if (choice < 44) return advance_fill(client);
  if (choice < 58) return poll_follower();
  if (choice < 86) return find_and_read();
  if (choice < 89) return refresh();
  if (choice < 91 || random_.below(100) < purge_percent_) return purge();
  if (choice < 96) return evict_some();
  if (!held_.empty()) check_held(random_.below(held_.size()));
}

// Few keys are asked for often.
uint32_t World::some_key() {
  const uint64_t a = random_.below(oracle_.key_count());
  const uint64_t b = random_.below(oracle_.key_count());
  return static_cast<uint32_t>(std::min(a, b));
}

ByteCount World::some_length() {
  const uint64_t choice = random_.below(100);
  if (choice < 3) return 0;
  if (choice < 8) {
    // At the edges of everything.
    const ByteCount edges[] = {1, kPageSize / 2, kPageSize, kChunkSize, 2 * kChunkSize, kRecordGrain};
    return edges[random_.below(6)] + random_.below(3) - 1;
  }
  const uint64_t large[] = {10, 35, 20};
  if (choice < 8 + large[size_mix_]) return random_.below(4 * kChunkSize);
  if (choice < 60) return random_.below(kPageSize / 4);
  return random_.below(kChunkSize / 2);
}

void World::evict_some() {
  MemoryTier& tier = store_->tier();
  const uint32_t slots = tier.slot_count();
  if (slots == 0) return;
  const uint64_t count = random_.one_in(8) ? slots : std::min<uint64_t>(slots, 32);
  const auto first = static_cast<uint32_t>(random_.below(slots));
  for (uint64_t i = 0; i < count; i++) {
    const auto slot = static_cast<uint32_t>((first + i) % slots);
    if (tier.sizes()[slot] != 0) tier.evict(slot, tier.generations()[slot]);
  }
}

}  // namespace millrace::sim
