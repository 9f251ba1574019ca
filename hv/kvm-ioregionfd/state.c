/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state block and the journal, for a successor of this process. They lie in a memory file that
 * this process makes and writes, and that the VMM only keeps: it is sealed, so that nobody else can
 * write what core takes for its own. A successor copies it and gives the VMM the copy before it
 * changes anything; so whichever of them the VMM has, it is right.
 *
 * What is copied may be anything. Core checks it when the device is attached.
 */
#include "ior.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALIGN 64u /* of the journal */

static size_t block_size(const struct anyhv_device_ops *ops)
{
    size_t size = ANYHV_STATE_SIZE(ops->queues, ops->config_len);

    return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static size_t journal_size(const struct anyhv_device_ops *ops)
{
    return ANYHV_JOURNAL_SIZE(ops->queues, ops->max_size ? ops->max_size : 1024);
}

/* The space is taken at once: too little memory shall be an error here and no SIGBUS later. */
static int make(struct ior_connection *c, size_t size)
{
    static const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    int fd = memfd_create("anyhv-state", MFD_CLOEXEC | MFD_ALLOW_SEALING), rc;

    if (fd < 0)
        return -errno;
    rc = -posix_fallocate(fd, 0, (off_t)size);
    if (!rc && anyhv_fdmem_map(&c->state, fd, 0, size, false))
        rc = -errno;
    if (!rc && fcntl(fd, F_ADD_SEALS, seals) < 0)
        rc = -errno;
    if (rc)
        close(fd);
    else
        c->state_fd = fd;
    return rc;
}

/* A regular file alone: one of another kind could keep a read for as long as its owner likes. */
static bool copy(struct ior_connection *c, int from)
{
    struct stat st;

    if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != c->state.size)
        return false;
    if (pread(from, c->state.host, c->state.size, 0) == (ssize_t)c->state.size)
        return true;
    memset(c->state.host, 0, c->state.size);
    return false;
}

enum ior_verdict ior_state(struct ior_connection *c, struct ior_message *m)
{
    const struct anyhv_device_ops *ops = c->module->server->cls->ops;
    int rc;

    if (c->state_fd >= 0 || c->attached)
        return ior_refused(m, ANYHV_IOR_MOMENT, "only once, and before START");
    rc = make(c, block_size(ops) + journal_size(ops));
    if (rc) {
        ior_state_drop(c);
        return ior_refused(m, ANYHV_IOR_NORES, "no memory for it: %s", strerror(-rc));
    }
    if (m->nfds) {
        /* A predecessor that never got to START left nothing to go on with. */
        c->resume = copy(c, m->fds[0]) &&
                    ((struct anyhv_state *)(void *)c->state.host)->magic == ANYHV_STATE_MAGIC;
        if (!c->resume)
            anyhv_log(ANYHV_LOG_WARNING, "ior.state", "STATE: not what this program leaves");
    }
    m->answer.u.state.adopted = c->resume;
    m->answer_fd = c->state_fd;
    return IOR_DONE;
}

void ior_state_use(const struct ior_connection *c, struct anyhv_attach *how)
{
    const struct anyhv_device_ops *ops = c->module->server->cls->ops;

    if (!c->state.host)
        return;
    how->state = c->state.host;
    how->state_size = block_size(ops);
    how->journal = c->state.host + block_size(ops);
    how->journal_size = journal_size(ops);
    how->resume = c->resume;
}

void ior_state_drop(struct ior_connection *c)
{
    anyhv_fdmem_unmap(&c->state);
    ior_fd_close(&c->state_fd);
    c->resume = false;
}
