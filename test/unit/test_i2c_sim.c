/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated bus: what its targets do, and what is said about a file that makes no sense. */
#include "i2c_host_bench.h"

#include "devices/i2c/i2c_sim.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/anyhv-i2c-sim.XXXXXX";
static char path[64];

struct rig {
    struct i2c_bench *b;
    struct anyhv_loop *loop;
    struct anyhv_i2c_adapter *adapter;
    struct anyhv_i2c_target target[8], *allowed[8];
};

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    void *bench;

    bench_setup(&bench);
    rig->b = bench;
    rig->loop = anyhv_loop_new();
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    void *bench = rig->b;

    bench_down(rig->b);
    if (rig->adapter)
        rig->adapter->ops->close(rig->adapter);
    bench_teardown(&bench);
    anyhv_loop_free(rig->loop);
    free(rig);
    unlink(path);
    return 0;
}

/* A guest that may use everything on the bus of this description. */
static void up(struct rig *rig, const char *text, unsigned timeout_ms)
{
    write_file(text);
    rig->adapter = anyhv_i2c_sim_open(rig->loop, path, timeout_ms);
    assert_non_null(rig->adapter);
    assert_in_range(rig->adapter->addrs, 1, BENCH_TARGETS);
    for (unsigned i = 0; i < rig->adapter->addrs; i++)
        rig->b->board->target[i] =
            (struct anyhv_i2c_target){.bus = &rig->adapter->bus, .addr = rig->adapter->addr[i]};
    bench_up(rig->b, &(struct bench_options){.targets = rig->adapter->addrs});
}

/* Writes these bytes to a target; its status. */
static uint8_t put(struct rig *rig, uint8_t addr, const void *bytes, unsigned len)
{
    struct bench_request r = {.addr = A7(addr), .out = len};

    rig->b->mem.used = BENCH_RAM / 2;
    bench_prepare(rig->b, &r);
    memcpy(drv_ptr(&rig->b->mem, r.out_at + 8, len ? len : 1), bytes, len);
    bench_send(rig->b, &r);
    bench_wait(rig->b, rig->loop);
    bench_expect(rig->b, &r, 1);
    return bench_status(rig->b, &r);
}

#define PUT(rig, addr, ...) \
    put(rig, addr, (uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

/* Writes a register's number, reads @len bytes behind a repeated START; the second status. */
static uint8_t get(struct rig *rig, uint8_t addr, uint8_t reg, void *bytes, unsigned len)
{
    struct bench_request r[] = {{.addr = A7(addr), .flags = FAIL_NEXT, .out = 1},
                                {.addr = A7(addr), .flags = RD, .in = len}};

    rig->b->mem.used = BENCH_RAM / 2;
    for (unsigned i = 0; i < 2; i++)
        bench_prepare(rig->b, &r[i]);
    drv_poke8(&rig->b->mem, r[0].out_at + 8, reg);
    bench_add(rig->b, &r[0]);
    bench_add(rig->b, &r[1]);
    bench_kick(rig->b);
    bench_wait(rig->b, rig->loop);
    bench_expect(rig->b, &r[0], 1);
    bench_expect(rig->b, &r[1], len + 1);
    memcpy(bytes, drv_ptr(&rig->b->mem, r[1].in_at, len), len);
    return bench_status(rig->b, &r[1]);
}

static uint8_t probe(struct rig *rig, uint8_t addr)
{
    return put(rig, addr, "", 0);
}

/* ---- 24c02 ---- */

static void an_eeprom_remembers(void **state)
{
    struct rig *rig = *state;
    uint8_t got[256];

    up(rig, "[0x50]\ntype = 24c02\nwrite-cycle-ms = 0\n", 60000);
    assert_int_equal(get(rig, 0x50, 0, got, 256), OK);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(got[i], 0xff);
    for (unsigned page = 0; page < 256; page += 8)
        assert_int_equal(PUT(rig, 0x50, (uint8_t)page, (uint8_t)page, 1, 2, 3, 4, 5, 6, 7), OK);
    assert_int_equal(get(rig, 0x50, 0, got, 256), OK);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(got[i], i % 8 ? i % 8 : i);
    /* Reads go on behind the end at the beginning. */
    assert_int_equal(get(rig, 0x50, 0xfe, got, 4), OK);
    assert_memory_equal(got, "\6\7\0\1", 4);
}

static void a_page_is_all_that_is_written_at_once(void **state)
{
    struct rig *rig = *state;
    uint8_t got[16];

    up(rig, "[0x50]\ntype = 24c02\nfill = 0x11\nwrite-cycle-ms = 0\n", 60000);
    /* From the middle of a page, and more than a page: the last eight count. */
    assert_int_equal(PUT(rig, 0x50, 0x0c, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), OK);
    assert_int_equal(get(rig, 0x50, 8, got, 8), OK);
    assert_memory_equal(got, "\5\6\7\10\11\12\3\4", 8);
    assert_int_equal(PUT(rig, 0x50, 0x1f, 0xaa), OK);
    assert_int_equal(get(rig, 0x50, 0x18, got, 16), OK);
    assert_memory_equal(got, "\x11\x11\x11\x11\x11\x11\x11\xaa\x11\x11\x11\x11\x11\x11\x11\x11",
                        16);
    /* What is not ended by STOP is not written. */
    struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 2},
                                {.addr = A7(0x50), .flags = RD, .in = 1}};
    bench_send_all(rig->b, r, 2);
    bench_wait(rig->b, rig->loop);
    bench_expect(rig->b, &r[0], 1);
    bench_expect(rig->b, &r[1], 2);
    assert_int_equal(get(rig, 0x50, bench_byte(A7(0x50), 0), got, 1), OK);
    assert_int_equal(got[0], 0x11);
}

