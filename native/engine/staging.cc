// The bounded queue in front of a disk tier. See staging.h.
#include "engine/staging.h"

namespace millrace {

void Staging::on_work(Notice notice) {
  MutexLock lock(mutex_);
  work_ = std::move(notice);
}

void Staging::on_relief(void (*hook)(void*), void* context) {
  MutexLock lock(mutex_);
  relief_ = hook;
  relief_context_ = context;
}

bool Staging::offer(const Ref<MemoryRecord>& record) {
  Notice work;
  {
    MutexLock lock(mutex_);
    if (refusing_ || closed_) return false;
    const ByteCount bytes = record->charge();
    if (bytes_.load(std::memory_order_relaxed) + bytes > limit_) return false;
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    if (backlogged()) was_backlogged_ = true;
    if (queue_.empty()) work = work_;
    queue_.push_back(record);
    by_hash_[record->header.hash] = record;
  }
  condition_.signal();
  work.post();
  return true;
}

Ref<MemoryRecord> Staging::take(uint64_t wait_ms) {
  MutexLock lock(mutex_);
  const bool is_idle = queue_.empty() && !closed_ && !woken_;
  if (is_idle && wait_ms > 0) condition_.wait_for(mutex_, wait_ms);
  woken_ = false;
  if (queue_.empty()) return Ref<MemoryRecord>();
  Ref<MemoryRecord> record = std::move(queue_.front());
  queue_.pop_front();
  return record;
}

void Staging::wake() {
  {
    MutexLock lock(mutex_);
    woken_ = true;
  }
  condition_.signal();
}

bool Staging::forget_locked(const Ref<MemoryRecord>& record) {
  const ByteCount bytes = record->charge();
  MR_ASSERT_OP(bytes_.load(std::memory_order_relaxed), >=, bytes);
  bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  const auto found = by_hash_.find(record->header.hash);
  if (found == by_hash_.end() || found->second.get() != record.get()) return false;
  by_hash_.erase(found);
  return true;
}

void Staging::relieve() {
  void (*hook)(void*) = nullptr;
  void* context = nullptr;
  {
    MutexLock lock(mutex_);
    if (!was_backlogged_ || backlogged()) return;
    was_backlogged_ = false;
    hook = relief_;
    context = relief_context_;
  }
  if (hook != nullptr) hook(context);
}

Ref<MemoryRecord> Staging::find(const KeyHash& hash) {
  MutexLock lock(mutex_);
  const auto found = by_hash_.find(hash);
  return found == by_hash_.end() ? Ref<MemoryRecord>() : found->second;
}

bool Staging::is_current(const Ref<MemoryRecord>& record) {
  MutexLock lock(mutex_);
  const auto found = by_hash_.find(record->header.hash);
  return found != by_hash_.end() && found->second.get() == record.get();
}

Sequence Staging::oldest_birth() {
  Sequence oldest = ~Sequence{0};
  MutexLock lock(mutex_);
  for (const auto& [hash, record] : by_hash_) {
    if (record->header.birth < oldest) oldest = record->header.birth;
  }
  return oldest;
}

void Staging::cancel(const KeyHash& hash) {
  MutexLock lock(mutex_);
  by_hash_.erase(hash);
}

void Staging::refuse_offers() {
  MutexLock lock(mutex_);
  refusing_ = true;
}

void Staging::close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  condition_.broadcast();
}

}  // namespace millrace
