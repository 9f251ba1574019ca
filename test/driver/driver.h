/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side: a small VIRTIO driver, for everything in this project that plays the guest
 * (hv/loopback's built-in guest, conformance and hostile tests, the vhost-user test front end,
 * micro-guests under KVM, programs inside Xen guests, fuzzers, benches).
 *
 * It shares no code and no header with the library, on purpose: two readings of the specification
 * that meet only in memory. Freestanding: needs memcpy, memmove and memset, nothing else. Guest
 * memory is little endian on every host. One driver belongs to one thread; the device may run in
 * another thread, in another process or on another core.
 *
 *   memory    drv_mem_*        a window of guest memory, with a bump allocator
 *   rings     drv_ring_*       a well-behaved virtqueue, split or packed
 *             drv_split_*, drv_packed_*   raw words, for drivers that do not behave
 *   control   struct drv_transport        reset, negotiate, queue set-up, kick, configuration
 *   registers drv_mmio_*       that control over virtio-mmio registers
 */
#ifndef ANYHV_TEST_DRIVER_H
#define ANYHV_TEST_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Guest memory ------------------------------------------------------------------------------
 */

/*
 * Bytes that driver and device share. `host` is where the driver sees them, `base` what it writes
 * in descriptors; both have the same offset within a page.
 */
struct drv_mem {
    uint8_t *host;
    uint64_t base, size;
    uint64_t used; /* by the allocator; set it back to free everything behind */
};

#define DRV_NO_ADDR UINT64_MAX

void drv_mem_init(struct drv_mem *mem, void *host, uint64_t base, uint64_t size);
/* Zeroed bytes, @align a power of two; their guest address, or DRV_NO_ADDR. */
uint64_t drv_alloc(struct drv_mem *mem, uint64_t size, uint64_t align);
/* The driver's pointer to @len bytes at guest address @addr, NULL if not in the window. */
void *drv_ptr(const struct drv_mem *mem, uint64_t addr, uint64_t len);

/* Single little-endian words at any alignment; outside the window: nothing happens, 0. */
void drv_poke8(const struct drv_mem *mem, uint64_t addr, uint8_t value);
void drv_poke16(const struct drv_mem *mem, uint64_t addr, uint16_t value);
void drv_poke32(const struct drv_mem *mem, uint64_t addr, uint32_t value);
void drv_poke64(const struct drv_mem *mem, uint64_t addr, uint64_t value);
uint8_t drv_peek8(const struct drv_mem *mem, uint64_t addr);
uint16_t drv_peek16(const struct drv_mem *mem, uint64_t addr);
uint32_t drv_peek32(const struct drv_mem *mem, uint64_t addr);
uint64_t drv_peek64(const struct drv_mem *mem, uint64_t addr);

/* ---- Rings --------------------------------------------------------------------------------------
 */

struct drv_buf {
    uint64_t addr;
    uint32_t len;
};

#define DRV_DIRECT UINT32_MAX

/* What one request looks like to the device. */
struct drv_chain {
    const struct drv_buf *out; /* device-readable, first */
    const struct drv_buf *in;  /* device-writable */
    unsigned nout, nin;
    /*
     * How many descriptors stand in the ring before an indirect table takes the rest. DRV_DIRECT:
     * all. Packed rings know only DRV_DIRECT and 0 (section 2.8.7).
     */
    unsigned direct;
    uint64_t table; /* address of the indirect table, 16 bytes per entry; 0: the ring's own */
    uint64_t token; /* comes back with the answer */
};

struct drv_used {
    uint64_t token;
    uint32_t len; /* bytes that the device says it wrote */
    uint16_t id;
};

/* The driver's own notes about one chain (split: also about one descriptor). Caller's storage. */
struct drv_slot {
    uint64_t token;
    uint32_t writable;
    uint16_t ndesc, next, tail;
    bool busy;
};

struct drv_ring_config {
    uint16_t size; /* entries: 1..32768; split: a power of two */
    bool packed, event_idx, in_order;
    uint16_t table_entries; /* entries of the ring's own indirect tables, one per slot; 0: none */
    struct drv_slot *slots; /* `size` of them */
};

