/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this module share. Nothing here leaves the module: the archive exports one
 * symbol (see CMakeLists.txt).
 *
 * One connection is one front end, one guest memory and one device. Only the callbacks that the
 * loop calls (socket, tasks) end a connection; everything below them says so with a verdict.
 */
#ifndef VU_H
#define VU_H

#include "protocol.h"

#include <anyhv/hv.h>
#include <anyhv/linux/event.h>
#include <anyhv/linux/fdmem.h>
#include <anyhv/linux/log.h>
#include <anyhv/linux/socket.h>

#define VU_SLOTS      512u                /* memory regions at once */
#define VU_MAX_QUEUES 256u                /* the index of a vring is one byte */
#define VU_BUDGET     256u                /* requests per turn on the loop */
#define VU_FEW        16u                 /* regions that do not slow a request down */
#define VU_POLL_NS    UINT64_C(1000000)   /* between looks at a ring that has no kick */
#define VU_PAUSE_NS   UINT64_C(100000000) /* before accept is tried again */

/* What this module can do, of the protocol features. */
#define VU_PROTOCOL_OFFER                                                             \
    (VU_P_MQ | VU_P_LOG_SHMFD | VU_P_REPLY_ACK | VU_P_BACKEND_REQ | VU_P_CONFIG |     \
     VU_P_RESET_DEVICE | VU_P_CONFIGURE_MEM_SLOTS | VU_P_STATUS | VU_P_DEVICE_STATE | \
     VU_P_INFLIGHT_SHMFD)

struct vu_connection;
struct vu_inflight;
struct vu_message;

/* What became of a message. */
enum vu_verdict {
    VU_DONE,    /* fine: acknowledged if the front end asked for it */
    VU_REPLIED, /* fine: vu_reply was called */
    VU_REFUSED, /* understood, but cannot be: told to the front end, else the connection ends */
    VU_LATER,   /* waits until the device is quiet; the same handler is called again then */
    VU_END,     /* there is no going on with this peer */
};

/* A row of the table of requests. */
struct vu_request {
    const char *name; /* NULL: no such request */
    enum vu_verdict (*handle)(struct vu_connection *c, struct vu_message *m); /* NULL: not ours */
    uint16_t size_min, size_max;                                              /* bytes of payload */
    uint8_t fds_min, fds_max;
    bool answered;  /* has an answer of its own, so none that says "refused" */
    uint64_t needs; /* protocol features that must have been negotiated */
};

/* A message on its way in. */
struct vu_message {
    struct vu_header header;
    union vu_payload payload;
    size_t have;         /* bytes that have come, of header and payload */
    int fds[VU_MAX_FDS]; /* -1: a handler took it */
    unsigned nfds;
    unsigned surplus; /* descriptors beyond that, closed */
    unsigned step;    /* the handler's, 0 at first */
};

/* One stretch of guest memory, mapped. */
struct vu_region {
    uint64_t guest, size, user;
    struct anyhv_fdmem map;
};

struct vu_table {
    struct vu_region *region[VU_SLOTS];
    unsigned count;
};

/* Where writes to a ring's device area are noted. */
/* A descriptor by which we tell the peer something. */
struct vu_signal {
    int fd;       /* -1: none */
    bool counter; /* an eventfd, for which fewer calls do */
};

struct vu_ring_log {
    bool on;
    uint64_t addr;
};

struct vu_ring {
    struct vu_connection *connection;
    unsigned index;
    /* what the front end asked for */
    uint64_t user_desc, user_used, user_avail;
    struct vu_ring_log user_log;
    uint32_t base; /* where the ring goes on; core's while it runs */
    uint16_t num;
    bool has_addr, has_base;
    bool kicked;  /* SET_VRING_KICK came: the protocol's "started" */
    bool enabled; /* SET_VRING_ENABLE */
    bool polled;  /* there is no kick */
    int kick_fd;
    struct vu_signal call, err;
    struct anyhv_watch kick;
    /* what core does: a ring runs there if it is both started and enabled */
    bool running;
    struct anyhv_queue_setup setup; /* guest addresses */
    struct vu_ring_log log;         /* in force for this place */
};

/* The dirty log. */
struct vu_log {
    struct anyhv_fdmem map;  /* host NULL: there is none */
    struct vu_signal signal; /* when bits were set */
    struct anyhv_task poke;
    bool failed; /* something was written that has no bit */
};

/* The device's state, on its way out or in. */
struct vu_transfer {
    int fd; /* -1: none is under way */
    struct anyhv_watch watch;
    bool load;
    uint8_t *bytes;
    size_t len, at; /* of `len` bytes `at` have been moved */
    int rc;         /* of the last one. ANYHV_LATER: under way; ANYHV_E_STATE: there was none */
};

