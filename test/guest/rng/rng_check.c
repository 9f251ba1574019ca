/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the simulated entropy stream as a guest's user space sees it, and proves every byte of it.
 *
 *     rng_check [-s SEED] [-n SEED] [-o] [-u] FILE BYTES
 *
 *     -s SEED  the stream must have this seed (otherwise the first record names it)
 *     -n SEED  another back end takes over in the middle, whose stream has this seed: from some
 *              record on it must be that stream, from its beginning
 *     -o       others are served from the stream, too: any number of records may be missing
 *     -u       read until the device goes away (ENODEV) instead of BYTES bytes; at least BYTES must
 *              have been read by then
 *
 * The device hands out 64-byte records (rng_record.h). What becomes of them in Linux:
 *
 *  - virtio-rng has one buffer with the device, of 64 bytes (SMP_CACHE_BYTES of x86-64 and arm64),
 *    and the hwrng core passes on its bytes in order. Records never overtake each other, so an
 *    index that does not grow is an error, be it a repeat or a step back.
 *  - When the driver registers, the core takes up to 32 bytes for the kernel's own pool, if they
 *    have arrived by then. From there on each 64-byte read of the core straddles two records. So
 *    the stream may begin inside a record, at a multiple of 16 (kernels before 5.19 took 16 bytes),
 *    and remains shifted by that while the driver is bound.
 *  - The kernel's hwrng thread takes 64 bytes when it starts, and then as many every second or less
 *    often (CRNG_RESEED_START_INTERVAL). These never reach us. They are the only gaps there may be:
 *    whole multiples of 64 bytes between two of our reads; in T seconds 1 + T, and never more.
 *
 * Hence the unit of checking is the piece: 64 bytes that one read of the core returned. A piece at
 * any of the possible shifts holds the seed and index of a record that begins in it, which says
 * what all its other bytes must be. Nothing is skipped in search of something that fits.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/rng/rng_record.h"

#define PIECE      RNG_RECORD_SIZE
#define SHIFT_STEP 16u  /* a record's header is 16 bytes: at these shifts it is never split */
#define RESEED_MS  990u /* one second, less the jiffy by which a kernel timer may be early */

struct stream {
    const char *name;
    bool seed_known, next_seed_known, taken_over, shared;
    uint64_t seed, next_seed;
    uint64_t bytes; /* proven so far */
    unsigned begin; /* where in a piece the record begins whose header it holds */
    uint64_t first; /* index in the first piece */
    uint64_t last;  /* index in the latest piece */
    uint64_t missing;
    uint64_t began_ms; /* since the machine started */
};

