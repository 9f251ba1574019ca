/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I2C adapter's program with a guest of the command line's: anyhv_i2c_transfer OPTION...
 * GROUP...
 *
 *   anyhv_i2c_transfer --device=/dev/i2c-1:0x50 w50=10a5 w50=10,r50=1
 *
 * Each GROUP is sent when the one before has its answer: messages joined by FAIL_NEXT, written as
 * wADDRESS=BYTES or rADDRESS=LENGTH, address and bytes in hexadecimal. For each there is a line,
 * and in it for each message what was read, "ok", or "error".
 */
#include <anyhv/devices/i2c_host.h>
#include <anyhv/hv.h>
#include <anyhv/linux/log.h>
#include <anyhv/loopback.h>
#include <driver/driver.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BASE UINT64_C(0x40000000)
#define RAM_SIZE 65536u
#define RING     64u
#define MESSAGES 8u
#define BYTES    64u
#define HEADER   8u /* VIRTIO 1.4, 5.20.6: address, padding, flags */
#define STATUS   1u

enum {
    FAIL_NEXT = 1,
    M_RD = 2,
    ZERO_LENGTH_REQUEST = 0,
};

struct message {
    uint16_t addr;
    bool read;
    uint32_t len;
    uint8_t byte[BYTES];
};

struct options {
    char **group;
    unsigned groups;
};

struct guest {
    struct anyhv_server *server;
    const struct options *options;
    struct anyhv_instance instance;
    struct anyhv_loopback lb;
    bool attached;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot slots[RING];
    uint64_t buffers; /* what of the memory is not the ring's begins here */
    struct anyhv_task task;
    unsigned group; /* the one that is out */
    struct message message[MESSAGES];
    uint64_t in[MESSAGES]; /* guest addresses of their writable parts */
    unsigned messages, answered;
    _Alignas(4096) uint8_t ram[RAM_SIZE];
};

/* ---- the command line ---- */

static bool parse_bytes(const char *text, struct message *m)
{
    char digits[3] = "", *end = digits + 2;

    for (; *text; text += 2) {
        if (m->len == BYTES || !text[1])
            return false;
        memcpy(digits, text, 2);
        m->byte[m->len++] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2)
            return false;
    }
    return true;
}

static bool parse_message(const char *text, struct message *m)
{
    char *end;

    *m = (struct message){.read = *text == 'r'};
    if (*text != 'r' && *text != 'w')
        return false;
    m->addr = (uint16_t)strtoul(text + 1, &end, 16);
    if (end == text + 1 || *end != '=')
        return false;
    if (!m->read)
        return parse_bytes(end + 1, m);
    m->len = (uint32_t)strtoul(end + 1, &end, 10);
    return !*end && m->len <= BYTES;
}

