/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module and its peers in one process and one thread: a VMM that says exactly what it is told
 * to, and a kernel at the other end of the socket for commands. The module's loop turns whenever
 * one of them waits. Bytes are put together here as the documents have them, not with the library's
 * header.
 */
#ifndef ANYHV_TEST_KVM_WORLD_H
#define ANYHV_TEST_KVM_WORLD_H

#include <anyhv/hv.h>
#include <sys/types.h>

#define WORLD_LINES 64

enum world_result {
    WORLD_CLOSED = -1, /* the module ended the connection */
    WORLD_SILENT = -2, /* it does not answer */
};

enum {
    REQ_HELLO = 1,
    REQ_MEMORY_ADD,
    REQ_MEMORY_REMOVE,
    REQ_KICK,
    REQ_INTERRUPT,
    REQ_STATE,
    REQ_START,
    REQ_RESET,
};

enum {
    RES_OK,
    RES_INVALID,
    RES_VERSIONS,
    RES_MOMENT,
    RES_NORES,
};

enum {
    LAYOUT_V3 = 1,
    LAYOUT_INFO = 2,
};

struct world {
    struct anyhv_class cls;
    struct anyhv_server server;
    void *options;
    char dir[64], path[96], option[128]; /* the module keeps pointers to its command line */
    bool up;
    int control, wire; /* our ends, -1: none */
    int irq, resample, kick[8];
    uint8_t answer[64]; /* of the latest message */
    int answer_fd;
    char event[WORLD_LINES][32]; /* what the module logged, oldest first */
    unsigned nevents;
};

/* The module listens, for a device of @ops with @instance_size and @create. */
void world_start(struct world *w, const struct anyhv_class *cls);
void world_stop(struct world *w);
/* Turns the loop until it has nothing to do. */
void world_turn(struct world *w);
/* Did the module log @event since the last call? Forgets all. */
bool world_logged(struct world *w, const char *event);
/* The device, once it is there. */
struct anyhv_dev *world_dev(const struct world *w);

/* ---- the handshake ---- */
void world_connect(struct world *w);
void world_disconnect(struct world *w);
/* @len bytes as they are, with descriptors. False: the module has gone. */
bool world_send(struct world *w, const void *bytes, size_t len, const int *fds, unsigned nfds);
/* A message; its result, or an enum world_result. */
int world_say(struct world *w, uint32_t request, const void *payload, size_t len, const int *fds,
              unsigned nfds);
int world_hello(struct world *w, uint32_t layout);
int world_add(struct world *w, uint64_t addr, uint64_t size, uint64_t offset, int fd);
int world_remove(struct world *w, uint64_t addr, uint64_t size);
int world_kick_fd(struct world *w, uint32_t queue);
int world_interrupt(struct world *w, bool level);
/* @fd: what a predecessor left, or -1; the new one is in answer_fd. */
int world_state(struct world *w, int fd);
/* @type: of the sockets for commands. */
int world_start_device(struct world *w, int type);
/* Eventfds: was it signalled? */
bool world_signalled(int fd);
void world_signal(int fd);

/* ---- the kernel: commands ---- */
struct command {
    bool write, posted;
    unsigned size;
    uint64_t user_data, offset, data;
};
void world_encode(uint8_t out[32], uint32_t layout, const struct command *command);
/* Puts @len bytes into the socket. */
void world_put(struct world *w, const void *bytes, size_t len);
/* 1: an answer, its data in *@data; 0: none; WORLD_CLOSED. */
int world_get(struct world *w, uint64_t *data);
/* The two together, for an access that is right. */
uint64_t world_access(struct world *w, uint32_t layout, const struct command *command);

#endif
