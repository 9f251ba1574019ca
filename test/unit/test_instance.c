/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of a server: their storage, their list, and the report about them. */
#include "testing.h"
#include "toy.h"

#include <anyhv/linux/log.h>
#include <anyhv/transport/mmio.h>
#include <stdlib.h>

static int create_result;
static int creations;

static int toy_create(void *host, struct anyhv_dev *dev, void *instance)
{
    (void)host;
    *(struct anyhv_dev **)instance = dev;
    creations += create_result == 0;
    return create_result;
}

static void toy_destroy(void *host, void *instance)
{
    (void)host;
    assert_non_null(*(struct anyhv_dev **)instance);
    creations--;
}

static const struct anyhv_class toy = {
    .ops = &toy_ops,
    .limits = {.requests = 4, .segs = 16},
    .instance_size = sizeof(struct anyhv_dev *),
    .create = toy_create,
    .destroy = toy_destroy,
};

static char *report(const struct anyhv_server *server)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    anyhv_server_report(server, out);
    fclose(out);
    return text;
}

static void quiet(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    (void)priv;
    (void)level;
    (void)event;
    (void)line;
}

static void test_instances(void **state)
{
    struct anyhv_server server = {.cls = &toy, .withhold = ANYHV_F_EVENT_IDX};
    struct guest a, b, c;
    (void)state;

    create_result = creations = 0;
    assert_int_equal(guest_arrives(&a, &server), ANYHV_OK);
    assert_int_equal(guest_arrives(&b, &server), ANYHV_OK);
    assert_int_equal(guest_arrives(&c, &server), ANYHV_OK);
    assert_int_equal(creations, 3);
    assert_ptr_equal(*(struct anyhv_dev **)anyhv_dev_priv(&b.dev), &b.dev);
    assert_false(anyhv_ctl_features(&b.dev) & ANYHV_F_EVENT_IDX);
    assert_true(anyhv_ctl_features(&b.dev) & ANYHV_F_INDIRECT_DESC);

    guest_goes(&b);
    anyhv_instance_destroy(&b.instance); /* nothing */
    assert_int_equal(creations, 2);
    assert_ptr_equal(server.instances, &a.instance);
    assert_ptr_equal(a.instance.next, &c.instance);
    assert_null(c.instance.next);
    guest_goes(&a);
    guest_goes(&c);
    assert_int_equal(creations, 0);
    assert_null(server.instances);
}

static void test_create_fails(void **state)
{
    struct anyhv_server server = {.cls = &toy};
    struct guest g;
    (void)state;

    create_result = ANYHV_E_IO;
    assert_int_equal(guest_arrives(&g, &server), ANYHV_E_IO);
    assert_null(server.instances);
    anyhv_instance_destroy(&g.instance);
    create_result = 0;
}

static void line(struct anyhv_mmio *mmio, bool level)
{
    (void)mmio;
    (void)level;
}

static void mark(struct anyhv_mmio *mmio)
{
    (void)mmio;
}

static const struct anyhv_mmio_ops mmio_ops = {.irq = line, .work = mark};

/* What becomes of a device with what @area holds, of a predecessor's or not. */
static bool attached(void *area, bool found, int *refused, bool *resumed)
{
    struct anyhv_server server = {.cls = &toy, .withhold = ANYHV_F_EVENT_IDX};
    struct anyhv_instance instance = {0};
    struct anyhv_mmio mmio = {.vendor = 77};
    struct anyhv_mem mem;
    struct anyhv_attach how = {.mem = &mem, .withhold = ANYHV_F_INDIRECT_DESC};
    int rc;

    anyhv_mem_init(&mem, NULL, 0, NULL, NULL);
    anyhv_keep_use(area, &toy_ops, found, &how);
    rc = anyhv_instance_attach(&instance, &server, &mmio, &mmio_ops, area, &how, false, refused);
    *resumed = how.resume;
    assert_int_equal(creations, rc == ANYHV_OK);
    if (rc)
        return false;
    assert_int_equal(mmio.vendor, 77);
    assert_ptr_equal(mmio.priv, area);
    assert_ptr_equal(mmio.dev.state, area);
    assert_false(anyhv_ctl_features(&mmio.dev) & (ANYHV_F_EVENT_IDX | ANYHV_F_INDIRECT_DESC));
    anyhv_ctl_set_status(&mmio.dev, ANYHV_S_ACKNOWLEDGE);
    anyhv_dev_detach(&mmio.dev);
    anyhv_instance_destroy(&instance);
    return true;
}

/* Fresh, resumed, and begun anew because what was found is refused: each is told from the others.
 */
static void test_resumed_or_not(void **state)
{
    struct anyhv_state *block = calloc(1, anyhv_keep_size(&toy_ops));
    bool resumed;
    int refused;
    (void)state;

    create_result = creations = 0;
    assert_non_null(block);
    assert_true(attached(block, true, &refused, &resumed)); /* nobody was attached there yet */
    assert_int_equal(refused, ANYHV_OK);
    assert_false(resumed);
    assert_true(attached(block, true, &refused, &resumed));
    assert_int_equal(refused, ANYHV_OK);
    assert_true(resumed);
    assert_int_equal(block->status, ANYHV_S_ACKNOWLEDGE);
    assert_true(attached(block, false, &refused, &resumed));
    assert_int_equal(refused, ANYHV_OK);
    assert_false(resumed);
    block->queues++;
    assert_true(attached(block, true, &refused, &resumed));
    assert_int_equal(refused, ANYHV_E_VERSION);
    assert_false(resumed);
    assert_int_equal(block->queues, toy_ops.queues);
    create_result = ANYHV_E_NORES; /* ours to lack: the state is for the next attempt */
    assert_false(attached(block, true, &refused, &resumed));
    assert_int_equal(refused, ANYHV_OK);
    assert_int_equal(block->status, ANYHV_S_ACKNOWLEDGE);
    create_result = 0;
    free(block);
}

static void test_report(void **state)
{
    struct anyhv_server server = {.cls = &toy};
    struct anyhv_attach how = {0};
    struct anyhv_instance early = {0};
    struct anyhv_dev not_yet = {0};
    struct guest g;
    (void)state;

    anyhv_log_sink(quiet, NULL);
    char *text = report(&server);
    assert_string_equal(text, "toy: no device in use\n");
    free(text);

    assert_int_equal(guest_arrives(&g, &server), ANYHV_OK);
    assert_int_equal(anyhv_instance_create(&early, &server, &not_yet, &how), ANYHV_OK);
    anyhv_ctl_kick(&g.dev, 0);
    anyhv_ctl_kick(&g.dev, 77);
    anyhv_ctl_kick(&g.dev, 77);
    text = report(&server);
    assert_non_null(strstr(text, "toy 0 queue 0: stopped kicks="));
    assert_non_null(strstr(text, "toy 0 queue 1: stopped kicks=0 requests=0 held=0 done=0 "
                                 "rejected=0 returned=0 dropped=0 bytes_in=0 bytes_out=0 "
                                 "publishes=0 notifies=0 suppressed=0 stalls=0\n"));
    assert_non_null(strstr(text, "toy 0 violation KICK_"));
    assert_null(strstr(text, "HEAD_RANGE"));
    assert_non_null(strstr(text, "toy 1: not attached\n"));
    free(text);
    anyhv_instance_destroy(&early);
    guest_goes(&g);
    anyhv_log_sink(NULL, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_instances),
    cmocka_unit_test(test_create_fails),
    cmocka_unit_test(test_resumed_or_not),
    cmocka_unit_test(test_report),
};

ANYHV_TEST_MAIN("instance", tests)
