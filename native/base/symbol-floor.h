// Keeps the addon loadable on glibc 2.28, wherever it was linked. glibc 2.32 and 2.34 moved thread functions
// from libpthread into libc under new versions, and a linker takes the newest version it sees; the old ones
// are still there, so they are asked for by name. Included by every file that uses pthread (base/sync.h).
#pragma once

#if defined(__linux__)
#include <features.h>
#endif

// A sanitizer replaces these functions under their plain names and would miss threads started by another.
#if defined(__has_feature)
#define MR_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MR_SANITIZED 1
#else
#define MR_SANITIZED 0
#endif

#if defined(__GLIBC__) && !MR_SANITIZED
#if defined(__x86_64__)
#define MR_OLD_SYMBOL(name, version) __asm__(".symver " #name "," #name "@GLIBC_" version)
MR_OLD_SYMBOL(pthread_attr_setstacksize, "2.2.5");
MR_OLD_SYMBOL(pthread_condattr_setclock, "2.3.3");
MR_OLD_SYMBOL(pthread_create, "2.2.5");
MR_OLD_SYMBOL(pthread_join, "2.2.5");
MR_OLD_SYMBOL(pthread_setname_np, "2.12");
MR_OLD_SYMBOL(pthread_sigmask, "2.2.5");
#undef MR_OLD_SYMBOL
#elif defined(__aarch64__)
#define MR_OLD_SYMBOL(name) __asm__(".symver " #name "," #name "@GLIBC_2.17")
MR_OLD_SYMBOL(pthread_attr_setstacksize);
MR_OLD_SYMBOL(pthread_condattr_setclock);
MR_OLD_SYMBOL(pthread_create);
MR_OLD_SYMBOL(pthread_join);
MR_OLD_SYMBOL(pthread_setname_np);
MR_OLD_SYMBOL(pthread_sigmask);
#undef MR_OLD_SYMBOL
#endif
#endif
#undef MR_SANITIZED
