/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reset lines that are GPIO lines, with a libgpiod of the test's: one chip, whose lines are numbers
 * here. A real one is in the guest suite.
 */
#include "testing.h"

#include <anyhv/devices/scmi_host.h>
#include <anyhv/linux/log.h>
#include <errno.h>
#include <gpiod.h>
#include <stdlib.h>

enum {
    LINES = 4
};

/* What the machine has, and what fails on it: the errno, or 0. */
static struct {
    int open, request, set;
    unsigned chips; /* open ones */
    int value[LINES];
    int flags[LINES];
    bool ours[LINES];
} machine;

struct gpiod_chip *__wrap_gpiod_chip_open_lookup(const char *descr);
void __wrap_gpiod_chip_close(struct gpiod_chip *chip);
unsigned __wrap_gpiod_chip_num_lines(struct gpiod_chip *chip);
struct gpiod_line *__wrap_gpiod_chip_get_line(struct gpiod_chip *chip, unsigned n);
struct gpiod_line *__wrap_gpiod_chip_find_line(struct gpiod_chip *chip, const char *name);
int __wrap_gpiod_line_request_output_flags(struct gpiod_line *line, const char *who, int flags,
                                           int value);
int __wrap_gpiod_line_set_value(struct gpiod_line *line, int value);
void __wrap_gpiod_line_close_chip(struct gpiod_line *line);

static bool fails(int why)
{
    if (why)
        errno = why;
    return why;
}

static struct gpiod_chip *the_chip(void)
{
    return (void *)&machine;
}

static size_t number_of(struct gpiod_line *line)
{
    return (size_t)((int *)(void *)line - machine.value);
}

struct gpiod_chip *__wrap_gpiod_chip_open_lookup(const char *descr)
{
    assert_string_equal(descr, "gpiochip0");
    if (fails(machine.open))
        return NULL;
    machine.chips++;
    return the_chip();
}

void __wrap_gpiod_chip_close(struct gpiod_chip *chip)
{
    assert_ptr_equal(chip, the_chip());
    machine.chips--;
    errno = 0;
}

unsigned __wrap_gpiod_chip_num_lines(struct gpiod_chip *chip)
{
    assert_ptr_equal(chip, the_chip());
    return LINES;
}

struct gpiod_line *__wrap_gpiod_chip_get_line(struct gpiod_chip *chip, unsigned n)
{
    assert_ptr_equal(chip, the_chip());
    assert_in_range(n, 0, LINES - 1);
    return (void *)&machine.value[n];
}

struct gpiod_line *__wrap_gpiod_chip_find_line(struct gpiod_chip *chip, const char *name)
{
    assert_ptr_equal(chip, the_chip());
    if (strcmp(name, "usb-reset") == 0)
        return (void *)&machine.value[1];
    errno = ENOENT;
    return NULL;
}

int __wrap_gpiod_line_request_output_flags(struct gpiod_line *line, const char *who, int flags,
                                           int value)
{
    size_t n = number_of(line);

    assert_string_equal(who, "anyhv-scmi");
    if (fails(machine.request))
        return -1;
    machine.ours[n] = true;
    machine.flags[n] = flags;
    machine.value[n] = value;
    return 0;
}

int __wrap_gpiod_line_set_value(struct gpiod_line *line, int value)
{
    assert_true(machine.ours[number_of(line)]);
    if (fails(machine.set))
        return -1;
    machine.value[number_of(line)] = value;
    return 0;
}

void __wrap_gpiod_line_close_chip(struct gpiod_line *line)
{
    machine.ours[number_of(line)] = false;
    machine.chips--;
}

/* ---- a board with two such lines, and one that is simulated ---- */

static const char board_text[] = "[reset usb]\nline = gpiochip0 usb-reset\nactive-low = yes\n"
                                 "[reset nic]\nline = gpiochip0 3\n"
                                 "[reset other]\n"
                                 "[agent one]\nresets = usb nic other\n";

static char logged[512];

static void keep_line(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    (void)priv;
    (void)level;
    (void)event;
    snprintf(logged, sizeof(logged), "%s", line);
}

static struct anyhv_scmi_board *read_text(const char *text)
{
    FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    char why[ANYHV_SCMI_WHY] = "";
    struct anyhv_scmi_board *board = anyhv_scmi_board_read(stream, why);

    fclose(stream);
    if (!board)
        fail_msg("%s", why);
    return board;
}

static int setup(void **state)
{
    memset(&machine, 0, sizeof(machine));
    logged[0] = 0;
    anyhv_log_sink(keep_line, NULL);
    *state = anyhv_loop_new();
    return 0;
}

static int teardown(void **state)
{
    anyhv_log_sink(NULL, NULL);
    anyhv_loop_free(*state);
    assert_int_equal(machine.chips, 0);
    for (unsigned i = 0; i < LINES; i++)
        assert_false(machine.ours[i]);
    return 0;
}

