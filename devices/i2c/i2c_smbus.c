/* SPDX-License-Identifier: Apache-2.0 */
#include "i2c_smbus.h"

#include <string.h>

#define NONE (-1)
#define LAST I2C_SMBUS_BLOCK_MAX

/*
 * The forms, by how many bytes are written and read; NONE: there is no such message. The first byte
 * written is SMBus's "command". Where two forms put the same on the wires, the first one that the
 * adapter has is taken.
 */
static const struct {
    unsigned long function;
    uint32_t size;
    int write_min, write_max, read_min, read_max;
} forms[] = {
    {I2C_FUNC_SMBUS_QUICK, I2C_SMBUS_QUICK, 0, 0, NONE, NONE},
    {I2C_FUNC_SMBUS_QUICK, I2C_SMBUS_QUICK, NONE, NONE, 0, 0},
    {I2C_FUNC_SMBUS_READ_BYTE, I2C_SMBUS_BYTE, NONE, NONE, 1, 1},
    {I2C_FUNC_SMBUS_WRITE_BYTE, I2C_SMBUS_BYTE, 1, 1, NONE, NONE},
    {I2C_FUNC_SMBUS_READ_BYTE_DATA, I2C_SMBUS_BYTE_DATA, 1, 1, 1, 1},
    {I2C_FUNC_SMBUS_WRITE_BYTE_DATA, I2C_SMBUS_BYTE_DATA, 2, 2, NONE, NONE},
    {I2C_FUNC_SMBUS_READ_WORD_DATA, I2C_SMBUS_WORD_DATA, 1, 1, 2, 2},
    {I2C_FUNC_SMBUS_WRITE_WORD_DATA, I2C_SMBUS_WORD_DATA, 3, 3, NONE, NONE},
    {I2C_FUNC_SMBUS_PROC_CALL, I2C_SMBUS_PROC_CALL, 3, 3, 2, 2},
    {I2C_FUNC_SMBUS_READ_I2C_BLOCK, I2C_SMBUS_I2C_BLOCK_DATA, 1, 1, 1, LAST},
    {I2C_FUNC_SMBUS_WRITE_I2C_BLOCK, I2C_SMBUS_I2C_BLOCK_DATA, 2, LAST + 1, NONE, NONE},
    /* The length is one of the bytes: as much as the target likes, or the one that is written. */
    {I2C_FUNC_SMBUS_READ_BLOCK_DATA, I2C_SMBUS_BLOCK_DATA, 1, 1, 1, LAST + 1},
    {I2C_FUNC_SMBUS_WRITE_BLOCK_DATA, I2C_SMBUS_BLOCK_DATA, 3, LAST + 2, NONE, NONE},
};

/* A transfer as SMBus sees it: something is written, something is read, or both in this order. */
struct shape {
    const struct anyhv_i2c_message *write, *read;
};

static bool shape_of(struct shape *shape, const struct anyhv_i2c_message *message,
                     unsigned messages)
{
    const struct anyhv_i2c_message *last = &message[messages - 1];

    if (messages > 2 || last->addr & ANYHV_I2C_TEN_BIT)
        return false;
    shape->write = message[0].read ? NULL : &message[0];
    shape->read = last->read ? last : NULL;
    return messages == 1 || (shape->write && shape->read && message[0].addr == last->addr);
}

static int length(const struct anyhv_i2c_message *message)
{
    return message ? message->len : NONE;
}

/* A block that is written says how long it is, in the byte behind the command. */
static bool says_its_length(const struct shape *shape)
{
    return !shape->write || shape->read || shape->write->data[1] == shape->write->len - 2;
}

static bool find_form(struct i2c_smbus *call, const struct shape *shape, unsigned long functions)
{
    int w = length(shape->write), r = length(shape->read);

    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!(functions & forms[i].function) || w < forms[i].write_min || w > forms[i].write_max ||
            r < forms[i].read_min || r > forms[i].read_max)
            continue;
        call->size = forms[i].size;
        return call->size != I2C_SMBUS_BLOCK_DATA || says_its_length(shape);
    }
    return false;
}

/* What stands behind the command. */
static void put_data(struct i2c_smbus *call, const struct shape *shape)
{
    const uint8_t *data = shape->write ? shape->write->data : NULL;
    uint8_t *block = call->data.block;
    int more = length(shape->write) - 1;

    if (call->size == I2C_SMBUS_I2C_BLOCK_DATA)
        block[0] = (uint8_t)(shape->read ? shape->read->len : more);
    if (more < 1)
        return;
    if (call->size == I2C_SMBUS_BYTE_DATA)
        call->data.byte = data[1];
    else if (call->size == I2C_SMBUS_I2C_BLOCK_DATA)
        memcpy(block + 1, data + 1, (size_t)more);
    else if (call->size == I2C_SMBUS_BLOCK_DATA)
        memcpy(block, data + 1, (size_t)more);
    else
        call->data.word = (uint16_t)(data[1] | data[2] << 8);
}

bool anyhv_i2c_smbus_make(struct i2c_smbus *call, const struct anyhv_i2c_message *message,
                          unsigned messages, unsigned long functions)
{
    struct shape shape;

    memset(call, 0, sizeof(*call));
    if (!shape_of(&shape, message, messages) || !find_form(call, &shape, functions))
        return false;
    /* A process call reads, too, but it is a write to Linux, and so it is in its own words. */
    call->read_write =
        shape.read && call->size != I2C_SMBUS_PROC_CALL ? I2C_SMBUS_READ : I2C_SMBUS_WRITE;
    call->command = shape.write && shape.write->len ? shape.write->data[0] : 0;
    put_data(call, &shape);
    return true;
}

bool anyhv_i2c_smbus_take(const struct i2c_smbus *call, const struct anyhv_i2c_message *message,
                          unsigned messages)
{
    const uint8_t *block = call->data.block;
    struct shape shape;

    if (!shape_of(&shape, message, messages) || !shape.read || shape.read->len == 0)
        return true;
    switch (call->size) {
    case I2C_SMBUS_I2C_BLOCK_DATA:
        memcpy(shape.read->data, block + 1, shape.read->len);
        return block[0] == shape.read->len;
    case I2C_SMBUS_BLOCK_DATA:
        memcpy(shape.read->data, block, shape.read->len);
        return block[0] + 1 >= shape.read->len;
    case I2C_SMBUS_WORD_DATA:
    case I2C_SMBUS_PROC_CALL:
        shape.read->data[0] = (uint8_t)call->data.word;
        shape.read->data[1] = (uint8_t)(call->data.word >> 8);
        return true;
    default:
        shape.read->data[0] = call->data.byte;
        return true;
    }
}
