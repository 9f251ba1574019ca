/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adapters of the machine, with a kernel of the test's: what is opened is a file, and ioctl() on it
 * is answered here. Calls that block do block, in the worker's thread.
 */
#include "i2c_host_bench.h"

#include "devices/i2c/i2c_sysfs.h"

#include <anyhv/linux/log.h>
#include <errno.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the kernel ---- */

struct kernel_adapter {
    char path[64];
    ino_t inode;
    unsigned long functions;
    uint16_t busy; /* an address that belongs to a driver */
    unsigned short slave;
    /* The next transfers: */
    int error;         /* fail with this; 0: they go well */
    int most;          /* messages that are done; 0: all */
    int gate, entered; /* eventfds: wait at the gate; -1: not */
    /* The latest one */
    unsigned rdwr, smbus; /* how many there were */
    struct i2c_msg msgs[ANYHV_I2C_MESSAGES];
    unsigned nmsgs;
    uint8_t bytes[64]; /* of the first message */
    struct i2c_smbus_ioctl_data call;
};

static struct kernel_adapter kernel[2];

static int fail_with(int error)
{
    errno = error;
    return -1;
}

static int kernel_wait(struct kernel_adapter *k)
{
    eventfd_t value;

    if (k->gate >= 0) {
        eventfd_write(k->entered, 1);
        eventfd_read(k->gate, &value);
    }
    return k->error ? fail_with(k->error) : 0;
}

static int kernel_rdwr(struct kernel_adapter *k, struct i2c_rdwr_ioctl_data *data)
{
    k->rdwr++;
    k->nmsgs = data->nmsgs;
    memcpy(k->msgs, data->msgs, data->nmsgs * sizeof(data->msgs[0]));
    memcpy(k->bytes, data->msgs[0].buf, data->msgs[0].len < 64 ? data->msgs[0].len : 64);
    if (kernel_wait(k) < 0)
        return -1;
    for (unsigned i = 0; i < data->nmsgs; i++) {
        struct i2c_msg *m = &data->msgs[i];

        for (unsigned n = 0; n < m->len && m->flags & I2C_M_RD; n++)
            m->buf[n] = bench_byte(m->flags & I2C_M_TEN ? A10(m->addr) : A7(m->addr), n);
    }
    return k->most ? k->most : (int)data->nmsgs;
}

static int kernel_smbus(struct kernel_adapter *k, struct i2c_smbus_ioctl_data *call)
{
    k->smbus++;
    k->call = *call;
    if (kernel_wait(k) < 0)
        return -1;
    if (call->read_write == I2C_SMBUS_READ && call->data)
        call->data->byte = 0x5a;
    return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    struct kernel_adapter *k = NULL;
    struct stat st;
    va_list args;
    void *arg;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    if (fstat(fd, &st) < 0)
        return -1;
    for (unsigned i = 0; i < 2; i++)
        k = st.st_ino == kernel[i].inode ? &kernel[i] : k;
    if (!k)
        return fail_with(ENOTTY);
    switch (request) {
    case I2C_FUNCS:
        *(unsigned long *)arg = k->functions;
        return 0;
    case I2C_SLAVE:
        k->slave = (unsigned short)(uintptr_t)arg;
        return k->busy == k->slave ? fail_with(EBUSY) : 0;
    case I2C_RDWR:
        return kernel_rdwr(k, arg);
    case I2C_SMBUS:
        return kernel_smbus(k, arg);
    default:
        return fail_with(EINVAL);
    }
}

/* ---- sysfs ---- */

static char folder[] = "/tmp/anyhv-i2c-linux.XXXXXX";

/* A folder as sysfs has it. */
static void make_name(const char *adapter, const char *name)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, adapter);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/%s/name", folder, adapter);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s\n", name);
    fclose(f);
}

static void remove_name(const char *adapter)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s/name", folder, adapter);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%s", folder, adapter);
    rmdir(path);
}

/* What is opened here are files, so all of them are the node 0:0. */
static const char *const way[] = {"", "/i2c-7", "/i2c-7/i2c-dev"};
static const char *plugged_at;

