// Intrusive reference counting. Callable from any thread. An object starts with one reference, held by the
// Ref that adopt() returns; the last Ref deletes it.
#pragma once

#include <atomic>
#include <utility>

#include "base/assert.h"

namespace millrace {

template <typename T>
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void retain() const { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    const uint32_t before = references_.fetch_sub(1, std::memory_order_acq_rel);
    MR_ASSERT(before > 0);
    if (before == 1) delete static_cast<const T*>(this);
  }

 protected:
  ~RefCounted() = default;

 private:
  mutable std::atomic<uint32_t> references_{1};
};

template <typename T>
class Ref {
 public:
  Ref() = default;
  Ref(const Ref& other) : object_(other.object_) {
    if (object_ != nullptr) object_->retain();
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->release();
  }

  // Takes over the reference that the object was made with.
  static Ref adopt(T* object) {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  // Adds a reference to an object that somebody else keeps alive.
  static Ref share(T* object) {
    if (object != nullptr) object->retain();
    return adopt(object);
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  void reset() { *this = Ref(); }

 private:
  T* object_ = nullptr;
};

}  // namespace millrace
