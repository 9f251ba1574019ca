/* SPDX-License-Identifier: Apache-2.0 */
/* Driver and device on a core each; neither sleeps, both look at memory only. */
#include "run.h"

#include <err.h>
#include <pthread.h>
#include <sched.h>

enum {
    /* A round shall take about a millisecond: the deeper the queue, the less a request takes. */
    ROUND_REQUESTS = 1 << 12,
    ROUND_REQUESTS_MORE = 1 << 7, /* per request outstanding */
};

struct device_thread {
    pthread_t thread;
    const struct run *run;
    int cpu;
    bool stop;
};

/* The @n-th processor of those that @allowed has, or -1. */
static int nth_cpu(const cpu_set_t *allowed, int n)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, allowed) && n-- == 0)
            return cpu;
    return -1;
}

static void pin(int cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one))
        err(1, "binding a thread to processor %d", cpu);
}

static cpu_set_t allowed_cpus(void)
{
    cpu_set_t allowed;

    if (sched_getaffinity(0, sizeof(allowed), &allowed))
        err(1, "asking for the processors");
    return allowed;
}

bool run_has_two_cores(void)
{
    cpu_set_t allowed = allowed_cpus();

    return CPU_COUNT(&allowed) >= 2;
}

static void *device_main(void *priv)
{
    struct device_thread *device = priv;

    pin(device->cpu);
    while (!__atomic_load_n(&device->stop, __ATOMIC_ACQUIRE))
        device->run->peer->poll(device->run->ctx);
    return NULL;
}

/* Keeps the queue filled, in posts of the scenario's size, until @requests were answered. */
static void drive(struct run *run, unsigned requests)
{
    unsigned post = run->scenario->post, room = run->scenario->depth, posted = 0, answered = 0;

    while (answered < requests) {
        unsigned n;

        while (room >= post && posted < requests) {
            guest_post(&run->guest, post);
            room -= post;
            posted += post;
        }
        n = guest_reap(&run->guest);
        room += n;
        answered += n;
        if (run->guest.fault[0])
            run_fail(run);
    }
}

struct round run_round_threads(struct run *run)
{
    unsigned requests = ROUND_REQUESTS + ROUND_REQUESTS_MORE * run->scenario->depth;
    cpu_set_t allowed = allowed_cpus();
    struct device_thread device = {.run = run, .cpu = nth_cpu(&allowed, 1)};
    uint64_t ns;
    double each;

    requests -= requests % run->scenario->post;
    pin(nth_cpu(&allowed, 0));
    if (pthread_create(&device.thread, NULL, device_main, &device))
        errx(1, "the device's thread cannot be created");
    drive(run, requests / 8 / run->scenario->post * run->scenario->post); /* both are awake */
    ns = clock_ns();
    drive(run, requests);
    each = (double)(clock_ns() - ns) / requests;
    __atomic_store_n(&device.stop, true, __ATOMIC_RELEASE);
    pthread_join(device.thread, NULL);
    if (sched_setaffinity(0, sizeof(allowed), &allowed))
        err(1, "unbinding a thread");
    return (struct round){.device = each, .loop = each};
}
