/* SPDX-License-Identifier: Apache-2.0 */
/* The same bench on adapters and a loop, as programs have them. */
#ifndef ANYHV_UNIT_I2C_HOST_BENCH_H
#define ANYHV_UNIT_I2C_HOST_BENCH_H

#include "i2c_bench.h"
#include "linux_test.h"

#include <anyhv/devices/i2c_host.h>

/* What is on bus 0 is on @first from now on, what is on bus 1 on @second. */
static inline void bench_wire(struct i2c_bench *b, struct anyhv_i2c_adapter *first,
                              struct anyhv_i2c_adapter *second)
{
    for (unsigned i = 0; i < BENCH_TARGETS; i++)
        b->board->target[i].bus = i == BENCH_ON_BUS_1 ? &second->bus : &first->bus;
}

/* Turns the loop and lets the device run until the driver has an answer. */
static inline void bench_wait(struct i2c_bench *b, struct anyhv_loop *loop)
{
    while (!drv_ring_pending(&b->ring)) {
        assert_true(anyhv_loop_turn(loop, 20000) > 0);
        bench_run(b);
    }
}

/* Sends one request, and waits for the answer: its status. */
static inline uint8_t bench_do(struct i2c_bench *b, struct anyhv_loop *loop,
                               struct bench_request *r)
{
    bench_send_all(b, r, 1);
    bench_wait(b, loop);
    bench_expect(b, r, r->in_len);
    return bench_status(b, r);
}

/* Lets what is due happen, without waiting for anything. */
static inline void bench_settle(struct i2c_bench *b, struct anyhv_loop *loop)
{
    while (anyhv_loop_turn(loop, 0) > 0)
        ;
    bench_run(b);
}

#endif
