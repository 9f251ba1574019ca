/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the VMM's library share. Two locks: `control` around the handshake's socket and
 * the list of memory, `lock` around the commands' socket and what a vCPU has to know. A vCPU never
 * takes the first, so a message that waits for the device does not stop the guest.
 */
#ifndef ANYHV_VMM_PRIVATE_H
#define ANYHV_VMM_PRIVATE_H

#include <anyhv/vmm.h>
#include <pthread.h>
#include <stddef.h>

enum vmm_life {
    VMM_NEW,     /* not started yet */
    VMM_SERVED,  /* commands are answered */
    VMM_GONE,    /* the device process has died */
    VMM_STOPPED, /* nobody waits any more */
};

struct vmm_memory {
    uint64_t addr, size, offset;
    int fd;
};

struct anyhv_vmm {
    struct anyhv_vmm_options options; /* path is ours */
    uint32_t device_id, queues;
    int irq, resample, stop; /* eventfds */
    int *kicks;
    bool wired; /* KVM knows some of it */

    pthread_mutex_t control;
    int socket;
    int state;   /* what the device process left with us; -1: nothing */
    bool forget; /* reset while it was gone: a successor begins anew */
    struct vmm_memory memory[ANYHV_IOR_SLOTS];
    unsigned nmemory;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum vmm_life life;
    int wire;
    uint32_t revivals;
};

/*
 * ---- channel.c: the handshake; 0 or -errno. Of these -ECONNRESET, -ETIMEDOUT and -EPROTO mean
 * that the socket is good for nothing more: the device process is gone, silent, or says nonsense.
 * ----
 */
int anyhv_vmm_channel_connect(const struct anyhv_vmm_options *options);
/* Has the device process hung up, and therefore nothing of the guest's any more? Waits for it. */
bool anyhv_vmm_channel_ended(const struct anyhv_vmm_options *options, int socket);
/* HELLO; fills device_id and queues. */
int anyhv_vmm_channel_hello(struct anyhv_vmm *vmm, int socket);
int anyhv_vmm_channel_add(int socket, const struct vmm_memory *memory);
int anyhv_vmm_channel_remove(int socket, const struct vmm_memory *memory);
int anyhv_vmm_channel_reset(int socket);
/* State, memory, eventfds and START. *@wire: our end of the commands' socket. */
int anyhv_vmm_channel_start(struct anyhv_vmm *vmm, int socket, int *wire);

/* ---- command.c: the commands ---- */
struct vmm_access {
    enum anyhv_ior_part part;
    uint64_t offset;
    uint32_t size;
    bool write, posted;
};
/*
 * @data: what is written, or where the answer goes. False: the device process is gone, or no
 * partner any more; or stop was called.
 */
bool anyhv_vmm_command(const struct anyhv_vmm *vmm, const struct vmm_access *access,
                       uint64_t *data);

/* ---- kvm.c: what KVM is told; 0 or -errno ---- */
int anyhv_vmm_kvm_wire(struct anyhv_vmm *vmm);
void anyhv_vmm_kvm_unwire(struct anyhv_vmm *vmm);

void anyhv_vmm_fd_close(int *fd);

#endif
