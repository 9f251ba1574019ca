/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compile-time switch. A back-end program is one device class bound to one module:
 *
 *   int main(int argc, char **argv) { return anyhv_main(argc, argv, &rng_class, &ANYHV_HV); }
 *
 * The build defines ANYHV_HV as anyhv_hv_vhost_user, anyhv_hv_loopback ... one program each. A
 * module is an archive that exports exactly this one symbol, in this tree or outside it.
 *
 * Linux programs only: bare metal needs none of this and calls control.h directly.
 */
#ifndef ANYHV_HV_H
#define ANYHV_HV_H

#include <anyhv/control.h>
#include <anyhv/linux/loop.h>
#include <argp.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyhv_instance;

/* A kind of device that programs can serve: the model plus its host side. Const. */
struct anyhv_class {
    const struct anyhv_device_ops *ops;
    struct anyhv_limits limits; /* 0 = defaults */

    /*
     * --print-capabilities, for tools that manage back ends: their word for the type of device
     * ("block"), and which of the options that they know for this type there are, ended by NULL.
     * NULL: they have no word for it, or know no options.
     */
    const char *type;
    const char *const *type_options;

    /* Command line: a child parser whose input is the zeroed struct of @options_size bytes. */
    const struct argp *args;
    size_t options_size;

    /*
     * Opens the host resource that all guests of this process share. Says itself what is wrong
     * (anyhv_log). 0 or a negative result. Optional, like the three below.
     */
    int (*open)(struct anyhv_loop *loop, const void *options, void **host);
    void (*close)(void *host); /* all instances are gone */

    /* One guest's device: @instance_size zeroed bytes that become anyhv_dev_priv(). */
    size_t instance_size;
    int (*create)(void *host, struct anyhv_dev *dev, void *instance);
    void (*destroy)(void *host, void *instance);
};

/* What a program serves, handed to the module. */
struct anyhv_server {
    struct anyhv_loop *loop;
    const struct anyhv_class *cls;
    void *host;                       /* from cls->open */
    uint64_t withhold;                /* feature bits that the operator does not want offered */
    const void *options;              /* the module's own, filled by its argp */
    void *module;                     /* the module's own, for start and stop */
    struct anyhv_instance *instances; /* lib/linux's */
};

struct anyhv_hv {
    const char *name; /* "vhost-user" */
    /* What it can carry of ANYHV_F_RING_BITS: asking for another is wrong usage. 0: everything. */
    uint64_t features;
    const struct argp *args; /* command line, as for the class */
    size_t options_size;     /* zeroed bytes for args */
    /*
     * Arms its descriptors on server->loop and returns; says itself what is wrong. The program
     * ends when the loop is stopped. 0 or a negative result.
     */
    int (*start)(struct anyhv_server *server);
    /* Gives everything back, also after a failed start. */
    void (*stop)(struct anyhv_server *server);
};

/*
 * The module that this program is built for, wherever it comes from. anyhv_add_backend defines it;
 * without CMake: -DANYHV_HV=$(pkg-config --variable=symbol anyhv-hv-<module>).
 */
#ifdef ANYHV_HV
extern const struct anyhv_hv ANYHV_HV;
#endif

/* The modules of this tree, as far as they were configured. */
extern const struct anyhv_hv anyhv_hv_loopback;
extern const struct anyhv_hv anyhv_hv_kvm_ioregionfd;
extern const struct anyhv_hv anyhv_hv_vhost_user;
extern const struct anyhv_hv anyhv_hv_xen;

/*
 * Parses the command line (--help tells), opens the class, starts the module, runs the loop until
 * SIGTERM, SIGINT or the module's end, and closes in the reverse order. SIGUSR1 prints counters.
 * The exit code: 0, 1 (something failed, said on standard error), 64 (wrong usage).
 */
int anyhv_main(int argc, char **argv, const struct anyhv_class *cls, const struct anyhv_hv *hv);

/* ---- For modules: one guest's device ---- */

/* Heap storage for one device of the server's class; caller's struct, zeroed. */
struct anyhv_instance {
    struct anyhv_server *server;
    struct anyhv_dev *dev;
    void *storage, *state, *priv;
    struct anyhv_instance *next;
};

/*
 * Allocates for one device, fills ops, priv, storage, state, limits and withhold of *@how, and
 * calls cls->create for @dev (zeroed), which the module attaches next. ANYHV_E_NORES, or create's
 * error.
 */
int anyhv_instance_create(struct anyhv_instance *instance, struct anyhv_server *server,
                          struct anyhv_dev *dev, struct anyhv_attach *how);
/* After detach. Does nothing for a zeroed struct. */
void anyhv_instance_destroy(struct anyhv_instance *instance);

struct anyhv_mmio;
struct anyhv_mmio_ops;

/*
 * For modules with registers: creates and attaches the device of @mmio, as anyhv_mmio_attach does.
 * The caller fills in mem of *@how, what to withhold besides the operator's bits, and state and
 * journal if they are not to be the instance's. On an error nothing is left.
 *
 * A state that cannot be gone on with is given up and the device begun anew. That leaves the
 * guest's driver without its device until it resets it, which is better than a vCPU that nobody
 * answers. *@refused then says why, else it is ANYHV_OK; how->resume: it does go on.
 */
int anyhv_instance_attach(struct anyhv_instance *instance, struct anyhv_server *server,
                          struct anyhv_mmio *mmio, const struct anyhv_mmio_ops *ops, void *priv,
                          struct anyhv_attach *how, bool platform, int *refused);

/* Writes the counters of every device of @server, a line per queue and per violation seen. */
void anyhv_server_report(const struct anyhv_server *server, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
