/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of the socket: a vhost-user front end for tests. It shares no header with the
 * module, on purpose, and it does only what it is told: every message can be sent wrong.
 *
 *   raw        fe_send_bytes, fe_send, fe_receive
 *   typed      fe_u64, fe_state, ...: with need_reply; what the back end said, or FE_CLOSED
 *   memory     fe_memory_*: a file, mapped here; guest and user addresses are made up
 *   rings      fe_ring_*: test/driver's rings with their descriptors
 */
#ifndef ANYHV_TEST_FRONTEND_H
#define ANYHV_TEST_FRONTEND_H

#include "driver/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fe_request {
    FE_GET_FEATURES = 1,
    FE_SET_FEATURES,
    FE_SET_OWNER,
    FE_RESET_OWNER,
    FE_SET_MEM_TABLE,
    FE_SET_LOG_BASE,
    FE_SET_LOG_FD,
    FE_SET_VRING_NUM,
    FE_SET_VRING_ADDR,
    FE_SET_VRING_BASE,
    FE_GET_VRING_BASE,
    FE_SET_VRING_KICK,
    FE_SET_VRING_CALL,
    FE_SET_VRING_ERR,
    FE_GET_PROTOCOL_FEATURES,
    FE_SET_PROTOCOL_FEATURES,
    FE_GET_QUEUE_NUM,
    FE_SET_VRING_ENABLE,
    FE_SET_BACKEND_REQ_FD = 21,
    FE_IOTLB_MSG = 22,
    FE_SET_VRING_ENDIAN = 23,
    FE_GET_CONFIG = 24,
    FE_SET_CONFIG = 25,
    FE_GET_INFLIGHT_FD = 31,
    FE_SET_INFLIGHT_FD = 32,
    FE_RESET_DEVICE = 34,
    FE_VRING_KICK = 35,
    FE_GET_MAX_MEM_SLOTS = 36,
    FE_ADD_MEM_REG = 37,
    FE_REM_MEM_REG = 38,
    FE_SET_STATUS = 39,
    FE_GET_STATUS = 40,
    FE_SET_DEVICE_STATE_FD = 42,
    FE_CHECK_DEVICE_STATE = 43,
};

enum {
    FE_VERSION = 1,
    FE_REPLY = 4,
    FE_NEED_REPLY = 8,
    FE_HEADER = 12,
    FE_PAYLOAD = 4096,
    FE_NO_FD = 0x100,
};

#define FE_F_LOG_ALL           (UINT64_C(1) << 26)
#define FE_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)
/* The driver knows nothing of these. */
#define FE_F_OWN (FE_F_LOG_ALL | FE_F_PROTOCOL_FEATURES)
/* What every front end of ours negotiates at least. */
#define FE_VERSION_1   (DRV_F_VERSION_1 | FE_F_PROTOCOL_FEATURES)

#define FE_P(bit)      (UINT64_C(1) << (bit))
#define FE_P_MQ        FE_P(0)
#define FE_P_LOG       FE_P(1)
#define FE_P_REPLY_ACK FE_P(3)
#define FE_P_BACKEND   FE_P(5)
#define FE_P_CONFIG    FE_P(9)
#define FE_P_INFLIGHT  FE_P(12)
#define FE_P_RESET     FE_P(13)
#define FE_P_SLOTS     FE_P(15)
#define FE_P_STATUS    FE_P(16)
#define FE_P_STATE     FE_P(19)
#define FE_P_ALL                                                                                  \
    (FE_P_MQ | FE_P_LOG | FE_P_REPLY_ACK | FE_P_BACKEND | FE_P_CONFIG | FE_P_RESET | FE_P_SLOTS | \
     FE_P_STATUS | FE_P_STATE | FE_P_INFLIGHT)

struct fe_message {
    uint32_t request, flags, size;
    uint8_t payload[FE_PAYLOAD];
};

struct fe_region {
    uint64_t guest, size, user, offset;
};

#define FE_RINGS 4

struct fe_ring {
    struct drv_ring ring;
    struct drv_slot slots[256];
    int kick, call, err;
};

struct frontend {
    int fd;      /* -1: not connected */
    int timeout; /* ms that an answer may take (default 10 s) */
    /* memory */
    int memfd;
    uint8_t *host;
    struct fe_region region;
    struct drv_mem mem;
    struct fe_ring ring[FE_RINGS];
    int backend; /* our end of the back-end channel */
};

