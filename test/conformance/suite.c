/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing rigs up and down around tests, and running them. */
#include "conformance/suite.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    DEFAULT_SIZE = 64,
    DEFAULT_TABLES = 40,
    MAX_BUFS = 2 * ANYHV_QUEUE_SIZE_MAX,
};

static void *checked(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* ---- Up ---- */

void suite_start(struct suite *s, const struct rig_options *options)
{
    static const struct rig_options none;

    assert_true(s->rig->ops->start(s->rig, options ? options : &none));
    s->t = s->rig->transport;
    s->mem = s->rig->mem;
    assert_true(s->mem->size >= RIG_MEMORY);
}

/* The three areas within one region, if they fit into one at all. */
static void skip_border(struct drv_mem *mem, uint64_t areas)
{
    uint64_t left = RIG_REGION - mem->used % RIG_REGION;

    if (areas <= RIG_REGION && areas > left)
        mem->used += left;
}

void suite_ring(struct suite *s, unsigned queue, uint16_t size, uint16_t tables)
{
    struct drv_ring_config config = {
        .size = size,
        .packed = s->t->features & DRV_F_PACKED,
        .event_idx = s->t->features & DRV_F_EVENT_IDX,
        .in_order = s->t->features & DRV_F_IN_ORDER,
        .table_entries = s->t->features & DRV_F_INDIRECT ? tables : 0,
    };

    free(s->slots[queue]);
    s->slots[queue] = checked(calloc(size, sizeof(*s->slots[queue])));
    config.slots = s->slots[queue];
    skip_border(s->mem, 26 * (uint64_t)size + 64);
    assert_true(drv_ring_init(&s->ring[queue], s->mem, &config));
}

void suite_negotiate(struct suite *s, const struct suite_setup *setup)
{
    uint64_t want = (s->rig->features | setup->features) & ~setup->without;
    uint16_t size = setup->size ? setup->size : DEFAULT_SIZE;

    assert_int_equal(want & ~s->t->ops->offered(s->t), 0);
    assert_true(drv_negotiate(s->t, want));
    s->mem->used = 0;
    s->nios = 0;
    for (unsigned queue = 0; queue < TEST_QUEUES && !setup->no_queues; queue++) {
        suite_ring(s, queue, size, setup->tables ? setup->tables : DEFAULT_TABLES);
        assert_true(drv_queue_setup(s->t, queue, &s->ring[queue]));
    }
    s->mark = s->mem->used;
    if (!setup->not_ready)
        drv_ready(s->t);
}

void suite_up(struct suite *s, const struct suite_setup *setup)
{
    suite_start(s, &setup->options);
    suite_negotiate(s, setup);
}

void suite_again(struct suite *s, const struct suite_setup *setup)
{
    suite_negotiate(s, setup);
}

/* ---- Looking ---- */

void suite_settle(struct suite *s)
{
    s->rig->ops->settle(s->rig);
}

bool suite_interrupted(struct suite *s, int queue)
{
    suite_settle(s);
    return s->rig->ops->wait(s->rig, queue, 0);
}

uint64_t suite_random(struct suite *s)
{
    /* xorshift64*: small, and the same everywhere. */
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return s->random * UINT64_C(0x2545f4914f6cdd1d);
}

uint32_t suite_below(struct suite *s, uint32_t limit)
{
    return (uint32_t)((suite_random(s) >> 32) * limit >> 32);
}

uint32_t suite_violations(struct suite *s, enum anyhv_violation v)
{
    uint32_t all[ANYHV_V_COUNT] = {0};

    s->rig->ops->violations(s->rig, all);
    return all[v];
}

struct anyhv_queue_counters suite_counters(struct suite *s, unsigned queue)
{
    struct anyhv_queue_counters counters = {0};

    assert_true(s->rig->ops->counters(s->rig, queue, &counters));
    return counters;
}

/* ---- Running ---- */

struct entry {
    struct rig *rig;
    const struct suite_test *test;
    char *name;
};

static int setup(void **state)
{
    const struct entry *entry = *state;
    struct suite *s = checked(calloc(1, sizeof(*s)));

    s->rig = entry->rig;
    s->test = entry->test;
    s->bufs = checked(calloc(MAX_BUFS, sizeof(*s->bufs)));
    s->ios = checked(calloc(SUITE_IOS, sizeof(*s->ios)));
    s->random = UINT64_C(0x9e3779b97f4a7c15);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct suite *s = *state;

    if (s->end)
        s->end(s);
    s->rig->ops->stop(s->rig);
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++)
        free(s->slots[queue]);
    free(s->ios);
    free(s->bufs);
    free(s);
    return 0;
}

