/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a disk full of sectors that say what they are, and proves every byte that is read back.
 *
 *     blk_check fill DISK SEED             writes all of the disk, and flushes
 *     blk_check verify DISK SEED           reads all of it: what fill wrote
 *     blk_check churn DISK SEED ROUNDS     writes, reads and flushes all the time from several
 *                                          processes, each in a part of the disk that is its own: a
 *                                          read gives what was written last, and no call fails.
 *                                          In a round, each process gets on
 *     blk_check zero DISK OFFSET LENGTH    has the disk write zeroes
 *     blk_check unmap DISK OFFSET LENGTH   the same, and the disk may give up the room
 *
 * A sector is its seed, its number, its generation (how often it was written) and bytes that follow
 * from these three. So a lost write, one that was done a second time when it was long outdated, one
 * that went to another place and one that was torn all look different from the right sector.
 *
 * Disks are used past the guest's page cache; a file in place of a disk is for tests.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECTOR      512u
#define PIECE       128u /* sectors of the longest request */
#define PROCESSES   8u
#define ROUND       20u /* requests of each process */
#define BUFFER_SIZE ((PIECE + 8) * SECTOR)

struct disk {
    const char *name;
    int fd;
    uint64_t seed;
    uint64_t sectors;
    uint8_t *buffer; /* of a page's alignment */
};

