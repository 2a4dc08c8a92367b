#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int open_by_component(int directory, const char *path, int flags, mode_t mode) {
    char name[256];
    int current = directory;
    for (;;) {
        const char *slash = strchr(path, '/');
        size_t length = slash ? (size_t)(slash - path) : strlen(path);
        int next;
        if (length == 0 || length >= sizeof name) {
            next = -1;
            errno = ENAMETOOLONG;
        } else {
            memcpy(name, path, length);
            name[length] = 0;
            if (strcmp(name, "..") == 0) {
                next = -1;
                errno = EXDEV;
            } else if (slash) {
                next = openat(current, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            } else {
                next = openat(current, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
            }
        }
        int saved = errno;
        if (current != directory) close(current);
        errno = saved;
        if (next < 0 || !slash) return next;
        current = next;
        path = slash + 1;
    }
}

int clinux_open_beneath(int directory, const char *path, int flags, mode_t mode) {
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = (flags & (O_CREAT | O_TMPFILE)) ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long result = syscall(SYS_openat2, directory, path, &how, sizeof how);
    if (result < 0 && (errno == ENOSYS || errno == EPERM)) return open_by_component(directory, path, flags, mode);
    return (int)result;
}

int clinux_lock(int descriptor) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(descriptor, F_OFD_SETLK, &lock);
}

int clinux_rename_exclusive(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
}

int clinux_is_resident(int descriptor, int64_t offset) {
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    ssize_t count = preadv2(descriptor, &vector, 1, offset, RWF_NOWAIT);
    return count < 0 && errno == EAGAIN ? 0 : 1;
}

int64_t clinux_filesystem_type(int descriptor) {
    struct statfs status;
    return fstatfs(descriptor, &status) < 0 ? -1 : (int64_t)status.f_type;
}

int64_t clinux_available_bytes(int descriptor) {
    struct statvfs status;
    return fstatvfs(descriptor, &status) < 0 ? -1 : (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

int clinux_mkdirat(int directory, const char *name, mode_t mode) { return mkdirat(directory, name, mode); }

int clinux_readahead(int descriptor, int64_t offset, size_t count) {
    return readahead(descriptor, offset, count) < 0 ? -1 : 0;
}
