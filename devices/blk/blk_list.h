/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of the jobs that a store keeps. A job is in one list at a time. */
#ifndef ANYHV_DEVICES_BLK_LIST_H
#define ANYHV_DEVICES_BLK_LIST_H

#include <anyhv/devices/blk_host.h>

/* Behind all that are due no later. Lists whose jobs all have due 0 are queues. */
static inline void blk_list_add(struct anyhv_blk_list *list, struct anyhv_blk_job *job)
{
    struct anyhv_blk_job **link = &list->first;

    while (*link && (*link)->due <= job->due)
        link = &(*link)->next;
    job->next = *link;
    *link = job;
}

static inline struct anyhv_blk_job *blk_list_take(struct anyhv_blk_list *list)
{
    struct anyhv_blk_job *job = list->first;

    if (job)
        list->first = job->next;
    return job;
}

/* False: it is not in @list. */
static inline bool blk_list_remove(struct anyhv_blk_list *list, const struct anyhv_blk_job *job)
{
    struct anyhv_blk_job **link = &list->first;

    while (*link && *link != job)
        link = &(*link)->next;
    if (!*link)
        return false;
    *link = job->next;
    return true;
}

#endif
