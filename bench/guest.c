/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_layout.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    REGION_SIZE = 2 << 20,
    LINE = 64,
    PAGE = 4096,
    RING_MIN = 256,
    CHAINS_MIN = 64, /* buffers take turns also where few are outstanding */
};

/* ---- placing things ---- */

/*
 * @bytes at offset `placed` of some region: whatever the region, things have the offsets that they
 * would have in one region, so that scattering them costs no cache line more.
 */
static uint64_t place(struct guest *guest, unsigned region, uint64_t bytes, uint64_t align)
{
    uint64_t at = (guest->placed + align - 1) & ~(align - 1);

    guest->placed = at + bytes;
    if (guest->placed > REGION_SIZE)
        errx(1, "%s needs more than %d bytes of guest memory", guest->scenario->name, REGION_SIZE);
    return guest->region[region].addr + at;
}

/* A buffer: in the last region or, scattered, in any but that of the buffer before. */
static uint64_t place_buffer(struct guest *guest, uint64_t bytes)
{
    uint32_t regions = guest->scenario->regions;

    if (guest->scenario->scattered) {
        guest->dice = guest->dice * UINT32_C(1664525) + UINT32_C(1013904223);
        guest->place_region += 1 + (guest->dice >> 16) % (regions - 1);
        guest->place_region %= regions;
    } else {
        guest->place_region = regions - 1;
    }
    return place(guest, guest->place_region, bytes, LINE);
}

