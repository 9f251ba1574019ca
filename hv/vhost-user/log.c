/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dirty log: while the front end copies guest memory to another machine, it wants to know what
 * the device writes. A bit per page of 4096 bytes, in a file that the front end reads and clears
 * meanwhile. So a bit is set by one atomic operation, and after the data is there: whoever clears
 * the bit and copies the page then has the data, or finds the bit set again.
 *
 * Everything is noted by its guest address; only the device area of a ring (split: the used ring)
 * is noted where the front end says, if it says so. Descriptors of a packed ring are guest memory.
 */
#include "vu.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PAGE_SHIFT 12u /* whatever the machine's pages are */

/* ---- bits ---- */

/* False: the log has no bit for all of it, and nothing was noted. */
static bool set_bits(struct vu_log *log, uint64_t addr, uint64_t len)
{
    uint64_t last = addr + (len - 1), page = addr >> PAGE_SHIFT;

    if (last < addr || last >> PAGE_SHIFT >> 3 >= log->map.size)
        return false;
    last >>= PAGE_SHIFT;
    while (page <= last) {
        uint64_t byte = page >> 3;
        unsigned from = page & 7, to = byte == last >> 3 ? last & 7 : 7;

        __atomic_fetch_or(&log->map.host[byte], (uint8_t)((2u << to) - (1u << from)),
                          __ATOMIC_RELEASE);
        page = (byte + 1) << 3;
    }
    return true;
}

/* A page that is not copied is lost on the other machine: better to end it here. */
static void note(struct vu_connection *c, uint64_t addr, uint64_t len)
{
    struct vu_log *log = &c->log;

    if (!log->failed && !set_bits(log, addr, len)) {
        anyhv_log(ANYHV_LOG_WARNING, "vu.log",
                  "0x%" PRIx64 " bytes were written at 0x%" PRIx64 ", for which a log of 0x%" PRIx64
                  " bytes has no bits",
                  len, addr, log->map.size);
        log->failed = true;
    }
    if (log->signal.fd >= 0)
        anyhv_task_ready(c->module->server->loop, &log->poke);
}

static uint64_t device_area_size(const struct vu_ring *r)
{
    return vu_rings_packed(r->connection) ? 4 : 6 + 8 * (uint64_t)r->setup.size;
}

static void dirty(struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    struct vu_connection *c = mem->priv;

    for (unsigned i = 0; i < c->nrings; i++) {
        const struct vu_ring *r = &c->rings[i];
        uint64_t off = addr - r->setup.device;

        if (!anyhv_ctl_queue_started(&c->dev, i) || off >= device_area_size(r))
            continue;
        if (!r->log.on)
            return;
        addr = r->log.addr + off;
        break;
    }
    note(c, addr, len);
}

const struct anyhv_mem_ops vu_mem_ops = {.dirty = dirty};

/* ---- the life of the log ---- */

void vu_log_update(struct vu_connection *c)
{
    anyhv_mem_track(&c->mem, (c->features & VU_F_LOG_ALL) && c->log.map.host);
}

static bool poke(struct anyhv_task *task)
{
    struct vu_connection *c = task->priv;

    if (c->log.signal.fd >= 0 && vu_signal_send(&c->log.signal) < 0)
        vu_signal_set(&c->log.signal, -1);
    return false;
}

void vu_log_init(struct vu_connection *c)
{
    c->log = (struct vu_log){.signal.fd = -1, .poke = {.run = poke, .priv = c}};
    vu_log_update(c);
}

void vu_log_drop(struct vu_connection *c)
{
    anyhv_task_cancel(&c->log.poke);
    vu_signal_set(&c->log.signal, -1);
    anyhv_fdmem_unmap(&c->log.map);
    vu_log_update(c);
}

bool vu_log_failed(const struct vu_connection *c)
{
    if (anyhv_fdmem_lost(&c->log.map))
        anyhv_log(ANYHV_LOG_WARNING, "vu.memory", "the file behind the dirty log has shrunk");
    return c->log.failed || anyhv_fdmem_lost(&c->log.map);
}

/* ---- messages ---- */

/* Front ends do not read what the answer says: a log that cannot be had ends the connection. */
enum vu_verdict vu_set_log_base(struct vu_connection *c, struct vu_message *m)
{
    const struct vu_log_base *base = &m->payload.log;
    int rc;

    anyhv_fdmem_unmap(&c->log.map); /* nothing is written between here and the new one */
    rc = anyhv_fdmem_map(&c->log.map, m->fds[0], base->offset, base->size, false);
    vu_log_update(c);
    if (rc == ANYHV_E_INVAL)
        return vu_refused(m, "size 0x%" PRIx64 " at offset 0x%" PRIx64 " is not in the file",
                          base->size, base->offset);
    if (rc != ANYHV_OK)
        return vu_refused(m, "the file cannot be mapped: %s", strerror(errno));
    return vu_reply_u64(c, 0);
}

enum vu_verdict vu_set_log_fd(struct vu_connection *c, struct vu_message *m)
{
    if (vu_event_check(m->fds[0]) < 0)
        return vu_refused(m, "fd is no eventfd, pipe or socket pair");
    vu_signal_set(&c->log.signal, vu_take_fd(m, 0));
    return VU_DONE;
}