/* The kernel forgets the adapter. */
static void sysfs_forget(void)
{
    char path[128];

    if (!plugged_at)
        return;
    snprintf(path, sizeof(path), "%s/0:0", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/i2c-7/i2c-dev/i2c-7", plugged_at);
    remove_name(path);
    for (unsigned i = 3; i-- > 0;) {
        snprintf(path, sizeof(path), "%s/%s%s", folder, plugged_at, way[i]);
        rmdir(path);
    }
    plugged_at = NULL;
}

/* It knows one at @place, called @name. */
static void sysfs_know(const char *place, const char *name)
{
    char path[128], to[128];

    sysfs_forget();
    plugged_at = place;
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s%s", folder, place, way[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    snprintf(to, sizeof(to), "%s/i2c-7/i2c-dev/i2c-7", place);
    make_name(to, name);
    snprintf(path, sizeof(path), "%s/0:0", folder);
    assert_int_equal(symlink(to, path), 0);
}

bool __wrap_anyhv_i2c_sysfs_identify(const char *real, dev_t dev, struct i2c_identity *who);
bool __real_anyhv_i2c_sysfs_identify(const char *real, dev_t dev, struct i2c_identity *who);

bool __wrap_anyhv_i2c_sysfs_identify(const char *real, dev_t dev, struct i2c_identity *who)
{
    assert_string_equal(real, "/sys/dev/char");
    return __real_anyhv_i2c_sysfs_identify(folder, dev, who);
}

/* ---- the rig ---- */

#define TIMEOUT_MS 50    /* of calls that hang */
#define LONG_MS    60000 /* of those that do not, however busy the machine is */

static char log_lines[8][256];
static unsigned logged;

struct rig {
    struct i2c_bench *b;
    struct anyhv_loop *loop;
    struct anyhv_i2c_adapter *adapter[2];
};

static void sink(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    (void)priv;
    (void)level;
    (void)event;
    snprintf(log_lines[logged % 8], sizeof(log_lines[0]), "%s", line);
    logged++;
}

static void said(const char *what)
{
    assert_true(logged > 0);
    assert_non_null(strstr(log_lines[(logged - 1) % 8], what));
}

static void plug_in(unsigned i)
{
    struct stat st;
    FILE *f;

    f = fopen(kernel[i].path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(stat(kernel[i].path, &st), 0);
    kernel[i].inode = st.st_ino;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    void *bench;

    for (unsigned i = 0; i < 2; i++) {
        kernel[i] = (struct kernel_adapter){.functions = I2C_FUNC_I2C | I2C_FUNC_10BIT_ADDR |
                                                         I2C_FUNC_SMBUS_EMUL,
                                            .busy = 0xffff,
                                            .gate = -1,
                                            .entered = -1};
        snprintf(kernel[i].path, sizeof(kernel[i].path), "%s/i2c-%u", folder, i);
        plug_in(i);
    }
    sysfs_know("usb1", "bridge");
    logged = 0;
    anyhv_log_sink(sink, NULL);
    bench_setup(&bench);
    rig->b = bench;
    rig->loop = anyhv_loop_new();
    *state = rig;
    return 0;
}

static void close_adapters(struct rig *rig)
{
    bench_down(rig->b);
    for (unsigned i = 0; i < 2; i++) {
        if (rig->adapter[i])
            rig->adapter[i]->ops->close(rig->adapter[i]);
        rig->adapter[i] = NULL;
    }
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    void *bench = rig->b;

    close_adapters(rig);
    bench_teardown(&bench);
    anyhv_loop_free(rig->loop);
    free(rig);
    anyhv_log_sink(NULL, NULL);
    sysfs_forget();
    for (unsigned i = 0; i < 2; i++) {
        unlink(kernel[i].path);
        if (kernel[i].gate >= 0)
            close(kernel[i].gate);
        if (kernel[i].entered >= 0)
            close(kernel[i].entered);
    }
    return 0;
}

static struct anyhv_i2c_adapter *open_adapter(struct rig *rig, unsigned i, const uint16_t *addr,
                                              unsigned addrs, unsigned timeout_ms)
{
    rig->adapter[i] = anyhv_i2c_linux_open(rig->loop, kernel[i].path, addr, addrs, timeout_ms);
    return rig->adapter[i];
}

static const uint16_t board[] = {0x20, 0x50, ANYHV_I2C_TEN_BIT | 0x150, 0x77}, beside[] = {0x60};

/* Both adapters, and a guest on them. The first one's calls wait at its gate if @gate. */
static void up(struct rig *rig, bool gate)
{
    unsigned usable = kernel[0].functions & I2C_FUNC_10BIT_ADDR ? 4 : 2;

    if (gate) {
        kernel[0].gate = eventfd(0, EFD_CLOEXEC);
        kernel[0].entered = eventfd(0, EFD_CLOEXEC);
    }
    assert_non_null(open_adapter(rig, 0, board, usable, gate ? TIMEOUT_MS : LONG_MS));
    assert_non_null(open_adapter(rig, 1, beside, 1, LONG_MS));
    bench_wire(rig->b, rig->adapter[0], rig->adapter[1]);
    bench_up(rig->b, NULL);
}

static void wait_until_entered(void)
{
    eventfd_t value;

    assert_int_equal(eventfd_read(kernel[0].entered, &value), 0);
}

/* ---- transfers ---- */

static void a_group_is_one_call(void **state)
{
    struct rig *rig = *state;
    struct bench_request r[] = {{A7(0x50), .flags = FAIL_NEXT, .out = 2},
                                {A7(0x50), .flags = RD, .in = 40}};

    up(rig, false);
    bench_send_all(rig->b, r, 2);
    bench_wait(rig->b, rig->loop);
    bench_expect_all(rig->b, r, 2, OK);
    assert_int_equal(kernel[0].rdwr, 1);
    assert_int_equal(kernel[0].nmsgs, 2);
    assert_int_equal(kernel[0].msgs[0].addr, 0x50);
    assert_int_equal(kernel[0].msgs[0].flags, 0);
    assert_int_equal(kernel[0].msgs[0].len, 2);
    assert_int_equal(kernel[0].bytes[1], bench_byte(A7(0x50), 1));
    assert_int_equal(kernel[0].msgs[1].flags, I2C_M_RD);
    assert_int_equal(kernel[0].msgs[1].len, 40);
}

static void an_address_of_ten_bits(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A10(0x150), .flags = RD, .in = 3};

    up(rig, false);
    assert_int_equal(bench_do(rig->b, rig->loop, &r), OK);
    bench_has_read(rig->b, &r);
    assert_int_equal(kernel[0].msgs[0].addr, 0x150);
    assert_int_equal(kernel[0].msgs[0].flags, I2C_M_RD | I2C_M_TEN);
}

/* Newer kernels take no empty message from I2C_RDWR; older ones, and groups, know nothing else. */
static void only_the_address(void **state)
{
    struct rig *rig = *state;
    struct bench_request r[] = {{A7(0x50), .flags = FAIL_NEXT}, {A7(0x50), .flags = RD}};

    up(rig, false);
    assert_int_equal(bench_do(rig->b, rig->loop, &r[1]), OK);
    assert_int_equal(kernel[0].smbus, 1);
    assert_int_equal(kernel[0].call.size, I2C_SMBUS_QUICK);
    assert_int_equal(kernel[0].call.read_write, I2C_SMBUS_READ);
    assert_int_equal(kernel[0].slave, 0x50);
    bench_send_all(rig->b, r, 2);
    bench_wait(rig->b, rig->loop);
    bench_expect_all(rig->b, r, 2, OK);
    assert_int_equal(kernel[0].rdwr, 1);
    kernel[1].functions = I2C_FUNC_I2C;
    close_adapters(rig);
    up(rig, false);
    r[1].addr = A7(0x60);
    assert_int_equal(bench_do(rig->b, rig->loop, &r[1]), OK);
    assert_int_equal(kernel[1].smbus, 0);
    assert_int_equal(kernel[1].rdwr, 1);
}

static void errors_of_the_kernel(void **state)
{
    static const int errors[] = {ENXIO, EREMOTEIO, EIO, EAGAIN, ETIMEDOUT, EINVAL, EOPNOTSUPP};
    struct rig *rig = *state;
    struct bench_request r[] = {{A7(0x50), .flags = FAIL_NEXT, .out = 2},
                                {A7(0x50), .flags = RD, .in = 4}};

    up(rig, false);
    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        kernel[0].error = errors[i];
        bench_send_all(rig->b, r, 2);
        bench_wait(rig->b, rig->loop);
        bench_expect_all(rig->b, r, 2, ERR);
    }
    kernel[0].error = 0;
    kernel[0].most = 1;
    bench_send_all(rig->b, r, 2);
    bench_wait(rig->b, rig->loop);
    bench_expect_all(rig->b, r, 1, OK);
    bench_expect_all(rig->b, r + 1, 1, ERR);
    assert_int_equal(logged, 0); /* a guest that looks for what is there is no news */
}