/* What the device did wrong, as seen by the driver. */
enum drv_fault {
    DRV_FAULT_NONE,
    DRV_FAULT_ID,   /* answered something that is not in flight */
    DRV_FAULT_LEN,  /* says it wrote more than the writable part has */
    DRV_FAULT_JUMP, /* more answers than there are requests */
};

struct drv_ring {
    struct drv_mem *mem;
    uint64_t desc, driver, device; /* the three areas, section 2.6 */
    uint8_t *desc_host, *driver_host, *device_host;
    uint64_t tables;
    uint16_t size, table_entries;
    bool packed, event_idx, in_order;
    enum drv_fault fault; /* the first one; after it nothing comes back any more */
    /* the driver's; tests look at them */
    uint16_t nfree;      /* free descriptors */
    uint16_t inflight;   /* chains out */
    uint16_t next_avail; /* split: free running index; packed: next slot */
    uint16_t last_used;
    uint16_t unkicked;  /* split: chains, packed: slots, added since the last kick decision */
    uint16_t free_head; /* split: descriptor; packed: id. in_order: split: next descriptor */
    uint16_t oldest;    /* in_order: the chain that must come back next */
    uint16_t batch_id;  /* in_order: last chain of the batch being handed out */
    uint32_t batch_len;
    bool batch;
    bool avail_wrap, used_wrap; /* packed */
    bool held;                  /* packed: the first head of the batch is not yet visible */
    uint16_t held_slot, held_flags;
    struct drv_slot *slots;
};

/* Bytes of each area. */
uint64_t drv_desc_bytes(const struct drv_ring *ring);
uint64_t drv_driver_bytes(const struct drv_ring *ring);
uint64_t drv_device_bytes(const struct drv_ring *ring);

/* Allocates zeroed areas in @mem and starts at index 0. False: no room or a senseless config. */
bool drv_ring_init(struct drv_ring *ring, struct drv_mem *mem,
                   const struct drv_ring_config *config);
/* Back to index 0 with zeroed areas: after a device or queue reset. Forgets what was in flight. */
void drv_ring_reset(struct drv_ring *ring);

/* Puts a chain in the ring, not yet visible. Its id, or -1: no room (or not possible as asked). */
int drv_ring_add(struct drv_ring *ring, const struct drv_chain *chain);
/* Makes everything added so far visible at once. */
void drv_ring_publish(struct drv_ring *ring);
/* After publish: does the device want to be told? Looks since the last call. */
bool drv_ring_need_kick(struct drv_ring *ring);
/* The data word for queue @index: what to write to a doorbell with NOTIFICATION_DATA. */
uint32_t drv_ring_kick_data(const struct drv_ring *ring, uint16_t index);

/* True if an answer is waiting. */
bool drv_ring_pending(const struct drv_ring *ring);
/* Takes the next answer. */
bool drv_ring_get(struct drv_ring *ring, struct drv_used *used);

/* Interrupts. on: true if answers came in meanwhile; after: only when @n more slots are used. */
void drv_ring_irq_off(struct drv_ring *ring);
bool drv_ring_irq_on(struct drv_ring *ring);
bool drv_ring_irq_after(struct drv_ring *ring, uint16_t n);

/* ---- Raw words, for hostile variants; no bookkeeping
 * ---------------------------------------------- */

enum {
    DRV_DESC_NEXT = 1,
    DRV_DESC_WRITE = 2,
    DRV_DESC_INDIRECT = 4,
    DRV_DESC_AVAIL = 1 << 7, /* packed */
    DRV_DESC_USED = 1 << 15, /* packed */
    DRV_EVENT_ENABLE = 0,    /* packed: flags of an event area */
    DRV_EVENT_DISABLE = 1,
    DRV_EVENT_DESC = 2,
};

