/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For module authors (hv/) and transports: the one set of calls to which registers, vhost-user
 * messages and virtio-msg messages all reduce. docs/porting-hv.md walks through a module.
 *
 * Every call is from the guest's thread and none blocks (except where the module's own memory ops
 * do). Ring work happens inside anyhv_dev_run (and, for what must be finished before they return,
 * in stop and quiesce): everything else marks, and port->work asks for a run. So a trapped vCPU is
 * let go before any ring is looked at.
 *
 * From inside a port or device callback every call is allowed but anyhv_dev_run, attach and detach.
 * Memory ops may only mark (kick, anyhv_mem_room, pause, needs_reset) and do not change the region
 * table; that the guest is gone they say by ANYHV_E_LOST.
 *
 * Freestanding; the caller owns all storage.
 */
#ifndef ANYHV_CONTROL_H
#define ANYHV_CONTROL_H

#include <anyhv/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The state block ---- */

#define ANYHV_STATE_MAGIC   0x53564841u /* "AHVS" */
#define ANYHV_STATE_VERSION 1u

/* What the driver set up for one queue, and how far it got. */
struct anyhv_queue_state {
    uint64_t desc, driver, device; /* the three areas' addresses, section 2.6 */
    uint16_t size;                 /* entries chosen by the driver */
    uint16_t next_avail;           /* split: free running; packed: position below size */
    uint16_t next_used;
    uint8_t enabled;
    uint8_t wraps; /* packed: bit 0 avail wrap counter, bit 1 used wrap counter */
};

/*
 * All that was negotiated, as plain data without pointers in memory of the caller's choice: it may
 * be a file that outlives the process, since Xen and KVM guests do not probe again when a back end
 * dies. Host byte order; the magic tells. What follows the header: queue states, then the
 * configuration bytes. Read back, it is hostile input and is checked like it.
 */
struct anyhv_state {
    uint32_t magic, version;
    uint32_t size; /* bytes of the whole block */
    uint16_t device_id, queues;
    uint16_t config_len;
    uint8_t status;
    uint8_t interrupt_status;     /* register transports: bit 0 used buffer, bit 1 config */
    uint32_t generation;          /* of the configuration */
    uint32_t device_features_sel; /* register transports: the selectors */
    uint32_t driver_features_sel;
    uint32_t queue_sel, shm_sel;
    uint64_t driver_features; /* as written; in force once FEATURES_OK is set */
#ifndef __cplusplus
    struct anyhv_queue_state queue[]; /* ISO C++ knows no such member */
#endif
};

/* Bytes of the block for a device with @queues queues and @config_len configuration bytes. */
#define ANYHV_STATE_SIZE(queues, config_len)                                            \
    (sizeof(struct anyhv_state) + (size_t)(queues) * sizeof(struct anyhv_queue_state) + \
     (size_t)(config_len))

/* ---- Ports: what a transport or native module supplies ---- */

struct anyhv_port_ops {
    /*
     * Tell the driver: used buffers on @queue, or ANYHV_CONFIG. Already decided by the driver's
     * wishes and once per batch. Mandatory.
     */
    void (*notify)(struct anyhv_dev *dev, int queue);
    /* There is ring work: call anyhv_dev_run soon, not from in here. Mandatory. */
    void (*work)(struct anyhv_dev *dev);
    /* @queue was started, stopped, or is broken (see anyhv_ctl_queue_broken). Optional. */
    void (*queue_changed)(struct anyhv_dev *dev, unsigned queue);
    /*
     * A stop or quiesce that answered ANYHV_LATER has finished, or was overtaken by a reset:
     * call it again, or look. Optional.
     */
    void (*quiet)(struct anyhv_dev *dev);
    /* The device was reset: interrupts that are still raised are void. Optional. */
    void (*reset)(struct anyhv_dev *dev);
    /* What this transport can carry, of ANYHV_F_RING_BITS. VERSION_1 always counts as set. */
    uint64_t features;
};

