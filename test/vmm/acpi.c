/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables by which a stock kernel finds its interrupt controllers, its way to power off, and the
 * devices: each an LNRO0005 with a window and an interrupt.
 */
#include "vmm/acpi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 36u

/* Bytes that grow. */
struct bytes {
    uint8_t at[1024];
    size_t len;
};

static void put(struct bytes *b, const void *from, size_t len)
{
    if (len > sizeof(b->at) - b->len)
        machine_fail("an ACPI table is too long");
    memcpy(b->at + b->len, from, len);
    b->len += len;
}

static void put_le(struct bytes *b, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        put(b, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static void set_le(struct bytes *b, size_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        b->at[at + i] = (uint8_t)(value >> (8 * i));
}

/* AML: an opcode, the length of all that follows, and that. */
static void put_package(struct bytes *b, const char *opcode, size_t oplen, const struct bytes *body)
{
    size_t len = body->len + 2; /* the two bytes of the length itself */

    put(b, opcode, oplen);
    put_le(b, 0x40 | (len & 0xf), 1);
    put_le(b, len >> 4, 1);
    put(b, body->at, body->len);
}

static void put_resources(struct bytes *b, const struct machine_options *o, unsigned number)
{
    struct bytes body = {.len = 0};

    put(&body, "\x0a\x17", 2); /* 23 bytes: */
    put(&body, "\x86\x09\x00\x01", 4);
    put_le(&body, o->base + (uint64_t)number * MACHINE_STEP, 4);
    put_le(&body, ANYHV_IOR_WINDOW, 4);
    put(&body, o->level ? "\x89\x06\x00\x01\x01" : "\x89\x06\x00\x03\x01", 5);
    put_le(&body, o->gsi + number, 4);
    put(&body, "\x79\x00", 2);
    put_package(b, "\x11", 1, &body);
}

static void put_device(struct bytes *b, const struct machine_options *o, unsigned number)
{
    struct bytes body = {.len = 0};

    put(&body, "VIO", 3);
    put_le(&body, '0' + number, 1);
    put(&body, "\x08_HID\x0dLNRO0005", 15); /* with the string's end */
    put(&body, "\x08_UID\x0a", 6);
    put_le(&body, number, 1);
    put(&body, "\x08_CRS", 5);
    put_resources(&body, o, number);
    put_package(b, "\x5b\x82", 2, &body);
}

/* @b: a table with room for its header; @at: where it will be. */
static void finish(const struct machine *m, struct bytes *b, const char *name, uint8_t revision,
                   uint64_t at)
{
    uint8_t sum = 0;

    memcpy(b->at, name, 4);
    set_le(b, 4, b->len, 4);
    b->at[8] = revision;
    memcpy(b->at + 10, "ANYHV TEST VMM", 14);
    set_le(b, 24, 1, 4);
    memcpy(b->at + 28, "ANYH", 4);
    set_le(b, 32, 1, 4);
    for (size_t i = 0; i < b->len; i++)
        sum = (uint8_t)(sum + b->at[i]);
    b->at[9] = (uint8_t)-sum;
    memcpy(machine_at(m, at, b->len), b->at, b->len);
}

static struct bytes table(size_t len)
{
    struct bytes b = {.len = len};

    return b;
}

static void dsdt(const struct machine *m, uint64_t at)
{
    struct bytes b = table(HEADER), scope = {.len = 0};

    put(&b, "\x08_S5_\x12\x08\x04\x0a\x05\x0a\x05\x00\x00", 14);
    put(&scope, "_SB_", 4);
    for (unsigned i = 0; i < m->options.devices; i++)
        put_device(&scope, &m->options, i);
    put_package(&b, "\x10", 1, &scope);
    finish(m, &b, "DSDT", 2, at);
}

static void fadt(const struct machine *m, uint64_t at, uint64_t dsdt_at)
{
    struct bytes b = table(276);

    set_le(&b, 40, dsdt_at, 4);
    set_le(&b, 46, 9, 2); /* the system control interrupt, which never comes */
    set_le(&b, 56, ACPI_PM_EVENT, 4);
    set_le(&b, 64, ACPI_PM_CONTROL, 4);
    b.at[88] = 4;
    b.at[89] = 2;
    set_le(&b, 109, 1, 2);                    /* there are devices of a PC: the timer */
    set_le(&b, 112, 1 | 1 << 2 | 1 << 10, 4); /* wbinvd, C1, a reset register: */
    set_le(&b, 116, 0x0801, 4);
    set_le(&b, 120, ACPI_RESET, 8);
    b.at[128] = 0xfe;
    set_le(&b, 140, dsdt_at, 8);
    finish(m, &b, "FACP", 5, at);
}

static void madt(const struct machine *m, uint64_t at)
{
    struct bytes b = table(HEADER);

    put_le(&b, 0xfee00000, 4);
    put_le(&b, 1, 4);
    put(&b, "\x00\x08\x00\x00\x01\x00\x00\x00", 8);
    put(&b, "\x01\x0c\x01\x00", 4);
    put_le(&b, 0xfec00000, 4);
    put_le(&b, 0, 4);
    finish(m, &b, "APIC", 4, at);
}

static void rsdp(const struct machine *m, uint64_t at, uint64_t xsdt_at)
{
    uint8_t b[36] = "RSD PTR ", sum = 0;

    memcpy(b + 9, "ANYHV ", 6);
    b[15] = 2;
    b[20] = sizeof(b);
    memcpy(b + 24, &xsdt_at, 8);
    for (unsigned i = 0; i < 20; i++)
        sum = (uint8_t)(sum + b[i]);
    b[8] = (uint8_t)-sum;
    sum = 0;
    for (unsigned i = 0; i < sizeof(b); i++)
        sum = (uint8_t)(sum + b[i]);
    b[32] = (uint8_t)-sum;
    memcpy(machine_at(m, at, sizeof(b)), b, sizeof(b));
}

void acpi_write(const struct machine *m)
{
    enum {
        XSDT = ACPI_TABLES + 0x100,
        FADT = XSDT + 0x100,
        MADT = FADT + 0x200,
        DSDT = MADT + 0x100
    };
    struct bytes b = table(HEADER);

    dsdt(m, DSDT);
    fadt(m, FADT, DSDT);
    madt(m, MADT);
    put_le(&b, FADT, 8);
    put_le(&b, MADT, 8);
    finish(m, &b, "XSDT", 1, XSDT);
    rsdp(m, ACPI_TABLES, XSDT);
}