static __attribute__((noreturn, format(printf, 2, 3))) void fail(const struct stream *s,
                                                                 const char *what, ...)
{
    va_list args;

    printf("rng-check: FAILED ");
    va_start(args, what);
    vprintf(what, args);
    va_end(args);
    printf(", at byte %" PRIu64 " of %s\n", s->bytes, s->name);
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t missing_allowed(const struct stream *s)
{
    return s->shared ? UINT64_MAX : 1 + (now_ms() - s->began_ms) / RESEED_MS;
}

/* Writes what a piece must look like in which record @index begins at byte @begin. */
static void make_piece(uint8_t *piece, uint64_t seed, uint64_t index, unsigned begin)
{
    uint8_t records[2 * RNG_RECORD_SIZE];

    rng_record_make(records, seed, index - 1);
    rng_record_make(records + RNG_RECORD_SIZE, seed, index);
    memcpy(piece, records + RNG_RECORD_SIZE - begin, PIECE);
}

/* The number of leading bytes of @got that agree with record @index beginning at @begin. */
static unsigned agreement(const struct stream *s, const uint8_t *got, uint64_t index,
                          unsigned begin)
{
    uint8_t want[PIECE];
    unsigned n = 0;

    make_piece(want, s->seed, index, begin);
    while (n < PIECE && got[n] == want[n])
        n++;
    return n;
}

/* Finds the one shift at which the first piece of all is right. */
static void check_first_piece(struct stream *s, const uint8_t *piece)
{
    bool seed_given = s->seed_known;

    for (unsigned begin = 0; begin < PIECE; begin += SHIFT_STEP) {
        uint64_t index = rng_record_get64(piece + begin + 8);

        if (!seed_given)
            s->seed = rng_record_get64(piece + begin);
        if ((begin > 0 && index == 0) || agreement(s, piece, index, begin) < PIECE)
            continue;
        s->seed_known = true;
        s->begin = begin;
        s->first = s->last = index;
        return;
    }
    fail(s, "no record of the stream in the first 64 bytes");
}

/* Do the bytes before the header end a record from @first to @last? */
static bool ends_one_of(const struct stream *s, const uint8_t *piece, uint64_t first, uint64_t last)
{
    for (uint64_t index = first; index <= last; index++)
        if (agreement(s, piece, index + 1, s->begin) >= s->begin)
            return true;
    return false;
}

/* Is all of it the other back end's? Then the kernel's thread took the piece in which it began. */
static bool is_all_next(const struct stream *s, const uint8_t *piece, uint64_t index)
{
    uint8_t want[PIECE];

    make_piece(want, s->next_seed, index, s->begin);
    return index > 0 && memcmp(piece, want, PIECE) == 0;
}

/* The record in here is the other back end's, and what ends before it is still the first one's. */
static bool takes_over(struct stream *s, const uint8_t *piece)
{
    uint64_t index = rng_record_get64(piece + s->begin + 8);
    uint8_t record[RNG_RECORD_SIZE];

    if (!s->next_seed_known || s->taken_over || rng_record_get64(piece + s->begin) != s->next_seed)
        return false;
    rng_record_make(record, s->next_seed, index);
    s->missing += index;
    if (memcmp(record, piece + s->begin, PIECE - s->begin) != 0 ||
        s->missing > missing_allowed(s) ||
        (!ends_one_of(s, piece, s->last, s->last + missing_allowed(s)) &&
         !is_all_next(s, piece, index)))
        fail(s, "the stream of seed 0x%" PRIx64 " does not take over from record %" PRIu64 " here",
             s->next_seed, s->last);
    s->seed = s->next_seed;
    s->last = index;
    s->taken_over = true;
    return true;
}

static void check_next_piece(struct stream *s, const uint8_t *piece)
{
    uint64_t index = rng_record_get64(piece + s->begin + 8);
    unsigned right;

    if (takes_over(s, piece))
        return;
    right = agreement(s, piece, index, s->begin);
    /* With others served in between, what ends here need not be the record before. */
    if (right < s->begin && s->shared && index > s->last &&
        ends_one_of(s, piece, s->last, index - 1)) {
        uint8_t mended[PIECE];

        make_piece(mended, s->seed, index, s->begin);
        memcpy(mended + s->begin, piece + s->begin, PIECE - s->begin);
        right = agreement(s, mended, index, s->begin);
    }
    if (right < PIECE)
        fail(s,
             "byte %u of the piece is not what record %" PRIu64 " has (record %" PRIu64
             " came before)",
             right, index, s->last);
    if (index <= s->last)
        fail(s, "record %" PRIu64 " came again after record %" PRIu64, index, s->last);
    s->missing += index - s->last - 1;
    if (s->missing > missing_allowed(s))
        fail(s,
             "%" PRIu64 " records missing before record %" PRIu64
             ", Linux takes no more than %" PRIu64,
             s->missing, index, missing_allowed(s));
    s->last = index;
}

/*
 * Less than a piece: the driver was unbound while a read waited for the second half of one. It
 * holds no header if it is short, so try what may come next, nearest first.
 */
static void check_last_bytes(struct stream *s, const uint8_t *bytes, unsigned length)
{
    uint64_t index = s->last + 1;

    for (uint64_t room = missing_allowed(s) - s->missing;; room--, index++) {
        if (agreement(s, bytes, index, s->begin) >= length)
            break;
        if (room == 0)
            fail(s, "the last %u bytes continue no record after %" PRIu64, length, s->last);
    }
    s->bytes += length;
}

static void check(struct stream *s, const uint8_t *bytes, size_t length)
{
    for (; length >= PIECE; bytes += PIECE, length -= PIECE) {
        if (s->bytes == 0)
            check_first_piece(s, bytes);
        else
            check_next_piece(s, bytes);
        s->bytes += PIECE;
    }
    if (length > 0)
        check_last_bytes(s, bytes, (unsigned)length);
}

static void read_and_check(struct stream *s, uint64_t wanted, bool until_gone)
{
    uint8_t buffer[64 * PIECE] = {0};
    int fd = open(s->name, O_RDONLY);

    if (fd < 0)
        fail(s, "cannot open: %s", strerror(errno));
    s->began_ms = now_ms();
    while (until_gone || s->bytes < wanted) {
        uint64_t left = wanted - s->bytes;
        ssize_t n = read(fd, buffer, until_gone || left > sizeof(buffer) ? sizeof(buffer) : left);

        if (n < 0 && errno == ENODEV && until_gone && s->bytes >= wanted)
            break;
        if (n < 0)
            fail(s, "cannot read: %s", strerror(errno));
        if (n == 0)
            fail(s, "the stream ends");
        if (n % PIECE != 0 && !until_gone)
            fail(s, "a read returned %zd bytes", n);
        check(s, buffer, (size_t)n);
    }
    if (s->next_seed_known && !s->taken_over)
        fail(s, "the stream of seed 0x%" PRIx64 " never took over", s->next_seed);
    close(fd);
}

static void report(const struct stream *s)
{
    printf("rng-check: ok %" PRIu64 " bytes %" PRIu64 " records seed 0x%" PRIx64, s->bytes,
           s->bytes / PIECE, s->seed);
    printf(" first %" PRIu64 " last %" PRIu64 " missing %" PRIu64, s->first, s->last, s->missing);
    printf(" (at most %" PRIu64 ": Linux takes one at once and one a second) shift %u",
           missing_allowed(s), s->begin);
    printf(" began_ms %" PRIu64 " took_ms %" PRIu64 "\n", s->began_ms, now_ms() - s->began_ms);
}

static int usage(void)
{
    fprintf(stderr, "usage: rng_check [-s SEED] [-n SEED] [-o] [-u] FILE BYTES (a multiple of 64, "
                    "not 0)\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct stream s = {0};
    bool until_gone = false;
    uint64_t wanted;
    int option;

    while ((option = getopt(argc, argv, "s:n:ou")) != -1) {
        if (option == 's') {
            s.seed = strtoull(optarg, NULL, 0);
            s.seed_known = true;
        } else if (option == 'n') {
            s.next_seed = strtoull(optarg, NULL, 0);
            s.next_seed_known = true;
        } else if (option == 'o') {
            s.shared = true;
        } else if (option == 'u') {
            until_gone = true;
        } else {
            return usage();
        }
    }
    if (argc - optind != 2)
        return usage();
    s.name = argv[optind];
    wanted = strtoull(argv[optind + 1], NULL, 0);
    if (wanted == 0 || wanted % PIECE != 0)
        return usage();

    read_and_check(&s, wanted, until_gone);
    report(&s);
    return 0;
}