/* ---- The device object ---- */

struct anyhv_list {
    struct anyhv_req *head, *tail;
};

/* Why a queue does nothing; bits. Its device has some of the same. */
enum anyhv_halt {
    ANYHV_HALT_STOPPED = 1,   /* queue: not started; device: no DRIVER_OK yet */
    ANYHV_HALT_BROKEN = 2,    /* queue: until a reset */
    ANYHV_HALT_NO_MEMORY = 4, /* queue: the rings' memory left the table */
    ANYHV_HALT_SUSPENDED = 8, /* device: by the driver */
    ANYHV_HALT_LOST = 16,     /* device: the guest is gone */
    ANYHV_HALT_FORSAKEN = 32, /* device: a memory op said so, and we have not acted on it yet */
    /* These only keep it from taking; answers are still published. */
    ANYHV_HALT_PAUSED = 64,
    ANYHV_HALT_DRAINING = 128, /* queue: a stop waits for its requests */
    ANYHV_HALT_QUIESCING = 256,
    ANYHV_HALT_SUSPENDING = 512,
    ANYHV_HALT_FRESH = 1024, /* queue: started inside a run, which may have been its own */
};

/* A queue's journal, see anyhv_ctl_queue_journal. */
struct anyhv_journal {
    uint8_t *area;    /* NULL: it has none */
    size_t size;      /* bytes there */
    uint64_t counter; /* of the next request */
    uint16_t entries;
    uint16_t newest; /* split: the head used last; packed: the first free entry */
    uint16_t replay; /* a predecessor's requests that are still to be taken again */
    bool replaying;  /* one was: this one */
    uint16_t replayed, next;
    uint64_t replayed_counter, next_counter;
};

/* Core's, complete only so that the caller can own the storage. */
struct anyhv_queue {
    struct anyhv_dev *dev;
    struct anyhv_queue_state *state;
    uint8_t *desc, *driver, *device; /* the mapped areas */
    uint32_t halt;                   /* bits of enum anyhv_halt */
    uint16_t index, size;
    uint16_t next_avail;
    uint16_t avail_seen; /* split: the driver's index when it was last read */
    uint16_t next_used;
    uint16_t seq_next, seq_used; /* requests taken, and used, since the start */
    uint16_t free_descs;         /* packed: descriptors that are not taken */
    uint16_t ndone;
    bool avail_wrap, used_wrap;
    bool packed, event_idx, indirect, in_order;
    bool watched;  /* there is a journal, or writes are tracked: requests need a second look */
    bool notified; /* there was a decision since the ring started */
    bool muted;    /* split without EVENT_IDX, packed: the driver was told not to notify */
    bool pending;  /* look at the ring */
    bool stalled;  /* work is there, a slot is not */
    bool retry;    /* what lacked resources may succeed now */
    uint32_t unnotified; /* ring slots used since the last decision to notify */
    struct anyhv_req *free;
    struct anyhv_req *done, **done_tail; /* answered, oldest first; where the next one goes */
    struct anyhv_list held;
    struct anyhv_queue_counters counters;
    struct anyhv_journal journal;
    struct anyhv_req *reqs;
    struct anyhv_chunk *chunks;
    uint16_t nreqs, nchunks, free_chunks;
    uint16_t free_chunk; /* index + 1 */
    struct anyhv_map maps[3];
};

