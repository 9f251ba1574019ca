/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's tasks: work without a descriptor, each at most once a round. */
#include "loop_private.h"

static void task_push(struct task_list *list, struct anyhv_task *task)
{
    task->next = NULL;
    if (list->head)
        list->tail->next = task;
    else
        list->head = task;
    list->tail = task;
}

static bool task_remove(struct task_list *list, struct anyhv_task *task)
{
    struct anyhv_task *before = NULL;
    struct anyhv_task *at = list->head;

    for (; at && at != task; at = at->next)
        before = at;
    if (!at)
        return false;
    if (before)
        before->next = task->next;
    else
        list->head = task->next;
    if (list->tail == task)
        list->tail = before;
    return true;
}

void anyhv_task_ready(struct anyhv_loop *loop, struct anyhv_task *task)
{
    if (task->queued)
        return;
    task->loop = loop;
    task->queued = true;
    task_push(&loop->tasks, task);
    if (!loop->in_turn)
        anyhv_loop_settle_eventfd(loop);
}

void anyhv_task_cancel(struct anyhv_task *task)
{
    if (task->loop && task->loop->current == task)
        task->loop->current = NULL; /* from its own run(): not once more */
    if (!task->queued)
        return;
    if (!task_remove(&task->loop->running, task))
        task_remove(&task->loop->tasks, task);
    task->queued = false;
}

int anyhv_loop_run_tasks(struct anyhv_loop *loop)
{
    struct anyhv_task *task;
    int ran = 0;

    loop->running = loop->tasks;
    loop->tasks = (struct task_list){NULL, NULL};
    while ((task = loop->running.head) != NULL) {
        task_remove(&loop->running, task);
        task->queued = false;
        loop->current = task;
        if (task->run(task) && loop->current == task)
            anyhv_task_ready(loop, task);
        ran++;
    }
    loop->current = NULL;
    return ran;
}
