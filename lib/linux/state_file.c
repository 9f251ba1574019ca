/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is a header, the note, and the area for a device's state block and journal. The header's
 * magic word is written last, so a process that is killed while it makes a file leaves one that
 * nobody believes. The lock on the file ends with the process that holds it.
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
    uint64_t note_size, keep_size;
    char owner[ANYHV_STATE_FILE_OWNER];
};

static size_t padded(size_t size)
{
    return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static struct header make_header(const char *owner, size_t note_size,
                                 const struct anyhv_device_ops *ops)
{
    struct header h = {.magic = MAGIC,
                       .version = VERSION,
                       .note_size = note_size,
                       .keep_size = ops ? anyhv_keep_size(ops) : 0};

    strcpy(h.owner, owner); /* its length was checked */
    return h;
}

static size_t file_size(const struct header *h)
{
    return padded(sizeof(*h)) + padded(h->note_size) + h->keep_size;
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

/*
 * Nothing behind the header: so it is while a file is made. A file of somebody's that begins with
 * zeroes is another matter.
 */
static bool half_made(int fd)
{
    uint8_t bytes[4096];
    off_t at = sizeof(struct header);
    ssize_t n;

    while ((n = pread(fd, bytes, sizeof(bytes), at)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (bytes[i])
                return false;
        at += n;
    }
    return n == 0;
}

/* Whose is what is there? 1: ours, to go on with; 0: nobody's; else an error. */
static int look(int fd, const struct stat *st, const struct header *wanted)
{
    struct header found = {0};

    if (!S_ISREG(st->st_mode))
        return ANYHV_E_INVAL;
    if (pread(fd, &found, sizeof(found), 0) < 0)
        return ANYHV_E_IO;
    if (found.magic != MAGIC)
        return !found.magic && half_made(fd) ? 0 : ANYHV_E_INVAL;
    if (memcmp(found.owner, wanted->owner, sizeof(found.owner)) != 0)
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
    file->note = file->map.host + padded(sizeof(*h));
    if (h->keep_size)
        file->area = file->map.host + padded(sizeof(*h)) + padded(h->note_size);
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
    file->ops = ops;
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

const char *anyhv_state_file_error(int result)
{
    switch (result) {
    case ANYHV_E_IO:
        return strerror(errno);
    case ANYHV_E_STATE:
        return "another process has it";
    case ANYHV_E_VERSION:
        return "it is another build's, or another device's";
    case ANYHV_E_INVAL:
        return "it is no state file, and stays as it is";
    default:
        return anyhv_result_name(result);
    }
}

void anyhv_state_file_use(const struct anyhv_state_file *file, struct anyhv_attach *how)
{
    anyhv_keep_use(file->area, file->ops, file->resume, how);
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
