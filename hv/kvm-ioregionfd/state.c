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

/* Nobody but its maker can ever have written a file with these. */
static const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

/* The space is taken at once: too little memory shall be an error here and no SIGBUS later. */
static int make(struct ior_connection *c, size_t size)
{
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

/*
 * Only what make() can have made. Other files may lie where a read takes as long as their owner
 * likes, as on FUSE; none of those can be sealed.
 */
static bool copy(struct ior_connection *c, int from)
{
    int sealed = fcntl(from, F_GET_SEALS);
    struct stat st;

    if (sealed < 0 || (sealed & seals) != seals || fstat(from, &st) < 0 ||
        (uint64_t)st.st_size != c->state.size)
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
    rc = make(c, anyhv_keep_size(ops));
    if (rc) {
        ior_state_drop(c);
        return ior_refused(m, ANYHV_IOR_NORES, "no memory for it: %s", strerror(-rc));
    }
    if (m->nfds) {
        struct anyhv_attach how = {0};

        c->found = copy(c, m->fds[0]);
        ior_state_use(c, &how);
        if (!how.resume) /* as a predecessor leaves it that never got to START */
            anyhv_log(ANYHV_LOG_WARNING, "ior.state", "STATE: there is nothing to go on with");
    }
    m->answer_fd = c->state_fd;
    return IOR_DONE;
}

void ior_state_use(const struct ior_connection *c, struct anyhv_attach *how)
{
    if (c->state.host)
        anyhv_keep_use(c->state.host, c->module->server->cls->ops, c->found, how);
}

void ior_state_drop(struct ior_connection *c)
{
    anyhv_fdmem_unmap(&c->state);
    ior_fd_close(&c->state_fd);
    c->found = false;
}