static __attribute__((noreturn, format(printf, 1, 2))) void fail(const char *what, ...)
{
    va_list args;

    printf("blk-check: FAILED ");
    va_start(args, what);
    vprintf(what, args);
    va_end(args);
    printf("\n");
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The generator splitmix64, which makes good numbers of bad ones. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* --- sectors --------------------------------------------------------------------------------- */

static void make_sector(uint64_t *words, uint64_t seed, uint64_t number, uint64_t generation)
{
    uint64_t state = seed ^ (number << 32) ^ generation;

    words[0] = seed;
    words[1] = number;
    words[2] = generation;
    for (unsigned i = 3; i < SECTOR / 8; i++)
        words[i] = next_random(&state);
}

static void check_sector(const struct disk *d, const uint8_t *got, uint64_t number,
                         uint64_t generation)
{
    uint64_t want[SECTOR / 8], header[3];
    unsigned at = 0;

    make_sector(want, d->seed, number, generation);
    if (memcmp(got, want, SECTOR) == 0)
        return;
    memcpy(header, got, sizeof(header));
    make_sector(want, header[0], header[1], header[2]);
    if (memcmp(got, want, SECTOR) == 0)
        fail("sector %" PRIu64 " of %s is generation %" PRIu64 " of sector %" PRIu64
             " with seed 0x%" PRIx64 ", not its own %" PRIu64 " with seed 0x%" PRIx64,
             number, d->name, header[2], header[1], header[0], generation, d->seed);
    make_sector(want, d->seed, number, generation);
    while (got[at] == ((const uint8_t *)want)[at])
        at++;
    fail("sector %" PRIu64 " of %s is wrong from byte %u on", number, d->name, at);
}

/* --- the disk -------------------------------------------------------------------------------- */

static uint64_t disk_size(const struct disk *d, const struct stat *s)
{
    uint64_t size = (uint64_t)s->st_size;

    if (S_ISBLK(s->st_mode) && ioctl(d->fd, BLKGETSIZE64, &size) < 0)
        fail("%s does not say how long it is: %s", d->name, strerror(errno));
    return size;
}

static struct disk open_disk(const char *name, int mode)
{
    struct disk d = {.name = name, .fd = open(name, mode | O_CLOEXEC)};
    struct stat s;

    if (d.fd < 0 || fstat(d.fd, &s) < 0)
        fail("cannot open %s: %s", name, strerror(errno));
    if (S_ISBLK(s.st_mode) && fcntl(d.fd, F_SETFL, O_DIRECT) < 0)
        fail("%s: no direct input and output: %s", name, strerror(errno));
    d.sectors = disk_size(&d, &s) / SECTOR;
    if (d.sectors == 0)
        fail("%s has no sectors", name);
    d.buffer = aligned_alloc(4096, BUFFER_SIZE);
    if (!d.buffer)
        fail("out of memory");
    return d;
}

/* Begins at different places of a page, so that requests are cut differently. */
static uint8_t *place(const struct disk *d, uint64_t number)
{
    return d->buffer + number % 8 * SECTOR;
}

static void io_failed(const struct disk *d, const char *what, uint64_t number, ssize_t n)
{
    fail("%s of sector %" PRIu64 " of %s: %s", what, number, d->name,
         n < 0 ? strerror(errno) : "not all of it");
}

static void write_sectors(const struct disk *d, uint64_t first, unsigned count)
{
    ssize_t length = (ssize_t)count * SECTOR;
    ssize_t n = pwrite(d->fd, place(d, first), (size_t)length, (off_t)(first * SECTOR));

    if (n != length)
        io_failed(d, "write", first, n);
}

static const uint8_t *read_sectors(const struct disk *d, uint64_t first, unsigned count)
{
    ssize_t length = (ssize_t)count * SECTOR;
    uint8_t *at = place(d, first);
    ssize_t n;

    memset(at, 0xaa, (size_t)length); /* what was not read is wrong */
    n = pread(d->fd, at, (size_t)length, (off_t)(first * SECTOR));
    if (n != length)
        io_failed(d, "read", first, n);
    return at;
}

static void flush(const struct disk *d)
{
    if (fsync(d->fd) < 0)
        fail("flush of %s: %s", d->name, strerror(errno));
}

/* --- fill and verify ------------------------------------------------------------------------- */

/* Lengths of requests that follow each other: all from 1 to PIECE. */
static unsigned piece_at(const struct disk *d, uint64_t first)
{
    unsigned count = 1 + (unsigned)(first * 37 % PIECE);

    return count < d->sectors - first ? count : (unsigned)(d->sectors - first);
}

static void make_sectors(const struct disk *d, uint64_t first, unsigned count, uint64_t generation)
{
    uint64_t words[SECTOR / 8];

    for (unsigned i = 0; i < count; i++) {
        make_sector(words, d->seed, first + i, generation);
        memcpy(place(d, first) + i * SECTOR, words, SECTOR);
    }
}

static void fill(struct disk *d, uint64_t seed, uint64_t nothing)
{
    (void)nothing;
    d->seed = seed;
    for (uint64_t first = 0; first < d->sectors; first += piece_at(d, first)) {
        make_sectors(d, first, piece_at(d, first), 1);
        write_sectors(d, first, piece_at(d, first));
    }
    flush(d);
}

static void verify(struct disk *d, uint64_t seed, uint64_t nothing)
{
    (void)nothing;
    d->seed = seed;
    for (uint64_t first = 0; first < d->sectors; first += piece_at(d, first)) {
        const uint8_t *got = read_sectors(d, first, piece_at(d, first));

        for (unsigned i = 0; i < piece_at(d, first); i++)
            check_sector(d, got + i * SECTOR, first + i, 1);
    }
}

/* --- churn ----------------------------------------------------------------------------------- */

struct counts {
    uint64_t writes, reads, flushes, longest_ms;
    _Atomic unsigned requests; /* of all kinds */
};

/* What the processes share. */
struct shared {
    struct counts counts[PROCESSES];
    _Atomic bool enough;
};

/* A part of the disk, and what its process knows of it. */
struct part {
    struct disk *disk;
    uint64_t begin;
    unsigned length;       /* in sectors */
    uint32_t *generations; /* of each sector, as written last */
    uint64_t random;
    struct counts *counts;
};

static void churn_write(struct part *p, unsigned at, unsigned count)
{
    uint64_t words[SECTOR / 8];
    uint8_t *buffer = place(p->disk, p->begin + at);

    for (unsigned i = 0; i < count; i++) {
        make_sector(words, p->disk->seed, p->begin + at + i, ++p->generations[at + i]);
        memcpy(buffer + i * SECTOR, words, SECTOR);
    }
    write_sectors(p->disk, p->begin + at, count);
    p->counts->writes++;
}

static void churn_read(struct part *p, unsigned at, unsigned count)
{
    const uint8_t *got = read_sectors(p->disk, p->begin + at, count);

    for (unsigned i = 0; i < count; i++)
        check_sector(p->disk, got + i * SECTOR, p->begin + at + i, p->generations[at + i]);
    p->counts->reads++;
}

static void churn_all(struct part *p, void (*what)(struct part *, unsigned, unsigned))
{
    for (unsigned at = 0; at < p->length; at += PIECE)
        what(p, at, p->length - at < PIECE ? p->length - at : PIECE);
}

static void churn_once(struct part *p)
{
    uint64_t random = next_random(&p->random), began = now_ms(), took;
    unsigned at = (unsigned)(random % p->length);
    unsigned count = 1 + (unsigned)(random >> 32) % PIECE;

    if (count > p->length - at)
        count = p->length - at;
    if (random >> 60 == 0) {
        flush(p->disk);
        p->counts->flushes++;
    } else if (random >> 60 < 8) {
        churn_write(p, at, count);
    } else {
        churn_read(p, at, count);
    }
    took = now_ms() - began;
    if (took > p->counts->longest_ms)
        p->counts->longest_ms = took;
    p->counts->requests++;
}

static void churn_part(struct part *p, const struct shared *shared)
{
    p->generations = calloc(p->length, sizeof(*p->generations));
    if (!p->generations)
        fail("out of memory");
    churn_all(p, churn_write);
    while (!shared->enough)
        churn_once(p);
    churn_all(p, churn_read);
}

static void churn_start(struct disk *d, struct shared *shared)
{
    fflush(stdout);
    for (unsigned i = 0; i < PROCESSES; i++) {
        struct part p = {.disk = d, .length = (unsigned)(d->sectors / PROCESSES)};

        p.begin = (uint64_t)i * p.length;
        p.random = d->seed + i;
        p.counts = &shared->counts[i];
        if (fork() == 0) {
            churn_part(&p, shared);
            exit(0);
        }
    }
}

/* A process that ends before it is told to has said why. */
static void wait_for_round(const struct shared *shared, unsigned round)
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        while (shared->counts[i].requests < round * ROUND) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            if (waitpid(-1, NULL, WNOHANG) != 0)
                exit(1);
        }
    }
}