/* Results besides what the back end said. */
enum {
    FE_CLOSED = -1,  /* it ended the connection */
    FE_SILENT = -2,  /* no answer in time */
    FE_GARBAGE = -3, /* an answer that breaks the protocol */
};

/* ---- connection ---- */
void fe_init(struct frontend *fe);
/* Tries for some seconds, since a back end may still be starting. */
bool fe_connect(struct frontend *fe, const char *path);
void fe_disconnect(struct frontend *fe);
/* Disconnects and gives back memory and rings. */
void fe_fini(struct frontend *fe);
/* True once the back end has closed the connection; waits for it up to the time-out. */
bool fe_closed(struct frontend *fe);

/* ---- raw ---- */
bool fe_send_bytes(struct frontend *fe, const void *bytes, size_t len, const int *fds,
                   unsigned nfds);
bool fe_send(struct frontend *fe, uint32_t request, uint32_t flags, const void *payload,
             uint32_t size, const int *fds, unsigned nfds);
/* 0 or FE_*. */
int fe_receive(struct frontend *fe, struct fe_message *m);

/* ---- typed: need_reply is set, the ack (0: fine) or FE_* comes back ---- */
int fe_call(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
            const int *fds, unsigned nfds);
int fe_u64(struct frontend *fe, uint32_t request, uint64_t value);
int fe_state(struct frontend *fe, uint32_t request, uint32_t index, uint32_t num);
/* kick, call, err; fd -1: none */
int fe_vring_fd(struct frontend *fe, uint32_t request, uint32_t index, int fd);
int fe_addr(struct frontend *fe, uint32_t index, uint64_t desc, uint64_t avail, uint64_t used);
/* Requests with a u64 answer: 0 or FE_*. */
int fe_get(struct frontend *fe, uint32_t request, uint64_t *value);
/* GET_VRING_BASE: 0 or FE_*. */
int fe_get_base(struct frontend *fe, uint32_t index, uint32_t *base);
/* 0, 1 (an empty answer: refused) or FE_*. */
int fe_get_config(struct frontend *fe, uint32_t off, void *buf, uint32_t len);
int fe_set_config(struct frontend *fe, uint32_t off, const void *buf, uint32_t len, uint32_t flags);
int fe_set_table(struct frontend *fe, const struct fe_region *regions, const int *fds,
                 unsigned count);
int fe_region(struct frontend *fe, uint32_t request, const struct fe_region *region, int fd);

/* ---- a whole set-up ---- */
/* Owner and protocol features. */
bool fe_hello(struct frontend *fe, uint64_t protocol);
/* A memory file of @size bytes, mapped here, not yet told to the back end. */
bool fe_memory_new(struct frontend *fe, uint64_t size);
bool fe_memory_send(struct frontend *fe);
/* Connection to running rings 0 to @rings - 1: @features plus VERSION_1 and the protocol's bit. */
bool fe_start(struct frontend *fe, uint64_t protocol, uint64_t features, unsigned rings);
/* A fresh ring in memory; eventfds for kick, call, err. */
bool fe_ring_new(struct frontend *fe, unsigned index, uint16_t size, bool packed);
void fe_ring_free(struct frontend *fe, unsigned index);
/* NUM, BASE, ADDR, KICK, CALL, ERR; not ENABLE. */
bool fe_ring_send(struct frontend *fe, unsigned index, uint32_t base);
uint64_t fe_user(const struct frontend *fe, uint64_t guest);

/* ---- requests on a ring ---- */
/* A request of @out_len bytes with room for @in_len; the answer's place in *@in. -1: no room. */
int fe_submit(struct frontend *fe, unsigned index, const void *out, uint32_t out_len,
              uint32_t in_len, uint8_t **in);
void fe_kick(struct frontend *fe, unsigned index);
/* Waits for an answer: through the call fd, or by looking at the ring if @look. */
bool fe_wait_used(struct frontend *fe, unsigned index, struct drv_used *used, int timeout_ms);
/* Is there an event on @fd within @timeout_ms? Takes it. */
bool fe_event(int fd, int timeout_ms);

#endif
