/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UNIX stream sockets that carry file descriptors (SCM_RIGHTS). Every descriptor that arrives is
 * either handed to the caller or closed, close-on-exec is always set, and nothing blocks on a
 * non-blocking socket.
 */
#ifndef ANYHV_LINUX_SOCKET_H
#define ANYHV_LINUX_SOCKET_H

#include <anyhv/types.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANYHV_SOCKET_FDS 32 /* the most descriptors taken with one receive */

/*
 * A listening, non-blocking socket at @path. A stale socket file (nobody listens) is replaced,
 * anything else at @path is not: -EADDRINUSE or -EEXIST. Returns the fd or -errno.
 */
int anyhv_socket_listen(const char *path);
/* Connects, blocking, then sets non-blocking. Returns the fd or -errno. */
int anyhv_socket_connect(const char *path);
/* Non-blocking, close-on-exec connection from a listening socket; -EAGAIN when none waits. */
int anyhv_socket_accept(int listener);

/*
 * Receives at most @len bytes and the descriptors that came with them. @fds has room for
 * ANYHV_SOCKET_FDS; *@nfds is set. Returns bytes (0: the peer closed), or -errno (-EAGAIN: nothing
 * there; -EMSGSIZE: more descriptors than room, all were closed).
 */
ssize_t anyhv_socket_recv(int fd, void *buf, size_t len, int *fds, unsigned *nfds);

/*
 * Sends all of @len bytes, the @nfds descriptors with the first byte; they stay the caller's.
 * 0 or -errno; -EAGAIN: nothing was sent. A peer that takes only a part, and not the rest
 * within a second, is given up with -ETIMEDOUT. Never raises SIGPIPE.
 */
int anyhv_socket_send(int fd, const void *buf, size_t len, const int *fds, unsigned nfds);

#ifdef __cplusplus
}
#endif
#endif