/* Its driver asks again and again: until the cycle is over nobody is there. */
static void an_eeprom_is_away_while_it_writes(void **state)
{
    struct rig *rig = *state;
    int64_t begin, took;
    unsigned refused = 0;

    up(rig, "[0x50]\ntype = 24c02\nwrite-cycle-ms = 60\n", 60000);
    begin = now_ms();
    assert_int_equal(PUT(rig, 0x50, 0, 1), OK);
    while (probe(rig, 0x50) != OK)
        refused++;
    took = now_ms() - begin;
    assert_in_range(took, 60, 10000);
    assert_true(refused > 0);
    assert_int_equal(PUT(rig, 0x50, 0), OK); /* only the address: nothing is written */
    assert_int_equal(probe(rig, 0x50), OK);
}

/* ---- lm75 ---- */

static void a_thermometer(void **state)
{
    struct rig *rig = *state;
    uint8_t got[4];

    up(rig, "[0x48]\ntype = lm75\ntemperature = -12.5\n[0x49]\ntype = lm75\n", 60000);
    assert_int_equal(get(rig, 0x48, 0, got, 2), OK);
    assert_memory_equal(got, "\xf3\x80", 2);
    assert_int_equal(get(rig, 0x49, 0, got, 2), OK);
    assert_memory_equal(got, "\x19\x00", 2);
    assert_int_equal(get(rig, 0x48, 2, got, 2), OK);
    assert_memory_equal(got, "\x4b\x00", 2);
    assert_int_equal(PUT(rig, 0x48, 3, 0x55, 0x80), OK);
    assert_int_equal(get(rig, 0x48, 3, got, 4), OK); /* over and over */
    assert_memory_equal(got, "\x55\x80\x55\x80", 4);
    assert_int_equal(PUT(rig, 0x48, 1, 0x01), OK);
    assert_int_equal(get(rig, 0x48, 1, got, 2), OK); /* which has one byte */
    assert_memory_equal(got, "\x01\x01", 2);
    assert_int_equal(PUT(rig, 0x48, 0, 0x7f, 0x80), OK); /* as warm as it is */
    assert_int_equal(get(rig, 0x48, 0, got, 2), OK);
    assert_memory_equal(got, "\xf3\x80", 2);
    assert_int_equal(get(rig, 0x49, 3, got, 2), OK);
    assert_memory_equal(got, "\x50\x00", 2);
}

/* ---- targets that are no good ---- */

static void a_target_that_does_not_acknowledge(void **state)
{
    struct rig *rig = *state;
    uint8_t got[1];

    up(rig, "[0x20]\ntype = nack\n[0x21]\ntype = nack\nafter = 2\n", 60000);
    assert_int_equal(probe(rig, 0x20), ERR);
    assert_int_equal(probe(rig, 0x21), OK);
    assert_int_equal(PUT(rig, 0x21, 1, 2), OK);
    assert_int_equal(PUT(rig, 0x21, 1, 2, 3), ERR);
    assert_int_equal(get(rig, 0x21, 0, got, 1), ERR);
}

static void a_target_that_takes_its_time(void **state)
{
    struct rig *rig = *state;
    int64_t begin = now_ms();
    uint8_t got[1];

    up(rig, "[0x20]\ntype = stretch\nstretch-ms = 20\n", 60000);
    assert_int_equal(get(rig, 0x20, 0x99, got, 1), OK);
    assert_in_range(now_ms() - begin, 40, 10000); /* for each message */
    assert_int_equal(got[0], 0x99);
}

