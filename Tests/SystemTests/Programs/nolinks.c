// Preloaded into the program under test: its file systems have no hard links, and no renames that refuse to replace, as FAT.
//
//   cc -fPIC -shared -o nolinks.so nolinks.c
#include <errno.h>

int link(const char *from, const char *to) { return errno = EPERM, -1; }

int linkat(int from, const char *old, int to, const char *name, int flags) { return errno = EPERM, -1; }

int renameat2(int from, const char *old, int to, const char *name, unsigned int flags) { return errno = EINVAL, -1; }