static void churn_report(const struct counts *counts)
{
    struct counts sum = {0};

    for (unsigned i = 0; i < PROCESSES; i++) {
        sum.writes += counts[i].writes;
        sum.reads += counts[i].reads;
        sum.flushes += counts[i].flushes;
        if (counts[i].longest_ms > sum.longest_ms)
            sum.longest_ms = counts[i].longest_ms;
    }
    printf("blk-check: ok writes=%" PRIu64 " reads=%" PRIu64 " flushes=%" PRIu64
           " longest_ms=%" PRIu64 "\n",
           sum.writes, sum.reads, sum.flushes, sum.longest_ms);
}

static void churn(struct disk *d, uint64_t seed, uint64_t rounds)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;

    d->seed = seed;
    if (shared == MAP_FAILED || d->sectors < PROCESSES)
        fail("%s is too short, or no memory", d->name);
    churn_start(d, shared);
    for (unsigned round = 1; round <= rounds; round++) {
        wait_for_round(shared, round);
        printf("blk-check: round %u\n", round);
        fflush(stdout);
    }
    shared->enough = true;
    for (unsigned i = 0; i < PROCESSES; i++) {
        if (wait(&status) < 0 || status != 0)
            exit(1);
    }
    churn_report(shared->counts);
}

/* --- zeroes ---------------------------------------------------------------------------------- */

static void zero(struct disk *d, uint64_t offset, uint64_t length)
{
    uint64_t range[2] = {offset, length};

    if (ioctl(d->fd, BLKZEROOUT, range) < 0)
        fail("zeroes on %s: %s", d->name, strerror(errno));
}

static void unmap(struct disk *d, uint64_t offset, uint64_t length)
{
    if (fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) <
        0)
        fail("unmapping on %s: %s", d->name, strerror(errno));
}

/* --------------------------------------------------------------------------------------------- */

static int usage(void)
{
    fprintf(stderr, "usage: blk_check fill|verify DISK SEED\n"
                    "       blk_check churn DISK SEED ROUNDS\n"
                    "       blk_check zero|unmap DISK OFFSET LENGTH\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *word;
        int argc;
        int mode;
        void (*run)(struct disk *d, uint64_t first, uint64_t second); /* numbers behind DISK */
    } commands[] = {
        {"fill", 4, O_RDWR, fill}, {"verify", 4, O_RDONLY, verify}, {"churn", 5, O_RDWR, churn},
        {"zero", 5, O_RDWR, zero}, {"unmap", 5, O_RDWR, unmap},
    };

    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (argc == commands[i].argc && strcmp(argv[1], commands[i].word) == 0) {
            struct disk d = open_disk(argv[2], commands[i].mode);

            commands[i].run(&d, strtoull(argv[3], NULL, 0),
                            argc == 5 ? strtoull(argv[4], NULL, 0) : 0);
            return 0;
        }
    }
    return usage();
}