struct vu_connection {
    struct vu_module *module;
    bool open;
    int fd;
    struct anyhv_watch watch;
    struct vu_message in;
    bool deferred;            /* `in` waits for the device to be quiet */
    bool quiescing;           /* because we asked the whole device */
    struct anyhv_task work;   /* rings */
    struct anyhv_task resume; /* `in`, once quiet */
    struct anyhv_timer poll;  /* rings without kick */

    uint64_t protocol; /* protocol features in force */
    uint64_t features; /* as the front end set them, with its own bits */
    bool features_set;
    uint8_t status; /* as the front end set it (with VU_P_STATUS) */

    struct anyhv_mem mem;
    struct anyhv_region regions[VU_SLOTS]; /* core's */
    struct vu_table memory;                /* ours, in no order */

    struct vu_log log;
    struct vu_inflight *inflight; /* NULL: there is none */
    struct vu_transfer transfer;

    struct vu_ring *rings;
    unsigned nrings;

    int backend_fd;
    bool backend_is_pipe;
    bool config_changed; /* and not told yet */
    struct anyhv_watch backend;

    struct anyhv_instance instance;
    struct anyhv_dev dev;
};

/* The command line. */
struct vu_options {
    const char *path;
    int fd;
    bool fd_given;
};

struct vu_module {
    struct anyhv_server *server;
    const struct vu_options *options;
    int listener; /* -1: one connection only, given by --fd */
    bool bound;   /* the socket file is ours */
    struct anyhv_watch accept;
    struct anyhv_timer pause; /* accept failed: a moment's rest */
    struct anyhv_task last;   /* the only connection has ended */
    struct vu_connection connection;
};

/* ---- module.c ---- */
/* The connection has ended and its storage can be used again. */
void vu_module_next(struct vu_module *module);

/* ---- connection.c ---- */
/* Serves @fd, which is the module's from here on, also after an error. */
int vu_connection_begin(struct vu_module *module, int fd);
/* Forgets everything about the peer. Only from a callback of the loop. */
void vu_connection_end(struct vu_connection *c);
/* Answers the message in work. */
enum vu_verdict vu_reply(struct vu_connection *c, const void *payload, uint32_t size);
/* The same with a descriptor, which stays the caller's; -1: without. */
enum vu_verdict vu_reply_fd(struct vu_connection *c, const void *payload, uint32_t size, int fd);
enum vu_verdict vu_reply_u64(struct vu_connection *c, uint64_t value);
/* The descriptor number @i of @m, from now on the caller's. */
int vu_take_fd(struct vu_message *m, unsigned i);
/* Log lines that name the request, and the verdict to return. */
__attribute__((format(printf, 2, 3))) enum vu_verdict vu_malformed(const struct vu_message *m,
                                                                   const char *fmt, ...);
__attribute__((format(printf, 2, 3))) enum vu_verdict vu_refused(const struct vu_message *m,
                                                                 const char *fmt, ...);

/* ---- requests.c ---- */
/* The row of @id, NULL if there is no such request. */
const struct vu_request *vu_request_find(uint32_t id);
/* The driver's part of the handshake, where the protocol does not carry it. */
int vu_negotiate(struct vu_connection *c);
/* May queues be started? */
bool vu_negotiated(const struct vu_connection *c);

/* A state was loaded, or could not be: status and features are now the device's. */
int vu_features_loaded(struct vu_connection *c);

