// Preloaded into the program under test: counts the file calls that touch a store, and kills the process at the N-th or
// lets it fail. All threads and all processes of a run share one counter, so that a number means one call of the run.
//
//   cc -O2 -fPIC -shared -o faultshim.so faultshim.c -ldl
//
//   FAULT_PATH     only calls on paths and descriptors below this folder count
//   FAULT_COUNTER  file of eight bytes that holds the counter
//   FAULT_CALLS    names that count, comma separated
//   FAULT_AT       the number of the call; 0: none
//   FAULT_ACT      kill (before the call), eio, enospc
//   FAULT_STICKY   1: every counted call from FAULT_AT on fails
//   FAULT_LOG      receives one line a counted call, before the call is made
//
// Names: open-create, open, open-folder, write, read, sendfile, fsync, fdatasync, rename, link, unlink, mkdir, rmdir, ftruncate,
// fallocate, fchmod. Not seen: what libc calls inside itself (directory listings), and programs that do not load libc.
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(function) ({ static __typeof__(&function) real; if (!real) real = dlsym(RTLD_NEXT, #function); real; })

static atomic_long private_counter;
static atomic_long *counter = &private_counter;
static const char *path_prefix, *call_names, *action;
static long fault_at;
static int sticky, log_fd = -1;
static atomic_int ready;

__attribute__((constructor)) static void configure(void) {
    if (atomic_exchange(&ready, 1)) return;
    path_prefix = getenv("FAULT_PATH");
    call_names = getenv("FAULT_CALLS");
    action = getenv("FAULT_ACT");
    fault_at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
    sticky = getenv("FAULT_STICKY") && atoi(getenv("FAULT_STICKY"));
    const char *counter_path = getenv("FAULT_COUNTER"), *log_path = getenv("FAULT_LOG");
    if (counter_path) {
        int fd = REAL(open)(counter_path, O_RDWR | O_CLOEXEC);
        void *shared = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared != MAP_FAILED) counter = shared;
        if (fd >= 0) REAL(close)(fd);
    }
    if (log_path) log_fd = REAL(open)(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static int listed(const char *name) {
    if (!call_names) return 0;
    size_t length = strlen(name);
    for (const char *at = call_names; (at = strstr(at, name)); at += length)
        if ((at == call_names || at[-1] == ',') && (at[length] == ',' || at[length] == 0)) return 1;
    return 0;
}

static void path_of_descriptor(int fd, char *out, size_t size) {
    char link_name[64];
    snprintf(link_name, sizeof link_name, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
    ssize_t length = REAL(syscall)(SYS_readlinkat, AT_FDCWD, link_name, out, size - 1);
    out[length < 0 ? 0 : length] = 0;
}

static void path_of_name(int folder, const char *name, char *out, size_t size) {
    if (!name || name[0] == '/') {
        snprintf(out, size, "%s", name ? name : "");
        return;
    }
    path_of_descriptor(folder, out, size);
    size_t used = strlen(out);
    snprintf(out + used, size - used, "/%s", name);
}

static const char *below_prefix(const char *path) {
    size_t length = path_prefix ? strlen(path_prefix) : 0;
    if (length == 0 || strncmp(path, path_prefix, length) != 0) return NULL;
    return path[length] == '/' ? path + length + 1 : path[length] == 0 ? "." : NULL;
}

// Counts one call; true when it shall fail, with errno set.
static int fails(const char *name, const char *path, const char *second) {
    const char *first_below = below_prefix(path), *second_below = second ? below_prefix(second) : NULL;
    if (!first_below && !second_below) return 0;
    int saved = errno;
    long number = atomic_fetch_add(counter, 1) + 1;
    if (log_fd >= 0) {
        char line[2 * PATH_MAX + 96];
        int length = snprintf(line, sizeof line, "%ld %s %s%s%s\n", number, name, first_below ? first_below : path,
                              second ? " -> " : "", second_below ? second_below : second ? second : "");
        (void)!REAL(write)(log_fd, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
    }
    errno = saved;
    if (fault_at <= 0 || !action || (sticky ? number < fault_at : number != fault_at)) return 0;
    if (strcmp(action, "kill") == 0) {
        REAL(syscall)(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = strcmp(action, "enospc") == 0 ? ENOSPC : EIO;
    return 1;
}

static int fails_descriptor(const char *name, int fd) {
    if (!atomic_load(&ready)) configure();
    if (!listed(name)) return 0;
    char path[PATH_MAX];
    int saved = errno;
    path_of_descriptor(fd, path, sizeof path);
    errno = saved;
    return fails(name, path, NULL);
}

static int fails_name(const char *name, int folder, const char *file) {
    if (!atomic_load(&ready)) configure();
    if (!listed(name)) return 0;
    char path[PATH_MAX];
    int saved = errno;
    path_of_name(folder, file, path, sizeof path);
    errno = saved;
    return fails(name, path, NULL);
}

static int fails_names(const char *name, int from, const char *old, int to, const char *new) {
    if (!atomic_load(&ready)) configure();
    if (!listed(name)) return 0;
    char first[PATH_MAX], second[PATH_MAX];
    int saved = errno;
    path_of_name(from, old, first, sizeof first);
    path_of_name(to, new, second, sizeof second);
    errno = saved;
    return fails(name, first, second);
}

static int exists(int folder, const char *file) {
    struct stat status;
    int saved = errno, found = file && REAL(syscall)(SYS_newfstatat, folder, file, &status, AT_SYMLINK_NOFOLLOW) == 0;
    errno = saved;
    return found;
}

#define CREATES(flags) ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE)
#define MODE(flags, last) ({ mode_t mode = 0; if (CREATES(flags)) { va_list list; va_start(list, last); mode = va_arg(list, mode_t); va_end(list); } mode; })

static const char *open_name(int flags, int folder, const char *file) {
    if (CREATES(flags) && !exists(folder, file)) return "open-create";
    return flags & (O_DIRECTORY | O_PATH) ? "open-folder" : "open";
}

int open(const char *file, int flags, ...) {
    mode_t mode = MODE(flags, flags);
    if (fails_name(open_name(flags, AT_FDCWD, file), AT_FDCWD, file)) return -1;
    return REAL(open)(file, flags, mode);
}
int openat(int folder, const char *file, int flags, ...) {
    mode_t mode = MODE(flags, flags);
    if (fails_name(open_name(flags, folder, file), folder, file)) return -1;
    return REAL(openat)(folder, file, flags, mode);
}

// Calls that libc has no wrapper for, or that a program prefers to make itself.
long syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    if (number == SYS_openat2) {
        int flags = (int)((const struct open_how *)c)->flags;
        if (fails_name(open_name(flags, (int)a, (const char *)b), (int)a, (const char *)b)) return -1;
    } else if (number == SYS_renameat2) {
        if (fails_names("rename", (int)a, (const char *)b, (int)c, (const char *)d)) return -1;
    } else if (number == SYS_copy_file_range) {
        if (fails_descriptor("write", (int)c)) return -1;
    }
    return REAL(syscall)(number, a, b, c, d, e, f);
}

#define ON_DESCRIPTOR(type, function, name, fd, parameters, arguments)        \
    type function parameters {                                              \
        if (fails_descriptor(name, fd)) return -1;                           \
        return REAL(function) arguments;                                     \
    }
ON_DESCRIPTOR(ssize_t, write, "write", fd, (int fd, const void *bytes, size_t size), (fd, bytes, size))
ON_DESCRIPTOR(ssize_t, pwrite, "write", fd, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at))
ON_DESCRIPTOR(ssize_t, writev, "write", fd, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_DESCRIPTOR(ssize_t, pwritev, "write", fd, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))
ON_DESCRIPTOR(ssize_t, read, "read", fd, (int fd, void *bytes, size_t size), (fd, bytes, size))
ON_DESCRIPTOR(ssize_t, pread, "read", fd, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at))
ON_DESCRIPTOR(ssize_t, preadv, "read", fd, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))
ON_DESCRIPTOR(ssize_t, sendfile, "sendfile", in, (int out, int in, off_t *at, size_t size), (out, in, at, size))
ON_DESCRIPTOR(ssize_t, copy_file_range, "write", out,
              (int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags), (in, from, out, to, size, flags))
ON_DESCRIPTOR(int, fsync, "fsync", fd, (int fd), (fd))
ON_DESCRIPTOR(int, fdatasync, "fdatasync", fd, (int fd), (fd))
ON_DESCRIPTOR(int, ftruncate, "ftruncate", fd, (int fd, off_t size), (fd, size))
ON_DESCRIPTOR(int, fallocate, "fallocate", fd, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
ON_DESCRIPTOR(int, fchmod, "fchmod", fd, (int fd, mode_t mode), (fd, mode))

int posix_fallocate(int fd, off_t at, off_t size) {
    if (fails_descriptor("fallocate", fd)) return errno;
    return REAL(posix_fallocate)(fd, at, size);
}

// What would change nothing never reaches a disk: removing what is not there, making what is.
#define ON_NAME(function, name, folder, file, there, parameters, arguments)   \
    int function parameters {                                               \
        if (exists(folder, file) == there && fails_name(name, folder, file)) return -1; \
        return REAL(function) arguments;                                     \
    }
ON_NAME(unlink, "unlink", AT_FDCWD, file, 1, (const char *file), (file))
ON_NAME(unlinkat, "unlink", folder, file, 1, (int folder, const char *file, int flags), (folder, file, flags))
ON_NAME(rmdir, "rmdir", AT_FDCWD, file, 1, (const char *file), (file))
ON_NAME(mkdir, "mkdir", AT_FDCWD, file, 0, (const char *file, mode_t mode), (file, mode))
ON_NAME(mkdirat, "mkdir", folder, file, 0, (int folder, const char *file, mode_t mode), (folder, file, mode))

#define ON_NAMES(function, name, from, to, parameters, arguments)             \
    int function parameters {                                               \
        if (fails_names(name, from, old, to, new)) return -1;                \
        return REAL(function) arguments;                                     \
    }
ON_NAMES(rename, "rename", AT_FDCWD, AT_FDCWD, (const char *old, const char *new), (old, new))
ON_NAMES(renameat, "rename", from, to, (int from, const char *old, int to, const char *new), (from, old, to, new))
ON_NAMES(renameat2, "rename", from, to, (int from, const char *old, int to, const char *new, unsigned flags), (from, old, to, new, flags))
ON_NAMES(link, "link", AT_FDCWD, AT_FDCWD, (const char *old, const char *new), (old, new))
ON_NAMES(linkat, "link", from, to, (int from, const char *old, int to, const char *new, int flags), (from, old, to, new, flags))

// On 64-bit Linux the ...64 names are the same functions.
#define SAME(name, as) extern __typeof__(name) name __attribute__((alias(#as)));
SAME(open64, open)
SAME(openat64, openat)
SAME(pwrite64, pwrite)
SAME(pread64, pread)
SAME(preadv64, preadv)
SAME(pwritev64, pwritev)
SAME(sendfile64, sendfile)
SAME(ftruncate64, ftruncate)
SAME(fallocate64, fallocate)
SAME(posix_fallocate64, posix_fallocate)