struct anyhv_dev {
    const struct anyhv_device_ops *ops;
    void *priv;
    struct anyhv_state *state;
    struct anyhv_mem *mem;
    const struct anyhv_port_ops *port;
    void *port_priv;
    uint64_t offered;
    struct anyhv_queue *queues;
    uint8_t *config;      /* inside the state block */
    uint8_t *config_next; /* while suspended: what it will be */
    bool config_changed;  /* that differs */
    uint32_t halt;        /* bits of enum anyhv_halt */
    uint16_t turn;        /* the queue whose turn it is */
    bool started;         /* ops->start was called, and stop was not */
    bool awaited;         /* somebody waits for a drain to end */
    bool quiet;           /* the drain of the whole device is over */
    bool quiet_due;       /* a drain somebody waits for was ended by a reset */
    bool announce;        /* resumed: the driver is told of everything once */
    bool adopting;        /* a predecessor's state: the driver hears of no failed attempt */
    bool running;         /* inside anyhv_dev_run */
    struct anyhv_dev *next_in_mem;
    uint32_t violations[ANYHV_V_COUNT];
};

/* Sizes of what the caller provides; 0 = the default. */
struct anyhv_limits {
    uint16_t requests; /* per queue: requests in work at once (default 32) */
    uint16_t segs;     /* per queue: descriptors for long chains, a multiple of ANYHV_CHUNK_SEGS
                          (default: as many as a queue has entries) */
};

/*
 * Bytes of storage for @queues queues with these limits, any alignment of the buffer included. No
 * defaults here: 0 requests are none.
 */
#define ANYHV_STORAGE_SIZE(queues, requests, segs, config_len)                         \
    (16 +                                                                              \
     (size_t)(queues) *                                                                \
         (sizeof(struct anyhv_queue) + (size_t)(requests) * sizeof(struct anyhv_req) + \
          ((size_t)(segs) / ANYHV_CHUNK_SEGS) * sizeof(struct anyhv_chunk)) +          \
     (size_t)(config_len))

/* The same for a device's table, with defaults filled in. */
size_t anyhv_storage_size(const struct anyhv_device_ops *ops, const struct anyhv_limits *limits);

struct anyhv_attach {
    const struct anyhv_device_ops *ops;
    void *priv; /* the device's own, see anyhv_dev_priv */
    struct anyhv_mem *mem;
    const struct anyhv_port_ops *port;
    void *port_priv; /* the transport's own, see anyhv_dev_port */
    void *storage;   /* caller's, kept until detach */
    size_t storage_size;
    struct anyhv_limits limits;
    void *state; /* aligned for uint64_t; at least ANYHV_STATE_SIZE */
    size_t state_size;
    bool resume;   /* the state block holds a device's state: go on from there */
    void *journal; /* optional: ANYHV_JOURNAL_SIZE for all queues, aligned for uint64_t; kept
                      until detach, and like the state block it may outlive the process */
    size_t journal_size;
    uint64_t withhold; /* feature bits that shall not be offered although they could be */
};

/*
 * Makes *@dev, which the caller owns, a device. Fresh unless ->resume; then the block is checked
 * as hostile input and running queues are started again. ANYHV_E_INVAL: arguments;
 * ANYHV_E_NORES: storage, state or journal too small; resume only: ANYHV_E_VERSION (magic, version,
 * byte order or shape is not ours), ANYHV_E_INVAL (contents), ANYHV_E_STATE (a queue had requests
 * in work, and there is no journal to tell which), and the errors of anyhv_ctl_queue_start.
 */
int anyhv_dev_attach(struct anyhv_dev *dev, const struct anyhv_attach *how);

/* Ends the device: drops requests without touching guest memory, gives back all maps. */
void anyhv_dev_detach(struct anyhv_dev *dev);

void *anyhv_dev_port(const struct anyhv_dev *dev);

/* ---- Negotiation ---- */

/* What is offered: the device's bits and the ring bits that core and the transport can do. */
uint64_t anyhv_ctl_features(const struct anyhv_dev *dev);

/* The driver's choice, all 64 bits; takes effect with FEATURES_OK, ignored after it. */
void anyhv_ctl_set_features(struct anyhv_dev *dev, uint64_t features);

uint8_t anyhv_ctl_status(const struct anyhv_dev *dev);

