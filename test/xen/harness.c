/* SPDX-License-Identifier: Apache-2.0 */
#include "xen/harness.h"

#include <anyhv/linux/log.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- back end ---- */

static int create_device(void *host, struct anyhv_dev *dev, void *instance)
{
    (void)host;
    test_device_init(instance, dev);
    return ANYHV_OK;
}

static struct anyhv_class make_class(enum test_variant variant, const struct anyhv_limits *limits)
{
    return (struct anyhv_class){
        .ops = &test_device_ops[variant],
        .limits = *limits,
        .instance_size = sizeof(struct test_device),
        .create = create_device,
    };
}

static int start(struct backend *b, const char *const *args, const void *class_options)
{
    char *argv[16] = {(char *)(uintptr_t) "backend"};
    int argc = 1;

    while (args && *args)
        argv[argc++] = (char *)(uintptr_t)*args++;
    b->options = calloc(1, anyhv_hv_xen.options_size);
    if (argp_parse(anyhv_hv_xen.args, argc, argv, 0, NULL, b->options))
        abort();
    b->server.cls = &b->cls;
    b->server.options = b->options;
    b->server.loop = anyhv_loop_new();
    if (b->cls.open && b->cls.open(b->server.loop, class_options, &b->server.host))
        abort();
    b->running = true;
    return anyhv_hv_xen.start(&b->server);
}

int backend_start(struct backend *b, const char *const *args)
{
    static const struct anyhv_limits defaults;

    memset(b, 0, sizeof(*b));
    b->cls = make_class(TEST_PLAIN, &defaults);
    return start(b, args, NULL);
}

void backend_start_variant(struct backend *b, enum test_variant variant,
                           const struct anyhv_limits *limits, uint64_t withhold)
{
    memset(b, 0, sizeof(*b));
    b->cls = make_class(variant, limits);
    b->server.withhold = withhold;
    assert_int_equal(start(b, NULL, NULL), ANYHV_OK);
    backend_turn(b);
}

void backend_serve(struct backend *b, const struct anyhv_class *cls, const void *class_options)
{
    memset(b, 0, sizeof(*b));
    b->cls = *cls;
    assert_int_equal(start(b, NULL, class_options), ANYHV_OK);
    backend_turn(b);
}

void backend_turn(struct backend *b)
{
    for (int i = 0; i < 100000; i++)
        if (anyhv_loop_turn(b->server.loop, 0) <= 0)
            return;
    fail_msg("the loop never comes to rest");
}

void backend_stop(struct backend *b)
{
    if (!b->running)
        return;
    anyhv_hv_xen.stop(&b->server);
    assert_null(b->server.instances);
    if (b->cls.close)
        b->cls.close(b->server.host);
    anyhv_loop_free(b->server.loop);
    free(b->options);
    b->running = false;
}

struct anyhv_dev *backend_dev(const struct backend *b)
{
    assert_non_null(b->server.instances);
    return b->server.instances->dev;
}

bool backend_over(const struct backend *b, int *code)
{
    return anyhv_loop_stopped(b->server.loop, code);
}

/* ---- guest ---- */

uint64_t guest_answer(struct backend *b, uint16_t domid, unsigned vcpu)
{
    uint64_t value = 0;

    for (int i = 0; i < 1000; i++) {
        if (fake_answered(domid, vcpu, &value))
            return value;
        anyhv_loop_turn(b->server.loop, 0);
    }
    fail_msg("the vCPU waits for ever");
    return 0;
}

static uint64_t guest_access(struct backend *b, uint16_t domid, const struct fake_access *access)
{
    assert_int_equal(fake_trap(domid, access), FAKE_STUCK);
    return guest_answer(b, domid, access->vcpu);
}

uint64_t guest_read(struct backend *b, uint16_t domid, uint64_t addr, unsigned size)
{
    const struct fake_access access = {
        .addr = addr, .count = 1, .size = size, .type = 1, .read = true};
    uint64_t value = guest_access(b, domid, &access);

    return size < 8 ? value & ((UINT64_C(1) << 8 * size) - 1) : value;
}

void guest_write(struct backend *b, uint16_t domid, uint64_t addr, unsigned size, uint64_t value)
{
    const struct fake_access access = {
        .addr = addr, .data = value, .count = 1, .size = size, .type = 1};

    guest_access(b, domid, &access);
}

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    struct guest *g = ctx;

    if (write)
        guest_write(g->b, g->domid, g->base + off, size, *value);
    else
        *value = guest_read(g->b, g->domid, g->base + off, size);
    return 0;
}