static void run(void **state)
{
    struct suite *s = *state;

    s->test->run(s);
}

/* The other ring's tests are no loss to a rig. */
static bool layout_fits(const struct rig *rig, const struct suite_test *test)
{
    bool packed = rig->features & DRV_F_PACKED;

    return test->layout == SUITE_ANY || packed == (test->layout == SUITE_PACKED);
}

static bool fits(const struct rig *rig, const struct suite_test *test)
{
    return (rig->caps & test->caps) == test->caps && layout_fits(rig, test);
}

/* In the order of enum rig_caps; the suites' own bits have no names. */
static const char *const cap_names[] = {
    "registers",   "counters",    "in the same process",
    "quiesce",     "migrate",     "crash",
    "queue reset", "config",      "config interrupt",
    "status",      "generation",  "queue max",
    "any kick",    "large areas", "memory ops",
    "suspend",     "kick data",   "a fresh device for each test",
};

void suite_left_out(const struct rig *rig, const struct suite_test *const *lists)
{
    unsigned wanted[sizeof(cap_names) / sizeof(cap_names[0])] = {0}, count = 0;

    for (unsigned l = 0; lists[l]; l++) {
        for (const struct suite_test *test = lists[l]; test->id; test++) {
            unsigned missing = test->caps & ~rig->caps;

            if (!missing || !layout_fits(rig, test))
                continue;
            count++;
            for (unsigned i = 0; i < sizeof(cap_names) / sizeof(cap_names[0]); i++)
                wanted[i] += missing >> i & 1;
        }
    }
    printf("# %s leaves out %u tests", rig->name, count);
    for (unsigned i = 0; i < sizeof(cap_names) / sizeof(cap_names[0]); i++) {
        if (wanted[i])
            printf("; %u want: %s", wanted[i], cap_names[i]);
    }
    printf("\n");
}

static unsigned list(struct rig *rigs, unsigned count, const struct suite_test *const *lists,
                     struct entry *out)
{
    unsigned n = 0;

    for (unsigned r = 0; r < count; r++) {
        for (unsigned l = 0; lists[l]; l++) {
            for (const struct suite_test *test = lists[l]; test->id; test++) {
                if (!fits(&rigs[r], test))
                    continue;
                if (out)
                    out[n] = (struct entry){.rig = &rigs[r], .test = test};
                n++;
            }
        }
    }
    return n;
}

int suite_main(const char *group, struct rig *rigs, unsigned count,
               const struct suite_test *const *lists, int argc, char **argv)
{
    unsigned n = list(rigs, count, lists, NULL);
    struct entry *entries = checked(calloc(n + 1u, sizeof(*entries)));
    struct CMUnitTest *tests = checked(calloc(n + 1u, sizeof(*tests)));
    int result;

    list(rigs, count, lists, entries);
    for (unsigned i = 0; i < n; i++) {
        size_t size = strlen(entries[i].rig->name) + strlen(entries[i].test->id) + 2;

        entries[i].name = checked(malloc(size));
        snprintf(entries[i].name, size, "%s/%s", entries[i].rig->name, entries[i].test->id);
        tests[i] = (struct CMUnitTest){
            .name = entries[i].name,
            .test_func = run,
            .setup_func = setup,
            .teardown_func = teardown,
            .initial_state = &entries[i],
        };
    }
    result = test_run(group, tests, n, argc, argv);
    for (unsigned i = 0; i < n; i++)
        free(entries[i].name);
    free(tests);
    free(entries);
    return result;
}