/* A bus that is wedged is one that hangs; another one does not care. */
static void a_target_that_wedges_the_bus(void **state)
{
    struct rig *rig = *state;
    struct anyhv_i2c_adapter *stuck;

    write_file("[0x10]\ntype = wedge\nwedge-ms = 120\n[0x11]\ntype = nack\nafter = 1\n");
    stuck = anyhv_i2c_sim_open(rig->loop, path, 30);
    assert_non_null(stuck);
    up(rig, "[0x20]\ntype = lm75\n[0x10]\ntype = lm75\n[0x11]\ntype = lm75\n", 60000);
    rig->b->board->target[1].bus = rig->b->board->target[2].bus = &stuck->bus;
    assert_int_equal(probe(rig, 0x11), OK);
    assert_int_equal(probe(rig, 0x10), ERR);
    assert_int_equal(stuck->counters.timeouts, 1);
    assert_int_equal(probe(rig, 0x20), OK);
    while (stuck->stuck)
        assert_true(anyhv_loop_turn(rig->loop, 20000) > 0);
    stuck->timeout_ms = 60000;
    assert_int_equal(probe(rig, 0x11), OK);
    bench_down(rig->b);
    stuck->ops->close(stuck);
}

static void a_bus_that_is_wedged_for_ever(void **state)
{
    struct rig *rig = *state;

    up(rig, "[0x10]\ntype = wedge\n[0x11]\ntype = lm75\n", 30);
    assert_int_equal(probe(rig, 0x10), ERR);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(probe(rig, 0x11), ERR);
    assert_true(rig->adapter->stuck);
    bench_settle(rig->b, rig->loop);
    assert_true(rig->adapter->stuck);
}

/* ---- the file ---- */

static void a_file_with_everything(void **state)
{
    static const uint16_t addrs[] = {0x50, 0x48, ANYHV_I2C_TEN_BIT | 0x123, 0x77};
    struct rig *rig = *state;

    up(rig,
       "# a board\n\n; with\n[0x50]\ntype=24c02 ; inline\n[72]\n  type : lm75\n[0xa123]\n"
       "type = wedge\nwedge-ms = 3600000\n[0x77]\ntype = stretch",
       60000);
    assert_int_equal(rig->adapter->addrs, 4);
    assert_memory_equal(rig->adapter->addr, addrs, sizeof(addrs));
}

static const char *what_is_wrong(const char *file)
{
    static struct i2c_sim sim;

    memset(&sim, 0, sizeof(sim));
    assert_false(anyhv_i2c_sim_read(&sim, file));
    return sim.why;
}

static void what_is_wrong_with_a_file(void **state)
{
    static const struct {
        const char *text, *line, *why;
    } bad[] = {
        {"", "", ": there is no target in it"},
        {"# nothing\n", "", ": there is no target in it"},
        {"type = lm75\n", ":1", ": type: stands before the first [address]"},
        {"[0x50]\n", ":1", ": the section is empty"},
        {"[0x50]\n\n[0x51]\ntype = lm75\n", ":2", ": the section is empty"},
        {"[0x50]\ntype = 24c64\n", ":2",
         ": [0x50] type: there is no '24c64', only 24c02, lm75, nack, stretch, wedge"},
        {"[0x50]\nfill = 0\ntype = 24c02\n", ":2", ": [0x50] fill: the type has to come first"},
        {"[0x50]\ntype = 24c02\nfill = 256\n", ":3",
         ": [0x50] fill: '256' is not a byte, 0 to 255"},
        {"[0x50]\ntype = 24c02\nfill = 1\nfill = 2\n", ":4", ": [0x50] fill: is there twice"},
        {"[0x50]\ntype = 24c02\nfill = 1\n  2\n", ":4", ": [0x50] fill: is there twice"},
        {"[0x50]\ntype = 24c02\ntemperature = 1\n", ":3",
         ": [0x50] temperature: a 24c02 has no such key"},
        {"[0x50]\ntype = 24c02\ntype = lm75\n", ":3", ": [0x50] type: a 24c02 has no such key"},
        {"[0x48]\ntype = lm75\n\n\ntemperature = warm\n", ":5",
         "'warm' is not a temperature in degrees Celsius, -55 to 125"},
        {"[0x48]\ntype = lm75\ntemperature = 125.5\n", ":3", "'125.5' is not"},
        {"[0x48]\ntype = lm75\ntemperature = nan\n", ":3", "'nan' is not"},
        {"[0x48]\ntype = lm75\n[0x48]\ntype = lm75\n", ":4", ": [0x48] is there twice"},
        {"[0x48]\ntype = lm75\n[72]\ntype = lm75\n", ":4", ": [72] is there twice"},
        {"[eeprom]\ntype = 24c02\n", ":2",
         ": [eeprom] is not an address: 0x00 to 0x77, or 0xa000 to 0xa3ff"},
        {"[0x78]\ntype = 24c02\n", ":2", ": [0x78] is not an address"},
        {"[0x9fff]\ntype = 24c02\n", ":2", ": [0x9fff] is not an address"},
        {"[0xa400]\ntype = 24c02\n", ":2", ": [0xa400] is not an address"},
        {"[-1]\ntype = 24c02\n", ":2", ": [-1] is not an address"},
        {"[+80]\ntype = 24c02\n", ":2", ": [+80] is not an address"},
        {"[050]\ntype = 24c02\n", ":2", ": [050] is not an address"}, /* 0x28, 0x32 or 0x50? */
        {"[0x50]\ntype = 24c02\nnonsense\n", ":3", ": neither [address] nor key = value"},
        {"[0x50\ntype = 24c02\n", ":1", ": neither [address] nor key = value"},
        {"[0x20]\ntype = nack\nafter = -1\n", ":3", "'-1' is not a number of bytes, 0 to 8192"},
        {"[0x20]\ntype = stretch\nstretch-ms = 3600001\n", ":3",
         "'3600001' is not a number of milliseconds, 0 to 3600000"},
        {"[0x20]\ntype = wedge\nwedge-ms = 1s\n", ":3", "'1s' is not a number of milliseconds"},
        {"[0x20]\ntype = wedge\nnonsense\nwedge-ms = 1s\n", ":3", ": neither"},
        {"\xef\xbb\xbf[0x50]\ntype = 24c02\n", ":2", ": type: stands before the first [address]"},
        {"\f[0x50]\ntype = 24c02\n", ":2", ": type: stands before the first [address]"},
    };
    char begin[128];

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *why;

        write_file(bad[i].text);
        why = what_is_wrong(path);
        snprintf(begin, sizeof(begin), "%s%s: ", path, bad[i].line);
        if (!strstr(why, begin) || !strstr(why, bad[i].why))
            fail_msg("'%s' in place of '%s' and '%s'", why, begin, bad[i].why);
    }
}

