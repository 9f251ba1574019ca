/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What listens at a socket? Asked as a VMM asks, through the registers; without KVM and a guest.
 * Where a VMM has its vCPU's exits, anyhv_vmm_mmio gets what struct kvm_run says.
 */
#include <anyhv/vmm.h>
#include <stdio.h>
#include <string.h>

#define BASE 0xd0000000u

static uint32_t reg(struct anyhv_vmm *vmm, uint32_t off)
{
    uint32_t value = 0;

    anyhv_vmm_mmio(vmm, BASE + off, &value, sizeof(value), false);
    return value;
}

static int look(const char *path)
{
    struct anyhv_vmm_options options;
    struct anyhv_vmm *vmm;
    int rc;

    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.path = path;
    options.vm = -1;
    options.base = BASE;
    rc = anyhv_vmm_open(&vmm, &options);
    if (rc)
        return rc;
    rc = anyhv_vmm_start(vmm);
    if (!rc)
        printf("device %u, queues %u, magic 0x%08x\n", reg(vmm, 8), anyhv_vmm_queues(vmm),
               reg(vmm, 0));
    anyhv_vmm_close(vmm);
    return rc;
}

int main(int argc, char **argv)
{
    int rc;

    if (argc != 2) {
        fprintf(stderr, "usage: %s SOCKET\n", argv[0]);
        return 2;
    }
    rc = look(argv[1]);
    if (rc)
        fprintf(stderr, "%s: %s\n", argv[1], strerror(-rc));
    return rc ? 1 : 0;
}
