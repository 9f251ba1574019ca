/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is a header, the note, the state block and the journal. The header's magic word is
 * written last, so a process that is killed while it makes a file leaves one that nobody believes.
 * The lock on the file ends with the process that holds it.
 */
#include <anyhv/linux/state_file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC   UINT64_C(0x0a535648594e41) /* "ANYHVS" and an end of line */
#define VERSION 1u
#define ALIGN   64u /* of each part */

struct header {
    uint64_t magic;
    uint32_t version, zero;
    uint64_t note_size, state_size, journal_size;
    char owner[ANYHV_STATE_FILE_OWNER];
};

static size_t padded(size_t size)
{
    return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static struct header make_header(const char *owner, size_t note_size,
                                 const struct anyhv_device_ops *ops)
{
    struct header h = {.magic = MAGIC, .version = VERSION, .note_size = note_size};

    strcpy(h.owner, owner); /* its length was checked */
    if (ops) {
        h.state_size = ANYHV_STATE_SIZE(ops->queues, ops->config_len);
        h.journal_size = ANYHV_JOURNAL_SIZE(ops->queues, ops->max_size ? ops->max_size : 1024);
    }
    return h;
}

static size_t file_size(const struct header *h)
{
    return padded(sizeof(*h)) + padded(h->note_size) + padded(h->state_size) + h->journal_size;
}

/*
 * An open, locked file that still has its name: whoever held it may have removed it while we waited
 * to be let in.
 */
static int open_locked(const char *path, struct stat *st)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

        if (fd < 0)
            return ANYHV_E_IO;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int result = errno == EWOULDBLOCK ? ANYHV_E_STATE : ANYHV_E_IO;

            close(fd);
            return result;
        }
        if (fstat(fd, st) == 0 && st->st_nlink > 0)
            return fd;
        close(fd);
    }
}

/* Whose is what is there? 1: ours, to go on with; 0: nobody's; else an error. */
static int look(int fd, const struct stat *st, const struct header *wanted)
{
    struct header found;

    if (!S_ISREG(st->st_mode))
        return ANYHV_E_INVAL;
    if (pread(fd, &found, sizeof(found), 0) != (ssize_t)sizeof(found) || found.magic != MAGIC ||
        memcmp(found.owner, wanted->owner, sizeof(found.owner)) != 0)
        return 0;
    if (memcmp(&found, wanted, sizeof(found)) != 0 || (uint64_t)st->st_size != file_size(wanted))
        return ANYHV_E_VERSION;
    return 1;
}

/* The space is taken at once: a full tmpfs shall be an error here and no SIGBUS later. */
static int wipe(int fd, size_t size)
{
    int rc = ftruncate(fd, 0) < 0 ? errno : posix_fallocate(fd, 0, (off_t)size);

    if (rc == 0)
        return ANYHV_OK;
    errno = rc;
    return ANYHV_E_IO;
}

static void lay_out(struct anyhv_state_file *file, const struct header *h)
{
    uint8_t *at = file->map.host + padded(sizeof(*h));

    file->note = at;
    at += padded(h->note_size);
    if (!h->state_size)
        return;
    file->state = at;
    file->state_size = h->state_size;
    file->journal = at + padded(h->state_size);
    file->journal_size = h->journal_size;
}

static void sign(struct anyhv_state_file *file, const struct header *h)
{
    struct header *to = (void *)file->map.host;
    struct header unsigned_yet = *h;

    unsigned_yet.magic = 0;
    *to = unsigned_yet;
    __atomic_store_n(&to->magic, MAGIC, __ATOMIC_RELEASE);
}

static int map_file(struct anyhv_state_file *file, const struct stat *st, const struct header *h)
{
    int ours = look(file->fd, st, h), rc = ANYHV_OK;

    if (ours < 0)
        return ours;
    if (!ours)
        rc = wipe(file->fd, file_size(h));
    if (!rc)
        rc = anyhv_fdmem_map(&file->map, file->fd, 0, file_size(h), false);
    if (rc)
        return rc;
    lay_out(file, h);
    file->resume = ours;
    if (!ours)
        sign(file, h);
    return ANYHV_OK;
}

int anyhv_state_file_open(struct anyhv_state_file *file, const char *path, const char *owner,
                          size_t note_size, const struct anyhv_device_ops *ops)
{
    struct header h;
    struct stat st;
    int rc, saved;

    memset(file, 0, sizeof(*file));
    if (strlen(owner) >= ANYHV_STATE_FILE_OWNER)
        return ANYHV_E_INVAL;
    h = make_header(owner, note_size, ops);
    file->path = strdup(path);
    if (!file->path)
        return ANYHV_E_IO;
    file->fd = open_locked(path, &st);
    rc = file->fd < 0 ? file->fd : map_file(file, &st, &h);
    if (rc) {
        saved = errno;
        anyhv_state_file_close(file);
        errno = saved;
    }
    return rc;
}

void anyhv_state_file_use(const struct anyhv_state_file *file, struct anyhv_attach *how)
{
    const struct anyhv_state *state = file->state;

    how->state = file->state;
    how->state_size = file->state_size;
    how->journal = file->journal;
    how->journal_size = file->journal_size;
    /* Before it attached for the first time, the predecessor had nothing to go on with. */
    how->resume = file->resume && state->magic == ANYHV_STATE_MAGIC;
}

void anyhv_state_file_close(struct anyhv_state_file *file)
{
    if (!file->path)
        return;
    anyhv_fdmem_unmap(&file->map);
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    memset(file, 0, sizeof(*file));
}

void anyhv_state_file_remove(struct anyhv_state_file *file)
{
    if (file->path)
        unlink(file->path);
    anyhv_state_file_close(file);
}
