/* SPDX-License-Identifier: Apache-2.0 */
/* Which transfers SMBus has a form for, and what goes where. */
#include "testing.h"

#include "devices/i2c/i2c_smbus.h"
#include <string.h>

#define ALL  (~0ul)
#define NONE (-1)

static uint8_t written[64], got[64];
static struct anyhv_i2c_message message[2];
static unsigned messages;

/* A transfer that writes @w bytes (1, 2, 3 ...) and then reads @r; NONE: no such message. */
static void transfer(int w, int r)
{
    messages = 0;
    for (unsigned i = 0; i < sizeof(written); i++)
        written[i] = (uint8_t)(i + 1);
    memset(got, 0xee, sizeof(got));
    if (w != NONE)
        message[messages++] =
            (struct anyhv_i2c_message){.addr = 0x50, .len = (uint16_t)w, .data = written};
    if (r != NONE)
        message[messages++] =
            (struct anyhv_i2c_message){.addr = 0x50, .len = (uint16_t)r, .data = got, .read = true};
}

static bool make(struct i2c_smbus *call, int w, int r, unsigned long functions)
{
    transfer(w, r);
    return anyhv_i2c_smbus_make(call, message, messages, functions);
}

/* ---- the forms ---- */

static void every_form_has_its_function(void **state)
{
    static const struct {
        int w, r;
        unsigned long function;
        uint32_t size;
        uint8_t read_write;
    } forms[] = {
        {0, NONE, I2C_FUNC_SMBUS_QUICK, I2C_SMBUS_QUICK, I2C_SMBUS_WRITE},
        {NONE, 0, I2C_FUNC_SMBUS_QUICK, I2C_SMBUS_QUICK, I2C_SMBUS_READ},
        {NONE, 1, I2C_FUNC_SMBUS_READ_BYTE, I2C_SMBUS_BYTE, I2C_SMBUS_READ},
        {1, NONE, I2C_FUNC_SMBUS_WRITE_BYTE, I2C_SMBUS_BYTE, I2C_SMBUS_WRITE},
        {1, 1, I2C_FUNC_SMBUS_READ_BYTE_DATA, I2C_SMBUS_BYTE_DATA, I2C_SMBUS_READ},
        {2, NONE, I2C_FUNC_SMBUS_WRITE_BYTE_DATA, I2C_SMBUS_BYTE_DATA, I2C_SMBUS_WRITE},
        {1, 2, I2C_FUNC_SMBUS_READ_WORD_DATA, I2C_SMBUS_WORD_DATA, I2C_SMBUS_READ},
        {3, NONE, I2C_FUNC_SMBUS_WRITE_WORD_DATA, I2C_SMBUS_WORD_DATA, I2C_SMBUS_WRITE},
        {3, 2, I2C_FUNC_SMBUS_PROC_CALL, I2C_SMBUS_PROC_CALL, I2C_SMBUS_WRITE},
        {1, 3, I2C_FUNC_SMBUS_READ_I2C_BLOCK, I2C_SMBUS_I2C_BLOCK_DATA, I2C_SMBUS_READ},
        {1, 32, I2C_FUNC_SMBUS_READ_I2C_BLOCK, I2C_SMBUS_I2C_BLOCK_DATA, I2C_SMBUS_READ},
        {4, NONE, I2C_FUNC_SMBUS_WRITE_I2C_BLOCK, I2C_SMBUS_I2C_BLOCK_DATA, I2C_SMBUS_WRITE},
        {33, NONE, I2C_FUNC_SMBUS_WRITE_I2C_BLOCK, I2C_SMBUS_I2C_BLOCK_DATA, I2C_SMBUS_WRITE},
        {1, 33, I2C_FUNC_SMBUS_READ_BLOCK_DATA, I2C_SMBUS_BLOCK_DATA, I2C_SMBUS_READ},
        {4, NONE, I2C_FUNC_SMBUS_WRITE_BLOCK_DATA, I2C_SMBUS_BLOCK_DATA, I2C_SMBUS_WRITE},
    };
    struct i2c_smbus call;

    (void)state;
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        assert_true(make(&call, forms[i].w, forms[i].r, forms[i].function));
        assert_int_equal(call.size, forms[i].size);
        assert_int_equal(call.read_write, forms[i].read_write);
        assert_int_equal(call.command, forms[i].w > 0 ? 1 : 0);
        assert_false(make(&call, forms[i].w, forms[i].r, 0));
    }
}

/* All other lengths, up to where lengths end. */
static void what_has_no_form_is_not_done(void **state)
{
    struct i2c_smbus call;
    unsigned good = 0;

    (void)state;
    for (int w = NONE; w < 64; w++) {
        for (int r = NONE; r < 64; r++) {
            if (w != NONE || r != NONE)
                good += make(&call, w, r, ALL);
        }
    }
    /* Quick 2, byte 2, write 2..33, read 1..33 behind one, a process call; write 34 has no form,
     * since its second byte is no length. */
    assert_int_equal(good, 2 + 2 + 32 + 33 + 1);
    assert_false(make(&call, 1, 34, ALL));
    assert_false(make(&call, NONE, 2, ALL));
    assert_false(make(&call, 2, 1, ALL));
}