static void map_ram(struct guest *guest)
{
    unsigned regions = guest->scenario->regions;

    guest->ram_size = (size_t)regions * REGION_SIZE;
    guest->ram = mmap(NULL, guest->ram_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (guest->ram == MAP_FAILED)
        err(1, "%zu bytes of guest memory", guest->ram_size);
    for (unsigned i = 0; i < regions; i++) {
        size_t off = (size_t)i * REGION_SIZE;

        guest->region[i] = (struct guest_region){GUEST_BASE + off, REGION_SIZE, guest->ram + off};
    }
}

/* The areas, each on pages of its own; room for the larger of both layouts. */
static void place_ring(struct guest *guest)
{
    unsigned entries = guest->slots * guest->chains;

    guest->size = RING_MIN;
    while (guest->size < entries)
        guest->size = (uint16_t)(2 * guest->size);
    guest->desc = place(guest, 0, sizeof(struct split_desc) * guest->size, PAGE);
    guest->driver = place(guest, 0, sizeof(struct split_avail) + 2 * (guest->size + 1u), PAGE);
    guest->device = place(guest, 0, sizeof(struct split_used) + 8u * guest->size + 2, PAGE);
}

/* ---- the requests ---- */

/* The descriptors as the device shall see them, section by section of work.h. */
static unsigned describe(struct guest *guest, struct guest_chain *chain, struct split_desc *desc)
{
    const struct scenario *s = guest->scenario;
    unsigned n = 0;

    if (s->chain > 1) {
        desc[n] = (struct split_desc){.addr = place_buffer(guest, WORK_HEADER), .len = WORK_HEADER};
        chain->header = guest_host(guest, desc[n++].addr);
    }
    if (s->chain > 2) {
        desc[n] = (struct split_desc){.addr = place_buffer(guest, s->bytes), .len = s->bytes};
        memset(guest_host(guest, desc[n].addr), (int)(guest->placed / LINE), s->bytes);
        chain->tail = s->copy ? work_word(guest_host(guest, desc[n].addr) + s->bytes - 4) : 0;
        n++;
    }
    desc[n] = (struct split_desc){
        .addr = place_buffer(guest, guest->in_bytes), .len = guest->in_bytes, .flags = DESC_WRITE};
    chain->in = guest_host(guest, desc[n++].addr);
    for (unsigned i = 0; i + 1 < n; i++)
        desc[i].flags |= DESC_NEXT;
    return n;
}

/* In an indirect table NEXT and the index count from 0; packed tables know neither. */
static void make_chain(struct guest *guest, struct guest_chain *chain)
{
    struct split_desc *desc = chain->desc;
    unsigned n = describe(guest, chain, desc);
    struct split_desc *table;
    uint64_t addr;

    if (!guest->scenario->indirect)
        return;
    addr = place_buffer(guest, n * sizeof(*desc));
    table = (struct split_desc *)(void *)guest_host(guest, addr);
    for (unsigned i = 0; i < n; i++) {
        table[i] = desc[i];
        table[i].next = (uint16_t)(i + 1 < n ? i + 1 : 0);
    }
    if (guest->packed) {
        struct packed_desc *packed = (struct packed_desc *)(void *)table;

        for (unsigned i = 0; i < n; i++)
            packed[i] = (struct packed_desc){
                .addr = desc[i].addr, .len = desc[i].len, .flags = desc[i].flags & DESC_WRITE};
    }
    desc[0] = (struct split_desc){
        .addr = addr, .len = (uint32_t)(n * sizeof(*desc)), .flags = DESC_INDIRECT};
}

void guest_start(struct guest *guest, const struct scenario *scenario, bool packed)
{
    *guest = (struct guest){.scenario = scenario, .packed = packed};
    guest->slots = scenario->indirect ? 1 : scenario->chain;
    guest->chains = scenario->depth > CHAINS_MIN ? scenario->depth : CHAINS_MIN;
    guest->in_bytes = scenario->chain < 3 ? scenario->bytes : WORK_ANSWER;
    guest->used_len = scenario->copy ? guest->in_bytes : WORK_ANSWER;
    guest->chain = calloc(guest->chains, sizeof(*guest->chain));
    if (!guest->chain)
        err(1, "%s", scenario->name);
    map_ram(guest);
    place_ring(guest);
    for (unsigned i = 0; i < guest->chains; i++)
        make_chain(guest, &guest->chain[i]);
    if (packed)
        guest_packed_start(guest);
    else
        guest_split_start(guest);
}

void guest_stop(struct guest *guest)
{
    munmap(guest->ram, guest->ram_size);
    free(guest->chain);
}

void guest_post(struct guest *guest, unsigned n)
{
    if (guest->packed)
        guest_packed_post(guest, n);
    else
        guest_split_post(guest, n);
}

unsigned guest_reap(struct guest *guest)
{
    return guest->packed ? guest_packed_reap(guest) : guest_split_reap(guest);
}

/* ---- the answers ---- */

static bool fault(struct guest *guest, const char *what, uint32_t is, uint32_t expected)
{
    snprintf(guest->fault, sizeof(guest->fault), "request %u: %s is %#x instead of %#x",
             guest->answered, what, is, expected);
    return false;
}

/* Behind the word: filled, or as the driver left it. */
static bool check_rest(struct guest *guest, const struct guest_chain *chain)
{
    for (uint32_t i = WORK_ANSWER; i < guest->in_bytes; i++) {
        uint8_t expected = i < guest->used_len ? WORK_FILL : 0;

        if (chain->in[i] != expected)
            return fault(guest, "a byte behind the answer", chain->in[i], expected);
    }
    return true;
}

bool guest_check(struct guest *guest, uint32_t id, uint32_t expected_id, uint32_t len)
{
    const struct guest_chain *chain = &guest->chain[guest->answered % guest->chains];
    uint32_t word = work_word(chain->in);
    uint32_t expected =
        chain->header ? work_answer(guest->answered, chain->tail) : work_count(guest->answered);

    if (guest->answered == guest->posted)
        return fault(guest, "the number of answers", guest->answered + 1, guest->posted);
    if (id != expected_id)
        return fault(guest, "the used id", id, expected_id);
    if (len != guest->used_len)
        return fault(guest, "the used length", len, guest->used_len);
    if (word != expected)
        return fault(guest, "the answer", word, expected);
    if (guest->thorough && !check_rest(guest, chain))
        return false;
    guest->answered++;
    return true;
}
