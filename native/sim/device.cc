// Requests, delays, faults and crashes. See device.h.
#include "sim/device.h"

#include <errno.h>

#include <cstring>

#include "sim/failure.h"

namespace millrace::sim {

SimDevice::SimDevice(Disk& disk, uint64_t seed, FaultCounts& counts, ByteOffset silent_begin,
                     ByteOffset silent_end)
    : disk_(disk),
      random_(seed),
      counts_(counts),
      silent_begin_(silent_begin),
      silent_end_(silent_end) {
  facts_.path = "the simulated disk";
  facts_.size = disk.size();
  facts_.alignment = random_.one_in(2) ? 512 : 4096;
  facts_.direct = true;
  const uint64_t count = random_.between(1, 4);
  for (uint64_t i = 0; i < count; i++) fibers_.push_back(spawn(&SimDevice::run_fiber, this));
}

SimDevice::~SimDevice() { close(); }

void SimDevice::close() {
  closed_ = true;
  wake_all(idle_);
  for (Fiber* fiber : fibers_) join(fiber);
  fibers_.clear();
  MR_ASSERT(pending_.empty());
}

// Promise 5, and what the interface asks of its callers.
void SimDevice::check(const IoRequest& request) const {
  if (request.done == nullptr) fail("a request without done()");
  if (request.operation == IoOperation::flush) return;
  if (request.offset + request.length() > disk_.size() || request.length() == 0) {
    fail("a request at %llu of %llu bytes reaches beyond the device",
         static_cast<unsigned long long>(request.offset),
         static_cast<unsigned long long>(request.length()));
  }
  if (!is_aligned(request.offset, facts_.alignment)) fail("a request that is not aligned");
  for (uint32_t i = 0; i < request.span_count; i++) {
    if (!is_aligned(reinterpret_cast<uint64_t>(request.spans[i].iov_base), facts_.alignment) ||
        !is_aligned(request.spans[i].iov_len, facts_.alignment)) {
      fail("a buffer that is not aligned");
    }
  }
}

Status SimDevice::submit(IoRequest* request) {
  maybe_yield();
  if (closed_) return Status(Code::closed, "the device is closed");
  check(*request);
  if (!crashed_ && happens(plan.submit_again)) return Status(Code::again, "the queue is full");
  uint64_t delay = random_.below(plan.delay_us + 1);
  if (happens(plan.slow)) delay += random_.below(8000000);
  pending_.push_back(Pending{request, now_us() + delay, disk_.write_number()});
  wake_one(idle_);
  return Status();
}

void* SimDevice::run_fiber(void* self) {
  static_cast<SimDevice*>(self)->run();
  return nullptr;
}

void SimDevice::run() {
  for (;;) {
    Pending taken;
    if (take(&taken)) {
      taken.request->result = execute(taken);
      // Between the transfer and its report, others may run.
      maybe_yield();
      taken.request->done(taken.request);
      continue;
    }
    if (closed_ && pending_.empty()) return;
    uint64_t due = kNever;
    for (const Pending& item : pending_) {
      if (item.due_us < due) due = item.due_us;
    }
    wait_in(idle_, due);
  }
}

// Any of those whose time has come.
bool SimDevice::take(Pending* taken) {
  size_t due = 0;
  const uint64_t now = now_us();
  for (const Pending& item : pending_) due += item.due_us <= now || crashed_ ? 1 : 0;
  if (due == 0) return false;
  size_t skip = random_.below(due);
  for (Pending& item : pending_) {
    if (item.due_us > now && !crashed_) continue;
    if (skip-- > 0) continue;
    *taken = item;
    item = pending_.back();
    pending_.pop_back();
    return true;
  }
  MR_UNREACHABLE();
}

Status SimDevice::execute(const Pending& pending) {
  if (crashed_) return Status(Code::io, "the machine is gone", EIO, pending.request->offset);
  if (pending.request->operation == IoOperation::read) return read(pending.request);
  if (crash_after_writes != kNever && crash_after_writes-- == 0) {
    // In the middle of this one.
    pending_.push_back(pending);
    crashed_in_write_ = true;
    crash(crash_kind);
    pending_.pop_back();
    return Status(Code::io, "the machine is gone", EIO, pending.request->offset);
  }
  if (pending.request->operation == IoOperation::write) return write(pending.request);
  counts_.flushes++;
  if (happens(plan.flush_error)) {
    counts_.errors++;
    return Status(Code::io, "flush error", EIO);
  }
  disk_.flush(pending.flush_covers);
  return Status();
}

bool SimDevice::may_damage(ByteOffset offset, ByteCount length) const {
  if (offset < silent_begin_ || offset + length > silent_end_) return false;
  for (ByteOffset at = round_down(offset, Disk::kPage); at < offset + length; at += Disk::kPage) {
    if (disk_.is_read(at)) return false;
  }
  return true;
}

Status SimDevice::read(IoRequest* request) {
  counts_.reads++;
  if (happens(plan.read_error)) {
    counts_.errors++;
    return Status(Code::io, "read error", EIO, request->offset);
  }
  const ByteCount length = request->length();
  const bool flips = happens(plan.flipped_read) && may_damage(request->offset, length);
  const ByteOffset flipped = flips ? random_.below(length) : 0;
  ByteOffset at = 0;
  for (uint32_t i = 0; i < request->span_count; i++) {
    auto* memory = static_cast<uint8_t*>(request->spans[i].iov_base);
    const ByteCount part = request->spans[i].iov_len;
    disk_.read(request->offset + at, MutableBytes(memory, part));
    if (flips && flipped >= at && flipped < at + part) {
      memory[flipped - at] ^= static_cast<uint8_t>(1u << random_.below(8));
      counts_.silent++;
    }
    at += part;
  }
  return Status();
}

// Each page of the request lands with this chance.
void SimDevice::land(const IoRequest& request, ByteOffset offset, uint32_t keep_percent) {
  ByteOffset at = offset;
  for (uint32_t i = 0; i < request.span_count; i++) {
    const auto* memory = static_cast<const uint8_t*>(request.spans[i].iov_base);
    const Bytes bytes(memory, request.spans[i].iov_len);
    if (keep_percent >= 100) {
      disk_.write(at, bytes);
    } else {
      for (ByteOffset from = 0; from < bytes.size();) {
        const ByteCount part = std::min(Disk::kPage - (at + from) % Disk::kPage,
                                        ByteCount{bytes.size() - from});
        if (random_.below(100) < keep_percent) disk_.write(at + from, bytes.subspan(from, part));
        from += part;
      }
    }
    at += bytes.size();
  }
}

void SimDevice::land_flipped(const IoRequest& request) {
  const ByteOffset flipped = request.offset + random_.below(request.length());
  land(request, request.offset, 100);
  disk_.flip(flipped, static_cast<uint8_t>(1u << random_.below(8)));
}

Status SimDevice::write(IoRequest* request) {
  counts_.writes++;
  const ByteCount length = request->length();
  counts_.written_bytes += length;
  if (happens(plan.write_error)) {
    counts_.errors++;
    const uint32_t kept[] = {0, 50, 100};
    land(*request, request->offset, kept[random_.below(3)]);
    return Status(Code::io, "write error", random_.one_in(2) ? EIO : ENOSPC, request->offset);
  }
  if (plan.any_silent() && may_damage(request->offset, 0)) {
    // What was there before may have been read and verified; the write takes that trust away.
    const auto silent = [&](uint32_t chance) {
      if (!happens(chance)) return false;
      counts_.silent++;
      return true;
    };
    const bool unread = may_damage(request->offset, length);
    if (unread && silent(plan.dropped)) return Status();
    if (unread && silent(plan.torn)) {
      land(*request, request->offset, 50);
      return Status();
    }
    if (silent(plan.flipped_write)) {
      land_flipped(*request);
      return Status();
    }
    if (unread && silent(plan.misdirected)) {
      const ByteOffset pages = (silent_end_ - silent_begin_ - length) / Disk::kPage;
      const ByteOffset other = silent_begin_ + random_.below(pages) * Disk::kPage;
      if (may_damage(other, length)) land(*request, other, 100);
      return Status();
    }
  }
  land(*request, request->offset, 100);
  return Status();
}

void SimDevice::crash(CrashKind kind) {
  if (crashed_) return;
  crashed_ = true;
  // What is under way may have arrived, in any part.
  for (const Pending& item : pending_) {
    if (item.request->operation != IoOperation::write) continue;
    const uint32_t kept[] = {0, 50, 100};
    land(*item.request, item.request->offset, kept[random_.below(3)]);
  }
  if (kind == CrashKind::power) {
    const uint32_t lost[] = {5, 50, 95, 100};
    const uint32_t percent = lost[random_.below(4)];
    disk_.lose_power(random_, percent, random_.one_in(3));
  } else {
    disk_.settle();
  }
  if (on_crash != nullptr) on_crash(on_crash_context);
  wake_all(idle_);
}

}  // namespace millrace::sim
