// Fibers and virtual time. See fibers.h.
#include "sim/fibers.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <vector>

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#define MILLRACE_ASAN_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MILLRACE_ASAN_FIBERS 1
#endif
#endif
#ifdef MILLRACE_ASAN_FIBERS
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace millrace::sim {

struct Fiber {
  void* stack_pointer = nullptr;  // where it was switched away from
  ucontext_t context{};           // the same, where there is no switch of our own
  uint8_t* stack = nullptr;       // null: the real thread's
  void* (*body)(void*) = nullptr;
  void* argument = nullptr;
  Fiber* next_waiting = nullptr;
  WaitList* waits_in = nullptr;
  WaitList joiners;
  uint64_t deadline_us = kNever;
  bool timed_out = false;
  bool ended = false;
#ifdef MILLRACE_ASAN_FIBERS
  void* fake_stack = nullptr;
  const void* stack_bottom = nullptr;
  size_t stack_size = 0;
#endif
};

namespace {

constexpr size_t kStackSize = 256 * 1024;
constexpr size_t kGuardSize = 4096;

struct Scheduler {
  Random random{1};
  uint64_t now_us = 0;
  uint64_t next_deadline_us = kNever;  // a lower bound of every sleeping fiber's
  uint64_t switches = 0;
  uint32_t until_yield = 1;
  uint32_t mean_run = 64;  // locks between two switches, about; of this seed
  Fiber* current = nullptr;
  std::vector<Fiber*> ready;
  std::vector<Fiber*> sleeping;  // wait with a deadline
  std::vector<uint8_t*> stacks;
  uint32_t alive = 0;
  uint64_t patience_ends_us = kPatienceUs;
  StuckHandler stuck = nullptr;
};

Scheduler all;

#ifdef MILLRACE_ASAN_FIBERS
// Called as the first thing on the stack that was switched to.
void arrived() {
  Fiber* here = all.current;
  __sanitizer_finish_switch_fiber(here->fake_stack, nullptr, nullptr);
}
void leaving(Fiber* from, const Fiber* to) {
  void** save = from->ended ? nullptr : &from->fake_stack;
  __sanitizer_start_switch_fiber(save, to->stack_bottom, to->stack_size);
}
#else
void arrived() {}
void leaving(Fiber*, const Fiber*) {}
#endif

void run_fiber();

#if defined(__x86_64__)
// Saves what the ABI says a call preserves, and goes on where the other fiber did the same. swapcontext would
// enter the kernel twice for a signal mask that never changes: 0.9 us against some nanoseconds.
extern "C" void millrace_sim_switch(void** save, void* load);
asm(R"(
.text
.globl millrace_sim_switch
.type millrace_sim_switch, @function
millrace_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size millrace_sim_switch, .-millrace_sim_switch
)");

void prepare(Fiber* fiber) {
  auto* top = reinterpret_cast<uint64_t*>(fiber->stack + kGuardSize + kStackSize);
  // At the entry of a function the stack is 8 below a multiple of 16; six registers are popped before.
  *--top = 0;
  *--top = reinterpret_cast<uint64_t>(&run_fiber);
  for (int i = 0; i < 6; i++) *--top = 0;
  fiber->stack_pointer = top;
}
void switch_stacks(Fiber* from, Fiber* to) {
  millrace_sim_switch(&from->stack_pointer, to->stack_pointer);
}
#else
void prepare(Fiber* fiber) {
  MR_ASSERT(getcontext(&fiber->context) == 0);
  fiber->context.uc_stack.ss_sp = fiber->stack + kGuardSize;
  fiber->context.uc_stack.ss_size = kStackSize;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, &run_fiber, 0);
}
void switch_stacks(Fiber* from, Fiber* to) {
  MR_ASSERT(swapcontext(&from->context, &to->context) == 0);
}
#endif

void switch_to(Fiber* to) {
  Fiber* from = all.current;
  if (from == to) return;
  all.switches++;
  all.current = to;
  leaving(from, to);
  switch_stacks(from, to);
  arrived();
}

void remove_from(WaitList& list, Fiber* fiber) {
  Fiber** at = &list.first;
  while (*at != fiber) {
    MR_ASSERT(*at != nullptr);
    at = &(*at)->next_waiting;
  }
  *at = fiber->next_waiting;
  fiber->next_waiting = nullptr;
  fiber->waits_in = nullptr;
}

void forget_deadline(Fiber* fiber) {
  if (fiber->deadline_us == kNever) return;
  fiber->deadline_us = kNever;
  for (Fiber*& item : all.sleeping) {
    if (item != fiber) continue;
    item = all.sleeping.back();
    all.sleeping.pop_back();
    return;
  }
  MR_UNREACHABLE();
}

void wake(Fiber* fiber, bool timed_out) {
  if (fiber->waits_in != nullptr) remove_from(*fiber->waits_in, fiber);
  forget_deadline(fiber);
  fiber->timed_out = timed_out;
  all.ready.push_back(fiber);
}

void wake_sleepers() {
  uint64_t next = kNever;
  for (size_t i = 0; i < all.sleeping.size();) {
    Fiber* fiber = all.sleeping[i];
    if (fiber->deadline_us <= all.now_us) {
      wake(fiber, true);  // takes it out of the list
      continue;
    }
    if (fiber->deadline_us < next) next = fiber->deadline_us;
    i++;
  }
  all.next_deadline_us = next;
}

// Runs whoever is next. The caller has put the current fiber where it waits.
void run_next() {
  // What was run took some time, too.
  all.now_us += all.random.below(16);
  all.until_yield = 1 + static_cast<uint32_t>(all.random.below(2 * all.mean_run));
  if (all.now_us >= all.patience_ends_us && all.stuck != nullptr) all.stuck("nothing moves");
  if (all.now_us >= all.next_deadline_us) wake_sleepers();
  while (all.ready.empty()) {
    if (all.sleeping.empty()) {
      if (all.stuck != nullptr) all.stuck("nobody can run and nobody waits for a time");
      MR_UNREACHABLE();
    }
    wake_sleepers();
    if (!all.ready.empty()) break;
    all.now_us = all.next_deadline_us;
    wake_sleepers();
  }
  const uint64_t chosen = all.random.below(all.ready.size());
  Fiber* next = all.ready[chosen];
  all.ready[chosen] = all.ready.back();
  all.ready.pop_back();
  switch_to(next);
}

void run_fiber() {
  arrived();
  Fiber* self = all.current;
  self->body(self->argument);
  self->ended = true;
  wake_all(self->joiners);
  run_next();
  MR_UNREACHABLE();
}

uint8_t* take_stack() {
  if (!all.stacks.empty()) {
    uint8_t* stack = all.stacks.back();
    all.stacks.pop_back();
#ifdef MILLRACE_ASAN_FIBERS
    // The fiber before left without returning from its functions.
    __asan_unpoison_memory_region(stack + kGuardSize, kStackSize);
#endif
    return stack;
  }
  void* memory = mmap(nullptr, kGuardSize + kStackSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MR_ASSERT(memory != MAP_FAILED);
  MR_ASSERT(mprotect(memory, kGuardSize, PROT_NONE) == 0);
  return static_cast<uint8_t*>(memory);
}

}  // namespace

void start_fibers(uint64_t seed) {
  MR_ASSERT_OP(all.alive, ==, 0u);
  static Fiber first;
  first = Fiber();
  all.random = Random(seed);
  all.now_us = 0;
  all.next_deadline_us = kNever;
  all.patience_ends_us = kPatienceUs;
  all.switches = 0;
  // Some schedules switch at nearly every lock, some hardly ever: races hide from either.
  all.mean_run = uint32_t{1} << all.random.between(2, 9);
  all.until_yield = all.mean_run;
  all.current = &first;
  all.alive = 1;
#ifdef MILLRACE_ASAN_FIBERS
  pthread_attr_t attributes;
  void* bottom = nullptr;
  MR_ASSERT(pthread_getattr_np(pthread_self(), &attributes) == 0);
  MR_ASSERT(pthread_attr_getstack(&attributes, &bottom, &first.stack_size) == 0);
  pthread_attr_destroy(&attributes);
  first.stack_bottom = bottom;
#endif
}

void stop_fibers() {
  MR_ASSERT_OP(all.alive, ==, 1u);
  MR_ASSERT(all.ready.empty() && all.sleeping.empty());
  all.alive = 0;
  all.current = nullptr;
}

Fiber* spawn(void* (*body)(void*), void* argument) {
  auto* fiber = new Fiber();
  fiber->stack = take_stack();
  fiber->body = body;
  fiber->argument = argument;
#ifdef MILLRACE_ASAN_FIBERS
  fiber->stack_bottom = fiber->stack + kGuardSize;
  fiber->stack_size = kStackSize;
#endif
  prepare(fiber);
  all.alive++;
  all.ready.push_back(fiber);
  return fiber;
}

void join(Fiber* fiber) {
  while (!fiber->ended) wait_in(fiber->joiners, kNever);
  all.stacks.push_back(fiber->stack);
  all.alive--;
  delete fiber;
}

void maybe_yield() {
  if (--all.until_yield > 0) return;
  all.ready.push_back(all.current);
  run_next();
}

bool wait_in(WaitList& list, uint64_t deadline_us) {
  Fiber* self = all.current;
  self->next_waiting = list.first;
  list.first = self;
  self->waits_in = &list;
  self->deadline_us = deadline_us;
  if (deadline_us != kNever) {
    all.sleeping.push_back(self);
    if (deadline_us < all.next_deadline_us) all.next_deadline_us = deadline_us;
  }
  run_next();
  return !self->timed_out;
}

void wake_one(WaitList& list) {
  uint64_t count = 0;
  for (const Fiber* fiber = list.first; fiber != nullptr; fiber = fiber->next_waiting) count++;
  if (count == 0) return;
  Fiber* chosen = list.first;
  for (uint64_t skip = count == 1 ? 0 : all.random.below(count); skip > 0; skip--) {
    chosen = chosen->next_waiting;
  }
  wake(chosen, false);
}

void wake_all(WaitList& list) {
  while (list.first != nullptr) wake(list.first, false);
}

void sleep_us(uint64_t duration_us) {
  WaitList nobody;
  wait_in(nobody, all.now_us + duration_us);
}

uint64_t now_us() { return all.now_us; }
Random& schedule_random() { return all.random; }
uint64_t switches() { return all.switches; }
void made_progress() { all.patience_ends_us = all.now_us + kPatienceUs; }
void on_stuck(StuckHandler handler) { all.stuck = handler; }

}  // namespace millrace::sim
