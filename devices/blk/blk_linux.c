/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that is a file, mapped and shared: what was written is in the page cache, so it survives
 * the process, and after a flush the machine. Without an image it is a memory file, and does not.
 */
#include "blk_list.h"
#include <anyhv/linux/log.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLICE (1u << 20) /* bytes of one job that are moved before others have their turn */

static struct anyhv_blk_linux *of_store(struct anyhv_blk_store *store)
{
    return (void *)store;
}

static const char *name_of(const struct anyhv_blk_linux *disk)
{
    return disk->path ? disk->path : "memory";
}

static int failed(const struct anyhv_blk_linux *disk, const char *why)
{
    anyhv_log(ANYHV_LOG_ERROR, "blk.disk", "disk %s: %s", name_of(disk), why);
    return ANYHV_E_IO;
}

/* ---- what has to reach the medium ---- */

static void sync_in_worker(struct anyhv_job *sync)
{
    struct anyhv_blk_linux *disk = sync->priv;

    disk->sync_error = fdatasync(disk->fd) < 0 ? errno : 0;
}

static void start_sync(struct anyhv_blk_linux *disk)
{
    disk->syncing = disk->waiting;
    disk->waiting.first = NULL;
    disk->sync_busy = true;
    anyhv_worker_submit(disk->worker, &disk->sync);
}

static void sync_done(struct anyhv_job *sync, bool ran)
{
    struct anyhv_blk_linux *disk = sync->priv;
    struct anyhv_blk_job *job;
    int rc = ANYHV_OK;

    disk->sync_busy = false;
    if (!ran || disk->sync_error)
        rc = failed(disk, ran ? strerror(disk->sync_error) : "the flush was cancelled");
    while ((job = blk_list_take(&disk->syncing)))
        anyhv_blk_answer(job, rc);
    if (disk->waiting.first)
        start_sync(disk);
}

/* One sync at a time. A job that comes while one runs cannot know what that one still sees. */
static int sync_later(struct anyhv_blk_linux *disk, struct anyhv_blk_job *job)
{
    blk_list_add(&disk->waiting, job);
    if (!disk->sync_busy)
        start_sync(disk);
    return ANYHV_LATER;
}

/* ---- moving bytes ---- */

/* False: the file system cannot make holes, so zeroes have to be written. */
static bool punch(struct anyhv_blk_linux *disk, struct anyhv_blk_job *job, int *result)
{
    *result = ANYHV_OK;
    for (; job->at < job->ranges; job->at++) {
        const struct anyhv_blk_range *range = &job->range[job->at];

        if (fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)range->off,
                      (off_t)range->len) == 0)
            continue;
        disk->cannot_punch = errno == EOPNOTSUPP;
        *result = disk->cannot_punch ? ANYHV_OK : failed(disk, strerror(errno));
        return !disk->cannot_punch;
    }
    return true;
}

/*
 * The file became shorter than the disk, or its file system is full: zero pages are in its place.
 */
static int check_lost(struct anyhv_blk_linux *disk)
{
    if (!anyhv_fdmem_lost(&disk->map))
        return ANYHV_OK;
    if (!disk->failed)
        failed(disk, "it shrank, or there is no space left for its holes; nothing works any more");
    disk->failed = true;
    return ANYHV_E_IO;
}

/*
 * A slice, or all. After a failure of ours a read goes on to its end, that its bytes are defined.
 */
static int move(struct anyhv_blk_linux *disk, struct anyhv_blk_job *job, struct anyhv_req *req)
{
    bool punched = false;
    int rc;

    if (job->kind == ANYHV_BLK_CLEAR && job->unmap && !disk->cannot_punch)
        punched = punch(disk, job, &rc);
    if (!punched)
        rc = anyhv_blk_mem_move(&disk->mem, job, req, SLICE);
    return rc == ANYHV_OK ? check_lost(disk) : rc;
}

static bool wants_sync(const struct anyhv_blk_linux *disk, const struct anyhv_blk_job *job)
{
    if (!disk->worker || job->kind == ANYHV_BLK_READ)
        return false;
    return job->kind == ANYHV_BLK_FLUSH || job->stable;
}

static int linux_start(struct anyhv_blk_store *store, struct anyhv_blk_job *job,
                       struct anyhv_req *req)
{
    struct anyhv_blk_linux *disk = of_store(store);
    int rc = job->kind == ANYHV_BLK_FLUSH ? check_lost(disk) : move(disk, job, req);

