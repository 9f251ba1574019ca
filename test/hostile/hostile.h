/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile driver does, and what has to come of it: the table of violations in
 * <anyhv/types.h>, told by tests. Every case asserts its outcome, its counter, that nothing else
 * in guest memory changed, and that another queue still works.
 *
 * Tests are called <rig>/<id>.case-<nn>; the numbers group attacks that were seen in the wild.
 */
#ifndef ANYHV_TEST_HOSTILE_H
#define ANYHV_TEST_HOSTILE_H

#include "conformance/rig_loopback.h"
#include "conformance/suite.h"

/* A descriptor by hand. `link`: split: next; packed: buffer id. */
struct raw {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, link;
};

enum {
    N = DRV_DESC_NEXT,
    W = DRV_DESC_WRITE,
    I = DRV_DESC_INDIRECT,
};

/* Up with the rig's features, queues of 16 entries. */
void hostile_up(struct suite *s);
void hostile_up_with(struct suite *s, uint64_t features, uint64_t without);

static inline struct drv_ring *ring_a(struct suite *s)
{
    return &s->ring[TEST_QUEUE_A];
}

/* Addresses that are good: a command's header, and zeroed room. */
uint64_t good_header(struct suite *s, enum test_op op, uint32_t arg);
uint64_t good_room(struct suite *s, uint32_t len);
/* An address that no memory stands behind. */
#define BAD_ADDR UINT64_C(0x100000)
/* The violation for a buffer there: known when taken, or when the model touches it. */
enum anyhv_violation bad_address(const struct suite *s);

/* An entry of an indirect table; in a packed one link is the id and NEXT means nothing. */
void put_entry(struct suite *s, uint64_t table, uint16_t index, struct raw raw);

/*
 * Puts descriptors into queue A's ring as one chain, exactly as given: split: from table index 0,
 * head 0; packed: from the next slot, available. Publishes, does not kick.
 */
void offer(struct suite *s, const struct raw *raw, unsigned n);
/* The same with NEXT and the links of a well-formed chain filled in. */
void offer_linked(struct suite *s, const struct raw *raw, unsigned n);
/* Kick queue A, let the device run. */
void kick(struct suite *s);

/* ---- Outcomes. Each kicks, looks at everything, and tries queue B. ---- */

/* Answered with @len bytes written into @room. */
void expect_served(struct suite *s, uint64_t room, uint32_t len);
/* Answered with length 0; @v counted once; queue A goes on. */
void expect_rejected(struct suite *s, enum anyhv_violation v);
/* Not answered; @v counted once, queue A broken, NEEDS_RESET shown and told; a reset heals. */
void expect_broken(struct suite *s, enum anyhv_violation v);
/* Nothing happens at all. */
void expect_nothing(struct suite *s);

/* ---- Guest memory must not change but where it was allowed ---- */

void guard_begin(struct suite *s);
void guard_allow(struct suite *s, uint64_t addr, uint64_t len);
/* What any device may write at any time: the device areas of all queues. */
void guard_allow_device_areas(struct suite *s);
void guard_check(struct suite *s);

/* Reset, set up anew, and both queues serve. */
void hostile_up_again(struct suite *s);

/* The good life after a case: A (unless broken) and B serve. */
void both_alive(struct suite *s);
uint8_t hostile_status(struct suite *s);

#endif