/*
 * The driver writes the status, section 2.1 and 3.1. 0 resets, and the reset is complete on
 * return. Bits can only be added; FEATURES_OK stays clear if the driver's features are not a
 * subset of the offer that includes VERSION_1; DRIVER_OK starts the device.
 */
void anyhv_ctl_set_status(struct anyhv_dev *dev, uint8_t status);

/*
 * Configuration space, any width and offset. Reads outside give zeroes, writes outside or where
 * the driver may not write are dropped; both return ANYHV_E_INVAL and are counted.
 */
int anyhv_ctl_config_read(struct anyhv_dev *dev, uint32_t off, void *buf, uint32_t len);
int anyhv_ctl_config_write(struct anyhv_dev *dev, uint32_t off, const void *buf, uint32_t len);
uint32_t anyhv_ctl_generation(const struct anyhv_dev *dev);

/* ---- Queues ---- */

/* Entries offered for @queue, 0: no such queue. */
uint16_t anyhv_ctl_queue_max(const struct anyhv_dev *dev, unsigned queue);

/*
 * A fresh ring starts at index 0 (split) or with both wrap counters 1 (packed). For a ring that
 * goes on, the word that vhost-user and VDUSE use: split: next avail index; packed: 14:0 next
 * avail position, 15 its wrap, 30:16 next used position, 31 its wrap.
 */
#define ANYHV_BASE_SPLIT  0u
#define ANYHV_BASE_PACKED 0x80008000u

struct anyhv_queue_setup {
    uint64_t desc, driver, device; /* addresses as the driver writes them */
    uint32_t base;
    uint16_t size; /* entries: 1..max, split: a power of two */
};

/* ---- The journal: which requests are in work, for a successor ---- */

/*
 * A process that dies leaves requests that were taken and not answered. With a journal its
 * successor takes exactly these again, oldest first, before anything new: none is lost, none is
 * used twice. The layout is the in-flight block of the vhost-user protocol, so a vhost-user front
 * end can keep it; other modules put it beside the state block. Read back, it is hostile input.
 */

/* Bytes of one queue's journal for @entries descriptors; a multiple of 64. */
#define ANYHV_JOURNAL_QUEUE_SIZE(entries, packed) \
    ((((packed) ? 32 + 32 * (size_t)(entries) : 16 + 16 * (size_t)(entries)) + 63) & ~(size_t)63)

/* Bytes for all queues of a device, whatever the driver chooses. */
#define ANYHV_JOURNAL_SIZE(queues, max_size) \
    ((size_t)(queues)*ANYHV_JOURNAL_QUEUE_SIZE(max_size, true))

size_t anyhv_journal_size(unsigned entries, bool packed);

/*
 * Gives @queue, which is not started, the journal @area of @size bytes, aligned to 8; the caller's,
 * kept until it is replaced or the device detached; NULL takes it away. ANYHV_E_STATE: started;
 * ANYHV_E_INVAL: no such queue, alignment, or too small for one entry.
 *
 * The content counts at the next anyhv_ctl_queue_start. All zero, or after a stop or reset: the
 * ring goes on at setup->base. Else it tells, together with the ring, where the predecessor was,
 * setup->base does not count, and the driver is notified once. ANYHV_E_INVAL from the start: the
 * content makes no sense. A detach, and a lost peer, leave the journal as it is.
 */
int anyhv_ctl_queue_journal(struct anyhv_dev *dev, unsigned queue, void *area, size_t size);

/*
 * State block and journal side by side in one area that outlives the process: a file, or memory
 * that somebody keeps. Its bytes for a device with the table @ops.
 */
size_t anyhv_keep_size(const struct anyhv_device_ops *ops);
/*
 * Has a device live there: fills state, journal, their sizes and resume of *@how. @area: aligned to
 * 8, kept until detach. @found: its content is a predecessor's. One that was never attached left
 * nothing to resume.
 */