    if (rc == ANYHV_LATER) {
        blk_list_add(&disk->unfinished, job);
        anyhv_task_ready(disk->loop, &disk->task);
        return rc;
    }
    return rc == ANYHV_OK && wants_sync(disk, job) ? sync_later(disk, job) : rc;
}

/* The next slice of the job that has waited longest. */
static bool go_on(struct anyhv_task *task)
{
    struct anyhv_blk_linux *disk = task->priv;
    struct anyhv_blk_job *job = blk_list_take(&disk->unfinished);
    int rc = job ? linux_start(&disk->mem.store, job, anyhv_blk_req(job)) : ANYHV_LATER;

    if (rc != ANYHV_LATER)
        anyhv_blk_answer(job, rc);
    return disk->unfinished.first != NULL;
}

static void linux_drop(struct anyhv_blk_store *store, struct anyhv_blk_job *job)
{
    struct anyhv_blk_linux *disk = of_store(store);

    if (!blk_list_remove(&disk->unfinished, job) && !blk_list_remove(&disk->syncing, job))
        blk_list_remove(&disk->waiting, job);
}

static const struct anyhv_blk_store_ops linux_ops = {.start = linux_start, .drop = linux_drop};

/* ---- open and close ---- */

static int open_image(struct anyhv_blk_linux *disk, bool read_only, uint64_t *size)
{
    struct stat st;

    disk->fd = open(disk->path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (disk->fd < 0 || fstat(disk->fd, &st) < 0)
        return failed(disk, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return failed(disk, "not a regular file");
    *size = (uint64_t)st.st_size;
    if (*size == 0 || *size % ANYHV_BLK_SECTOR)
        return failed(disk, "its size is not a multiple of 512, or 0");
    return ANYHV_OK;
}

static int open_memory(struct anyhv_blk_linux *disk, uint64_t size)
{
    int fd = anyhv_fdmem_create("anyhv-blk", size);

    if (fd < 0)
        return failed(disk, strerror(-fd));
    disk->fd = fd;
    return ANYHV_OK;
}

static int map_file(struct anyhv_blk_linux *disk, uint64_t size, bool read_only)
{
    int rc = anyhv_fdmem_map(&disk->map, disk->fd, 0, size, read_only);

    if (rc)
        return failed(disk, rc == ANYHV_E_IO ? strerror(errno) : "it cannot be mapped");
    anyhv_blk_mem_init(&disk->mem, disk->map.host, size / ANYHV_BLK_SECTOR);
    disk->mem.store.ops = &linux_ops;
    disk->mem.store.read_only = read_only;
    disk->mem.store.content = disk->path ? NULL : disk->map.host;
    return ANYHV_OK;
}

/* What nobody writes to, or nobody will find again, is never synced. */
static int start_worker(struct anyhv_blk_linux *disk, bool read_only)
{
    if (!disk->path || read_only)
        return ANYHV_OK;
    disk->worker = anyhv_worker_new(disk->loop, "blk-sync");
    return disk->worker ? ANYHV_OK : failed(disk, strerror(errno));
}

int anyhv_blk_linux_open(struct anyhv_blk_linux *disk, struct anyhv_loop *loop, const char *path,
                         uint64_t size, bool read_only)
{
    int rc;

    *disk = (struct anyhv_blk_linux){
        .loop = loop,
        .path = path,
        .fd = -1,
        .task = {.run = go_on, .priv = disk},
        .sync = {.work = sync_in_worker, .done = sync_done, .priv = disk},
    };
    rc = path ? open_image(disk, read_only, &size) : open_memory(disk, size);
    if (!rc)
        rc = map_file(disk, size, read_only);
    if (!rc)
        rc = start_worker(disk, read_only);
    if (rc)
        anyhv_blk_linux_close(disk);
    return rc;
}

void anyhv_blk_linux_close(struct anyhv_blk_linux *disk)
{
    anyhv_task_cancel(&disk->task);
    if (disk->worker)
        anyhv_worker_free(disk->worker); /* waits for a sync under way */
    disk->worker = NULL;
    anyhv_fdmem_unmap(&disk->map);
    if (disk->fd >= 0)
        close(disk->fd);
    disk->fd = -1;
}