/* Descriptor @index of a split table at guest address @table (ring->desc or an indirect one). */
void drv_split_desc(const struct drv_mem *mem, uint64_t table, uint16_t index, uint64_t addr,
                    uint32_t len, uint16_t flags, uint16_t next);
void drv_split_avail(struct drv_ring *ring, uint16_t slot, uint16_t head); /* one ring entry */
void drv_split_set_idx(struct drv_ring *ring, uint16_t idx);               /* with release */
void drv_split_push(struct drv_ring *ring, uint16_t head); /* entry at next_avail, then the index */
void drv_split_set_flags(struct drv_ring *ring, uint16_t flags);
void drv_split_set_used_event(struct drv_ring *ring, uint16_t event);
uint16_t drv_split_used_idx(const struct drv_ring *ring);
uint16_t drv_split_used_flags(const struct drv_ring *ring);
uint16_t drv_split_avail_event(const struct drv_ring *ring);
void drv_split_used_elem(const struct drv_ring *ring, uint16_t slot, uint32_t *id, uint32_t *len);

/* Slot @slot of a packed ring (or entry of an indirect table): flags last, with release. */
void drv_packed_desc(const struct drv_mem *mem, uint64_t table, uint16_t slot, uint64_t addr,
                     uint32_t len, uint16_t id, uint16_t flags);
void drv_packed_read(const struct drv_ring *ring, uint16_t slot, uint64_t *addr, uint32_t *len,
                     uint16_t *id, uint16_t *flags);
/* AVAIL and USED bits that make a slot available in lap @wrap. */
uint16_t drv_packed_avail_bits(bool wrap);
void drv_packed_set_event(struct drv_ring *ring, uint16_t off_wrap, uint16_t flags);
void drv_packed_get_event(const struct drv_ring *ring, uint16_t *off_wrap, uint16_t *flags);

/* ---- Control
 * -------------------------------------------------------------------------------------- */

enum {
    DRV_S_ACKNOWLEDGE = 1,
    DRV_S_DRIVER = 2,
    DRV_S_DRIVER_OK = 4,
    DRV_S_FEATURES_OK = 8,
    DRV_S_SUSPEND = 16,
    DRV_S_NEEDS_RESET = 64,
    DRV_S_FAILED = 128,
};

#define DRV_F(bit)              (UINT64_C(1) << (bit))
#define DRV_F_INDIRECT          DRV_F(28)
#define DRV_F_EVENT_IDX         DRV_F(29)
#define DRV_F_VERSION_1         DRV_F(32)
#define DRV_F_ACCESS_PLATFORM   DRV_F(33)
#define DRV_F_PACKED            DRV_F(34)
#define DRV_F_IN_ORDER          DRV_F(35)
#define DRV_F_NOTIFICATION_DATA DRV_F(38)
#define DRV_F_RING_RESET        DRV_F(40)
#define DRV_F_SUSPEND           DRV_F(43)

/* What an interrupt was for. */
enum {
    DRV_IRQ_USED = 1,
    DRV_IRQ_CONFIG = 2,
};

struct drv_queue_setup {
    uint64_t desc, driver, device;
    uint16_t size;
};

struct drv_transport;

/* How the driver reaches the device's control plane. All calls are synchronous. */
struct drv_transport_ops {
    const char *name;
    bool (*reset)(struct drv_transport *t); /* true: done, status is 0 */
    uint8_t (*status)(struct drv_transport *t);
    void (*set_status)(struct drv_transport *t, uint8_t status); /* the whole byte, not 0 */
    uint64_t (*offered)(struct drv_transport *t);
    void (*set_features)(struct drv_transport *t, uint64_t features);
    uint16_t (*queue_max)(struct drv_transport *t, unsigned queue); /* 0: no such queue */
    bool (*queue_setup)(struct drv_transport *t, unsigned queue,
                        const struct drv_queue_setup *setup);
    bool (*queue_reset)(struct drv_transport *t, unsigned queue); /* needs RING_RESET */
    void (*kick)(struct drv_transport *t, unsigned queue, uint32_t data);
    bool (*config_read)(struct drv_transport *t, uint32_t off, void *buf, uint32_t len);
    bool (*config_write)(struct drv_transport *t, uint32_t off, const void *buf, uint32_t len);
    uint32_t (*generation)(struct drv_transport *t); /* NULL: the transport has none */
    uint32_t (*interrupts)(struct drv_transport *t); /* DRV_IRQ_* since the last call */
};