static void an_adapter_that_knows_smbus_only(void **state)
{
    struct rig *rig = *state;
    struct bench_request r[] = {{A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                {A7(0x50), .flags = RD, .in = 1}},
                         unknown = {A7(0x50), .out = 40}, late = {A7(0x20), .out = 1};

    kernel[0].functions = I2C_FUNC_SMBUS_READ_BYTE_DATA | I2C_FUNC_SMBUS_WRITE_BYTE;
    up(rig, false);
    bench_send_all(rig->b, r, 2);
    bench_wait(rig->b, rig->loop);
    for (unsigned i = 0; i < 2; i++) {
        bench_expect(rig->b, &r[i], r[i].in_len);
        assert_int_equal(bench_status(rig->b, &r[i]), OK);
    }
    assert_int_equal(drv_peek8(&rig->b->mem, r[1].in_at), 0x5a);
    assert_int_equal(kernel[0].call.size, I2C_SMBUS_BYTE_DATA);
    assert_int_equal(kernel[0].call.command, bench_byte(A7(0x50), 0));
    assert_int_equal(bench_do(rig->b, rig->loop, &unknown), ERR);
    assert_int_equal(kernel[0].smbus, 1);
    kernel[0].busy = 0x20; /* a driver was bound to it meanwhile */
    assert_int_equal(bench_do(rig->b, rig->loop, &late), ERR);
    assert_int_equal(kernel[0].smbus, 1);
    assert_int_equal(kernel[0].rdwr, 0);
}

/* ---- adapters that cannot be used ---- */

static void adapters_that_are_refused(void **state)
{
    struct rig *rig = *state;
    char line[64];
    FILE *f;

    assert_null(anyhv_i2c_linux_open(rig->loop, "/tmp/anyhv-no-such-adapter", board, 1, 1));
    said("adapter /tmp/anyhv-no-such-adapter: /tmp/anyhv-no-such-adapter: No such file");
    snprintf(line, sizeof(line), "%s/other", folder);
    f = fopen(line, "w");
    fclose(f);
    assert_null(anyhv_i2c_linux_open(rig->loop, line, board, 1, 1));
    said("not an I2C adapter (Inappropriate ioctl for device)");
    unlink(line);
    kernel[0].busy = 0x50;
    assert_null(open_adapter(rig, 0, board, 4, 1));
    said("0x50 belongs to a driver of this machine");
    kernel[0].busy = 0xffff;
    kernel[0].functions = I2C_FUNC_I2C;
    assert_null(open_adapter(rig, 0, board, 4, 1));
    said("it cannot send 10-bit addresses");
    kernel[0].functions = 0;
    assert_null(open_adapter(rig, 0, board, 1, 1));
    said("it can do neither I2C nor SMBus transfers");
    assert_null(anyhv_i2c_linux_open(rig->loop, "99999", board, 1, 1));
    said("adapter 99999: /dev/i2c-99999: ");
    assert_null(anyhv_i2c_linux_open(rig->loop, "No Adapter Has This", board, 1, 1));
    said("adapter No Adapter Has This: ");
}

static void adapters_have_names(void **state)
{
    char path[64] = "", none[64];

    (void)state;
    make_name("i2c-10", "SMBus I801 adapter at f040");
    make_name("i2c-11", "bcm2835 (i2c@7e804000)");
    make_name("i2c-12", "DPDDC-A");
    make_name("i2c-13", "DPDDC-A");
    assert_null(anyhv_i2c_linux_find(folder, "SMBus I801 adapter at f040", path, sizeof(path)));
    assert_string_equal(path, "/dev/i2c-10");
    assert_null(anyhv_i2c_linux_find(folder, "bcm2835 (i2c@7e804000)", path, sizeof(path)));
    assert_string_equal(path, "/dev/i2c-11");
    assert_string_equal(anyhv_i2c_linux_find(folder, "SMBus I801", path, sizeof(path)),
                        "no adapter has this name");
    assert_string_equal(anyhv_i2c_linux_find(folder, "DPDDC-A", path, sizeof(path)),
                        "several adapters have this name");
    snprintf(none, sizeof(none), "%s/none", folder);
    assert_non_null(strstr(anyhv_i2c_linux_find(none, "x", path, sizeof(path)), "i2c-dev"));
    for (unsigned i = 10; i < 14; i++) {
        snprintf(none, sizeof(none), "i2c-%u", i);
        remove_name(none);
    }
}

/* ---- calls that take their time ---- */

/* Nothing of the loop's thread waits for the wires. */
static void the_loop_goes_on_meanwhile(void **state)
{
    struct rig *rig = *state;
    struct i2c_bench *other = bench_new(rig->b->board);
    struct bench_request slow = {A7(0x50), .out = 1}, fast = {A7(0x60), .flags = RD, .in = 2};

    up(rig, true);
    rig->adapter[0]->timeout_ms = LONG_MS;
    bench_up(other, NULL);
    bench_send_all(rig->b, &slow, 1);
    wait_until_entered();
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(bench_do(other, rig->loop, &fast), OK);
    bench_run(rig->b);
    bench_expect_none(rig->b);
    eventfd_write(kernel[0].gate, 1);
    bench_wait(rig->b, rig->loop);
    bench_expect_all(rig->b, &slow, 1, OK);
    bench_free(other);
}

/*
 * The kernel does not come back: the request fails at its deadline, those behind it at once, and
 * those of another adapter are served all the time. When it does come back, so does the bus.
 */
static void a_call_that_hangs(void **state)
{
    struct rig *rig = *state;
    struct i2c_bench *other = bench_new(rig->b->board);
    struct bench_request hangs = {A7(0x50), .out = 1}, beside_it = {A7(0x60), .out = 1};
    int64_t begin, took;

    up(rig, true);
    bench_up(other, NULL);
    begin = now_ms();
    bench_send_all(rig->b, &hangs, 1);
    wait_until_entered();
    assert_int_equal(bench_do(other, rig->loop, &beside_it), OK);
    bench_wait(rig->b, rig->loop);
    took = now_ms() - begin;
    bench_expect_all(rig->b, &hangs, 1, ERR);
    assert_in_range(took, TIMEOUT_MS, 10000);
    said("adapter ");
    said("a transfer to 0x50 has not ended after 50 ms");
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(bench_do(rig->b, rig->loop, &hangs), ERR);
        assert_int_equal(bench_do(other, rig->loop, &beside_it), OK);
    }
    assert_int_equal(kernel[0].rdwr, 1);
    assert_int_equal(logged, 1);
    close(kernel[0].entered);
    kernel[0].entered = -1;
    eventfd_write(kernel[0].gate, 1000);
    while (rig->adapter[0]->stuck)
        assert_true(anyhv_loop_turn(rig->loop, 20000) > 0);
    said("the transfer has ended");
    kernel[0].gate = -1;
    rig->adapter[0]->timeout_ms = LONG_MS;
    assert_int_equal(bench_do(rig->b, rig->loop, &hangs), OK);
    bench_free(other);
}