/* How many messages there are in @text; 0: it makes no sense. */
static unsigned parse_group(const char *text, struct message *message)
{
    char *list = strdup(text), *rest = list, *word;
    unsigned n = 0;

    while (list && (word = strsep(&rest, ","))) {
        if (n == MESSAGES || !parse_message(word, &message[n])) {
            n = 0;
            break;
        }
        n++;
    }
    free(list);
    return n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    struct message message[MESSAGES];

    switch (key) {
    case ARGP_KEY_ARG:
        if (!parse_group(arg, message))
            argp_error(state, "'%s' is not [wADDRESS=BYTES | rADDRESS=LENGTH],...", arg);
        if (!o->group)
            o->group = &state->argv[state->next - 1];
        o->groups++;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which transfers?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {.parser = parse, .args_doc = "GROUP..."};

/* ---- the driver ---- */

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void add(struct guest *guest, unsigned i)
{
    const struct message *m = &guest->message[i];
    uint32_t data_out = m->read ? 0 : m->len, data_in = m->read ? m->len : 0;
    uint64_t header = drv_alloc(&guest->mem, HEADER + data_out, 4);
    struct drv_buf out = {header, HEADER + data_out}, in = {0, data_in + STATUS};
    struct drv_chain chain = {
        .out = &out, .in = &in, .nout = 1, .nin = 1, .direct = DRV_DIRECT, .token = i};

    guest->in[i] = in.addr = drv_alloc(&guest->mem, in.len, 1);
    drv_poke16(&guest->mem, header, (uint16_t)(m->addr << 1));
    drv_poke32(&guest->mem, header + 4,
               (m->read ? M_RD : 0u) | (i + 1 < guest->messages ? FAIL_NEXT : 0u));
    for (uint32_t k = 0; k < data_out; k++)
        drv_poke8(&guest->mem, header + HEADER + k, m->byte[k]);
    drv_ring_add(&guest->ring, &chain);
}

/* The next group; false: there is none. */
static bool send(struct guest *guest)
{
    if (guest->group == guest->options->groups)
        return false;
    guest->messages = parse_group(guest->options->group[guest->group], guest->message);
    guest->answered = 0;
    guest->mem.used = guest->buffers;
    for (unsigned i = 0; i < guest->messages; i++)
        add(guest, i);
    drv_submit(&guest->mmio.transport, 0, &guest->ring);
    return true;
}

static void print_answer(const struct guest *guest, unsigned i)
{
    const struct message *m = &guest->message[i];
    uint32_t data = m->read ? m->len : 0;

    if (i)
        putchar(' ');
    if (drv_peek8(&guest->mem, guest->in[i] + data)) {
        printf("error");
        return;
    }
    if (!data)
        printf("ok");
    for (uint32_t k = 0; k < data; k++)
        printf("%02x", drv_peek8(&guest->mem, guest->in[i] + k));
}

static void collect(struct guest *guest)
{
    struct drv_used used;

    guest->mmio.transport.ops->interrupts(&guest->mmio.transport);
    while (drv_ring_get(&guest->ring, &used))
        guest->answered++;
    if (guest->answered < guest->messages)
        return;
    for (unsigned i = 0; i < guest->messages; i++)
        print_answer(guest, i);
    putchar('\n');
    fflush(stdout);
    guest->group++;
    if (!send(guest))
        anyhv_loop_stop(guest->server->loop, 0);
}

/* One slice of the device's time and one of the guest's. */
static bool step(struct anyhv_task *task)
{
    struct guest *guest = task->priv;

    anyhv_loopback_run(&guest->lb, 256);
    if (drv_ring_pending(&guest->ring))
        collect(guest);
    return guest->lb.work;
}

static void wake(struct anyhv_loopback *lb)
{
    struct guest *guest = lb->options.priv;

    anyhv_task_ready(guest->server->loop, &guest->task);
}

/* ---- the module ---- */

static int boot(struct guest *guest)
{
    struct drv_transport *t = &guest->mmio.transport;
    struct drv_ring_config config = {.size = RING, .slots = guest->slots};

    drv_mem_init(&guest->mem, guest->ram, RAM_BASE, RAM_SIZE);
    drv_mmio_init(&guest->mmio, access_register, &guest->lb);
    if (!drv_mmio_probe(&guest->mmio) || !drv_negotiate(t, DRV_F(ZERO_LENGTH_REQUEST)) ||
        !drv_ring_init(&guest->ring, &guest->mem, &config) ||
        !drv_queue_setup(t, 0, &guest->ring)) {
        anyhv_log(ANYHV_LOG_ERROR, "transfer.start", "the device did not come up");
        return ANYHV_E_INVAL;
    }
    guest->buffers = guest->mem.used;
    drv_ready(t);
    return ANYHV_OK;
}

static int start(struct anyhv_server *server)
{
    struct guest *guest = aligned_alloc(4096, (sizeof(*guest) + 4095) & ~(size_t)4095);
    struct anyhv_loopback_options machine = {
        .base = RAM_BASE, .ram_size = RAM_SIZE, .work = wake, .priv = guest};
    struct anyhv_attach attach = {0};
    int rc;

    if (!guest)
        return ANYHV_E_NORES;
    memset(guest, 0, sizeof(*guest));
    server->module = guest;
    guest->server = server;
    guest->options = server->options;
    guest->task = (struct anyhv_task){.run = step, .priv = guest};
    machine.ram = guest->ram;
    rc = anyhv_instance_create(&guest->instance, server, anyhv_loopback_dev(&guest->lb), &attach);
    if (!rc)
        rc = anyhv_loopback_attach(&guest->lb, &machine, &attach);
    guest->attached = rc == ANYHV_OK;
    if (!rc)
        rc = boot(guest);
    if (!rc)
        send(guest);
    return rc;
}

static void stop(struct anyhv_server *server)
{
    struct guest *guest = server->module;

    if (!guest)
        return;
    if (guest->attached)
        anyhv_loopback_detach(&guest->lb);
    anyhv_task_cancel(&guest->task);
    anyhv_instance_destroy(&guest->instance);
    free(guest);
    server->module = NULL;
}

static const struct anyhv_hv command_line = {
    .name = "command line",
    .args = &argp,
    .options_size = sizeof(struct options),
    .start = start,
    .stop = stop,
};

int main(int argc, char **argv)
{
    return anyhv_main(argc, argv, &anyhv_i2c_class, &command_line);
}