/* Embed it at the start of the transport's own struct. */
struct drv_transport {
    const struct drv_transport_ops *ops;
    uint64_t features; /* negotiated */
};

/*
 * Reset, ACKNOWLEDGE, DRIVER, the features @want as far as they are offered (VERSION_1 always),
 * FEATURES_OK; section 3.1.1. False: the device did not take them.
 */
bool drv_negotiate(struct drv_transport *t, uint64_t want);
/* Hands @ring to the device as queue @queue. */
bool drv_queue_setup(struct drv_transport *t, unsigned queue, const struct drv_ring *ring);
/* DRIVER_OK. */
void drv_ready(struct drv_transport *t);
/* Publishes and notifies if the device wants it; true if it did. */
bool drv_submit(struct drv_transport *t, unsigned queue, struct drv_ring *ring);
/* Notifies, wanted or not. */
void drv_kick(struct drv_transport *t, unsigned queue, struct drv_ring *ring);
/* Configuration bytes of one version: reads again while the generation moves (section 2.5.1). */
bool drv_config_read(struct drv_transport *t, uint32_t off, void *buf, uint32_t len);

/* ---- virtio-mmio registers
 * ------------------------------------------------------------------------- */

enum {
    DRV_MMIO_MAGIC = 0x000,
    DRV_MMIO_VERSION = 0x004,
    DRV_MMIO_DEVICE_ID = 0x008,
    DRV_MMIO_VENDOR_ID = 0x00c,
    DRV_MMIO_DEVICE_FEATURES = 0x010,
    DRV_MMIO_DEVICE_FEATURES_SEL = 0x014,
    DRV_MMIO_DRIVER_FEATURES = 0x020,
    DRV_MMIO_DRIVER_FEATURES_SEL = 0x024,
    DRV_MMIO_QUEUE_SEL = 0x030,
    DRV_MMIO_QUEUE_SIZE_MAX = 0x034,
    DRV_MMIO_QUEUE_SIZE = 0x038,
    DRV_MMIO_QUEUE_READY = 0x044,
    DRV_MMIO_QUEUE_NOTIFY = 0x050,
    DRV_MMIO_INTERRUPT_STATUS = 0x060,
    DRV_MMIO_INTERRUPT_ACK = 0x064,
    DRV_MMIO_STATUS = 0x070,
    DRV_MMIO_QUEUE_DESC = 0x080, /* low word; high word 4 behind; also the next two */
    DRV_MMIO_QUEUE_DRIVER = 0x090,
    DRV_MMIO_QUEUE_DEVICE = 0x0a0,
    DRV_MMIO_SHM_SEL = 0x0ac,
    DRV_MMIO_SHM_LEN = 0x0b0,
    DRV_MMIO_SHM_BASE = 0x0b8,
    DRV_MMIO_QUEUE_RESET = 0x0c0,
    DRV_MMIO_GENERATION = 0x0fc,
    DRV_MMIO_CONFIG = 0x100,
};

/* One access at byte @off of the register window; the value is a number, not bytes. */
typedef int (*drv_mmio_access)(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value);

struct drv_mmio {
    struct drv_transport transport;
    drv_mmio_access access;
    void *ctx;
};

void drv_mmio_init(struct drv_mmio *mmio, drv_mmio_access access, void *ctx);
/* The device id behind the registers; 0: no device, or not virtio-mmio version 2. */
uint32_t drv_mmio_probe(struct drv_mmio *mmio);
uint32_t drv_mmio_read(struct drv_mmio *mmio, uint32_t off);
void drv_mmio_write(struct drv_mmio *mmio, uint32_t off, uint32_t value);

#ifdef __cplusplus
}
#endif
#endif
