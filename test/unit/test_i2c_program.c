/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program: its arguments, and what it serves to the built-in guest. In processes of their own.
 */
#include "child.h"

#include <anyhv/devices/i2c_host.h>
#include <fcntl.h>

extern const struct anyhv_hv anyhv_hv_loopback;

static char folder[] = "/tmp/anyhv-i2c-program.XXXXXX";
static char file[64], second[64], output[64];
static struct child child;

static void run(void *arg)
{
    char **argv = arg;
    int argc = 0;

    while (argv[argc])
        argc++;
    exit(anyhv_main(argc, argv, &anyhv_i2c_class, &anyhv_hv_loopback));
}

static int code_of(char **argv)
{
    child_start(&child, run, argv);
    return child_end(&child);
}

#define ARG(text)  ((char[]){text})
#define CODE(...)  code_of((char *[]){ARG("anyhv-i2c"), __VA_ARGS__, NULL})
#define SAYS(what) assert_non_null(strstr(child.text, what))

static char *option(char *buf, const char *name, const char *value)
{
    snprintf(buf, 100, "--%s=%s", name, value);
    return buf;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void wrong_arguments_are_named(void **state)
{
    char *argv[40] = {ARG("anyhv-i2c")}, device[] = "--device=1:0x50";

    (void)state;
    assert_int_equal(code_of(argv), 64);
    SAYS("there is no bus: give --device or --simulate");
    assert_int_equal(CODE(ARG("--device=/dev/i2c-1")), 64);
    SAYS("--device: '/dev/i2c-1' is not ADAPTER:ADDR,...");
    assert_int_equal(CODE(ARG("--device=:0x50")), 64);
    assert_int_equal(CODE(ARG("--device=/dev/i2c-1:")), 64);
    SAYS("--device: '' is not an address");
    assert_int_equal(CODE(ARG("--device=/dev/i2c-1:0x50,")), 64);
    assert_int_equal(CODE(ARG("--device=/dev/i2c-1:0x50,0x80")), 64);
    SAYS("--device: '0x80' is not an address: 0x00 to 0x77, or 0xa000 to 0xa3ff");
    assert_int_equal(CODE(ARG("--device=/dev/i2c-1:0x50,fifty")), 64);
    assert_int_equal(CODE(ARG("--device=/dev/i2c-1:0x50 ")), 64);
    assert_int_equal(CODE(ARG("--device=/dev/i2c-1:050")), 64); /* 0x28, 0x32 or 0x50? */
    SAYS("--device: '050' is not an address");
    for (unsigned i = 1; i < 18; i++)
        argv[i] = device;
    assert_int_equal(code_of(argv), 64);
    SAYS("more than 16 times --device or --simulate");
    assert_int_equal(CODE(ARG("--device=1:0x50"), ARG("--timeout-ms=0")), 64);
    SAYS("--timeout-ms: '0' is not a number from 1 to 3600000");
    assert_int_equal(CODE(ARG("--device=1:0x50"), ARG("--timeout-ms=3600001")), 64);
}

static void long_names_and_lists(void **state)
{
    char text[2000] = "--device=";

    (void)state;
    memset(text + 9, 'x', 128);
    memcpy(text + 9 + 128, ":0x50", 6);
    assert_int_equal(CODE(text), 64);
    SAYS("the name of the adapter is longer than 127");
    snprintf(text, sizeof(text), "--device=1:0");
    for (unsigned i = 1; i < 129; i++)
        strcat(text, ",0xa000");
    assert_int_equal(CODE(text), 64);
    SAYS("more than 128 addresses");
}

static void a_bus_that_cannot_be_opened(void **state)
{
    char arg[100];

    (void)state;
    assert_int_equal(CODE(ARG("--device=/tmp/anyhv-no-such-adapter:0x50")), 1);
    SAYS("i2c.adapter: adapter /tmp/anyhv-no-such-adapter: ");
    assert_int_equal(CODE(ARG("--device=Some: name:0x50,0xa123")), 1);
    SAYS("i2c.adapter: adapter Some: name: ");
    write_file(file, "[0x50]\ntype = 24c64\n");
    assert_int_equal(CODE(option(arg, "simulate", file)), 1);
    SAYS("bus:2: [0x50] type: there is no '24c64'");
    /* What was opened before is closed again; a leak checker has its say. */
    write_file(second, "[0x50]\ntype = 24c02\n");
    assert_int_equal(CODE(option((char[100]){0}, "simulate", second), arg), 1);
}

static void an_address_on_two_buses(void **state)
{
    char a[100], b[100];

    (void)state;
    write_file(file, "[0x51]\ntype = 24c02\n[0x50]\ntype = 24c02\n");
    write_file(second, "[0x50]\ntype = 24c02\n");
    assert_int_equal(CODE(option(a, "simulate", file), option(b, "simulate", second)), 1);
    SAYS("second: 0x50 is there twice");
}

/* Zeroes ask nobody's address, whether it is there or not: an error, and so is a read. */
static void the_built_in_guest_asks_address_0(void **state)
{
    char a[100], b[100], out[100];
    uint8_t got[40];
    int fd;

    (void)state;
    write_file(file, "[0x50]\ntype = 24c02\n");
    write_file(second, "[0]\ntype = stretch\nstretch-ms = 1\n");
    option(out, "output", output);
    for (unsigned known = 0; known < 2; known++) {
        option(a, "simulate", file);
        assert_int_equal(known ? CODE(a, option(b, "simulate", second), ARG("--out=9"),
                                      ARG("--in=1"), ARG("--requests=40"), out)
                               : CODE(a, ARG("--out=9"), ARG("--in=1"), ARG("--requests=40"), out),
                         0);
        SAYS("40 requests, 40 bytes in");
        fd = open(output, O_RDONLY);
        assert_int_equal(read(fd, got, sizeof(got)), sizeof(got));
        close(fd);
        for (unsigned i = 0; i < sizeof(got); i++)
            assert_int_equal(got[i], !known);
    }
}

/* The first request hangs; the others fail at once, and the program ends. */
static void a_wedged_bus(void **state)
{
    char a[100];

    (void)state;
    write_file(file, "[0]\ntype = wedge\n");
    assert_int_equal(CODE(option(a, "simulate", file), ARG("--timeout-ms=20"), ARG("--out=8"),
                          ARG("--in=1"), ARG("--requests=500")),
                     0);
    SAYS("i2c.stuck");
    SAYS("a transfer to 0x00 has not ended after 20 ms");
    SAYS("500 requests");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(wrong_arguments_are_named),         cmocka_unit_test(long_names_and_lists),
    cmocka_unit_test(a_bus_that_cannot_be_opened),       cmocka_unit_test(an_address_on_two_buses),
    cmocka_unit_test(the_built_in_guest_asks_address_0), cmocka_unit_test(a_wedged_bus),
};

int main(int argc, char **argv)
{
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(file, sizeof(file), "%s/bus", folder);
    snprintf(second, sizeof(second), "%s/second", folder);
    snprintf(output, sizeof(output), "%s/output", folder);
    failed = test_run("i2c_program", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
    unlink(file);
    unlink(second);
    unlink(output);
    rmdir(folder);
    return failed;
}
