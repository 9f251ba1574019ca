/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines PLATFORM VALUE: a guest over the loopback module, the first agent of a platform, asserts
 * its first reset line, deasserts it and resets it once more. Behind each command it says the
 * answer's status and what the file VALUE says of the line. For platforms whose line is a GPIO
 * line.
 */
#include "driver/driver.h"
#include <anyhv/devices/scmi_host.h>
#include <anyhv/loopback.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BASE = 0x40000000,
    RAM = 1 << 20,
    RING = 8,
    AUTONOMOUS = 1,
    ASSERT = 2,
    RESET = 4 | 0x16 << 10, /* the header: message 4 of protocol 0x16 */
};

static struct anyhv_loopback lb;
static struct anyhv_scmi scmi;
static struct drv_mmio mmio;
static struct drv_mem mem;
static struct drv_ring ring;
static struct drv_slot slots[RING];

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "lines: %s\n", what);
    exit(1);
}

static struct anyhv_scmi_board *serve(const char *file, struct anyhv_loop *loop)
{
    FILE *stream = fopen(file, "re");
    char why[ANYHV_SCMI_WHY];
    struct anyhv_scmi_board *board;

    need(stream, file);
    board = anyhv_scmi_board_read(stream, why);
    fclose(stream);
    need(board, why);
    need(anyhv_scmi_board_start(board, loop) == ANYHV_OK, "the platform does not start");
    return board;
}

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void plug(struct anyhv_scmi_platform *platform)
{
    struct anyhv_loopback_options machine = {
        .base = BASE, .ram = aligned_alloc(4096, RAM), .ram_size = RAM};
    struct anyhv_attach how = {.ops = &anyhv_scmi_ops,
                               .priv = &scmi,
                               .storage_size =
                                   anyhv_storage_size(&anyhv_scmi_ops, &(struct anyhv_limits){0}),
                               .state_size = ANYHV_STATE_SIZE(2, 0)};

    how.storage = malloc(how.storage_size);
    how.state = calloc(1, how.state_size);
    need(machine.ram && how.storage && how.state, "no memory");
    anyhv_scmi_init(&scmi, anyhv_loopback_dev(&lb), platform, &platform->agents[0]);
    need(anyhv_loopback_attach(&lb, &machine, &how) == ANYHV_OK, "no device");
    drv_mem_init(&mem, machine.ram, BASE, RAM);
}

static void drive(void)
{
    struct drv_ring_config config = {.size = RING, .slots = slots};

    drv_mmio_init(&mmio, access_register, &lb);
    need(drv_mmio_probe(&mmio) == 32 && drv_negotiate(&mmio.transport, 0) &&
             drv_ring_init(&ring, &mem, &config) && drv_queue_setup(&mmio.transport, 0, &ring),
         "the driver does not come up");
    drv_ready(&mmio.transport);
}

static int reset(uint32_t flags)
{
    struct drv_buf out = {drv_alloc(&mem, 16, 8), 16}, in = {drv_alloc(&mem, 8, 8), 8};
    struct drv_chain chain = {.out = &out, .nout = 1, .in = &in, .nin = 1, .direct = DRV_DIRECT};
    struct drv_used used;

    drv_poke32(&mem, out.addr, RESET);
    drv_poke32(&mem, out.addr + 8, flags);
    need(drv_ring_add(&ring, &chain) >= 0, "the ring is full");
    drv_ring_publish(&ring);
    drv_kick(&mmio.transport, 0, &ring);
    anyhv_loopback_run(&lb, 64);
    need(drv_ring_get(&ring, &used) && used.len == 8, "no answer");
    return (int32_t)drv_peek32(&mem, in.addr + 4);
}

static void tell(const char *what, int status, const char *file)
{
    FILE *stream = fopen(file, "re");

    need(stream, file);
    printf("%s=%d,%c\n", what, status, getc(stream));
    fclose(stream);
}

int main(int argc, char **argv)
{
    struct anyhv_loop *loop = anyhv_loop_new();
    struct anyhv_scmi_board *board;

    need(loop && argc == 3, "usage: lines PLATFORM VALUE");
    board = serve(argv[1], loop);
    plug(anyhv_scmi_board_platform(board));
    drive();
    tell("assert", reset(ASSERT), argv[2]);
    tell("deassert", reset(0), argv[2]);
    tell("autonomous", reset(AUTONOMOUS), argv[2]);
    anyhv_loopback_detach(&lb);
    anyhv_scmi_fini(&scmi);
    anyhv_scmi_board_free(board);
    anyhv_loop_free(loop);
    return 0;
}
