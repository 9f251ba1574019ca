/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words shared by every part of anyhv: result codes, feature and status bits, and the one table
 * that says what happens when a guest breaks a rule.
 *
 * Freestanding: needs no C library. "Driver" is the guest's front end, "device" is our side, as in
 * the VIRTIO specification (all section numbers in this project are those of VIRTIO 1.4).
 */
#ifndef ANYHV_TYPES_H
#define ANYHV_TYPES_H

#include <anyhv/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Result codes. 0 and above is success; each negative code says whose fault it was, because the
 * answer differs: a guest's mistake is counted and answered to the guest, a shortage of ours means
 * "hold and try again", and is never reported as the guest's fault.
 */
enum anyhv_result {
    ANYHV_OK = 0,
    ANYHV_LATER = 1,      /* not finished; the call's comment says who tells when it is */
    ANYHV_E_BADADDR = -1, /* guest: no memory at that address, or not all of that length */
    ANYHV_E_PERM = -2,    /* guest: memory is there, but not for this direction */
    ANYHV_E_NORES = -3,   /* ours: out of slots, maps or buffers; hold the request and retry */
    ANYHV_E_LOST = -4,    /* the peer is gone; no guest memory may be touched any more */
    ANYHV_E_SHORT = -5,   /* guest: the request has fewer bytes left than were asked for */
    ANYHV_E_INVAL = -6,   /* the caller's arguments or the peer's values make no sense */
    ANYHV_E_STATE = -7,   /* valid call, wrong moment (queue already started, not negotiated...) */
    ANYHV_E_VERSION = -8, /* a saved state has a version or shape this build does not know */
    ANYHV_E_IO = -9,      /* ours: the host resource failed */
};

/* Short English name of a result code, for messages ("bad address"); never NULL. */
const char *anyhv_result_name(int result);

/* Directions and kinds of access to guest memory; flags. */
enum anyhv_access {
    ANYHV_R = 1,    /* the device reads: what the driver marked device-readable */
    ANYHV_W = 2,    /* the device writes */
    ANYHV_RING = 4, /* a ring area: one contiguous host range, mapped until the queue stops */
};

/* Device status bits, section 2.1. */
enum anyhv_status {
    ANYHV_S_ACKNOWLEDGE = 1,
    ANYHV_S_DRIVER = 2,
    ANYHV_S_DRIVER_OK = 4,
    ANYHV_S_FEATURES_OK = 8,
    ANYHV_S_SUSPEND = 16,
    ANYHV_S_NEEDS_RESET = 64,
    ANYHV_S_FAILED = 128,
};

/* Feature bits that belong to the ring and the transport, section 6. Masks, not bit numbers. */
#define ANYHV_F(bit)              (UINT64_C(1) << (bit))
#define ANYHV_F_INDIRECT_DESC     ANYHV_F(28)
#define ANYHV_F_EVENT_IDX         ANYHV_F(29)
#define ANYHV_F_VERSION_1         ANYHV_F(32)
#define ANYHV_F_ACCESS_PLATFORM   ANYHV_F(33)
#define ANYHV_F_RING_PACKED       ANYHV_F(34)
#define ANYHV_F_IN_ORDER          ANYHV_F(35)
#define ANYHV_F_ORDER_PLATFORM    ANYHV_F(36)
#define ANYHV_F_NOTIFICATION_DATA ANYHV_F(38)
#define ANYHV_F_RING_RESET        ANYHV_F(40)
#define ANYHV_F_SUSPEND           ANYHV_F(43)
/* All bits of the ring and transport, and the reserved ones; the rest is the device type's. */
#define ANYHV_F_RING_BITS ((UINT64_C(0x1ffff) << 24) | ANYHV_F_SUSPEND | (UINT64_C(0x3f) << 44))

/* Queue number that stands for "the configuration changed" in notifications. */
#define ANYHV_CONFIG (-1)

/* Largest split or packed ring, section 2.7 and 2.8. */
#define ANYHV_QUEUE_SIZE_MAX 32768u

/*
 * What a driver (or whoever speaks for it) can do wrong, and what follows. One line each:
 *
 *   X(id, outcome, text)
 *
 * Outcomes:
 *   ACCEPT  odd, but legal or harmless: served as it stands, counted
 *   REJECT  this request is answered with used length 0, the queue goes on
 *   BREAK   the queue is dead until reset and the device shows NEEDS_RESET
 *   IGNORE  a register or control access without effect
 *   REFUSE  the set-up is refused and the device shows NEEDS_RESET
 *
 * The rule behind REJECT and BREAK: as long as the device still knows where the chain ends, only
 * that request is refused; when it does not, the queue is broken. %a and %b are the two values
 * that a report carries. The ids are stable: append only.
 */
