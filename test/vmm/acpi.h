/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ANYHV_TEST_VMM_ACPI_H
#define ANYHV_TEST_VMM_ACPI_H

#include "vmm/machine.h"

enum {
    ACPI_TABLES = 0xe0000, /* the root pointer is their first byte */
    ACPI_TABLES_END = 0x100000,
    /* I/O ports that the tables name. */
    ACPI_RESET = 0x64,
    ACPI_PM_EVENT = 0x600,
    ACPI_PM_CONTROL = 0x604,
    ACPI_SLEEP = 0x20, /* in the second byte of the control register: powers off */
};

void acpi_write(const struct machine *m);

#endif