static bool set(struct anyhv_scmi_board *board, unsigned n, bool asserted)
{
    struct anyhv_scmi_platform *p = anyhv_scmi_board_platform(board);

    return p->ops->reset_line(p, &p->resets[n], asserted);
}

/* ---- tests ---- */

static void lines_move(void **state)
{
    struct anyhv_scmi_board *board = read_text(board_text);

    assert_int_equal(machine.chips, 0); /* a file that is only read does nothing */
    assert_int_equal(anyhv_scmi_board_start(board, *state), ANYHV_OK);
    assert_true(machine.ours[1] && machine.ours[3]);
    assert_int_equal(machine.flags[1], GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW);
    assert_int_equal(machine.flags[3], 0);
    assert_true(set(board, 0, true));
    assert_int_equal(machine.value[1], 1);
    assert_int_equal(machine.value[3], 0);
    assert_true(set(board, 1, true));
    assert_true(set(board, 0, false));
    assert_int_equal(machine.value[1], 0);
    assert_int_equal(machine.value[3], 1);
    assert_true(set(board, 2, true));
    anyhv_scmi_board_free(board);
    assert_false(machine.ours[1] || machine.ours[3]);
}

static void a_line_that_does_not_move(void **state)
{
    struct anyhv_scmi_board *board = read_text(board_text);

    assert_int_equal(anyhv_scmi_board_start(board, *state), ANYHV_OK);
    machine.set = EIO;
    assert_false(set(board, 0, true));
    assert_non_null(strstr(logged, "reset usb: line usb-reset of gpiochip0 cannot be asserted: "));
    assert_true(set(board, 2, true)); /* the simulated one does */
    machine.set = 0;
    assert_true(set(board, 0, true));
    anyhv_scmi_board_free(board);
}

/* Whatever fails, what was taken before is given back. */
static void lines_that_cannot_be_had(void **state)
{
    static const struct {
        int open, request;
        const char *line, *says;
    } cases[] = {
        {ENODEV, 0, "1", "reset a: line 1 of gpiochip0: No such device"},
        {0, EBUSY, "1", "reset a: line 1 of gpiochip0: Device or resource busy"},
        {0, 0, "4", "reset a: line 4 of gpiochip0: No such file or directory"},
        {0, 0, "1x", "reset a: line 1x of gpiochip0: No such file or directory"},
        {0, 0, "99999999999999999999", "reset a: line 99999999999999999999 of gpiochip0: No such"},
        {0, 0, "nobody", "reset a: line nobody of gpiochip0: No such file or directory"},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct anyhv_scmi_board *board;
        char text[128];

        snprintf(text, sizeof(text), "[reset a]\nline = gpiochip0 %s\n[agent one]\nresets = a\n",
                 cases[i].line);
        machine.open = cases[i].open;
        machine.request = cases[i].request;
        board = read_text(text);
        assert_int_equal(anyhv_scmi_board_start(board, *state), ANYHV_E_IO);
        if (!strstr(logged, cases[i].says))
            fail_msg("case %u says '%s'", i, logged);
        anyhv_scmi_board_free(board);
        assert_int_equal(machine.chips, 0);
    }
}

static void only_one_of_two(void **state)
{
    struct anyhv_scmi_board *board =
        read_text("[reset a]\nline = gpiochip0 1\n[reset b]\nline = gpiochip0 9\n"
                  "[agent one]\nresets = a b\n");

    assert_int_equal(anyhv_scmi_board_start(board, *state), ANYHV_E_IO);
    assert_true(machine.ours[1]);
    anyhv_scmi_board_free(board);
}

static void wrong_keys(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[reset a]\nline = gpiochip0\n",
         "2: [reset a] line: 'gpiochip0' is not a GPIO chip, and a"},
        {"[reset a]\nline = c 1 2\n", "2: [reset a] line: 'c 1 2' is not a GPIO chip, and a"},
        {"[reset a]\nline = c 12345678901234567890123456789012\n", "2: [reset a] line:"},
        {"[reset a]\nactive-low = 1\n", "2: [reset a] active-low: '1' is not yes or no"},
        {"[reset a]\nactive-low = yes\n[agent x]\n", "1: [reset a]: active-low means nothing"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        FILE *stream = fmemopen((void *)(uintptr_t)cases[i].text, strlen(cases[i].text), "r");
        char why[ANYHV_SCMI_WHY] = "";

        assert_null(anyhv_scmi_board_read(stream, why));
        fclose(stream);
        if (strncmp(why, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("case %u says '%s'", i, why);
    }
}

#define WITH_MACHINE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct CMUnitTest tests[] = {
    WITH_MACHINE(lines_move),
    WITH_MACHINE(a_line_that_does_not_move),
    WITH_MACHINE(lines_that_cannot_be_had),
    WITH_MACHINE(only_one_of_two),
    WITH_MACHINE(wrong_keys),
};

ANYHV_TEST_MAIN("scmi-gpiod", tests)