#define ANYHV_VIOLATIONS(X)                                                                        \
    X(AVAIL_JUMP, BREAK, "available index jumped by %a in a queue of %b")                          \
    X(HEAD_RANGE, BREAK, "head %a is not below the queue size %b")                                 \
    X(NEXT_RANGE, BREAK, "next %a is not below the queue size %b")                                 \
    X(CHAIN_LOOP, BREAK, "chain at head %a does not end within %b descriptors")                    \
    X(INDIRECT_NEXT, BREAK, "INDIRECT and NEXT in one descriptor, head %a flags %b")               \
    X(PACKED_PARTIAL, BREAK, "chain at slot %a continues into slot %b that is not available")      \
    X(INFLIGHT, BREAK, "%a buffers in flight in a queue of %b")                                    \
    X(INDIRECT_OFF, REJECT, "indirect descriptor without the feature, head %a flags %b")           \
    X(INDIRECT_NESTED, REJECT, "indirect descriptor inside an indirect table, head %a entry %b")   \
    X(INDIRECT_LEN, REJECT, "indirect table of %b bytes, head %a")                                 \
    X(INDIRECT_TABLE, REJECT, "indirect table at %b is not in memory, head %a")                    \
    X(INDIRECT_RANGE, REJECT, "next %b is outside the indirect table, head %a")                    \
    X(INDIRECT_LOOP, REJECT, "indirect table does not end within %b entries, head %a")             \
    X(ORDER, REJECT, "readable descriptor after a writable one, head %a descriptor %b")            \
    X(TOO_LONG, REJECT, "chain has more than %b descriptors, head %a")                             \
    X(TOO_BIG, REJECT, "chain has more than 2^32 - 1 bytes in one direction, head %a")             \
    X(BAD_ADDRESS, REJECT, "buffer at %a of %b bytes is not in memory")                            \
    X(BAD_PERMISSION, REJECT, "buffer at %a of %b bytes is not accessible that way")               \
    X(DEVICE_REJECT, REJECT, "the device refused request %a: %b")                                  \
    X(ZERO_LENGTH, ACCEPT, "descriptor of length 0, head %a")                                      \
    X(KICK_QUEUE, IGNORE, "notification of queue %a, which does not exist or is not running")      \
    X(KICK_EARLY, IGNORE, "notification of queue %a before DRIVER_OK")                             \
    X(REG_WIDTH, IGNORE, "register %a accessed with %b bytes or off its alignment")                \
    X(REG_UNKNOWN, IGNORE, "no register at %a (value %b)")                                         \
    X(REG_DIRECTION, IGNORE, "register %a does not work in that direction (value %b)")             \
    X(REG_STATE, IGNORE, "register %a cannot be changed now (value %b)")                           \
    X(QUEUE_SELECT, IGNORE, "register %a with queue %b selected, which does not exist")            \
    X(CONFIG_RANGE, IGNORE, "configuration access at %a of %b bytes is outside")                   \
    X(CONFIG_READ_ONLY, IGNORE, "configuration write at %a of %b bytes: not writable")             \
    X(FEATURES_LATE, IGNORE, "features written after FEATURES_OK (%a)")                            \
    X(FEATURES_REFUSED, IGNORE, "FEATURES_OK refused: driver wants %a, offered is %b")             \
    X(STATUS_CLEAR, IGNORE, "status write %a would clear bits of %b")                              \
    X(QUEUE_SIZE, REFUSE, "queue %a cannot have size %b")                                          \
    X(QUEUE_ALIGN, REFUSE, "queue %a: ring area at %b is misaligned")                              \
    X(QUEUE_MEMORY, REFUSE, "queue %a: ring area at %b is not in memory")                          \
    X(QUEUE_STATE, REFUSE, "queue %a started in status %b")                                        \
    X(QUEUE_BASE, REFUSE, "queue %a cannot start at index %b")                                     \
    X(INDIRECT_MIXED, REJECT, "indirect descriptor behind direct ones in a packed chain, head %a") \
    X(STATUS_ORDER, IGNORE, "DRIVER_OK without FEATURES_OK: status write %a over %b")              \
    X(QUEUE_JOURNAL, REFUSE, "queue %a: the journal of its requests makes no sense (%b)")          \
    X(JOURNAL, BREAK, "the journal was changed behind our back: entry %a of %b")                   \
    X(SUSPEND, IGNORE, "SUSPEND now or without the feature: status write %a over %b")

enum anyhv_violation {
#define X(id, outcome, text) ANYHV_V_##id,
    ANYHV_VIOLATIONS(X)
#undef X
    ANYHV_V_COUNT
};

enum anyhv_outcome {
    ANYHV_ACCEPT,
    ANYHV_REJECT,
    ANYHV_BREAK,
    ANYHV_IGNORE,
    ANYHV_REFUSE,
};

struct anyhv_violation_info {
    const char *name; /* "HEAD_RANGE" */
    const char *text; /* with %a and %b */
    enum anyhv_outcome outcome;
};

/* One entry per violation, indexed by enum anyhv_violation. */
extern const struct anyhv_violation_info anyhv_violations[ANYHV_V_COUNT];

/* What one queue did since attach; never reset by the guest. Read from the guest's thread. */
struct anyhv_queue_counters {
    uint64_t kicks;      /* notifications from the driver */
    uint64_t requests;   /* chains taken from the ring */
    uint64_t held;       /* of these: answered later */
    uint64_t done;       /* completed by the device */
    uint64_t rejected;   /* completed with length 0 because something was wrong */
    uint64_t returned;   /* given back to the ring by cancel */
    uint64_t dropped;    /* forgotten by a reset or a lost peer */
    uint64_t bytes_in;   /* readable bytes that the device read or skipped before it answered */
    uint64_t bytes_out;  /* reported to the driver as written */
    uint64_t publishes;  /* batches of used entries made visible */
    uint64_t notifies;   /* notifications asked of the transport */
    uint64_t suppressed; /* batches for which the driver wanted none */
    uint64_t stalls;     /* times the ring had work but no free slot was left */
};

#ifdef __cplusplus
}
#endif
#endif
