/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of requests, and the handlers for negotiation, status and configuration. The rings'
 * and the memory's handlers are in ring_requests.c and memory.c.
 */
#include "vu.h"

#include <inttypes.h>
#include <string.h>

#define HANDSHAKE (ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER)

/* ---- features ---- */

/* To suspend is a word in the status byte, which only the protocol's STATUS carries. */
static uint64_t features_offer(const struct vu_connection *c)
{
    uint64_t offer = anyhv_ctl_features(&c->dev) | VU_F_OWN;

    return c->protocol & VU_P_STATUS ? offer : offer & ~ANYHV_F_SUSPEND;
}

static enum vu_verdict get_features(struct vu_connection *c, struct vu_message *m)
{
    (void)m;
    return vu_reply_u64(c, features_offer(c));
}

bool vu_negotiated(const struct vu_connection *c)
{
    if (c->protocol & VU_P_STATUS)
        return anyhv_ctl_status(&c->dev) & ANYHV_S_FEATURES_OK;
    return c->features_set;
}

static void give_features(struct vu_connection *c)
{
    anyhv_ctl_set_features(&c->dev, c->features & ~VU_F_OWN);
}

/*
 * Back to where a handshake begins, while no ring runs. The driver has not asked for it: rings that
 * are still to start find in their blocks what a predecessor left there.
 */
static void begin_again(struct vu_connection *c)
{
    vu_inflight_take(c);
    anyhv_ctl_set_status(&c->dev, 0);
    vu_inflight_give(c);
}

int vu_negotiate(struct vu_connection *c)
{
    if (c->protocol & VU_P_STATUS)
        return ANYHV_OK;
    /* A queue broke and the guest has started over, which nobody tells us in so many words. */
    if ((anyhv_ctl_status(&c->dev) & ANYHV_S_NEEDS_RESET) && !vu_rings_running(c))
        begin_again(c);
    if (anyhv_ctl_status(&c->dev) & ANYHV_S_FEATURES_OK)
        return ANYHV_OK;
    anyhv_ctl_set_status(&c->dev, HANDSHAKE);
    give_features(c);
    anyhv_ctl_set_status(&c->dev, HANDSHAKE | ANYHV_S_FEATURES_OK);
    return vu_negotiated(c) && (anyhv_ctl_status(&c->dev) & ANYHV_S_FEATURES_OK) ? ANYHV_OK
                                                                                 : ANYHV_E_INVAL;
}

static enum vu_verdict rings_verdict(struct vu_connection *c, const struct vu_message *m)
{
    int rc = vu_rings_update(c);

    if (rc == ANYHV_LATER)
        return VU_LATER;
    if (rc != ANYHV_OK)
        return vu_refused(m, "a ring cannot start: %s", anyhv_result_name(rc));
    return VU_DONE;
}

/* The features change while no ring runs: the handshake is done again, as far as it had got. */
static void renegotiate(struct vu_connection *c)
{
    uint8_t status = anyhv_ctl_status(&c->dev) & (uint8_t)~ANYHV_S_NEEDS_RESET;

    if (!(status & ANYHV_S_FEATURES_OK)) {
        give_features(c);
        return;
    }
    begin_again(c);
    if (!(c->protocol & VU_P_STATUS))
        return; /* done when a ring starts */
    anyhv_ctl_set_status(&c->dev, HANDSHAKE);
    give_features(c);
    anyhv_ctl_set_status(&c->dev, status);
}

static enum vu_verdict set_features(struct vu_connection *c, struct vu_message *m)
{
    uint64_t features = m->payload.u64, unknown = features & ~features_offer(c);
    uint64_t changed = c->features_set ? features ^ c->features : UINT64_MAX;

    if (unknown)
        return vu_refused(m, "features 0x%" PRIx64 " were not offered", unknown);
    if (!(changed & ~VU_F_LOG_ALL)) { /* sent again at any time; nothing may be disturbed */
        c->features = features;
        vu_log_update(c);
        return VU_DONE;
    }
    if (vu_rings_running(c)) {
        anyhv_ctl_set_features(&c->dev, features & ~VU_F_OWN); /* counted, no more */
        return vu_refused(m, "features 0x%" PRIx64 " while rings run with 0x%" PRIx64, features,
                          c->features);
    }
    c->features = features;
    c->features_set = true;
    vu_log_update(c);
    if (changed & ~VU_F_OWN)
        renegotiate(c);
    if (!(features & VU_F_PROTOCOL_FEATURES))
        vu_rings_enable_all(c);
    return rings_verdict(c, m);
}