/* Nobody can free these, and a leak checker need not know. */
static struct anyhv_i2c_adapter *volatile left[2];

/* The program ends although the kernel does not: it waits no longer than for the deadline. */
static void the_end_while_a_call_hangs(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .out = 1};
    int64_t begin;

    for (unsigned stuck = 0; stuck < 2; stuck++) {
        up(rig, true);
        left[stuck] = rig->adapter[0];
        bench_send_all(rig->b, &r, 1);
        wait_until_entered();
        if (stuck) {
            bench_wait(rig->b, rig->loop);
            bench_expect_all(rig->b, &r, 1, ERR);
        }
        begin = now_ms();
        close_adapters(rig);
        assert_in_range(now_ms() - begin, stuck ? 0 : TIMEOUT_MS, 10000);
        said("left while a transfer hangs");
        eventfd_write(kernel[0].gate, 1); /* the thread ends */
    }
}

static void the_end_while_a_call_is_under_way(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .out = 1};

    up(rig, true);
    rig->adapter[0]->timeout_ms = LONG_MS;
    bench_send_all(rig->b, &r, 1);
    wait_until_entered();
    eventfd_write(kernel[0].gate, 1);
    close_adapters(rig);
    assert_int_equal(logged, 0);
}

/* ---- adapters that are unplugged ---- */

