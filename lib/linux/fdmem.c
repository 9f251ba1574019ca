/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of a peer's files, and the guard against a peer that shrinks a file under its map. All maps
 * stand in one list, which the SIGBUS handler searches; a spin lock keeps it whole when several
 * loops' threads map and unmap. Guest memory is never touched with the lock held, so the handler,
 * which runs in the thread that touched, can take it.
 */
#include <anyhv/linux/fdmem.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static atomic_flag lock = ATOMIC_FLAG_INIT;
static struct anyhv_fdmem *maps;
static struct sigaction previous;

/* ---- The list ---- */

static void acquire(void)
{
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
        ; /* the holder only follows a few pointers */
}

static void release(void)
{
    atomic_flag_clear_explicit(&lock, memory_order_release);
}

static void link_map(struct anyhv_fdmem *mem)
{
    acquire();
    mem->next = maps;
    maps = mem;
    release();
}

static void unlink_map(struct anyhv_fdmem *mem)
{
    struct anyhv_fdmem **link = &maps;

    acquire();
    while (*link && *link != mem)
        link = &(*link)->next;
    if (*link)
        *link = mem->next;
    release();
}

/* ---- The guard ---- */

/*
 * Puts zero pages in the place of the whole map that @addr lies in. Async-signal-safe: mmap is a
 * bare system call. NORESERVE: a guest's worth of zero pages must not count as memory.
 */
static bool replace_map(const void *addr)
{
    const uint8_t *at = addr;
    bool replaced = false;

    acquire();
    for (struct anyhv_fdmem *mem = maps; mem; mem = mem->next) {
        const uint8_t *base = mem->base;
        if (at < base || (size_t)(at - base) >= mem->length)
            continue;
        void *zeroes = mmap(mem->base, mem->length, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        replaced = zeroes != MAP_FAILED;
        if (replaced)
            mem->lost = 1;
        break;
    }
    release();
    return replaced;
}

/* As if the guard were not there. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
    bool fault = info->si_code > 0; /* raised by the kernel for an instruction, not sent */

    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(sig, info, context);
    } else if (previous.sa_handler == SIG_DFL || (previous.sa_handler == SIG_IGN && fault)) {
        /* It is blocked while we are in here, and ends the process when we return. */
        signal(sig, SIG_DFL);
        raise(sig);
    } else if (previous.sa_handler != SIG_IGN) {
        previous.sa_handler(sig);
    }
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    int saved = errno;

    /* BUS_ADRERR: behind the file's end. A broken memory module is another matter. */
    if (info->si_code != BUS_ADRERR || !replace_map(info->si_addr))
        pass_on(sig, info, context);
    errno = saved;
}

int anyhv_fdmem_guard(void)
{
    static atomic_flag installed = ATOMIC_FLAG_INIT;
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    if (atomic_flag_test_and_set(&installed))
        return 0;
    sigemptyset(&action.sa_mask);
    /* First read, then set: the handler must never run with `previous` not yet known. */
    if (sigaction(SIGBUS, NULL, &previous) < 0 || sigaction(SIGBUS, &action, NULL) < 0) {
        atomic_flag_clear(&installed);
        return -errno;
    }
    return 0;
}

bool anyhv_fdmem_lost(const struct anyhv_fdmem *mem)
{
    return mem->lost != 0;
}

/* ---- Maps ---- */

/* What offset and length of a map of @fd have to be multiples of. */
static uint64_t granule(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) == 0 && (uint32_t)fs.f_type == HUGETLBFS_MAGIC)
        return (uint64_t)fs.f_bsize;
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

int anyhv_fdmem_map(struct anyhv_fdmem *mem, int fd, uint64_t offset, uint64_t size, bool read_only)
{
    struct stat st;

    memset(mem, 0, sizeof(*mem));
    if (size == 0 || offset + size < offset)
        return ANYHV_E_INVAL;
    if (fstat(fd, &st) < 0)
        return ANYHV_E_IO;
    if ((uint64_t)st.st_size < offset + size)
        return ANYHV_E_INVAL;

    uint64_t unit = granule(fd);
    uint64_t skip = offset % unit;
    uint64_t length = (skip + size + unit - 1) / unit * unit;
    if (length > SIZE_MAX)
        return ANYHV_E_INVAL;
    void *base = mmap(NULL, (size_t)length, read_only ? PROT_READ : PROT_READ | PROT_WRITE,
                      MAP_SHARED, fd, (off_t)(offset - skip));
    if (base == MAP_FAILED)
        return ANYHV_E_IO;
    /* A guest's memory has no place in our core dump. Only a wish: no error. */
    madvise(base, (size_t)length, MADV_DONTDUMP);

    mem->base = base;
    mem->length = (size_t)length;
    mem->host = (uint8_t *)base + skip;
    mem->size = size;
    link_map(mem);
    return ANYHV_OK;
}

void anyhv_fdmem_unmap(struct anyhv_fdmem *mem)
{
    if (!mem->base)
        return;
    unlink_map(mem);
    munmap(mem->base, mem->length);
    memset(mem, 0, sizeof(*mem));
}

int anyhv_fdmem_create(const char *name, uint64_t size)
{
    if (size == 0 || size > INT64_MAX)
        return -EINVAL;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}
