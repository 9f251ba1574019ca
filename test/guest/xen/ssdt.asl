// SPDX-License-Identifier: Apache-2.0
//
// Tells an HVM guest of a virtio-mmio device. Where it stands, dom0_x86_64 tells the back end.
DefinitionBlock ("", "SSDT", 2, "ANYHV", "VIRTIO", 1)
{
    Scope (\_SB)
    {
        Device (VIO0)
        {
            Name (_HID, "LNRO0005")
            Name (_UID, Zero)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xFEB00000, 0x200)
                Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) { 7 }
            })
        }
    }
}
