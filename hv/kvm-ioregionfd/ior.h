/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this module share. Nothing here leaves the module: the archive exports one
 * symbol. docs/kvm-ioregionfd.md describes the protocol, docs/adr/0009-kvm.md why it is so.
 *
 * One connection is one VMM, one guest memory and one device. Only the callbacks that the loop
 * calls end a connection; everything below them says so with a verdict.
 */
#ifndef IOR_H
#define IOR_H

#include <anyhv/hv.h>
#include <anyhv/ioregionfd.h>
#include <anyhv/linux/fdmem.h>
#include <anyhv/linux/log.h>
#include <anyhv/linux/socket.h>
#include <anyhv/transport/mmio.h>

#define IOR_BUDGET   256u                /* requests per turn on the loop */
#define IOR_COMMANDS 64u                 /* register accesses per turn */
#define IOR_FDS      2u                  /* the most that a message carries */
#define IOR_PAUSE_NS UINT64_C(100000000) /* before accept is tried again */

struct ior_connection;
struct ior_module;

/* What became of a message. */
enum ior_verdict {
    IOR_DONE,    /* answered with OK */
    IOR_REFUSED, /* answered with m->answer.result, which the handler set */
    IOR_LATER,   /* waits until the device is quiet; the same handler is called again then */
    IOR_END,     /* there is no going on with this peer */
};

/* A message on its way in, and its answer. */
struct ior_message {
    struct anyhv_ior_message in;
    size_t have;            /* bytes that have come */
    int fds[IOR_FDS];       /* -1: a handler took it */
    unsigned nfds, surplus; /* surplus: came and were closed */
    struct anyhv_ior_message answer;
    int answer_fd; /* goes with it; stays its owner's. -1: none */
};

/* A file of guest memory. */
struct ior_region {
    uint64_t addr;
    struct anyhv_fdmem map;
};

/* An eventfd of the VMM's that we wait for. */
struct ior_event {
    struct anyhv_watch watch;
    struct ior_connection *connection;
    int fd; /* -1: none */
};

/* The socket for commands. */
struct ior_wire {
    struct anyhv_watch watch;
    int fd;
    bool packets; /* SOCK_SEQPACKET: a command is a packet */
    enum anyhv_ior_layout layout;
    size_t have;
    struct anyhv_ior_command in;
};

struct ior_connection {
    struct ior_module *module;
    bool open, greeted, attached;
    int fd;
    struct anyhv_watch watch;
    struct ior_message message;
    bool deferred;           /* the message waits, and the socket is not read */
    bool quiescing;          /* the device was asked to be quiet for it */
    struct anyhv_task again; /* the message is handled once more */
    struct anyhv_task work;  /* the rings */
    struct anyhv_mmio mmio;
    struct anyhv_instance instance;
    struct anyhv_mem mem;
    struct anyhv_region table[ANYHV_IOR_SLOTS];
    struct ior_region *regions[ANYHV_IOR_SLOTS]; /* in the order in which they came */
    unsigned nregions;
    struct ior_wire wire;
    struct ior_event *kicks; /* one per queue */
    struct ior_event resample;
    int irq;
    struct anyhv_fdmem state; /* the block and the journal behind it */
    int state_fd;
    bool resume; /* a predecessor's is in there */
};

/* ---- requests.c ---- */
struct ior_request {
    const char *name;
    enum ior_verdict (*handle)(struct ior_connection *c, struct ior_message *m);
    uint8_t size; /* bytes of the payload; what is behind them is 0 */
    uint8_t fds_min, fds_max;
};
/* NULL: there is none of this number. */
const struct ior_request *ior_request_find(uint32_t request);
/* The name of a message's request, for the log. */
const char *ior_request_name(const struct ior_message *m);
/* The format is broken: logs why. */
__attribute__((format(printf, 2, 3))) enum ior_verdict ior_malformed(const struct ior_message *m,
                                                                     const char *fmt, ...);
/* Understood, but cannot be: logs why, and answers @result. */
__attribute__((format(printf, 3, 4))) enum ior_verdict ior_refused(struct ior_message *m,
                                                                   enum anyhv_ior_result result,
                                                                   const char *fmt, ...);
/* Takes a descriptor out of the message. */
int ior_take_fd(struct ior_message *m, unsigned i);

/* ---- memory.c ---- */
enum ior_verdict ior_memory_add(struct ior_connection *c, struct ior_message *m);
enum ior_verdict ior_memory_remove(struct ior_connection *c, struct ior_message *m);
/* Did a file shrink? Says so. */
bool ior_memory_lost(const struct ior_connection *c);
void ior_memory_drop(struct ior_connection *c);

/* ---- events.c: eventfds of the VMM's ---- */
/* Can it be used as one? */
bool ior_event_check(int fd);
/* Waits for it, if there is one; @ready empties it with ior_event_drain. 0 or -errno. */
int ior_event_watch(struct ior_event *event, struct ior_connection *c,
                    void (*ready)(struct anyhv_watch *watch, uint32_t events));
void ior_event_drop(struct ior_event *event);
void ior_event_drain(int fd);
void ior_event_signal(int fd);
void ior_fd_close(int *fd);

/* ---- state.c: the state block and the journal, which the VMM keeps ---- */
enum ior_verdict ior_state(struct ior_connection *c, struct ior_message *m);
void ior_state_use(const struct ior_connection *c, struct anyhv_attach *how);
void ior_state_drop(struct ior_connection *c);

/* ---- wire.c: register accesses ---- */
/* Begins to serve the commands from @fd, which becomes ours; 0 or -errno. */
int ior_wire_begin(struct ior_connection *c, int fd);
void ior_wire_end(struct ior_connection *c);

/* ---- device.c: from START on there is one ---- */
/* As attach. */
int ior_device_begin(struct ior_connection *c);
void ior_device_end(struct ior_connection *c);

/* ---- connection.c ---- */
int ior_connection_begin(struct ior_module *module, int fd);
void ior_connection_end(struct ior_connection *c);

/* ---- module.c ---- */
struct ior_options {
    const char *path;
};

struct ior_module {
    struct anyhv_server *server;
    const struct ior_options *options;
    int listener;
    struct anyhv_watch accept;
    struct anyhv_timer pause;
    struct ior_connection connection;
};

#endif
