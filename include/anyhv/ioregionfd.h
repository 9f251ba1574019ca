/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VMM and a device process under KVM say to each other: the handshake over a UNIX stream
 * socket, and the commands by which register accesses come, which are those of KVM's ioregionfd.
 * docs/kvm-ioregionfd.md describes both; <anyhv/vmm.h> is the VMM's side as a library.
 *
 * Host byte order: both ends are processes of one machine. Needs nothing but stdint.h.
 */
#ifndef ANYHV_IOREGIONFD_H
#define ANYHV_IOREGIONFD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The handshake: messages of one size, each answered by one of the same size ---- */

#define ANYHV_IOR_MAGIC   UINT32_C(0x524f4941) /* "AIOR" */
#define ANYHV_IOR_VERSION UINT32_C(1)
#define ANYHV_IOR_SLOTS   64u /* regions of guest memory at once */

/*
 * What is spoken beyond this version, bit by bit: HELLO names the VMM's, its answer those of them
 * that the device process speaks as well. Nothing so far.
 */
#define ANYHV_IOR_FEATURES UINT64_C(0)

enum anyhv_ior_request {
    ANYHV_IOR_HELLO = 1,      /* first, and once */
    ANYHV_IOR_MEMORY_ADD = 2, /* a descriptor: the file; at any time */
    ANYHV_IOR_MEMORY_REMOVE =
        3,                   /* exactly as it was added; answered when it is not used any more */
    ANYHV_IOR_KICK = 4,      /* a descriptor: an eventfd that notifies of a queue */
    ANYHV_IOR_INTERRUPT = 5, /* one or two: an eventfd that interrupts, and one for resampling */
    ANYHV_IOR_STATE = 6,   /* none, or what the predecessor gave; the answer has a new descriptor */
    ANYHV_IOR_START = 7,   /* a descriptor: the socket for commands */
    ANYHV_IOR_RESET = 8,   /* the machine was reset */
    ANYHV_IOR_REQUESTS = 9 /* one more than the last */
};

enum anyhv_ior_result {
    ANYHV_IOR_OK = 0,
    ANYHV_IOR_INVALID = 1,  /* the values make no sense, or not together with earlier ones */
    ANYHV_IOR_VERSIONS = 2, /* of HELLO: not ours; the answer names ours */
    ANYHV_IOR_MOMENT = 3,   /* not now: before HELLO or START, or after it */
    ANYHV_IOR_NORES = 4,    /* the device process lacks memory, descriptors or slots */
};

/* Which of the two layouts the commands have. They cannot be told apart safely, so it is said. */
enum anyhv_ior_layout {
    ANYHV_IOR_LAYOUT_V3 = 1,   /* the patches of February 2021 */
    ANYHV_IOR_LAYOUT_INFO = 2, /* the ones before, and the design document */
};

#define ANYHV_IOR_RESAMPLE UINT32_C(1) /* of INTERRUPT: a level, with the second descriptor */

/* Bytes that a request does not use are 0. */
struct anyhv_ior_message {
    uint32_t request;
    uint32_t result; /* 0 in a request */
    union {
        struct {
            uint32_t magic, version, layout, zero;
            uint64_t features;
        } hello;
        struct {
            uint32_t version; /* of the device process */
            uint32_t device_id, queues, slots;
            uint64_t features;
        } welcome; /* HELLO's answer */
        struct {
            uint64_t addr, size, offset; /* in the guest; bytes; in the file */
        } memory;                        /* REMOVE: without the offset */
        struct {
            uint32_t queue;
        } kick;
        struct {
            uint32_t flags;
        } interrupt;
        struct {
            uint32_t adopted; /* 1: what the predecessor left will be gone on with */
        } state;              /* STATE's answer */
        uint64_t words[7];
    } u;
};

/* ---- The commands ---- */

/* user_data: which part of the window a command is about. */
enum anyhv_ior_part {
    ANYHV_IOR_LOW = 0,      /* registers before QueueNotify */
    ANYHV_IOR_HIGH = 1,     /* those behind it, and the configuration */
    ANYHV_IOR_DOORBELL = 2, /* QueueNotify; the only part whose writes may be posted */
    ANYHV_IOR_ANY = 3,      /* QueueNotify, but what was written is not known: look at all queues */
};

enum {
    ANYHV_IOR_WINDOW = 0x200, /* bytes of the whole */
    ANYHV_IOR_NOTIFY = 0x50,  /* LOW ends, DOORBELL begins */
    ANYHV_IOR_BEHIND = 0x54,  /* DOORBELL ends, HIGH begins */
};

enum {
    ANYHV_IOR_READ = 0,
    ANYHV_IOR_WRITE = 1,
};

/* 32 bytes, VMM or kernel to device. A size is 1 << exponent bytes. */
struct anyhv_ior_command {
    union {
        struct {
            uint8_t command;
            uint8_t info; /* 3:0 exponent, 4 an answer is wanted */
            uint8_t zero[6];
        } v3;
        struct {
            uint32_t info; /* 3:0 command, 5:4 exponent, 6 an answer is wanted */
            uint32_t zero;
        } info;
    } head;
    uint64_t user_data;
    uint64_t offset; /* in the part */
    uint64_t data;   /* low bytes; of a read 0 */
};

/* 32 bytes, device to VMM or kernel. */
struct anyhv_ior_response {
    uint64_t data; /* of a write 0 */
    uint64_t zero[3];
};

#ifdef __cplusplus
}
#define ANYHV_IOR_ASSERT static_assert
#else
#define ANYHV_IOR_ASSERT _Static_assert
#endif
ANYHV_IOR_ASSERT(sizeof(struct anyhv_ior_message) == 64, "one size for all");
ANYHV_IOR_ASSERT(sizeof(struct anyhv_ior_command) == 32, "as KVM sends it");
ANYHV_IOR_ASSERT(sizeof(struct anyhv_ior_response) == 32, "as KVM takes it");
#undef ANYHV_IOR_ASSERT

#endif