static void an_adapter_that_goes_and_comes_back(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .out = 1}, other = {A7(0x60), .out = 1};
    int fds;

    up(rig, false);
    assert_int_equal(bench_do(rig->b, rig->loop, &r), OK);
    fds = open_fds();
    kernel[0].error = ENODEV;
    unlink(kernel[0].path);
    sysfs_forget();
    assert_int_equal(bench_do(rig->b, rig->loop, &r), ERR);
    said("No such device; requests fail until it is back");
    assert_int_equal(open_fds(), fds - 1); /* or the kernel could not let go of it */
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(bench_do(rig->b, rig->loop, &r), ERR);
        assert_int_equal(bench_do(rig->b, rig->loop, &other), OK);
    }
    assert_int_equal(logged, 1);
    kernel[0].error = 0;
    plug_in(0);
    sysfs_know("usb1", "bridge");
    assert_int_equal(bench_do(rig->b, rig->loop, &r), OK);
    said("it is back");
    assert_int_equal(logged, 2);
    assert_int_equal(open_fds(), fds);
}

/* What has the name now may be something else: it is looked at as at the first time. */
static void what_comes_back_may_be_another(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .out = 1};

    up(rig, false);
    kernel[0].error = ESHUTDOWN;
    sysfs_forget();
    assert_int_equal(bench_do(rig->b, rig->loop, &r), ERR);
    kernel[0].error = 0;
    sysfs_know("usb1", "bridge");
    kernel[0].busy = 0x20;
    assert_int_equal(bench_do(rig->b, rig->loop, &r), ERR);
    assert_int_equal(kernel[0].rdwr, 1);
    kernel[0].busy = 0xffff;
    assert_int_equal(bench_do(rig->b, rig->loop, &r), OK);
}