static void a_line_that_is_too_long(void **state)
{
    char text[400] = "[0x50]\n#";

    (void)state;
    memset(text + 8, 'x', 300);
    write_file(text);
    assert_non_null(strstr(what_is_wrong(path), ":2: the line is longer than 198 characters"));
}

/* Whoever names a device node in place of a file is told, and not kept. */
static void a_file_without_end(void **state)
{
    FILE *f = fopen(path, "w");

    (void)state;
    for (unsigned i = 0; i < 1 << 20; i += 16)
        fputs("# as long as it\n", f);
    fputs("[0x50]\ntype = 24c02\n", f);
    fclose(f);
    assert_non_null(strstr(what_is_wrong(path), ":65537: the file is longer than 1048576 bytes"));
    assert_non_null(strstr(what_is_wrong("/dev/zero"), ":1: the line is longer than"));
}

static void as_many_targets_as_a_bus_can_have(void **state)
{
    FILE *f = fopen(path, "w");

    (void)state;
    for (unsigned i = 0; i < 129; i++)
        fprintf(f, "[0x%x]\ntype = lm75\n", i < 0x78 ? i : 0xa000 + i);
    fclose(f);
    assert_non_null(
        strstr(what_is_wrong(path), ":258: [0xa080] is one target too many, there can be 128"));
}

static void a_file_that_is_not_there(void **state)
{
    struct rig *rig = *state;

    assert_null(anyhv_i2c_sim_open(rig->loop, "/tmp/anyhv-no-such-file", 1000));
    assert_string_equal(what_is_wrong("/tmp/anyhv-no-such-file"),
                        "/tmp/anyhv-no-such-file: No such file or directory");
    assert_non_null(strstr(what_is_wrong(folder), ": it cannot be read"));
}

#define WITH_BUS(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    WITH_BUS(an_eeprom_remembers),
    WITH_BUS(a_page_is_all_that_is_written_at_once),
    WITH_BUS(an_eeprom_is_away_while_it_writes),
    WITH_BUS(a_thermometer),
    WITH_BUS(a_target_that_does_not_acknowledge),
    WITH_BUS(a_target_that_takes_its_time),
    WITH_BUS(a_target_that_wedges_the_bus),
    WITH_BUS(a_bus_that_is_wedged_for_ever),
    WITH_BUS(a_file_with_everything),
    WITH_BUS(what_is_wrong_with_a_file),
    WITH_BUS(a_line_that_is_too_long),
    WITH_BUS(a_file_without_end),
    WITH_BUS(as_many_targets_as_a_bus_can_have),
    WITH_BUS(a_file_that_is_not_there),
};

int main(int argc, char **argv)
{
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof(path), "%s/bus", folder);
    failed = test_run("i2c_sim", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
    rmdir(folder);
    return failed;
}