/*
 * They are then no news when the front end sends them, and the device is not reset for them. If it
 * has sent others before, one of the two is wrong.
 */
int vu_features_loaded(struct vu_connection *c)
{
    uint64_t loaded = anyhv_dev_features(&c->dev);
    bool others = loaded && c->features_set && ((c->features ^ loaded) & ~VU_F_OWN);

    if (others) {
        begin_again(c);
        loaded = 0;
    }
    c->features = loaded | (c->features & VU_F_OWN);
    c->features_set = loaded;
    return others ? ANYHV_E_INVAL : vu_rings_update(c);
}

/* QEMU warns of CONFIG when it has no use for it, and a device without configuration has none. */
static uint64_t protocol_offer(const struct vu_connection *c)
{
    return c->dev.ops->config_len ? VU_PROTOCOL_OFFER : VU_PROTOCOL_OFFER & ~VU_P_CONFIG;
}

static enum vu_verdict get_protocol_features(struct vu_connection *c, struct vu_message *m)
{
    (void)m;
    return vu_reply_u64(c, protocol_offer(c));
}

static enum vu_verdict set_protocol_features(struct vu_connection *c, struct vu_message *m)
{
    uint64_t features = m->payload.u64;

    if (features & ~protocol_offer(c))
        return vu_refused(m, "protocol features 0x%" PRIx64 " were not offered",
                          features & ~protocol_offer(c));
    if (vu_rings_running(c) && features != c->protocol)
        return vu_refused(m, "protocol features 0x%" PRIx64 " while rings run with 0x%" PRIx64,
                          features, c->protocol);
    c->protocol = features;
    return VU_DONE;
}

static enum vu_verdict get_queue_num(struct vu_connection *c, struct vu_message *m)
{
    (void)m;
    return vu_reply_u64(c, c->nrings);
}

/* ---- ownership, status, reset ---- */

/* One socket, one owner. RESET_OWNER meant too many things to too many, and is left alone. */
static enum vu_verdict nothing_to_do(struct vu_connection *c, struct vu_message *m)
{
    (void)c;
    (void)m;
    return VU_DONE;
}

/* Rings stop at once, features are forgotten; memory, protocol features and channels stay. */
static void reset(struct vu_connection *c)
{
    anyhv_ctl_set_status(&c->dev, 0);
    vu_rings_reset(c);
    c->features = 0;
    c->features_set = false;
    c->config_changed = false;
    vu_log_update(c);
}

static enum vu_verdict reset_device(struct vu_connection *c, struct vu_message *m)
{
    (void)m;
    reset(c);
    return VU_DONE;
}

static enum vu_verdict set_status(struct vu_connection *c, struct vu_message *m)
{
    uint64_t status = m->payload.u64;

    if (status > UINT8_MAX)
        return vu_refused(m, "status 0x%" PRIx64 " is more than a byte", status);
    if (!status) {
        reset(c);
        return VU_DONE;
    }
    /* QEMU leaves out the first two. NEEDS_RESET is ours; it comes back from GET_STATUS. */
    status = (status | HANDSHAKE) & ~(uint64_t)ANYHV_S_NEEDS_RESET;
    anyhv_ctl_set_status(&c->dev, (uint8_t)status);
    return rings_verdict(c, m);
}

static enum vu_verdict get_status(struct vu_connection *c, struct vu_message *m)
{
    (void)m;
    return vu_reply_u64(c, anyhv_ctl_status(&c->dev));
}

/* ---- configuration ---- */

/* The size is said twice, in the header and in the payload. */
static enum vu_verdict check_config(const struct vu_message *m)
{
    const struct vu_config *config = &m->payload.config;

    if (m->header.size - VU_CONFIG_HEADER != config->size)
        return vu_malformed(m, "size %" PRIu32 " for %" PRIu32 " bytes of configuration",
                            m->header.size, config->size);
    return VU_DONE;
}

/* Is all of it inside the device's configuration space? */
static bool config_inside(const struct vu_connection *c, const struct vu_config *config)
{
    uint32_t len = c->module->server->cls->ops->config_len;

    return config->offset <= len && config->size <= len - config->offset;
}

static enum vu_verdict get_config(struct vu_connection *c, struct vu_message *m)
{
    const struct vu_config *config = &m->payload.config;
    enum vu_verdict verdict = check_config(m);
    struct vu_config reply;

