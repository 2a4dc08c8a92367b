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

int clinux_mkdirat(int directory, const char *name, mode_t mode);

/// Starts reading a range into the page cache: readahead(2).
int clinux_readahead(int descriptor, int64_t offset, size_t count);
