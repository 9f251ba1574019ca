/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user wire: numbers and message layouts, nothing else. Everything is in the byte order
 * of the machine, since both ends share one.
 *
 * The names of requests are those of the protocol's document, without the VHOST_USER_ prefix.
 */
#ifndef VU_PROTOCOL_H
#define VU_PROTOCOL_H

#include <stdint.h>

/* Requests of the front end. */
enum vu_request_id {
    VU_GET_FEATURES = 1,
    VU_SET_FEATURES = 2,
    VU_SET_OWNER = 3,
    VU_RESET_OWNER = 4,
    VU_SET_MEM_TABLE = 5,
    VU_SET_LOG_BASE = 6,
    VU_SET_LOG_FD = 7,
    VU_SET_VRING_NUM = 8,
    VU_SET_VRING_ADDR = 9,
    VU_SET_VRING_BASE = 10,
    VU_GET_VRING_BASE = 11,
    VU_SET_VRING_KICK = 12,
    VU_SET_VRING_CALL = 13,
    VU_SET_VRING_ERR = 14,
    VU_GET_PROTOCOL_FEATURES = 15,
    VU_SET_PROTOCOL_FEATURES = 16,
    VU_GET_QUEUE_NUM = 17,
    VU_SET_VRING_ENABLE = 18,
    VU_SEND_RARP = 19,
    VU_NET_SET_MTU = 20,
    VU_SET_BACKEND_REQ_FD = 21,
    VU_IOTLB_MSG = 22,
    VU_SET_VRING_ENDIAN = 23,
    VU_GET_CONFIG = 24,
    VU_SET_CONFIG = 25,
    VU_CREATE_CRYPTO_SESSION = 26,
    VU_CLOSE_CRYPTO_SESSION = 27,
    VU_POSTCOPY_ADVISE = 28,
    VU_POSTCOPY_LISTEN = 29,
    VU_POSTCOPY_END = 30,
    VU_GET_INFLIGHT_FD = 31,
    VU_SET_INFLIGHT_FD = 32,
    VU_GPU_SET_SOCKET = 33,
    VU_RESET_DEVICE = 34,
    VU_VRING_KICK = 35,
    VU_GET_MAX_MEM_SLOTS = 36,
    VU_ADD_MEM_REG = 37,
    VU_REM_MEM_REG = 38,
    VU_SET_STATUS = 39,
    VU_GET_STATUS = 40,
    VU_GET_SHARED_OBJECT = 41,
    VU_SET_DEVICE_STATE_FD = 42,
    VU_CHECK_DEVICE_STATE = 43,
    VU_GET_SHMEM_CONFIG = 44,
    VU_REQUESTS = 45, /* one more than the last */
};

/* Requests of the back end, on the channel that SET_BACKEND_REQ_FD brings. */
enum vu_backend_request_id {
    VU_BACKEND_CONFIG_CHANGE = 2,
};

/* Feature bits that only the two ends of the socket see; the driver knows nothing of them. */
#define VU_F_LOG_ALL           (UINT64_C(1) << 26)
#define VU_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)
#define VU_F_OWN               (VU_F_LOG_ALL | VU_F_PROTOCOL_FEATURES)

/* Protocol features. */
#define VU_P(bit)                (UINT64_C(1) << (bit))
#define VU_P_MQ                  VU_P(0)
#define VU_P_LOG_SHMFD           VU_P(1)
#define VU_P_REPLY_ACK           VU_P(3)
#define VU_P_BACKEND_REQ         VU_P(5)
#define VU_P_CONFIG              VU_P(9)
#define VU_P_INFLIGHT_SHMFD      VU_P(12)
#define VU_P_RESET_DEVICE        VU_P(13)
#define VU_P_CONFIGURE_MEM_SLOTS VU_P(15)
#define VU_P_STATUS              VU_P(16)
#define VU_P_DEVICE_STATE        VU_P(19)

struct vu_header {
    uint32_t request;
    uint32_t flags;
    uint32_t size; /* bytes of payload that follow */
};

#define VU_VERSION      1u
#define VU_VERSION_MASK 3u
#define VU_REPLY_FLAG   4u
#define VU_NEED_REPLY   8u

#define VU_MAX_PAYLOAD  4096u /* more is not waited for */
#define VU_MAX_FDS      8u    /* that one message may carry */

/* 6 */
struct vu_log_base {
    uint64_t size, offset;
};

/* 8, 10, 11, 18 */
struct vu_vring_state {
    uint32_t index, num;
};

/* 9: note the order, used before avail */
struct vu_vring_addr {
    uint32_t index, flags;
    uint64_t desc, used, avail; /* in the front end's address space */
    uint64_t log;               /* where the used ring stands in the dirty log */
};

#define VU_VRING_LOG 1u /* a flag of it: note writes to the used ring */

/* 12, 13, 14: a u64 */
#define VU_VRING_INDEX_MASK UINT64_C(0xff)
#define VU_VRING_NO_FD      UINT64_C(0x100)

/* A stretch of guest memory, in a file. */
struct vu_wire_region {
    uint64_t guest, size, user, offset;
};

#define VU_TABLE_REGIONS 8u
#define VU_TABLE_HEADER  8u

/* 5 */
struct vu_mem_table {
    uint32_t count, padding;
    struct vu_wire_region region[VU_TABLE_REGIONS];
};

/* 37, 38 */
struct vu_mem_single {
    uint64_t padding;
    struct vu_wire_region region;
};

#define VU_CONFIG_HEADER 12u
#define VU_CONFIG_MAX    256u

/* 24, 25 */
struct vu_config {
    uint32_t offset, size, flags;
    uint8_t bytes[VU_CONFIG_MAX];
};

enum vu_config_flag {
    VU_CONFIG_WRITABLE = 0,  /* the driver writes */
    VU_CONFIG_MIGRATION = 1, /* the destination of a migration gets what the source had */
};

/* 31, 32. The document has no padding; the structure of some front ends does. */
struct vu_wire_inflight {
    uint64_t mmap_size, mmap_offset;
    uint16_t num_queues, queue_size;
    uint8_t padding[4];
};

#define VU_INFLIGHT_MIN 20u

/* 42 */
struct vu_state_params {
    uint32_t direction, phase;
};

enum vu_state_direction {
    VU_STATE_SAVE,
    VU_STATE_LOAD,
};

#define VU_STATE_STOPPED 0u              /* the only phase */
#define VU_STATE_NO_FD   UINT64_C(0x100) /* in the answer: no channel of ours comes with it */

union vu_payload {
    uint64_t u64;
    struct vu_vring_state state;
    struct vu_vring_addr addr;
    struct vu_mem_table table;
    struct vu_mem_single single;
    struct vu_config config;
    struct vu_log_base log;
    struct vu_wire_inflight inflight;
    struct vu_state_params state_params;
    uint8_t bytes[VU_MAX_PAYLOAD];
};

#endif
