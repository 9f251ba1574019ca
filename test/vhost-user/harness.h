/* SPDX-License-Identifier: Apache-2.0 */
/* A back end and a front end per test; the back end's log is shown when the test fails. */
#ifndef ANYHV_TEST_HARNESS_H
#define ANYHV_TEST_HARNESS_H

#include "testing.h"
#include "vhost-user/backend.h"
#include "vhost-user/frontend.h"
#include "vhost-user/probe_device.h"

struct harness {
    struct backend b;
    struct frontend fe;
    bool ended; /* the test has waited for the back end itself */
    bool passed;
};

/* A test named @name with a struct harness *h. */
#define TEST(name)                              \
    static void name##_body(struct harness *h); \
    static void name(void **state)              \
    {                                           \
        struct harness *h = *state;             \
        name##_body(h);                         \
        h->passed = true;                       \
    }                                           \
    static void name##_body(struct harness *h)

/* The probe device, and a front end that has not connected. */
int harness_probe(void **state);
/* The same with a connection. */
int harness_connected(void **state);
int harness_end(void **state);

#define UNIT(name)    cmocka_unit_test_setup_teardown(name, harness_connected, harness_end)

#define OK(expr)      assert_int_equal((expr), 0)
#define REFUSED(expr) assert_int_equal((expr), 1)
#define CLOSED(expr)  assert_int_equal((expr), FE_CLOSED)

#define HARNESS_MAIN  ANYHV_TEST_MAIN

/* A command of the probe device: no answer is waited for. */
void harness_submit(struct harness *h, unsigned ring, enum probe_op op, uint32_t arg,
                    uint8_t **answer);
/* The next answer on @ring has @len bytes. */
void harness_answer(struct harness *h, unsigned ring, uint32_t len);
/* No answer on @ring, now. */
void harness_no_answer(struct harness *h, unsigned ring);
/* A whole ECHO. */
void harness_echo(struct harness *h, unsigned ring);
void harness_info(struct harness *h, unsigned ring, struct probe_info *info);
/*
 * Asks on @ring until the device holds @count requests. An answer on one ring says nothing about
 * another: a kick can come later than the request that it announces.
 */
void harness_held(struct harness *h, unsigned ring, unsigned count);
uint64_t now_ms(void);

#endif
