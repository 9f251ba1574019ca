/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two domains are two agents of one platform: what the one sets the other sees, and may not change.
 * Nothing of the SCMI device knows how its guests are reached; here it is this way.
 */
#include "xen/harness.h"

#include <anyhv/devices/scmi_host.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SCMI = 32,
    OTHER = 4,
    RATE_SET = 0x5005, /* headers: message 5, 6 of protocol 0x14 */
    RATE_GET = 0x5006,
    OK = 0,
    DENIED = -3,
};

static const char platform[] = "[clock cpu]\nrates = 500M 1000M\non = yes\n"
                               "[agent one]\nclocks = cpu\n"
                               "[agent two]\nclocks = cpu:read\n";

struct scene {
    struct harness *h;
    struct guest other;
    char file[128];
};

static void boot(struct guest *g)
{
    const struct drv_ring_config config = {.size = 16, .slots = g->slots};

    assert_int_equal(drv_mmio_probe(&g->mmio), SCMI);
    assert_true(drv_negotiate(&g->mmio.transport, 0));
    assert_true(drv_ring_init(&g->ring, &g->mem, &config));
    assert_true(drv_queue_setup(&g->mmio.transport, 0, &g->ring));
    drv_ready(&g->mmio.transport);
}

/* Sends @n words; the status of the answer, whose next word is in *@value. */
static int ask(struct guest *g, const uint32_t *words, unsigned n, uint32_t *value)
{
    struct drv_buf out = {drv_alloc(&g->mem, 4 * n, 8), 4 * n},
                   in = {drv_alloc(&g->mem, 16, 8), 16};
    struct drv_chain chain = {.out = &out, .nout = 1, .in = &in, .nin = 1, .direct = DRV_DIRECT};
    uint32_t len;

    for (unsigned i = 0; i < n; i++)
        drv_poke32(&g->mem, out.addr + 4 * i, words[i]);
    assert_true(drv_ring_add(&g->ring, &chain) >= 0);
    drv_ring_publish(&g->ring);
    drv_kick(&g->mmio.transport, 0, &g->ring);
    assert_true(guest_take(g, &len) && len >= 8);
    assert_int_equal(drv_peek32(&g->mem, in.addr), words[0]);
    *value = drv_peek32(&g->mem, in.addr + 8);
    return (int)drv_peek32(&g->mem, in.addr + 4);
}

static int begin(void **state)
{
    static struct scene s;
    char option[160], *argv[] = {(char *)(uintptr_t) "backend", option,
                                 (char *)(uintptr_t) "--agents-by-arrival", NULL};
    const struct anyhv_class *cls = &anyhv_scmi_class;
    void *options = calloc(1, cls->options_size), *h;
    FILE *file;

    if (harness_begin(&h))
        return -1;
    s.h = h;
    *state = &s;
    snprintf(s.file, sizeof(s.file), "%s/platform", s.h->dir);
    snprintf(option, sizeof(option), "--platform=%s", s.file);
    file = fopen(s.file, "we");
    if (!file || fputs(platform, file) < 0 || fclose(file) ||
        argp_parse(cls->args, 3, argv, 0, NULL, options))
        return -1;
    fake_node(DOM, 0, SCMI, BASE, IRQ);
    fake_domain(OTHER);
    fake_node(OTHER, 0, SCMI, BASE, IRQ);
    backend_serve(&s.h->b, cls, options);
    free(options);
    guest_init(&s.h->g, &s.h->b, DOM, BASE);
    guest_init(&s.other, &s.h->b, OTHER, BASE);
    boot(&s.h->g);
    boot(&s.other);
    return 0;
}

static int end(void **state)
{
    struct scene *s = *state;
    void *h = s->h;

    return harness_end(&h);
}

static void one_platform_for_two_domains(void **state)
{
    static const uint32_t set[] = {RATE_SET, 0, 0, 1000000000, 0}, get[] = {RATE_GET, 0};
    struct scene *s = *state;
    uint32_t value;

    assert_int_equal(ask(&s->other, set, 5, &value), DENIED);
    assert_true(logged("agent two may not send message 0x5 of protocol 0x14 for resource 0"));
    assert_int_equal(ask(&s->other, get, 2, &value), OK);
    assert_int_equal(value, 500000000);
    assert_int_equal(ask(&s->h->g, set, 5, &value), OK);
    assert_true(logged("clock cpu: 1000000000 Hz, on, by agent one"));
    assert_int_equal(ask(&s->other, get, 2, &value), OK);
    assert_int_equal(value, 1000000000);
    fake_destroy(DOM); /* the platform stays, and its other agent */
    backend_turn(&s->h->b);
    assert_int_equal(ask(&s->other, get, 2, &value), OK);
    assert_int_equal(value, 1000000000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(one_platform_for_two_domains, begin, end),
};

ANYHV_TEST_MAIN("xen, scmi", tests)
