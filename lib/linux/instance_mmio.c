/* SPDX-License-Identifier: Apache-2.0 */
/* One guest's device behind registers, with what a predecessor left or without. */
#include <anyhv/hv.h>
#include <anyhv/transport/mmio.h>

static int attach(struct anyhv_instance *instance, struct anyhv_server *server,
                  struct anyhv_mmio *mmio, const struct anyhv_mmio_ops *ops, void *priv,
                  const struct anyhv_attach *wanted, bool platform)
{
    struct anyhv_attach how = {0};
    int rc;

    *mmio = (struct anyhv_mmio){.vendor = mmio->vendor};
    rc = anyhv_instance_create(instance, server, &mmio->dev, &how);
    if (rc)
        return rc;
    how.mem = wanted->mem;
    how.withhold |= wanted->withhold;
    if (wanted->state) {
        how.state = wanted->state;
        how.state_size = wanted->state_size;
    }
    how.journal = wanted->journal;
    how.journal_size = wanted->journal_size;
    how.resume = wanted->resume;
    rc = anyhv_mmio_attach(mmio, ops, priv, &how, platform);
    if (rc)
        anyhv_instance_destroy(instance);
    return rc;
}

int anyhv_instance_attach(struct anyhv_instance *instance, struct anyhv_server *server,
                          struct anyhv_mmio *mmio, const struct anyhv_mmio_ops *ops, void *priv,
                          struct anyhv_attach *how, bool platform, int *refused)
{
    int rc = attach(instance, server, mmio, ops, priv, how, platform);

    *refused = ANYHV_OK;
    if (!rc || !how->resume)
        return rc;
    how->resume = false;
    if (rc == ANYHV_E_NORES) /* ours to lack: the state stays as it is */
        return rc;
    *refused = rc;
    return attach(instance, server, mmio, ops, priv, how, platform);
}
