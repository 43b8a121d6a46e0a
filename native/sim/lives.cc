// Starts, ends and crashes of the store. What must be found after them is in expectations.cc. See world.h.
#include "layout/geometry.h"
#include "layout/superblock.h"
#include "sim/failure.h"
#include "sim/world.h"

namespace millrace::sim {

void World::open() {
  for (uint32_t attempt = 0;; attempt++) {
    if (attempt >= 20) fail("the store does not open in 20 attempts");
    if (try_open()) break;
    store_.reset();
    device_ = nullptr;
  }
  is_touched_.assign(oracle_.key_count(), false);
  const uint64_t choice = random_.below(4);
  looks_later_ = !ending_ && choice < 2;
  if (looks_later_) {
    // So slow that there is something to see.
    if (random_.one_in(2)) device_->plan.delay_us = random_.one_in(2) ? 20000 : 200000;
    return;
  }
  // What goes wrong meanwhile excuses whatever is missed.
  if (!ending_ && choice == 2) {
    expected_.clear();
    held_.clear();
  } else {
    while (!store_->wait_until_warm(1000)) made_progress();
    if (!has_crashed_) check_expectations();
  }
  device_->plan = plan_;
}

// The first client that finds all footers loaded looks for what has to be there; the others wait.
void World::look_after_warming() {
  if (store_->is_warming(0)) report_.warming_steps++;
  if (!looks_later_ || has_crashed_ || store_->closed() || store_->is_warming(0)) return;
  looks_later_ = false;
  is_looking_ = true;
  check_expectations();
  is_looking_ = false;
  if (!has_crashed_) device_->plan = plan_;
}

// False: the start failed for a reason, or the machine died in the middle of it.
bool World::try_open() {
  disk_->forget_reads();
  has_crashed_ = false;
  place().life++;
  report_.lives++;
  auto device = std::make_unique<SimDevice>(*disk_, random_.next(), report_.device, silent_begin_,
                                            silent_end_);
  SimDevice* raw = device.get();
  device_ = raw;
  raw->on_crash = &World::crashed;
  raw->on_crash_context = this;
  raw->plan.delay_us = plan_.delay_us;
  const uint64_t errors = report_.device.errors;
  if (!ending_ && random_.one_in(5)) {
    raw->plan.read_error = plan_.read_error;
    raw->plan.write_error = plan_.write_error;
    raw->plan.flush_error = plan_.flush_error;
    raw->plan.submit_again = plan_.submit_again;
  }
  if (options_.crash_after_writes != kNever) {
    raw->crash_after_writes = place().life == 1 ? options_.crash_after_writes : kNever;
  } else if (!ending_ && random_.one_in(3)) {
    raw->crash_after_writes = random_.below(random_.one_in(4) ? 12 : 400);
  }
  raw->crash_kind = random_.one_in(2) ? CrashKind::kill : CrashKind::power;
  StoreOptions options;
  options.memory_limit = memory_limit_;
  options.l1_budget = random_.one_in(3) ? 0 : l1_budget_;
  options.index_memory_limit = kMiB;
  options.poison_pages = poisons_;
  options.compress = compresses_;
  options.warm_grace_ms = random_.one_in(2) ? 0 : 20;
  options.scrub_interval_ms = random_.one_in(3) ? random_.between(100, 5000) : 0;
  options.scrub_rate = random_.one_in(2) ? kMiB : 1024 * kMiB;
  made_progress();
  Result<Ref<Store>> opened = Store::open(options, std::move(device));
  made_progress();
  const bool had_errors = report_.device.errors != errors;
  if (!opened.ok()) {
    if (!has_crashed_ && !had_errors) fail("the store does not open: %s", opened.status().message());
    trace("life %u does not begin: %s", place().life, opened.status().message());
    return false;
  }
  store_ = std::move(opened.value());
  oracle_.begin_life();
  if (has_crashed_) {
    store_->close();
    return false;
  }
  if (had_errors) expected_.clear();
  raw->plan = FaultPlan();
  raw->plan.delay_us = plan_.delay_us;
  trace("life %u begins", place().life);
  return true;
}

void World::crashed(void* self) {
  auto* world = static_cast<World*>(self);
  world->has_crashed_ = true;
  world->report_.crashes++;
  if (world->device_->crashed_in_write()) world->report_.armed_crashes++;
  trace("crash");
  if (world->options_.faults && world->random_.one_in(4)) {
    // Damage while nobody looks: in segments, and in one copy of the superblock.
    world->expected_.clear();
    const uint64_t flips = world->random_.between(1, 20);
    for (uint64_t i = 0; i < flips; i++) {
      const ByteOffset at = world->silent_begin_ +
                            world->random_.below(world->silent_end_ - world->silent_begin_);
      world->disk_->flip(at, static_cast<uint8_t>(1u << world->random_.below(8)));
    }
    const Geometry geometry = geometry_of(world->disk_->size()).value();
    const auto copy = static_cast<uint32_t>(world->random_.below(kSuperblockCopies));
    world->disk_->flip(geometry.superblock_offset(copy) + world->random_.below(kSuperblockSize), 1);
  }
  // In the middle of a start there is no index yet that could be believed; what had to be found before
  // it still has to be.
  if (world->store_) world->expect_records();
  wake_all(world->main_);
}

void World::start_clients() {
  stopping_ = false;
  clients_ = std::make_unique<Client[]>(client_count_);
  for (uint32_t i = 0; i < client_count_; i++) {
    clients_[i].world = this;
    clients_[i].scratch.resize(2 * kChunkSize);
    clients_[i].thread.start(&World::run_client, &clients_[i]);
  }
}

void World::stop_clients() {
  stopping_ = true;
  for (uint32_t i = 0; i < client_count_; i++) clients_[i].thread.join();
  clients_.reset();
}

void World::end_life() {
  made_progress();
  const uint64_t choice = random_.below(3);
  const bool closes = choice == 0 && !has_crashed_;
  const uint64_t errors = report_.device.errors;
  if (closes && random_.one_in(2)) {
    // While the clients go on: they see closed and misses.
    store_->close();
  } else if (!closes) {
    device_->crash(choice == 1 ? CrashKind::kill : CrashKind::power);
  }
  stop_clients();
  while (!fills_.empty()) drop_fill(fills_.size() - 1);
  while (!held_.empty()) check_held(held_.size() - 1);
  store_->close();
  if (closes && !has_crashed_) {
    trace("clean end");
    // Closing promises that a loss of power right after it loses nothing.
    const bool promised = report_.device.errors == errors;
    if (promised) expect_records();
    disk_->lose_power(random_, 100, false);
    if (!promised) expect_records();
  }
  report_.reclaimed += store_->total(&Counters::segments_reclaimed);
  MR_ASSERT_OP(store_->tier().used(), <=, store_->tier().budget());
  store_.reset();
  device_ = nullptr;
}

void World::check_liveness() {
  // Faults are over: what is stored now is found now.
  device_->plan = FaultPlan();
  for (uint32_t i = 0; i < 8; i++) {
    made_progress();
    const auto key = static_cast<uint32_t>(random_.below(oracle_.key_count() / 2));
    for (uint32_t round = 0; round < 2; round++) {
      Floor floor;
      static_cast<void>(find(key, &floor));
      Version& version = oracle_.add_version(key, false);
      const Ref<Fill> fill = store_->begin_fill(oracle_.name(key), Notice{});
      version.begun_at = oracle_.next_event();
      version.heads_begun_at.push_back(version.begun_at);
      version.length = 1000;
      FillHead head;
      head.key = oracle_.name(key);
      head.keep = true;
      head.body_length = version.length;
      head.head = oracle_.head_of(version, 0);
      MR_ASSERT(fill->begin(std::move(head)).ok());
      oracle_.identify(version, fill->incarnation());
      std::vector<uint8_t> body(version.length);
      Oracle::generate(version, 0, body);
      while (fill->append(body).accepted == 0) sleep_us(10000);
      version.finished = true;
      MR_ASSERT(fill->finish().ok());
      sleep_us(300000);
    }
    Floor floor;
    const Ref<MemoryRecord> record = find(key, &floor);
    if (!record) fail("after all faults, what was stored is not found");
    oracle_.check_record(*record, key, floor);
  }
}

}  // namespace millrace::sim
