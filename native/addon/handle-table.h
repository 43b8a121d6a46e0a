// Handles that JavaScript holds instead of pointers: an index and a generation in 32 bits, so that a stale
// or invented number finds nothing. JS thread only.
#pragma once

#include <utility>
#include <vector>

#include "base/units.h"

namespace millrace {

template <typename T>
class HandleTable {
 public:
  // Never 0. Returns 0 when 2^20 handles are open.
  uint32_t add(T value) {
    uint32_t index;
    if (!free_.empty()) {
      index = free_.back();
      free_.pop_back();
    } else {
      if (slots_.size() >= kMaximum) return 0;
      index = static_cast<uint32_t>(slots_.size());
      slots_.emplace_back();
    }
    Slot& slot = slots_[index];
    slot.used = true;
    slot.value = std::move(value);
    count_++;
    return slot.generation << kIndexBits | index;
  }
  T* find(uint32_t handle) {
    const uint32_t index = handle & (kMaximum - 1);
    if (index >= slots_.size()) return nullptr;
    Slot& slot = slots_[index];
    return slot.used && slot.generation == handle >> kIndexBits ? &slot.value : nullptr;
  }
  bool remove(uint32_t handle) {
    if (find(handle) == nullptr) return false;
    const uint32_t index = handle & (kMaximum - 1);
    Slot& slot = slots_[index];
    slot.used = false;
    slot.value = T();
    slot.generation = slot.generation == kGenerations - 1 ? 1 : slot.generation + 1;
    free_.push_back(index);
    count_--;
    return true;
  }
  template <typename Visit>
  void clear(Visit visit) {
    for (Slot& slot : slots_) {
      if (!slot.used) continue;
      visit(slot.value);
      slot.value = T();
      slot.used = false;
    }
    count_ = 0;
  }
  uint32_t count() const { return count_; }

 private:
  static constexpr uint32_t kIndexBits = 20;
  static constexpr uint32_t kMaximum = 1u << kIndexBits;
  static constexpr uint32_t kGenerations = 1u << (32 - kIndexBits);
  struct Slot {
    T value{};
    uint32_t generation = 1;
    bool used = false;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint32_t count_ = 0;
};

}  // namespace millrace
