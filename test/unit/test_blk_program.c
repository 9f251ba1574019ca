/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program: its arguments, and what it serves to the built-in guest. In processes of their own.
 */
#include "child.h"

#include <anyhv/devices/blk_host.h>
#include <fcntl.h>
#include <sys/stat.h>

extern const struct anyhv_hv anyhv_hv_loopback;

static char folder[] = "/tmp/anyhv-blk-program.XXXXXX";
static char image[64], output[64];
static struct child child;

static void run(void *arg)
{
    char **argv = arg;
    int argc = 0;

    while (argv[argc])
        argc++;
    exit(anyhv_main(argc, argv, &anyhv_blk_class, &anyhv_hv_loopback));
}

static int code_of(char **argv)
{
    child_start(&child, run, argv);
    return child_end(&child);
}

#define ARG(text)  ((char[]){text})
#define CODE(...)  code_of((char *[]){ARG("anyhv-blk"), __VA_ARGS__, NULL})
#define SAYS(what) assert_non_null(strstr(child.text, what))

static char *option(char *buf, const char *name, const char *value)
{
    snprintf(buf, 100, "--%s=%s", name, value);
    return buf;
}

static void wrong_arguments_are_named(void **state)
{
    char file[100];

    (void)state;
    assert_int_equal(CODE(ARG("--size=16X")), 64);
    SAYS("--size: '16X' is not a size from 512 to 9223372036854775807 bytes");
    assert_int_equal(CODE(ARG("--size=0")), 64);
    assert_int_equal(CODE(ARG("--size=1000")), 64);
    SAYS("--size: '1000' is not a size in whole sectors of 512 bytes");
    assert_int_equal(CODE(ARG("--size=01000")), 64); /* not the 512 of octal */
    assert_int_equal(CODE(ARG("--size=-512")), 64);
    assert_int_equal(CODE(ARG("--size=")), 64);
    assert_int_equal(CODE(ARG("--size=1KK")), 64);
    assert_int_equal(CODE(ARG("--size=16777216T")), 64); /* 2^64 */
    SAYS("'16777216T'");
    assert_int_equal(CODE(ARG("--serial=more-than-twenty-bytes")), 64);
    SAYS("--serial: 'more-than-twenty-bytes' has 22 characters, more than 20");
    assert_int_equal(CODE(ARG("--serial=a\tb")), 64);
    SAYS("--serial: character 2 is not printable");
    assert_int_equal(CODE(ARG("--queues=0")), 64);
    SAYS("--queues: '0' is not a number from 1 to 64");
    assert_int_equal(CODE(ARG("--queues=65")), 64);
    assert_int_equal(CODE(ARG("--queues=many")), 64);
    assert_int_equal(CODE(ARG("--delay-us=-1")), 64);
    SAYS("--delay-us: '-1' is not a number");
    assert_int_equal(CODE(ARG("--delay-us=60000001")), 64);
    assert_int_equal(CODE(ARG("--read-only")), 64);
    SAYS("--read-only means nothing without --image");
    assert_int_equal(CODE(option(file, "image", image), ARG("--size=1M")), 64);
    SAYS("--image and --size exclude each other");
}

static void an_image_that_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(CODE(ARG("--image=/tmp/anyhv-no-such-folder/image")), 1);
    SAYS("blk.disk: disk /tmp/anyhv-no-such-folder/image: No such file or directory");
}

/* Zeroes are a read of sector 0: 512 bytes of it and a status. */
static void the_built_in_guest_reads_sector_0(void **state)
{
    char file[100], same[100], out[100];
    uint8_t got[3 * 513 + 1], sector[512];
    int fd;

    (void)state;
    for (unsigned i = 0; i < sizeof(sector); i++)
        sector[i] = (uint8_t)(i * 3 + 1);
    fd = open(image, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    option(out, "output", output);
    assert_int_equal(CODE(option(file, "image", image), ARG("--out=16"), ARG("--in=513"),
                          ARG("--requests=3"), out, ARG("--serial=exactly-twenty-bytes"),
                          ARG("--delay-us=1000")),
                     0);
    fd = open(output, O_RDONLY);
    assert_int_equal(read(fd, got, sizeof(got)), 3 * 513);
    close(fd);
    for (unsigned i = 0; i < 3; i++) {
        assert_memory_equal(got + 513 * i, sector, 512);
        assert_int_equal(got[513 * i + 512], 0);
    }
    /* By the name that the schema of vhost-user back ends knows; and nothing is written to it. */
    assert_int_equal(CODE(option(same, "blk-file", image), ARG("--read-only"), ARG("--out=16"),
                          ARG("--in=513"), ARG("--requests=1")),
                     0);
    SAYS("513 bytes in");
}

static void queues_are_what_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(CODE(ARG("--size=64K"), ARG("--queues=4"), ARG("--queue=3"), ARG("--out=16"),
                          ARG("--in=513"), ARG("--requests=1000"), ARG("--features=packed")),
                     0);
    SAYS("1000 requests");
    SAYS("packed ring");
    assert_int_equal(CODE(ARG("--queues=4"), ARG("--queue=4"), ARG("--out=16")), 1);
    SAYS("the device has no such queue");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(wrong_arguments_are_named),
    cmocka_unit_test(an_image_that_is_not_there),
    cmocka_unit_test(the_built_in_guest_reads_sector_0),
    cmocka_unit_test(queues_are_what_was_asked_for),
};

int main(int argc, char **argv)
{
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(image, sizeof(image), "%s/image", folder);
    snprintf(output, sizeof(output), "%s/output", folder);
    failed = test_run("blk_program", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
    unlink(image);
    unlink(output);
    rmdir(folder);
    return failed;
}