    if (verdict != VU_DONE)
        return verdict;
    if (!config->size || !config_inside(c, config)) {
        vu_refused(m, "%" PRIu32 " bytes at %" PRIu32 " are outside the configuration space of %u",
                   config->size, config->offset, c->module->server->cls->ops->config_len);
        return vu_reply(c, &reply, 0); /* the protocol's way to say no */
    }
    reply =
        (struct vu_config){.offset = config->offset, .size = config->size, .flags = config->flags};
    anyhv_ctl_config_read(&c->dev, config->offset, reply.bytes, config->size);
    return vu_reply(c, &reply, VU_CONFIG_HEADER + config->size);
}

static enum vu_verdict set_config(struct vu_connection *c, struct vu_message *m)
{
    const struct vu_config *config = &m->payload.config;
    enum vu_verdict verdict = check_config(m);

    if (verdict != VU_DONE)
        return verdict;
    if (config->flags > VU_CONFIG_MIGRATION)
        return vu_refused(m, "flags 0x%" PRIx32, config->flags);
    if (!config_inside(c, config))
        return vu_refused(m, "%" PRIu32 " bytes at %" PRIu32 " are outside the space of %u",
                          config->size, config->offset, c->module->server->cls->ops->config_len);
    /* At the end of a migration all of it comes; what we have already needs no writing. */
    if (config->flags == VU_CONFIG_MIGRATION &&
        !memcmp(anyhv_config(&c->dev) + config->offset, config->bytes, config->size))
        return VU_DONE;
    if (anyhv_ctl_config_write(&c->dev, config->offset, config->bytes, config->size) != ANYHV_OK)
        return vu_refused(m, "%" PRIu32 " bytes at %" PRIu32 " are not all writable", config->size,
                          config->offset);
    return VU_DONE;
}

/* ---- the table ---- */

#define SIZE(type) sizeof(type), sizeof(type)
#define NO_FDS     0, 0

