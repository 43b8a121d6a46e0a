// What the disk tier's policy is compared with: caches that take in every miss and keep whole objects in
// any place, without segments, as plain models of which object stays. FIFO, LRU, and S3-FIFO (Yang et al.,
// SOSP 2023: a small queue of 10 %, a main queue, a ghost as long as main). Single-threaded.
#pragma once

#include <list>
#include <unordered_map>

#include "bench/trace.h"

namespace millrace::bench {

class QueuePolicy {
 public:
  QueuePolicy(ByteCount capacity, bool moves_on_hit) : capacity_(capacity), moves_(moves_on_hit) {}

  bool request(const TraceRequest& request) {
    const auto found = places_.find(request.object);
    if (found != places_.end()) {
      if (moves_) queue_.splice(queue_.begin(), queue_, found->second);
      return true;
    }
    written_ += request.size;
    queue_.push_front(request);
    places_[request.object] = queue_.begin();
    used_ += request.size;
    while (used_ > capacity_) {
      used_ -= queue_.back().size;
      places_.erase(queue_.back().object);
      queue_.pop_back();
    }
    return false;
  }
  ByteCount written() const { return written_; }

 private:
  const ByteCount capacity_;
  const bool moves_;
  std::list<TraceRequest> queue_;
  std::unordered_map<uint64_t, std::list<TraceRequest>::iterator> places_;
  ByteCount used_ = 0;
  ByteCount written_ = 0;
};

class S3Fifo {
 public:
  explicit S3Fifo(ByteCount capacity) : capacity_(capacity) {}

  bool request(const TraceRequest& request) {
    const auto found = places_.find(request.object);
    if (found != places_.end()) {
      if (found->second->hits < 3) found->second->hits++;
      return true;
    }
    written_ += request.size;
    Queue& queue = ghosts_.erase(request.object) > 0 ? main_ : small_;
    queue.items.push_front(Item{request, 0, &queue});
    places_[request.object] = queue.items.begin();
    queue.bytes += request.size;
    while (small_.bytes + main_.bytes > capacity_) evict();
    return false;
  }
  ByteCount written() const { return written_; }

 private:
  struct Queue;
  struct Item {
    TraceRequest request;
    uint32_t hits;
    Queue* queue;
  };
  struct Queue {
    std::list<Item> items;
    ByteCount bytes = 0;
  };

  void evict() {
    const bool from_small = main_.items.empty() || small_.bytes > capacity_ / 10;
    Queue& queue = from_small ? small_ : main_;
    const auto last = std::prev(queue.items.end());
    const bool stays = from_small ? last->hits > 1 : last->hits > 0;
    if (stays) {
      last->hits = from_small ? 0 : last->hits - 1;
      queue.bytes -= last->request.size;
      main_.bytes += last->request.size;
      main_.items.splice(main_.items.begin(), queue.items, last);
      return;
    }
    queue.bytes -= last->request.size;
    places_.erase(last->request.object);
    if (from_small) remember(last->request.object);
    queue.items.erase(last);
  }
  void remember(uint64_t object) {
    ghosts_[object] = ++ghost_number_;
    ghost_queue_.push_back({object, ghost_number_});
    while (ghosts_.size() > main_.items.size() + 1 && !ghost_queue_.empty()) {
      const auto [oldest, number] = ghost_queue_.front();
      ghost_queue_.pop_front();
      const auto found = ghosts_.find(oldest);
      if (found != ghosts_.end() && found->second == number) ghosts_.erase(found);
    }
  }

  const ByteCount capacity_;
  Queue small_;
  Queue main_;
  std::unordered_map<uint64_t, std::list<Item>::iterator> places_;
  std::unordered_map<uint64_t, uint64_t> ghosts_;
  std::list<std::pair<uint64_t, uint64_t>> ghost_queue_;
  uint64_t ghost_number_ = 0;
  ByteCount written_ = 0;
};

}  // namespace millrace::bench
