#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
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

int64_t clinux_total_bytes(int descriptor) {
    struct statvfs status;
    return fstatvfs(descriptor, &status) < 0 ? -1 : (int64_t)status.f_blocks * (int64_t)status.f_frsize;
}

void clinux_trim_memory(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void clinux_keep_memory(int keep, int block) {
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, keep);
    mallopt(M_MMAP_THRESHOLD, block);
#else
    (void)keep;
    (void)block;
#endif
}

int clinux_is_read_only(int descriptor) {
    struct statvfs status;
    return fstatvfs(descriptor, &status) < 0 ? -1 : (status.f_flag & ST_RDONLY) != 0;
}

int clinux_mkdirat(int directory, const char *name, mode_t mode) { return mkdirat(directory, name, mode); }

int clinux_clone(int to, int from) { return ioctl(to, FICLONE, from); }

int clinux_has_no_writers(int descriptor) {
    if (fcntl(descriptor, F_SETLEASE, F_RDLCK) < 0) return errno == EAGAIN ? 0 : -1;
    fcntl(descriptor, F_SETLEASE, F_UNLCK);
    return 1;
}

int clinux_duplicate(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 3); }

void clinux_block(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags >= 0) fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
}

int clinux_watch(const char *folder) {
    int descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (descriptor < 0) return -1;
    if (inotify_add_watch(descriptor, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) >= 0) return descriptor;
    int saved = errno;
    close(descriptor);
    errno = saved;
    return -1;
}

int clinux_punch_hole(int descriptor, int64_t offset, int64_t count) {
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int clinux_send_descriptor(int socket, const void *bytes, size_t count, int descriptor) {
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (descriptor >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    return (int)sendmsg(socket, &message, MSG_NOSIGNAL);
}

int clinux_receive_descriptor(int socket, void *bytes, size_t count, int *descriptor) {
    struct iovec vector = {.iov_base = bytes, .iov_len = count};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor = -1;
    ssize_t result = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (result < 0) return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    }
    return (int)result;
}

int clinux_readahead(int descriptor, int64_t offset, size_t count) {
    return readahead(descriptor, offset, count) < 0 ? -1 : 0;
}

int clinux_is_locked(int descriptor) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(descriptor, F_OFD_GETLK, &lock) < 0) return -1;
    return lock.l_type == F_UNLCK ? 0 : 1;
}

int clinux_residency(int descriptor, int64_t size, size_t piece, unsigned char *resident, size_t count) {
    long page = sysconf(_SC_PAGESIZE);
    // A window at a time, so that a large file needs no large table.
    const int64_t window = 64 << 20;
    unsigned char *pages = malloc((size_t)(window / page));
    if (!pages) return -1;
    size_t next = 0;
    for (int64_t offset = 0; offset < size && next < count; offset += window) {
        size_t length = (size_t)(size - offset < window ? size - offset : window);
        void *mapping = mmap(NULL, length, PROT_READ, MAP_SHARED, descriptor, offset);
        int failed = mapping == MAP_FAILED || mincore(mapping, length, pages) < 0;
        if (mapping != MAP_FAILED) munmap(mapping, length);
        if (failed) {
            free(pages);
            return -1;
        }
        for (; next < count && (int64_t)(next * piece) < offset + (int64_t)length; next++)
            resident[next] = pages[((int64_t)(next * piece) - offset) / page] & 1;
    }
    free(pages);
    return 0;
}

int clinux_become_idle(void) {
    // linux/ioprio.h is missing from older headers: IOPRIO_WHO_PROCESS is 1, IOPRIO_CLASS_IDLE 3, shifted by 13.
    long result = syscall(SYS_ioprio_set, 1, 0, 3 << 13);
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    return result < 0 ? -1 : 0;
}

void clinux_give_way(int steps) {
    static __thread int done;
    if (done) return;
    done = 1;
    id_t thread = (id_t)syscall(SYS_gettid);
    errno = 0;
    int now = getpriority(PRIO_PROCESS, thread);
    if (errno == 0) setpriority(PRIO_PROCESS, thread, now + steps);
}

int64_t clinux_thread_time(void) {
    struct timespec now;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) < 0 ? -1 : (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