static void only_one_target_and_seven_bits(void **state)
{
    struct i2c_smbus call;

    (void)state;
    transfer(1, 1);
    message[1].addr = 0x51;
    assert_false(anyhv_i2c_smbus_make(&call, message, 2, ALL));
    transfer(1, 1);
    message[0].addr = message[1].addr = ANYHV_I2C_TEN_BIT | 0x50;
    assert_false(anyhv_i2c_smbus_make(&call, message, 2, ALL));
    transfer(1, 1);
    message[1].read = false; /* two writes */
    assert_false(anyhv_i2c_smbus_make(&call, message, 2, ALL));
    message[0].read = true; /* a read, then a write */
    assert_false(anyhv_i2c_smbus_make(&call, message, 2, ALL));
    assert_false(anyhv_i2c_smbus_make(&call, message, 3, ALL));
}

/* ---- what goes where ---- */

static void data_that_is_written(void **state)
{
    struct i2c_smbus call;

    (void)state;
    assert_true(make(&call, 2, NONE, ALL));
    assert_int_equal(call.data.byte, 2);
    assert_true(make(&call, 3, NONE, ALL));
    assert_int_equal(call.data.word, 0x0302); /* the lower byte goes first */
    assert_true(make(&call, 3, 2, ALL));
    assert_int_equal(call.data.word, 0x0302);
    assert_true(make(&call, 33, NONE, ALL));
    assert_int_equal(call.data.block[0], 32);
    assert_int_equal(call.data.block[1], 2);
    assert_int_equal(call.data.block[32], 33);
    assert_true(make(&call, 1, 32, ALL));
    assert_int_equal(call.data.block[0], 32);
}

/* Of an SMBus block the length is on the wires, so it has to be right. */
static void a_block_that_says_its_length(void **state)
{
    struct i2c_smbus call;

    (void)state;
    for (unsigned len = 1; len <= 32; len++) {
        transfer((int)len + 2, NONE);
        written[1] = (uint8_t)len;
        assert_true(anyhv_i2c_smbus_make(&call, message, 1, I2C_FUNC_SMBUS_WRITE_BLOCK_DATA));
        assert_int_equal(call.data.block[0], len);
        assert_int_equal(call.data.block[len], len + 2);
        written[1]++;
        assert_false(anyhv_i2c_smbus_make(&call, message, 1, I2C_FUNC_SMBUS_WRITE_BLOCK_DATA));
    }
}

static void data_that_was_read(void **state)
{
    struct i2c_smbus call;

    (void)state;
    assert_true(make(&call, NONE, 1, ALL));
    call.data.byte = 0x5a;
    assert_true(anyhv_i2c_smbus_take(&call, message, messages));
    assert_int_equal(got[0], 0x5a);
    assert_true(make(&call, 1, 2, ALL));
    call.data.word = 0x1234;
    assert_true(anyhv_i2c_smbus_take(&call, message, messages));
    assert_int_equal(got[0], 0x34);
    assert_int_equal(got[1], 0x12);
    assert_true(make(&call, 3, 2, ALL));
    call.data.word = 0x5678;
    assert_true(anyhv_i2c_smbus_take(&call, message, messages));
    assert_int_equal(got[1], 0x56);
    assert_true(make(&call, 1, 5, ALL));
    memcpy(call.data.block, "\5abcde", 6);
    assert_true(anyhv_i2c_smbus_take(&call, message, messages));
    assert_memory_equal(got, "abcde\xee", 6);
    call.data.block[0] = 4;
    assert_false(anyhv_i2c_smbus_take(&call, message, messages));
    assert_true(make(&call, 1, 33, ALL)); /* a block, with its length in front */
    call.data.block[0] = 32;
    assert_true(anyhv_i2c_smbus_take(&call, message, messages));
    assert_int_equal(got[0], 32);
    call.data.block[0] = 31;
    assert_false(anyhv_i2c_smbus_take(&call, message, messages));
    assert_true(make(&call, 2, NONE, ALL)); /* nothing was */
    assert_true(anyhv_i2c_smbus_take(&call, message, messages));
    assert_true(make(&call, NONE, 0, ALL));
    assert_true(anyhv_i2c_smbus_take(&call, message, messages));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_form_has_its_function),
    cmocka_unit_test(what_has_no_form_is_not_done),
    cmocka_unit_test(only_one_target_and_seven_bits),
    cmocka_unit_test(data_that_is_written),
    cmocka_unit_test(a_block_that_says_its_length),
    cmocka_unit_test(data_that_was_read),
};

ANYHV_TEST_MAIN("i2c_smbus", tests)
