/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a guest is saved and loaded: what it asked for, and the events that wait for it. All in
 * words of 32 bits, little endian, so many as the shape of its agent asks for. Freestanding.
 */
#include "scmi_protocol.h"

#define STATE_VERSION 1u

void anyhv_scmi_state_word(struct scmi_state *state, uint32_t *word, uint32_t max)
{
    bool fits = state->at + 4 <= state->size;

    if (state->from && fits)
        *word = scmi_get_word(state->from + state->at);
    if (state->from && (!fits || *word > max))
        state->bad = true;
    if (state->to && fits)
        scmi_put_word(state->to + state->at, *word);
    state->at += 4;
}

void anyhv_scmi_state_flag(struct scmi_state *state, bool *flag)
{
    uint32_t word = *flag;

    anyhv_scmi_state_word(state, &word, 1);
    *flag = word;
}

void anyhv_scmi_state_word64(struct scmi_state *state, uint64_t *word)
{
    uint32_t low = (uint32_t)*word, high = (uint32_t)(*word >> 32);

    anyhv_scmi_state_word(state, &low, UINT32_MAX);
    anyhv_scmi_state_word(state, &high, UINT32_MAX);
    *word = low | (uint64_t)high << 32;
}

/* A successor has to have the same. */
static void same(struct scmi_state *state, uint32_t mine)
{
    uint32_t word = mine;

    anyhv_scmi_state_word(state, &word, UINT32_MAX);
    state->bad |= word != mine;
}

/* What it may not do any more stays so, whatever this platform has denied it in the meantime. */
static void permissions(struct scmi_state *state, struct anyhv_scmi_agent *agent)
{
    const struct anyhv_scmi_platform *platform = agent->platform;

    same(state, platform->ndevices);
    for (unsigned i = 0; i < platform->ndevices; i++) {
        uint32_t denied = agent->denied[i];

        same(state, platform->device[i]);
        anyhv_scmi_state_word(state, &denied, UINT16_MAX);
        if (state->load)
            agent->denied[i] |= (uint16_t)denied;
    }
}

static void resources(struct scmi_state *state, struct anyhv_scmi_agent *agent)
{
    bool errors = agent->notify_errors;

    anyhv_scmi_state_flag(state, &errors);
    if (state->load)
        agent->notify_errors = errors;
    for (const struct scmi_protocol *const *p = anyhv_scmi_table; *p; p++) {
        unsigned n = (*p)->count ? (*p)->count(agent) : 0;

        same(state, (*p)->id);
        same(state, n);
        for (uint32_t i = 0; i < n; i++)
            (*p)->state(state, agent, i);
    }
}

/* Only what is complete: what is in work has been brought to its end. */
static void events(struct scmi_state *state, struct anyhv_scmi_event *event, unsigned n)
{
    for (; n--; event++) {
        struct anyhv_scmi_event copy = *event;
        uint32_t len = copy.len;
        bool waits = copy.state == ANYHV_SCMI_EVENT_READY;

        anyhv_scmi_state_flag(state, &waits);
        anyhv_scmi_state_word(state, &copy.order, UINT32_MAX);
        anyhv_scmi_state_word(state, &copy.header, UINT32_MAX);
        anyhv_scmi_state_word(state, &len, sizeof(copy.data));
        for (unsigned i = 0; i < sizeof(copy.data); i += 4) {
            uint32_t word = scmi_get_word(copy.data + i);

            anyhv_scmi_state_word(state, &word, UINT32_MAX);
            scmi_put_word(copy.data + i, word);
        }
        copy.len = (uint8_t)len;
        copy.state = waits ? ANYHV_SCMI_EVENT_READY : ANYHV_SCMI_EVENT_FREE;
        if (state->load)
            *event = copy;
    }
}

static void walk(struct scmi_state *state, struct anyhv_scmi *scmi)
{
    uint32_t order = scmi->order;

    state->at = 0;
    same(state, STATE_VERSION);
    permissions(state, scmi->agent);
    resources(state, scmi->agent);
    anyhv_scmi_state_word(state, &order, UINT32_MAX);
    if (state->load)
        scmi->order = order;
    events(state, scmi->delayed, ANYHV_SCMI_DELAYED);
    events(state, scmi->notice, ANYHV_SCMI_NOTICES);
}

size_t anyhv_scmi_save(struct anyhv_dev *dev, void *buf, size_t cap)
{
    struct anyhv_scmi *scmi = anyhv_dev_priv(dev);
    struct scmi_state state = {.to = buf, .size = cap};

    anyhv_scmi_finish_due(scmi, ANYHV_SCMI_NEVER);
    walk(&state, scmi);
    return state.at;
}

int anyhv_scmi_load(struct anyhv_dev *dev, const void *buf, size_t len)
{
    struct scmi_state state = {.from = buf, .size = len};

    if (len < 4 || scmi_get_word(buf) != STATE_VERSION)
        return ANYHV_E_VERSION;
    walk(&state, anyhv_dev_priv(dev));
    if (state.bad || state.at != len)
        return ANYHV_E_INVAL;
    state.load = true;
    walk(&state, anyhv_dev_priv(dev));
    return ANYHV_OK;
}
