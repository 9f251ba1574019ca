// SPDX-License-Identifier: Apache-2.0
//
// Tells an HVM guest of a virtio-mmio device. Where it stands, dom0_x86_64 tells the back end. An edge: of an
// ISA interrupt Xen tells a Linux guest its rise alone, and if it were said to be a level Linux would
// forget a rise that comes before the end of its handler.
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
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 7 }
            })
        }
    }
}
