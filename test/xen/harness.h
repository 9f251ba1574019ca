/* SPDX-License-Identifier: Apache-2.0 */
/* The module between the fake Xen and the test device, on a loop that the test turns. */
#ifndef ANYHV_TEST_XEN_HARNESS_H
#define ANYHV_TEST_XEN_HARNESS_H

#include <anyhv/hv.h>

#include "conformance/test_device.h"
#include "driver/driver.h"
#include "testing.h"
#include "xen/fake.h"

#define DOM 3 /* the guest of most tests */
/* Somewhere in the guest, and an interrupt that every architecture's guests have. */
#define BASE UINT64_C(0x2000000)
#if defined(__i386__) || defined(__x86_64__)
#define IRQ     7
#define BAD_IRQ "16"
#else
#define IRQ     33
#define BAD_IRQ "31"
#endif

/* A back end: as if a process. */
struct backend {
    struct anyhv_class cls;
    struct anyhv_server server;
    void *options;
    bool running;
};

/* Starts it with the arguments @args (NULL at the end); what start said. */
int backend_start(struct backend *b, const char *const *args);
void backend_start_variant(struct backend *b, enum test_variant variant,
                           const struct anyhv_limits *limits, uint64_t withhold);
/* One that serves another class than the test device. */
void backend_serve(struct backend *b, const struct anyhv_class *cls, const void *class_options);
/* Turns until nothing is left to be done. */
void backend_turn(struct backend *b);
void backend_stop(struct backend *b);
/* The only device there is. */
struct anyhv_dev *backend_dev(const struct backend *b);
/* How the loop was told to stop; false: it was not. */
bool backend_over(const struct backend *b, int *code);

/* An access by vCPU 0, answered. */
uint64_t guest_read(struct backend *b, uint16_t domid, uint64_t addr, unsigned size);
void guest_write(struct backend *b, uint16_t domid, uint64_t addr, unsigned size, uint64_t value);
/* The answer to what fake_trap began. */
uint64_t guest_answer(struct backend *b, uint16_t domid, unsigned vcpu);

/* A driver behind the registers at @base, and its memory. */
struct guest {
    struct backend *b;
    uint16_t domid;
    uint64_t base;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot slots[64];
};
void guest_init(struct guest *g, struct backend *b, uint16_t domid, uint64_t base);
/* Negotiates and sets up queue A. */
void guest_boot(struct guest *g);
/* One echo of @len bytes, whose payload and answer are at these addresses. True: it is right. */
bool guest_echo_at(struct guest *g, uint64_t out, uint64_t in, uint32_t len);
bool guest_echo(struct guest *g);
/* Sends the echo, does not wait for it. */
void guest_submit(struct guest *g, uint64_t out, uint64_t in, uint32_t len, enum test_op op);
/* Is there an answer? Takes it; its length. */
bool guest_take(struct guest *g, uint32_t *len);

/*
 * What was logged since the last call of it has @text. Each call lets ten seconds pass, for the
 * sake of the limits on the log's rate.
 */
bool logged(const char *text);

/* The whole of it for one test: a world, a guest DOM with a node, a back end without arguments. */
int harness_begin(void **state);
int harness_end(void **state);
struct harness {
    struct backend b;
    struct guest g;
    char dir[64]; /* for --state */
};

#endif
