#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// What Swift's view of glibc leaves out: variadic calls, Linux-only flags, system calls without a wrapper.
/// Every function returns -1 and sets errno on failure, as the calls themselves do.

/// O_PATH, which glibc shows only with _GNU_SOURCE.
static const int clinux_o_path = 010000000;

/// openat2(2): resolves `path` below `directory`, through no symbolic link and no magic link.
/// Falls back to openat(2) with O_NOFOLLOW a component where the kernel or a sandbox has no openat2.
int clinux_open_beneath(int directory, const char *path, int flags, mode_t mode);

/// Takes a whole-file write lock that belongs to the open file description (F_OFD_SETLK), without waiting.
int clinux_lock(int descriptor);

/// renameat2(2) with RENAME_NOREPLACE; EINVAL where the file system cannot.
int clinux_rename_exclusive(int from_directory, const char *from, int to_directory, const char *to);

/// 1 when the first byte of the range is in the page cache or the file system cannot tell, 0 when it is not:
/// preadv2(2) with RWF_NOWAIT.
int clinux_is_resident(int descriptor, int64_t offset);

/// f_type of statfs(2).
int64_t clinux_filesystem_type(int descriptor);

/// Bytes available to this process, from fstatvfs(3).
int64_t clinux_available_bytes(int descriptor);

/// Bytes of the whole file system, from fstatvfs(3).
int64_t clinux_total_bytes(int descriptor);

/// Gives free memory back to the system: malloc_trim(3), where there is one.
void clinux_trim_memory(void);

/// Lets the C library keep up to `keep` bytes of free memory for whoever needs some next, and take blocks of up to `block` bytes
/// from there: mallopt(3), where there is one.
void clinux_keep_memory(int keep, int block);

/// 1 when the file system is mounted read-only, from fstatvfs(3).
int clinux_is_read_only(int descriptor);

int clinux_mkdirat(int directory, const char *name, mode_t mode);

/// Starts reading a range into the page cache: readahead(2).
int clinux_readahead(int descriptor, int64_t offset, size_t count);

/// Begins zlib's CRC-32 where the processor can multiply without carry, several times as fast on short texts: how many bytes
/// are done, perhaps none; the rest is for zlib.
size_t clinux_crc32(const uint8_t *bytes, size_t count, uint32_t *crc);

/// 1 when somebody else holds a lock as `clinux_lock` takes it, 0 when nobody does (F_OFD_GETLK).
int clinux_is_locked(int descriptor);

/// Notes for each piece of `piece` bytes of a file whether its first page is in the page cache: mincore(2) on a mapping. `resident` has
/// room for `count` pieces.
int clinux_residency(int descriptor, int64_t size, size_t piece, unsigned char *resident, size_t count);

/// Makes the calling thread's reads wait for everybody else's, and its computing too: ioprio_set(2), setpriority(2).
int clinux_become_idle(void);

/// Makes the calling thread, once in its life, leave the processor sooner to those that are not as patient: setpriority(2).
void clinux_give_way(int steps);

/// CPU time of the calling thread in nanoseconds.
int64_t clinux_thread_time(void);

/// Makes an empty file share the blocks of another one: ioctl_ficlone(2).
int clinux_clone(int to, int from);

/// 1 when nobody has the file open for writing, 0 when somebody has, -1 when that cannot be told: fcntl(2), F_SETLEASE.
int clinux_has_no_writers(int descriptor);

/// Gives the room of a range back, which reads as zeros from then on: fallocate(2), FALLOC_FL_PUNCH_HOLE.
int clinux_punch_hole(int descriptor, int64_t offset, int64_t count);

/// Sends bytes on a Unix socket, and with them a descriptor unless that is negative: sendmsg(2), SCM_RIGHTS. Returns how many bytes
/// were sent.
int clinux_send_descriptor(int socket, const void *bytes, size_t count, int descriptor);

/// Receives bytes from a Unix socket, and the descriptor that came with them, or -1. Returns how many bytes came.
int clinux_receive_descriptor(int socket, void *bytes, size_t count, int *descriptor);

/// A further descriptor of the same open file: fcntl(2), F_DUPFD_CLOEXEC.
int clinux_duplicate(int descriptor);

/// Makes reading from a descriptor wait for what comes.
void clinux_block(int descriptor);

/// A descriptor from which the names can be read of what is closed after writing in a folder, or renamed into it: inotify(7). Reading
/// does not wait.
int clinux_watch(const char *folder);
