/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a front end does to move a guest to another back end, or to have a back end that died go on:
 * the dirty log, the device's state, the in-flight area.
 */
#ifndef ANYHV_TEST_MOVING_H
#define ANYHV_TEST_MOVING_H

#include "vhost-user/frontend.h"

/* ---- the dirty log: a bit per 4096 bytes ---- */
struct fe_log {
    int fd;
    uint8_t *bits;
    uint64_t size;
};

/* A log of @size bytes, all clean. */
bool fe_log_new(struct fe_log *log, uint64_t size);
void fe_log_free(struct fe_log *log);
/* SET_LOG_BASE with @size bytes at @offset of @fd: 0 or FE_*. */
int fe_log_base(struct frontend *fe, int fd, uint64_t size, uint64_t offset);
int fe_log_send(struct frontend *fe, const struct fe_log *log);
bool fe_log_has(const struct fe_log *log, uint64_t addr);
unsigned fe_log_count(const struct fe_log *log);
void fe_log_clear(struct fe_log *log);
/* SET_VRING_ADDR with the ring's own addresses, @flags, and @log as the used ring's place. */
int fe_ring_addr(struct frontend *fe, unsigned index, uint32_t flags, uint64_t log);

/* ---- the device's state ---- */
enum {
    FE_SAVE = 0,
    FE_LOAD = 1,
    FE_STATE_REFUSED = 0x101,
    FE_STATE_FINE = 0x100,
};

/* SET_DEVICE_STATE_FD: what the back end says, or FE_*. */
int fe_state_fd(struct frontend *fe, uint32_t direction, uint32_t phase, int fd);
/* CHECK_DEVICE_STATE, the same way. */
int fe_state_check(struct frontend *fe);
/* The whole way. Bytes that were saved, or -1. */
long fe_state_save(struct frontend *fe, uint8_t *bytes, size_t cap);
/* What CHECK_DEVICE_STATE says after @len bytes, or -1. */
int fe_state_load(struct frontend *fe, const uint8_t *bytes, size_t len);

/* ---- the in-flight area ---- */
struct fe_inflight {
    uint64_t size, offset;
    uint16_t queues, queue_size;
    int fd;        /* -1: there is none */
    uint8_t *area; /* mapped here as well */
};

/* GET_INFLIGHT_FD: 0, 1 (there is none) or FE_*. */
int fe_inflight_get(struct frontend *fe, uint16_t queues, uint16_t queue_size,
                    struct fe_inflight *in);
/* SET_INFLIGHT_FD: the ack. */
int fe_inflight_send(struct frontend *fe, const struct fe_inflight *in);
void fe_inflight_free(struct fe_inflight *in);

#endif
