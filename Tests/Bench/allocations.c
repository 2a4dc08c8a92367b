// Preloaded into the program under test: counts what is allocated, in a file of eight bytes that others may read meanwhile.
//
//   cc -O2 -fPIC -shared -o allocations.so allocations.c
//   LD_PRELOAD=./allocations.so ALLOCATIONS=FILE PROGRAM…
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_ulong unseen;
static atomic_ulong *count = &unseen;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("ALLOCATIONS");
    int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file < 0 || ftruncate(file, sizeof *count)) return;
    void *shared = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (shared != MAP_FAILED) count = shared;
}

static void one(void) { atomic_fetch_add_explicit(count, 1, memory_order_relaxed); }

void *malloc(size_t size) { return one(), __libc_malloc(size); }

void *calloc(size_t number, size_t size) { return one(), __libc_calloc(number, size); }

void *realloc(void *old, size_t size) { return one(), __libc_realloc(old, size); }

void *memalign(size_t alignment, size_t size) { return one(), __libc_memalign(alignment, size); }

void *aligned_alloc(size_t alignment, size_t size) { return one(), __libc_memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    one();
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : ENOMEM;
}
