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