void guest_init(struct guest *g, struct backend *b, uint16_t domid, uint64_t base)
{
    memset(g, 0, sizeof(*g));
    g->b = b;
    g->domid = domid;
    g->base = base;
    drv_mmio_init(&g->mmio, access_register, g);
    drv_mem_init(&g->mem, fake_ram(domid), FAKE_RAM_BASE, FAKE_RAM_SIZE);
}

void guest_boot(struct guest *g)
{
    const struct drv_ring_config config = {.size = 64, .event_idx = true, .slots = g->slots};

    assert_int_equal(drv_mmio_probe(&g->mmio), TEST_DEVICE_ID);
    assert_true(drv_negotiate(&g->mmio.transport, DRV_F_INDIRECT | DRV_F_EVENT_IDX));
    assert_true(drv_ring_init(&g->ring, &g->mem, &config));
    assert_true(drv_queue_setup(&g->mmio.transport, TEST_QUEUE_A, &g->ring));
    drv_ready(&g->mmio.transport);
}

/* Not drv_poke: these may be addresses without memory behind them. */
static void put_bytes(struct guest *g, uint64_t at, const void *bytes, uint32_t len)
{
    void *to = drv_ptr(&g->mem, at, len);

    if (to)
        memcpy(to, bytes, len);
}

void guest_submit(struct guest *g, uint64_t out, uint64_t in, uint32_t len, enum test_op op)
{
    struct drv_buf bufs[3] = {
        {drv_alloc(&g->mem, TEST_HEADER, 16), TEST_HEADER}, {out, len}, {in, len}};
    struct drv_chain chain = {
        .out = bufs, .nout = 2, .in = &bufs[2], .nin = 1, .direct = DRV_DIRECT, .token = in};
    uint8_t payload[64];

    drv_poke32(&g->mem, bufs[0].addr, op);
    for (uint32_t i = 0; i < len; i += sizeof(payload)) {
        uint32_t n = len - i < sizeof(payload) ? len - i : (uint32_t)sizeof(payload);

        for (uint32_t k = 0; k < n; k++)
            payload[k] = test_pattern(5, i + k);
        put_bytes(g, out + i, payload, n);
    }
    assert_true(drv_ring_add(&g->ring, &chain) >= 0);
    drv_ring_publish(&g->ring);
    drv_kick(&g->mmio.transport, TEST_QUEUE_A, &g->ring);
}

bool guest_take(struct guest *g, uint32_t *len)
{
    struct drv_used used;

    backend_turn(g->b);
    if (!drv_ring_get(&g->ring, &used))
        return false;
    *len = used.len;
    return true;
}

bool guest_echo_at(struct guest *g, uint64_t out, uint64_t in, uint32_t len)
{
    uint32_t got;

    guest_submit(g, out, in, len, TEST_ECHO);
    if (!guest_take(g, &got) || got != len)
        return false;
    for (uint32_t i = 0; i < len; i++)
        if (drv_peek8(&g->mem, in + i) != test_transform(0, i, test_pattern(5, i)))
            return false;
    return true;
}

bool guest_echo(struct guest *g)
{
    return guest_echo_at(g, drv_alloc(&g->mem, 200, 8), drv_alloc(&g->mem, 200, 8), 200);
}

/* ---- time ---- */

static time_t skipped;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int rc = __real_clock_gettime(clock, now);

    now->tv_sec += skipped;
    return rc;
}

/* ---- log ---- */

static char log_text[1 << 16];

static void keep_log(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    size_t len = strlen(log_text);

    (void)priv;
    (void)level;
    (void)event;
    if (len + strlen(line) + 2 < sizeof(log_text))
        snprintf(log_text + len, sizeof(log_text) - len, "%s\n", line);
}

bool logged(const char *text)
{
    bool found = strstr(log_text, text) != NULL;

    if (!found)
        print_message("# not in the log: %s\n%s", text, log_text);
    log_text[0] = '\0';
    skipped += 10;
    return found;
}

/* ---- one test ---- */

int harness_begin(void **state)
{
    struct harness *h = calloc(1, sizeof(*h));

    anyhv_log_sink(keep_log, NULL);
    log_text[0] = '\0';
    fake_begin();
    fake_domain(DOM);
    fake_node(DOM, 0, TEST_DEVICE_ID, BASE, IRQ);
    snprintf(h->dir, sizeof(h->dir), "/tmp/anyhv-xen.XXXXXX");
    *state = h;
    return mkdtemp(h->dir) ? 0 : -1;
}

static void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char path[512];

    while (d && (entry = readdir(d))) {
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

int harness_end(void **state)
{
    struct harness *h = *state;

    backend_stop(&h->b);
    fake_end();
    remove_dir(h->dir);
    free(h);
    anyhv_log_sink(NULL, NULL);
    return 0;
}
