// The misbehaving disk. See fault-device.h.
#include "test/fault-device.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

namespace millrace::test {

DiskImage::DiskImage(ByteCount size) : size_(size), slots_((size + kPageSize - 1) / kPageSize) {}

DiskImage::DiskImage(const DiskImage& other) : size_(other.size_), slots_(0) {
  // Marked on both sides, so that whoever writes first makes a page of its own. The use count of
  // the pointers would not do: the other copy may live on another thread.
  for (const Slot& slot : other.slots_) slot.is_shared = true;
  slots_ = other.slots_;
}

DiskImage& DiskImage::operator=(const DiskImage& other) {
  if (this == &other) return *this;
  for (const Slot& slot : other.slots_) slot.is_shared = true;
  size_ = other.size_;
  slots_ = other.slots_;
  return *this;
}

void DiskImage::read(ByteOffset offset, MutableBytes out) const {
  MR_ASSERT_OP(offset + out.size(), <=, size_);
  while (!out.empty()) {
    const ByteCount at = offset % kPageSize;
    const ByteCount count = std::min(out.size(), kPageSize - at);
    const Slot& slot = slots_[offset / kPageSize];
    if (slot.page) {
      std::memcpy(out.data(), slot.page->data() + at, count);
    } else {
      std::memset(out.data(), 0, count);
    }
    out = out.subspan(count);
    offset += count;
  }
}

void DiskImage::write(ByteOffset offset, Bytes bytes) {
  MR_ASSERT_OP(offset + bytes.size(), <=, size_);
  while (!bytes.empty()) {
    const ByteCount at = offset % kPageSize;
    const ByteCount count = std::min(bytes.size(), kPageSize - at);
    Slot& slot = slots_[offset / kPageSize];
    if (!slot.page) {
      slot.page = std::make_shared<Page>();
      slot.page->fill(0);
    } else if (slot.is_shared) {
      slot.page = std::make_shared<Page>(*slot.page);
    }
    slot.is_shared = false;
    std::memcpy(slot.page->data() + at, bytes.data(), count);
    bytes = bytes.subspan(count);
    offset += count;
  }
}

void DiskImage::flip(ByteOffset offset, uint8_t mask) {
  uint8_t byte = 0;
  read(offset, MutableBytes(&byte, 1));
  byte ^= mask;
  write(offset, Bytes(&byte, 1));
}

FaultDevice::FaultDevice(DiskImage image) : image_(std::move(image)) {
  facts_.path = "memory";
  facts_.size = image_.size();
  facts_.alignment = 512;
  facts_.direct = true;
  thread_.start(&FaultDevice::run_thread, this);
}

FaultDevice::~FaultDevice() { close(); }

Status FaultDevice::submit(IoRequest* request) {
  // What a real device with direct I/O would refuse is a mistake of the store, so it stops the
  // test.
  MR_ASSERT(request->operation == IoOperation::flush || request->span_count > 0);
  MR_ASSERT_OP(request->span_count, <=, IoRequest::kMaximumSpans);
  MR_ASSERT(is_aligned(request->offset, facts_.alignment));
  for (uint32_t i = 0; i < request->span_count; i++) {
    MR_ASSERT(is_aligned(request->spans[i].iov_len, facts_.alignment));
    MR_ASSERT(is_aligned(reinterpret_cast<uint64_t>(request->spans[i].iov_base), facts_.alignment));
  }
  {
    MutexLock lock(mutex_);
    if (closed_) return Status(Code::closed, "the device is closed");
    if (queue_.size() >= queue_limit_) return Status(Code::again, "the queue is full");
    if (sets_next_read_aside_ && request->operation == IoOperation::read) {
      sets_next_read_aside_ = false;
      aside_ = request;
      return Status();
    }
    queue_.push_back(request);
  }
  condition_.broadcast();
  return Status();
}

void FaultDevice::close() {
  let_read_go();
  {
    MutexLock lock(mutex_);
    closed_ = true;
    writes_held_ = false;
    reads_held_ = false;
  }
  condition_.broadcast();
  thread_.join();
}

void* FaultDevice::run_thread(void* self) {
  static_cast<FaultDevice*>(self)->run();
  return nullptr;
}

void FaultDevice::run() {
  for (;;) {
    IoRequest* request = nullptr;
    {
      MutexLock lock(mutex_);
      for (request = take_locked(); request == nullptr; request = take_locked()) {
        if (closed_ && queue_.empty()) return;
        condition_.wait(mutex_);
      }
      request->result = execute_locked(request);
    }
    request->done(request);
  }
}

IoRequest* FaultDevice::take_locked() {
  for (auto at = queue_.begin(); at != queue_.end(); ++at) {
    const bool is_read = (*at)->operation == IoOperation::read;
    if (is_read ? reads_held_ : writes_held_) continue;
    IoRequest* request = *at;
    queue_.erase(at);
    return request;
  }
  return nullptr;
}

Status FaultDevice::execute_locked(IoRequest* request) {
  if (request->operation == IoOperation::flush) return Status();
  if (request->offset + request->length() > image_.size()) {
    return Status(Code::io, "beyond the end of the device", EINVAL, request->offset);
  }
  return request->operation == IoOperation::read ? read_locked(request) : write_locked(request);
}

Status FaultDevice::read_locked(IoRequest* request) {
  const uint64_t number = reads_.fetch_add(1) + 1;
  if (number >= failing_reads_first_ && number < failing_reads_end_) {
    return Status(Code::io, "read error", EIO, request->offset);
  }
  ByteOffset at = request->offset;
  for (uint32_t i = 0; i < request->span_count; i++) {
    auto* memory = static_cast<uint8_t*>(request->spans[i].iov_base);
    const ByteCount length = request->spans[i].iov_len;
    image_.read(at, MutableBytes(memory, length));
    for (auto flip = flips_.lower_bound(at); flip != flips_.end() && flip->first < at + length;
         ++flip) {
      memory[flip->first - at] ^= flip->second;
    }
    at += length;
  }
  return Status();
}

Status FaultDevice::write_locked(IoRequest* request) {
  const uint64_t number = writes_.fetch_add(1) + 1;
  Tear fault;
  if (const auto found = write_faults_.find(number); found != write_faults_.end()) {
    fault = found->second;
  }
  if (number >= failing_writes_first_ && number < failing_writes_end_)
    fault.kind = WriteFault::fail;
  ByteCount landing = request->length();
  if (fault.kind == WriteFault::fail || fault.kind == WriteFault::drop) landing = 0;
  if (fault.kind == WriteFault::tear || fault.kind == WriteFault::tear_and_fail) {
    landing = std::min(landing, fault.sectors * 512);
  }
  LoggedWrite logged;
  logged.offset = request->offset;
  ByteOffset at = request->offset;
  for (uint32_t i = 0; i < request->span_count && landing > 0; i++) {
    const auto* memory = static_cast<const uint8_t*>(request->spans[i].iov_base);
    const Bytes bytes(memory, std::min(landing, ByteCount{request->spans[i].iov_len}));
    image_.write(at, bytes);
    if (logs_writes_) logged.bytes.insert(logged.bytes.end(), bytes.begin(), bytes.end());
    at += bytes.size();
    landing -= bytes.size();
  }
  if (logs_writes_) log_.push_back(std::move(logged));
  const bool fails = fault.kind == WriteFault::fail || fault.kind == WriteFault::tear_and_fail;
  return fails ? Status(Code::io, "write error", EIO, request->offset) : Status();
}

void FaultDevice::fail_writes(uint64_t first, uint64_t count) {
  MutexLock lock(mutex_);
  failing_writes_first_ = writes_.load() + first;
  failing_writes_end_ = failing_writes_first_ + count;
}

void FaultDevice::fail_reads(uint64_t first, uint64_t count) {
  MutexLock lock(mutex_);
  failing_reads_first_ = reads_.load() + first;
  failing_reads_end_ = failing_reads_first_ + count;
}

void FaultDevice::tear_write(uint64_t number, uint64_t sectors, bool fails) {
  MutexLock lock(mutex_);
  write_faults_[writes_.load() + number] =
      Tear{fails ? WriteFault::tear_and_fail : WriteFault::tear, sectors};
}

void FaultDevice::drop_write(uint64_t number) {
  MutexLock lock(mutex_);
  write_faults_[writes_.load() + number] = Tear{WriteFault::drop, 0};
}

void FaultDevice::flip_on_read(ByteOffset offset, uint8_t mask) {
  MutexLock lock(mutex_);
  flips_[offset] = mask;
}

void FaultDevice::flip_on_disk(ByteOffset offset, uint8_t mask) {
  MutexLock lock(mutex_);
  image_.flip(offset, mask);
}

void FaultDevice::hold_writes(bool held) {
  {
    MutexLock lock(mutex_);
    writes_held_ = held;
  }
  condition_.broadcast();
}

void FaultDevice::hold_reads(bool held) {
  {
    MutexLock lock(mutex_);
    reads_held_ = held;
  }
  condition_.broadcast();
}

void FaultDevice::set_next_read_aside() {
  MutexLock lock(mutex_);
  MR_ASSERT(aside_ == nullptr);
  sets_next_read_aside_ = true;
}

void FaultDevice::let_read_go() {
  {
    MutexLock lock(mutex_);
    sets_next_read_aside_ = false;
    if (aside_ != nullptr) queue_.push_back(std::exchange(aside_, nullptr));
  }
  condition_.broadcast();
}

void FaultDevice::set_queue_limit(uint32_t limit) {
  MutexLock lock(mutex_);
  queue_limit_ = limit;
}

void FaultDevice::log_writes() {
  MutexLock lock(mutex_);
  logs_writes_ = true;
}

std::vector<LoggedWrite> FaultDevice::logged_writes() {
  MutexLock lock(mutex_);
  return log_;
}

DiskImage FaultDevice::snapshot() {
  MutexLock lock(mutex_);
  return image_;
}

uint64_t FaultDevice::queued() {
  MutexLock lock(mutex_);
  return queue_.size();
}

}  // namespace millrace::test
