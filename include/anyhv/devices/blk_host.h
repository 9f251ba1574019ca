/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device's host side on Linux: a disk that is an image file or anonymous memory, a store
 * that makes any other slow, and the class that programs serve.
 */
#ifndef ANYHV_DEVICES_BLK_HOST_H
#define ANYHV_DEVICES_BLK_HOST_H

#include <anyhv/devices/blk.h>
#include <anyhv/hv.h>
#include <anyhv/linux/fdmem.h>
#include <anyhv/linux/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Serves guests a disk from an image file or from memory. One per process, open once. */
extern const struct anyhv_class anyhv_blk_class;

/* Jobs that wait, first come first served. */
struct anyhv_blk_list {
    struct anyhv_blk_job *first;
};

/*
 * A file, mapped. Long jobs are done piece by piece, in turn with everything else on the loop; what
 * has to reach the medium is waited for by a thread.
 */
struct anyhv_blk_linux {
    struct anyhv_blk_mem mem;
    struct anyhv_loop *loop;
    const char *path; /* NULL: anonymous memory, which is gone with the process */
    int fd;
    struct anyhv_fdmem map;
    struct anyhv_task task;           /* ready while there are unfinished jobs */
    struct anyhv_blk_list unfinished; /* some bytes are left to move */
    struct anyhv_worker *worker;
    struct anyhv_job sync;         /* the worker's */
    struct anyhv_blk_list syncing; /* the jobs that it will have made stable */
    struct anyhv_blk_list waiting; /* came later: the next one's */
    int sync_error;                /* errno of the latest */
    bool sync_busy, cannot_punch, failed;
};

/*
 * Opens the image @path, which is kept, not copied; or makes an empty disk of @size bytes for
 * @path NULL, whose content is saved with the device. Says what is wrong itself. 0, ANYHV_E_IO
 * or _NORES.
 */
int anyhv_blk_linux_open(struct anyhv_blk_linux *disk, struct anyhv_loop *loop, const char *path,
                         uint64_t size, bool read_only);
void anyhv_blk_linux_close(struct anyhv_blk_linux *disk);

/*
 * A slow disk in front of another: a job is begun @delay_us to twice that after it came, by a fixed
 * pattern, so that requests are in flight and are answered out of order. One per guest.
 */
struct anyhv_blk_delay {
    struct anyhv_blk_store store;
    struct anyhv_blk_store *inner;
    struct anyhv_loop *loop;
    struct anyhv_timer timer; /* for the job that is due first */
    uint64_t delay_ns;
    uint32_t count;
    struct anyhv_blk_list list; /* sorted by job->due */
};

void anyhv_blk_delay_init(struct anyhv_blk_delay *delay, struct anyhv_loop *loop,
                          struct anyhv_blk_store *inner, uint32_t delay_us);
/* When no job is left: after detach. */
void anyhv_blk_delay_fini(struct anyhv_blk_delay *delay);

#ifdef __cplusplus
}
#endif
#endif
