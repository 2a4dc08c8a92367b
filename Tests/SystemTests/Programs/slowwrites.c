// Preloaded into the program under test: a write of much takes a tenth of a second, as to a slow stick.
//
//   cc -fPIC -shared -o slowwrites.so slowwrites.c
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

ssize_t write(int descriptor, const void *bytes, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (count >= 65536) nanosleep(&(struct timespec){.tv_nsec = 100000000}, 0);
    return real(descriptor, bytes, count);
}