void anyhv_keep_use(void *area, const struct anyhv_device_ops *ops, bool found,
                    struct anyhv_attach *how);

/*
 * Checks everything, maps the three areas, starts. On an error nothing has changed but a counter
 * and NEEDS_RESET: ANYHV_E_INVAL (queue, size, alignment, base, a journal that makes no sense),
 * ANYHV_E_BADADDR / _PERM (not in memory), ANYHV_E_STATE (already started, or FEATURES_OK is not
 * set). Ours, without NEEDS_RESET: ANYHV_E_NORES (try again), _LOST, _IO.
 */
int anyhv_ctl_queue_start(struct anyhv_dev *dev, unsigned queue,
                          const struct anyhv_queue_setup *setup);

/*
 * Stops a queue. @drain false, for a reset: at once, requests are dropped. @drain true: takes no
 * more, cancels what is held and answers the rest; *@base tells where to go on. ANYHV_LATER: not
 * yet quiet, port->quiet follows; call again then. ANYHV_E_INVAL: no such queue. ANYHV_E_BADADDR:
 * answers wait for a ring whose memory is gone, so no base would be right; stop without drain. A
 * queue that is not started gives ANYHV_OK and the base it would go on at.
 */
int anyhv_ctl_queue_stop(struct anyhv_dev *dev, unsigned queue, bool drain, uint32_t *base);

/* Takes no new requests while paused; answers to those in work are still published. */
void anyhv_ctl_queue_pause(struct anyhv_dev *dev, unsigned queue, bool paused);

bool anyhv_ctl_queue_started(const struct anyhv_dev *dev, unsigned queue);
bool anyhv_ctl_queue_broken(const struct anyhv_dev *dev, unsigned queue);

/* Counters of @queue, or NULL when there is no such queue. */
const struct anyhv_queue_counters *anyhv_ctl_counters(const struct anyhv_dev *dev, unsigned queue);

/* The driver notified @queue (any value). Only marks, and asks for a run through port->work. */
void anyhv_ctl_kick(struct anyhv_dev *dev, uint32_t queue);

/*
 * The ring work: takes at most @budget requests over all queues in turn, hands them to the device,
 * publishes each batch once. True: there is more; call again when others had their turn.
 */
bool anyhv_dev_run(struct anyhv_dev *dev, unsigned budget);

/* ---- The whole device ---- */

/*
 * Takes no more requests and empties all queues as a draining stop does, but keeps them started.
 * ANYHV_OK: quiet now; ANYHV_LATER: port->quiet follows. Resume ends it, quiet or not; a reset by
 * the driver does not.
 */
int anyhv_ctl_quiesce(struct anyhv_dev *dev);
void anyhv_ctl_resume(struct anyhv_dev *dev);

/*
 * The peer is gone: from here on no guest memory is touched. Core does it by itself when a memory
 * op answers ANYHV_E_LOST. Requests are dropped, maps ended; a quiesce or stop that
 * waits is over, and port->quiet does not come any more. The device can be reset or detached
 * afterwards.
 */
void anyhv_ctl_lost(struct anyhv_dev *dev);

/*
 * The whole device as versioned little-endian bytes, portable between machines: the state block
 * and the device's own part. Only while quiet (ANYHV_E_STATE otherwise). *@len is set to the bytes
 * needed; ANYHV_E_NORES if @cap is less.
 */
int anyhv_dev_save(struct anyhv_dev *dev, void *buf, size_t cap, size_t *len);

/*
 * The reverse, into a device that has just been attached or reset. The bytes are hostile input:
 * ANYHV_E_VERSION, ANYHV_E_INVAL or an error of anyhv_ctl_queue_start, and the device is reset.
 * With @queues false the queues' set-ups are restored but none is started (vhost-user sends them
 * again by itself).
 */
int anyhv_dev_load(struct anyhv_dev *dev, const void *buf, size_t len, bool queues);

#ifdef __cplusplus
}
#endif
#endif
