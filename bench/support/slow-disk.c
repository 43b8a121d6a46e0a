/*
 * A slow disk for one file of one process, without privileges: preloaded, it makes every positional write
 * to that file take as long as a disk of a given speed would, one write after the other, as such a disk
 * does. Reads, other files and everything else are left alone, and the data is written as ever.
 *
 * MILLRACE_BENCH_SLOW_FILE: the path of the disk. MILLRACE_BENCH_SLOW_SWITCH: path of a file that holds
 * the speed in bytes per second, looked at before each write; 0: the disk stands still until the file
 * says something else. While there is no such file the disk is as fast as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t one_disk = PTHREAD_MUTEX_INITIALIZER;

static void sleep_for(double seconds) {
  const time_t whole = (time_t)seconds;
  const struct timespec wait = {whole, (long)((seconds - (double)whole) * 1e9)};
  nanosleep(&wait, NULL);
}

static int is_slow_file(int fd) {
  const char* path = getenv("MILLRACE_BENCH_SLOW_FILE");
  struct stat wanted;
  struct stat found;
  if (path == NULL || stat(path, &wanted) != 0 || fstat(fd, &found) != 0) return 0;
  return wanted.st_dev == found.st_dev && wanted.st_ino == found.st_ino;
}

/* Below 0: as fast as it is. */
static double current_rate(void) {
  const char* path = getenv("MILLRACE_BENCH_SLOW_SWITCH");
  FILE* file = path == NULL ? NULL : fopen(path, "re");
  double rate = -1;
  if (file == NULL) return -1;
  if (fscanf(file, "%lf", &rate) != 1) rate = -1;
  fclose(file);
  return rate;
}

static void take_time(int fd, size_t bytes) {
  double rate = current_rate();
  if (rate < 0 || !is_slow_file(fd)) return;
  pthread_mutex_lock(&one_disk);
  while (rate == 0) {
    sleep_for(0.005);
    rate = current_rate();
  }
  if (rate > 0) sleep_for((double)bytes / rate);
  pthread_mutex_unlock(&one_disk);
}

static size_t total(const struct iovec* parts, int count) {
  size_t bytes = 0;
  for (int index = 0; index < count; index += 1) bytes += parts[index].iov_len;
  return bytes;
}

typedef ssize_t (*Write)(int, const void*, size_t, off64_t);
typedef ssize_t (*WriteParts)(int, const struct iovec*, int, off64_t);

#define SLOW_WRITE(name)                                                       \
  ssize_t name(int fd, const void* bytes, size_t length, off64_t offset) {     \
    const Write real = (Write)dlsym(RTLD_NEXT, #name);                         \
    take_time(fd, length);                                                     \
    return real(fd, bytes, length, offset);                                    \
  }

#define SLOW_WRITE_PARTS(name)                                                 \
  ssize_t name(int fd, const struct iovec* parts, int count, off64_t offset) { \
    const WriteParts real = (WriteParts)dlsym(RTLD_NEXT, #name);               \
    take_time(fd, total(parts, count));                                        \
    return real(fd, parts, count, offset);                                     \
  }

SLOW_WRITE(pwrite)
SLOW_WRITE(pwrite64)
SLOW_WRITE_PARTS(pwritev)
SLOW_WRITE_PARTS(pwritev64)
