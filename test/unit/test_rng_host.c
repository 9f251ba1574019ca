/* SPDX-License-Identifier: Apache-2.0 */
/* Entropy sources on Linux: kernel, files, FIFOs, and the rate limit. */
#include "testing.h"

#include <anyhv/devices/rng_host.h>
#include <anyhv/linux/log.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/anyhv-rng-test.XXXXXX";
static char last_event[64];

static void remember(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    (void)priv;
    (void)level;
    (void)line;
    snprintf(last_event, sizeof(last_event), "%s", event);
}

static int setup(void **state)
{
    *state = anyhv_loop_new();
    last_event[0] = 0;
    anyhv_log_sink(remember, NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    anyhv_log_sink(NULL, NULL);
    anyhv_loop_free(*state);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void the_kernel_gives_bytes(void **state)
{
    struct anyhv_rng_linux kernel;
    uint8_t a[32] = {0}, b[32] = {0};

    assert_int_equal(anyhv_rng_linux_open(&kernel, *state, NULL), ANYHV_OK);
    assert_int_equal(kernel.source.read(&kernel.source, a, sizeof(a)), sizeof(a));
    assert_int_equal(kernel.source.read(&kernel.source, b, sizeof(b)), sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    anyhv_rng_linux_close(&kernel);
}

static void a_file_is_read_to_its_end_and_then_fails(void **state)
{
    struct anyhv_rng_linux file;
    uint8_t buf[8] = {0};
    const char *path = path_of("file");
    FILE *out = fopen(path, "wb");

    fwrite("abcdef", 1, 6, out);
    fclose(out);
    assert_int_equal(anyhv_rng_linux_open(&file, *state, path), ANYHV_OK);
    assert_int_equal(file.source.read(&file.source, buf, 4), 4);
    assert_memory_equal(buf, "abcd", 4);
    assert_int_equal(file.source.read(&file.source, buf, 8), 2);
    assert_int_equal(file.source.read(&file.source, buf, 8), ANYHV_E_IO);
    assert_string_equal(last_event, "rng.source");
    anyhv_rng_linux_close(&file);
}

static void what_cannot_be_a_source_is_refused(void **state)
{
    struct anyhv_rng_linux file;

    assert_int_equal(anyhv_rng_linux_open(&file, *state, path_of("missing")), ANYHV_E_IO);
    assert_string_equal(last_event, "rng.source");
    assert_int_equal(anyhv_rng_linux_open(&file, *state, folder), ANYHV_E_IO);
    assert_int_equal(file.fd, -1);
}

static void a_dry_fifo_says_when_it_has_more(void **state)
{
    struct anyhv_rng_linux fifo;
    uint8_t buf[8];
    int writer;

    mkfifo(path_of("fifo"), 0600);
    assert_int_equal(anyhv_rng_linux_open(&fifo, *state, path_of("fifo")), ANYHV_OK);
    writer = open(path_of("fifo"), O_WRONLY);
    assert_true(writer >= 0);
    assert_int_equal(fifo.source.read(&fifo.source, buf, 8), 0);
    assert_int_equal(fifo.source.read(&fifo.source, buf, 8), 0); /* asking twice is fine */
    assert_int_equal(anyhv_loop_turn(*state, 0), 0);
    assert_int_equal(write(writer, "xyz", 3), 3);
    assert_int_equal(anyhv_loop_turn(*state, 1000), 1); /* the watch told whoever waits */
    assert_int_equal(fifo.source.read(&fifo.source, buf, 8), 3);
    close(writer);
    anyhv_rng_linux_close(&fifo);
}

static void a_limit_passes_its_quota_and_waits_without_sleeping(void **state)
{
    struct anyhv_rng_sim sim;
    struct anyhv_rng_limit limit;
    uint8_t buf[64];
    uint64_t begin;

    anyhv_rng_sim_init(&sim, 1);
    anyhv_rng_limit_init(&limit, *state, &sim.source, 40, 50);
    begin = anyhv_loop_now(*state);
    assert_ptr_equal(sim.source.outer, &limit.source);
    assert_int_equal(limit.source.read(&limit.source, buf, 30), 30);
    assert_int_equal(limit.source.read(&limit.source, buf, 30), 10);
    assert_int_equal(limit.source.read(&limit.source, buf, 30), 0);
    assert_true(anyhv_loop_now(*state) - begin < UINT64_C(40000000)); /* nothing slept */
    assert_int_equal(anyhv_loop_turn(*state, 5000), 1);               /* the timer */
    assert_true(anyhv_loop_now(*state) - begin >= UINT64_C(50000000));
    assert_int_equal(limit.source.read(&limit.source, buf, 64), 40);
    anyhv_rng_limit_fini(&limit);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct CMUnitTest tests[] = {
    TEST(the_kernel_gives_bytes),
    TEST(a_file_is_read_to_its_end_and_then_fails),
    TEST(what_cannot_be_a_source_is_refused),
    TEST(a_dry_fifo_says_when_it_has_more),
    TEST(a_limit_passes_its_quota_and_waits_without_sleeping),
};

int main(int argc, char **argv)
{
    int failed;

    if (!mkdtemp(folder))
        return 1;
    failed = test_run("rng_host", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
    unlink(path_of("file"));
    unlink(path_of("fifo"));
    rmdir(folder);
    return failed;
}