/* Numbers are given again: the guest's addresses would be those of another bus. */
static void a_number_that_is_now_anothers(void **state)
{
    static const struct {
        const char *place, *name, *why;
    } others[] = {
        {"usb1", "sensors", "it is now 'sensors' of usb1, and was 'bridge' of usb1"},
        {"usb2", "bridge", "it is now 'bridge' of usb2, and was 'bridge' of usb1"},
    };
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .out = 1};

    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        sysfs_know("usb1", "bridge");
        up(rig, false);
        kernel[0].rdwr = 0;
        kernel[0].error = ENODEV;
        sysfs_know(others[i].place, others[i].name);
        assert_int_equal(bench_do(rig->b, rig->loop, &r), ERR);
        kernel[0].error = 0;
        assert_int_equal(bench_do(rig->b, rig->loop, &r), ERR);
        assert_int_equal(kernel[0].rdwr, 1);
        said(others[i].why);
        sysfs_know("usb1", "bridge");
        assert_int_equal(bench_do(rig->b, rig->loop, &r), OK);
        said("it is back");
        close_adapters(rig);
    }
}

/* Drivers say ENODEV also of a chip that is not there. */
static void a_chip_that_is_not_there(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .out = 1};
    ino_t inode;

    up(rig, false);
    inode = kernel[0].inode;
    unlink(kernel[0].path); /* nobody opens it again */
    kernel[0].error = ENODEV;
    assert_int_equal(bench_do(rig->b, rig->loop, &r), ERR);
    kernel[0].error = 0;
    assert_int_equal(bench_do(rig->b, rig->loop, &r), OK);
    assert_int_equal(kernel[0].inode, inode);
    assert_int_equal(logged, 0);
}

/* A driver counts something else than messages: no more were done than there are. */
static void a_driver_that_miscounts(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .flags = RD, .in = 4};

    up(rig, false);
    kernel[0].most = 5;
    assert_int_equal(bench_do(rig->b, rig->loop, &r), OK);
    bench_has_read(rig->b, &r);
}

#define WITH_KERNEL(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    WITH_KERNEL(a_group_is_one_call),
    WITH_KERNEL(an_address_of_ten_bits),
    WITH_KERNEL(only_the_address),
    WITH_KERNEL(errors_of_the_kernel),
    WITH_KERNEL(an_adapter_that_knows_smbus_only),
    WITH_KERNEL(adapters_that_are_refused),
    WITH_KERNEL(adapters_have_names),
    WITH_KERNEL(the_loop_goes_on_meanwhile),
    WITH_KERNEL(a_call_that_hangs),
    WITH_KERNEL(the_end_while_a_call_hangs),
    WITH_KERNEL(the_end_while_a_call_is_under_way),
    WITH_KERNEL(an_adapter_that_goes_and_comes_back),
    WITH_KERNEL(what_comes_back_may_be_another),
    WITH_KERNEL(a_number_that_is_now_anothers),
    WITH_KERNEL(a_chip_that_is_not_there),
    WITH_KERNEL(a_driver_that_miscounts),
};

int main(int argc, char **argv)
{
    int failed;

    if (!mkdtemp(folder))
        return 1;
    failed = test_run("i2c_linux", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
    rmdir(folder);
    return failed;
}
