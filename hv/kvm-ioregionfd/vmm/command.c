/* SPDX-License-Identifier: Apache-2.0 */
/* One command and its answer, as KVM's ioregionfd would exchange them. */
#include "vmm_private.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

static struct anyhv_ior_command encode(enum anyhv_ior_layout layout,
                                       const struct vmm_access *access)
{
    struct anyhv_ior_command command = {0};
    unsigned exponent = (unsigned)__builtin_ctz(access->size), answer = access->posted ? 0 : 1;
    uint8_t what = access->write ? ANYHV_IOR_WRITE : ANYHV_IOR_READ;

    if (layout == ANYHV_IOR_LAYOUT_INFO) {
        command.head.info.info = what | exponent << 4 | answer << 6;
        return command;
    }
    command.head.v3.command = what;
    command.head.v3.info = (uint8_t)(exponent | answer << 4);
    return command;
}

/* What the socket is ready for; 0: nobody waits any more. Signals do not end the wait. */
static short ready(const struct anyhv_vmm *vmm, short events)
{
    struct pollfd fds[2] = {{.fd = vmm->wire, .events = events},
                            {.fd = vmm->stop, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    return fds[1].revents ? 0 : fds[0].revents;
}

/*
 * Sent and received whole or not at all: the socket keeps packets. An answer that is there already
 * would be taken for this command's, so there is a look before one that wants an answer.
 */
static bool put(const struct anyhv_vmm *vmm, const struct anyhv_ior_command *command, bool posted)
{
    ssize_t n;

    for (bool look = !posted;; look = true) {
        short events = look ? ready(vmm, POLLIN | POLLOUT) : POLLOUT;

        if (!events || events & POLLIN)
            return false;
        n = send(vmm->wire, command, sizeof(*command), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0 || (errno != EINTR && errno != EAGAIN))
            return n == (ssize_t)sizeof(*command);
    }
}

/*
 * A signal must not end the wait: the answer would come later, and be taken for that of the next
 * command.
 */
static bool get(const struct anyhv_vmm *vmm, struct anyhv_ior_response *response)
{
    ssize_t n;

    do {
        if (!ready(vmm, POLLIN))
            return false;
        n = recv(vmm->wire, response, sizeof(*response), MSG_TRUNC | MSG_DONTWAIT);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    return n == (ssize_t)sizeof(*response);
}

bool anyhv_vmm_command(const struct anyhv_vmm *vmm, const struct vmm_access *access, uint64_t *data)
{
    struct anyhv_ior_command command = encode(vmm->options.layout, access);
    struct anyhv_ior_response response;

    command.user_data = access->part;
    command.offset = access->offset;
    command.data = access->write ? *data : 0;
    if (!put(vmm, &command, access->posted))
        return false;
    if (access->posted)
        return true;
    if (!get(vmm, &response))
        return false;
    if (!access->write)
        *data = response.data;
    return true;
}