/* ---- memory.c ---- */
enum vu_verdict vu_set_mem_table(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_add_mem_reg(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_rem_mem_reg(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_get_max_mem_slots(struct vu_connection *c, struct vu_message *m);
/* Front-end address -> guest address. False: not in the table. */
bool vu_memory_translate(const struct vu_table *table, uint64_t user, uint64_t *guest);
/* A file has shrunk under its map. */
bool vu_memory_lost(const struct vu_connection *c);
void vu_memory_drop(struct vu_connection *c);

/* ---- log.c ---- */
extern const struct anyhv_mem_ops vu_mem_ops;
enum vu_verdict vu_set_log_base(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_set_log_fd(struct vu_connection *c, struct vu_message *m);
void vu_log_init(struct vu_connection *c);
void vu_log_drop(struct vu_connection *c);
/* After LOG_ALL may have changed. */
void vu_log_update(struct vu_connection *c);
/* Something that was written could not be noted. */
bool vu_log_failed(const struct vu_connection *c);

/* ---- inflight.c ---- */
enum vu_verdict vu_get_inflight_fd(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_set_inflight_fd(struct vu_connection *c, struct vu_message *m);
/*
 * Takes the blocks away from core, and gives them back: around what core takes for a reset by the
 * driver, which would wipe them. No ring runs.
 */
void vu_inflight_take(struct vu_connection *c);
void vu_inflight_give(struct vu_connection *c);
/* Its file has shrunk under its map. */
bool vu_inflight_lost(const struct vu_connection *c);
/* Nothing in core may still use it. */
void vu_inflight_drop(struct vu_connection *c);

/* ---- device_state.c ---- */
enum vu_verdict vu_set_device_state_fd(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_check_device_state(struct vu_connection *c, struct vu_message *m);
void vu_state_init(struct vu_connection *c);
void vu_state_drop(struct vu_connection *c);

/* ---- rings.c ---- */
/*
 * Left out: ACCESS_PLATFORM (no IOTLB), NOTIFICATION_DATA (a kick is an event without data),
 * RING_RESET (no message carries it), ORDER_PLATFORM (both ends share the caches).
 */
#define VU_RING_FEATURES                                                                   \
    (ANYHV_F_INDIRECT_DESC | ANYHV_F_EVENT_IDX | ANYHV_F_VERSION_1 | ANYHV_F_RING_PACKED | \
     ANYHV_F_IN_ORDER | ANYHV_F_SUSPEND)
extern const struct anyhv_port_ops vu_port;
void vu_rings_init(struct vu_connection *c);
/* Closes every descriptor; the device is gone already. */
void vu_rings_drop(struct vu_connection *c);
/* The device was reset: the rings are as after connect, but notifications keep their way. */
void vu_rings_reset(struct vu_connection *c);
bool vu_rings_running(const struct vu_connection *c);
void vu_rings_enable_all(struct vu_connection *c);
bool vu_rings_packed(const struct vu_connection *c);
/*
 * Starts, stops or moves in core what the front end's wishes and the memory table say now.
 * ANYHV_LATER: a request has to be finished first, port->quiet tells when.
 */
int vu_rings_update(struct vu_connection *c);
int vu_ring_update(struct vu_ring *r);
/* Stops the rings that @table would move, while the memory that they are in is still there. */
int vu_rings_make_way(struct vu_connection *c, const struct vu_table *table);
/* Where the ring goes on, while it does not run. */
uint32_t vu_ring_base(const struct vu_ring *r);
void vu_ring_drop_kick(struct vu_ring *r);
/* As a kick, which it is not: none is counted. */
void vu_ring_look(struct vu_ring *r);
/* Sends the signal, one of @r's, and closes it if nobody is left to read. */
void vu_ring_signal(struct vu_signal *signal, const struct vu_ring *r, const char *what);

/* ---- ring_requests.c ---- */
enum vu_verdict vu_set_vring_num(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_set_vring_addr(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_set_vring_base(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_get_vring_base(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_set_vring_kick(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_set_vring_call(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_set_vring_err(struct vu_connection *c, struct vu_message *m);
enum vu_verdict vu_set_vring_enable(struct vu_connection *c, struct vu_message *m);

/* ---- notify.c: descriptors that the peer sent to signal or to carry bytes ---- */
/* 0, or -1: what the peer sent is nothing that can signal without blocking us. */
int vu_event_check(int fd);
/* 0, or -1: it is no end of a pipe or socket pair that can be read (or written) that way. */
int vu_channel_check(int fd, bool write);
/* An eventfd that gives back what is in it one by one, and so stays ready for very long. */
bool vu_event_is_semaphore(int fd);
/* Replaces what it was by @fd, which was checked and is the signal's now, or by none: -1. */
void vu_signal_set(struct vu_signal *signal, int fd);
/* Adds one event; -1: nobody can receive it any more. */
int vu_signal_send(const struct vu_signal *signal);
/* Takes what is there. 1: something was; 0: nothing; -1: nothing will ever come. */
int vu_event_drain(int fd);
/* As write and read, but never wait, whatever the peer does to the descriptor: -1 with EAGAIN. */
ssize_t vu_write_now(int fd, const void *buf, size_t len);
ssize_t vu_read_now(int fd, void *buf, size_t len);
void vu_fd_close(int *fd);

/* ---- backend_channel.c ---- */
enum vu_verdict vu_set_backend_req_fd(struct vu_connection *c, struct vu_message *m);
void vu_backend_init(struct vu_connection *c);
void vu_backend_drop(struct vu_connection *c);
/* The configuration changed; told to the front end now or when it may be. */
void vu_backend_config_changed(struct vu_connection *c);
/* Tells what could not be told before. */
void vu_backend_flush(struct vu_connection *c);

#endif