static const struct vu_request requests[VU_REQUESTS] = {
    /* name, handler, payload min and max, descriptors min and max, own answer, needs */
    [VU_GET_FEATURES] = {"GET_FEATURES", get_features, 0, 0, NO_FDS, true, 0},
    [VU_SET_FEATURES] = {"SET_FEATURES", set_features, SIZE(uint64_t), NO_FDS, false, 0},
    [VU_SET_OWNER] = {"SET_OWNER", nothing_to_do, 0, 0, NO_FDS, false, 0},
    [VU_RESET_OWNER] = {"RESET_OWNER", nothing_to_do, 0, 0, NO_FDS, false, 0},
    [VU_SET_MEM_TABLE] = {"SET_MEM_TABLE", vu_set_mem_table, VU_TABLE_HEADER,
                          sizeof(struct vu_mem_table), 0, VU_TABLE_REGIONS, false, 0},
    [VU_SET_LOG_BASE] = {"SET_LOG_BASE", vu_set_log_base, SIZE(struct vu_log_base), 1, 1, true,
                         VU_P_LOG_SHMFD},
    [VU_SET_LOG_FD] = {"SET_LOG_FD", vu_set_log_fd, 0, 0, 1, 1, false, VU_P_LOG_SHMFD},
    [VU_SET_VRING_NUM] = {"SET_VRING_NUM", vu_set_vring_num, SIZE(struct vu_vring_state), NO_FDS,
                          false, 0},
    [VU_SET_VRING_ADDR] = {"SET_VRING_ADDR", vu_set_vring_addr, SIZE(struct vu_vring_addr), NO_FDS,
                           false, 0},
    [VU_SET_VRING_BASE] = {"SET_VRING_BASE", vu_set_vring_base, SIZE(struct vu_vring_state), NO_FDS,
                           false, 0},
    [VU_GET_VRING_BASE] = {"GET_VRING_BASE", vu_get_vring_base, SIZE(struct vu_vring_state), NO_FDS,
                           true, 0},
    [VU_SET_VRING_KICK] = {"SET_VRING_KICK", vu_set_vring_kick, SIZE(uint64_t), 0, 1, false, 0},
    [VU_SET_VRING_CALL] = {"SET_VRING_CALL", vu_set_vring_call, SIZE(uint64_t), 0, 1, false, 0},
    [VU_SET_VRING_ERR] = {"SET_VRING_ERR", vu_set_vring_err, SIZE(uint64_t), 0, 1, false, 0},
    [VU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", get_protocol_features, 0, 0, NO_FDS,
                                  true, 0},
    [VU_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", set_protocol_features, SIZE(uint64_t),
                                  NO_FDS, false, 0},
    [VU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", get_queue_num, 0, 0, NO_FDS, true, VU_P_MQ},
    [VU_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", vu_set_vring_enable, SIZE(struct vu_vring_state),
                             NO_FDS, false, 0},
    [VU_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", vu_set_backend_req_fd, 0, 0, 1, 1, false,
                               VU_P_BACKEND_REQ},
    [VU_GET_CONFIG] = {"GET_CONFIG", get_config, VU_CONFIG_HEADER, sizeof(struct vu_config), NO_FDS,
                       true, VU_P_CONFIG},
    [VU_SET_CONFIG] = {"SET_CONFIG", set_config, VU_CONFIG_HEADER, sizeof(struct vu_config), NO_FDS,
                       false, VU_P_CONFIG},
    [VU_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", vu_get_inflight_fd, VU_INFLIGHT_MIN,
                            sizeof(struct vu_wire_inflight), NO_FDS, true, VU_P_INFLIGHT_SHMFD},
    [VU_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", vu_set_inflight_fd, VU_INFLIGHT_MIN,
                            sizeof(struct vu_wire_inflight), 1, 1, false, VU_P_INFLIGHT_SHMFD},
    [VU_RESET_DEVICE] = {"RESET_DEVICE", reset_device, 0, 0, NO_FDS, false, VU_P_RESET_DEVICE},
    [VU_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", vu_get_max_mem_slots, 0, 0, NO_FDS, true,
                              VU_P_CONFIGURE_MEM_SLOTS},
    [VU_ADD_MEM_REG] = {"ADD_MEM_REG", vu_add_mem_reg, SIZE(struct vu_mem_single), 1, 1, false,
                        VU_P_CONFIGURE_MEM_SLOTS},
    /* Some front ends send a descriptor with it; it means nothing. */
    [VU_REM_MEM_REG] = {"REM_MEM_REG", vu_rem_mem_reg, SIZE(struct vu_mem_single), 0, 1, false,
                        VU_P_CONFIGURE_MEM_SLOTS},
    [VU_SET_STATUS] = {"SET_STATUS", set_status, SIZE(uint64_t), NO_FDS, false, VU_P_STATUS},
    [VU_GET_STATUS] = {"GET_STATUS", get_status, 0, 0, NO_FDS, true, VU_P_STATUS},
    [VU_SET_DEVICE_STATE_FD] = {"SET_DEVICE_STATE_FD", vu_set_device_state_fd,
                                SIZE(struct vu_state_params), 1, 1, true, VU_P_DEVICE_STATE},
    [VU_CHECK_DEVICE_STATE] = {"CHECK_DEVICE_STATE", vu_check_device_state, 0, 0, NO_FDS, true,
                               VU_P_DEVICE_STATE},

    /* Known by name, and not offered. */
    [VU_SEND_RARP] = {.name = "SEND_RARP"},
    [VU_NET_SET_MTU] = {.name = "NET_SET_MTU"},
    [VU_IOTLB_MSG] = {.name = "IOTLB_MSG", .answered = true},
    [VU_SET_VRING_ENDIAN] = {.name = "SET_VRING_ENDIAN"},
    [VU_CREATE_CRYPTO_SESSION] = {.name = "CREATE_CRYPTO_SESSION", .answered = true},
    [VU_CLOSE_CRYPTO_SESSION] = {.name = "CLOSE_CRYPTO_SESSION"},
    [VU_POSTCOPY_ADVISE] = {.name = "POSTCOPY_ADVISE", .answered = true},
    [VU_POSTCOPY_LISTEN] = {.name = "POSTCOPY_LISTEN"},
    [VU_POSTCOPY_END] = {.name = "POSTCOPY_END", .answered = true},
    [VU_GPU_SET_SOCKET] = {.name = "GPU_SET_SOCKET"},
    [VU_VRING_KICK] = {.name = "VRING_KICK"},
    [VU_GET_SHARED_OBJECT] = {.name = "GET_SHARED_OBJECT", .answered = true},
    [VU_GET_SHMEM_CONFIG] = {.name = "GET_SHMEM_CONFIG", .answered = true},
};

const struct vu_request *vu_request_find(uint32_t id)
{
    return id < VU_REQUESTS && requests[id].name ? &requests[id] : NULL;
}
