/* Preloaded into what is to lose its power: notes up to which size each file was synced, so that the test can cut the files back
 * to what a power loss leaves for certain. A line: inode, time of birth, size before the sync. It can also let
 * syncs fail from the n-th on, as a dying disk does. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int journal = -1;
static long fail_after = -1;
static long syncs = 0;

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("MAINSTAY_SYNC_JOURNAL");
  const char *after = getenv("MAINSTAY_SYNC_FAIL_AFTER");
  if (path) journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (after) fail_after = atol(after);
}

static int sync_and_note(int fd, long call) {
  struct statx file;
  int known = statx(fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_INO | STATX_BTIME | STATX_TYPE, &file) == 0;
  if (fail_after >= 0 && __sync_add_and_fetch(&syncs, 1) > fail_after) {
    errno = EIO;
    return -1;
  }
  int result = (int)syscall(call, fd);
  if (result == 0 && known && S_ISREG(file.stx_mode) && journal >= 0) {
    char line[128];
    int length = snprintf(line, sizeof line, "%llu %lld %u %llu\n", (unsigned long long)file.stx_ino,
                          (long long)file.stx_btime.tv_sec, file.stx_btime.tv_nsec, (unsigned long long)file.stx_size);
    if (write(journal, line, (size_t)length) != length) abort();
  }
  return result;
}

int fsync(int fd) { return sync_and_note(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_and_note(fd, SYS_fdatasync); }
