# SPDX-License-Identifier: Apache-2.0
"""The suites of scripts/check, in the order in which they run: the one place to add another.

A suite is cmocka programs (`programs`: folders of test/, built with `preset`), or scripts that
print TAP (`scripts`: command lines), or both. Nothing outside this table knows a suite by name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sysroot:
    """Foreign packages, unpacked into the cache folder; `variable` tells the commands where."""

    variable: str
    release: str
    arch: str
    packages: tuple


@dataclass(frozen=True)
class Suite:
    name: str
    about: str
    budget: int  # seconds that it may take, building included, installing packages excluded
    packages: tuple  # of Debian, installed when missing
    preset: str = ""  # of CMakePresets.json, built first
    programs: tuple = ()
    without: tuple = ()  # programs that cannot run here: (name, reason), shown as skipped
    scripts: tuple = ()
    sysroots: tuple = ()
    quick: bool = False  # part of `scripts/check quick`
    proves: tuple = ()  # rows of README's second table: (hypervisor module, device, guest)


BUILD = ("cmake", "ninja-build", "gcc", "libc6-dev", "libinih-dev", "libgpiod-dev")
CMOCKA = BUILD + ("libcmocka-dev",)
BARE = BUILD + ("gcc-arm-none-eabi", "gcc-aarch64-linux-gnu")
LAYERS = ("binutils", "clang-format", "shellcheck")
XEN_HVM_BOX = ("cpio", "xz-utils", "libcmocka-dev", "libxen-dev")
XEN_BOX = ("make", "flex", "bison", "cpio", "xz-utils", "gcc-aarch64-linux-gnu")
FUZZ = ("clang-14", "libclang-rt-14-dev")
PACKAGE = BUILD + (
    "g++", "make", "pkgconf", "help2man", "man-db", "bsdextrautils", "mandoc", "dpkg-dev", "lintian"
)
UML = ("make", "flex", "bison", "bc", "xz-utils", "cpio")
CROSS_S390X = ("gcc-s390x-linux-gnu", "libc6-dev-s390x-cross", "qemu-user-static")
CROSS_AARCH64 = ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user-static")
FOREIGN = ("libcmocka0", "libcmocka-dev", "libinih1", "libinih-dev")
SYSROOT_S390X = Sysroot("ANYHV_S390X_SYSROOT", "bookworm", "s390x", FOREIGN)
SYSROOT_AARCH64 = Sysroot("ANYHV_AARCH64_SYSROOT", "bookworm", "arm64", FOREIGN)
USER_MODE_CANNOT = (  # programs that tell nothing under QEMU's user mode
    ("unit/test_fdmem", "QEMU's user mode does not pass on SIGBUS of a file that shrank"),
    ("unit/test_socket_fds", "QEMU's user mode mixes up descriptors sent over a socket"),
    ("unit/test_journal_steps", "QEMU's user mode cannot trace a process"),
)

SUITES = (
    Suite(
        "layers",
        "what may not appear where: names, threads, headers, symbols, format",
        budget=45,
        packages=CMOCKA + LAYERS,
        preset="dev",
        scripts=("test/layers/layers_test.sh",),
        quick=True,
    ),
    Suite(
        "unit",
        "core, transports, devices and lib/linux, each by itself",
        budget=30,
        packages=CMOCKA,
        preset="dev",
        programs=("unit",),
        quick=True,
    ),
    Suite(
        "conformance",
        "what the specification demands, seen from the driver's side",
        budget=30,
        packages=CMOCKA,
        preset="dev",
        programs=("conformance",),
        quick=True,
        proves=(("loopback", "test device", "test driver, in process"),),
    ),
    Suite(
        "requirements",
        "docs/conformance.md: each demand of the specification, and the test that proves it",
        budget=30,
        packages=CMOCKA,
        preset="dev",
        scripts=("test/conformance/requirements_test.sh",),
        quick=True,
    ),
    Suite(
        "hostile",
        "drivers that break the rules",
        budget=30,
        packages=CMOCKA,
        preset="dev",
        programs=("hostile",),
        quick=True,
        proves=(("loopback", "test device, rng, blk, i2c, scmi", "hostile driver, in process"),),
    ),
    Suite(
        "vhost-user",
        "the back-end program behind its socket, with good and hostile front ends",
        budget=60,
        packages=CMOCKA,
        preset="dev",
        programs=("vhost-user",),
        quick=True,
        proves=(("vhost-user", "test device, rng", "test front end, another process"),),
    ),
    Suite(
        "kvm-ioregionfd",
        "the KVM module and the VMM's library: handshake, commands, conformance, restarts",
        budget=60,
        packages=CMOCKA,
        preset="dev",
        programs=("kvm-ioregionfd",),
        quick=True,
        proves=(("kvm-ioregionfd", "test device, scmi", "test driver and kernel, in process"),),
    ),
    Suite(
        "kvm",
        "micro-guests in 16, 32 and 64-bit mode on /dev/kvm, kind and hostile; memory and device process leave",
        budget=60,
        packages=CMOCKA,
        preset="dev",
        scripts=("test/vmm/micro_test.sh build/dev/bin",),
        proves=(("kvm-ioregionfd", "rng", "test driver on /dev/kvm, 16, 32 and 64 bits"),),
    ),
    Suite(
        "configure",
        "the build itself: errors that help, presets that build, headers that stand alone",
        budget=90,
        packages=CMOCKA + ("g++", "help2man", "libxen-dev"),
        scripts=("test/configure/configure_test.sh",),
        quick=True,
    ),
    Suite(
        "package",
        "what is installed and packed: projects outside the tree build and run with it",
        budget=60,
        packages=PACKAGE,
        scripts=("test/package/package_test.sh",),
        quick=True,
    ),
    Suite(
        "asan",
        "the program suites under AddressSanitizer and UBSan",
        budget=300,
        packages=CMOCKA,
        preset="asan",
        programs=("unit", "conformance", "hostile", "vhost-user", "kvm-ioregionfd", "examples"),
    ),
    Suite(
        "fuzz",
        "what libFuzzer makes of some inputs, under sanitizers",
        budget=60,
        packages=BUILD + FUZZ,
        preset="fuzz",
        scripts=("test/fuzz/fuzz_test.sh",),
    ),
    Suite(
        "s390x",
        "big-endian: the in-process suites under QEMU's user mode",
        budget=120,
        packages=BUILD + CROSS_S390X,
        sysroots=(SYSROOT_S390X,),
        preset="s390x",
        programs=("unit", "conformance", "hostile"),
        without=USER_MODE_CANNOT,
    ),
    Suite(
        "aarch64",
        "the machine of most embedded hypervisors: the same suites under QEMU's user mode",
        budget=120,
        packages=BUILD + CROSS_AARCH64,
        sysroots=(SYSROOT_AARCH64,),
        preset="aarch64",
        programs=("unit", "conformance", "hostile"),
        without=USER_MODE_CANNOT,
    ),
    Suite(
        "freestanding",
        "core and device models without C library or OS: what they still ask for",
        budget=30,
        packages=BARE,
        scripts=("test/freestanding/freestanding_test.sh",),
    ),
    Suite(
        "examples",
        "each example by the commands in its comment: Linux, vhost-user, bare metal under QEMU",
        budget=60,
        packages=CMOCKA + BARE + ("qemu-system-arm",),
        preset="dev",
        programs=("examples",),
        scripts=("test/examples/examples_test.sh",),
        proves=(("none (bare metal)", "rng", "test driver on Cortex-M3, Cortex-M0, Armv8-A, QEMU"),),
    ),
    Suite(
        "guest-uml",
        "Linux as a plain process, itself the front end: split and packed, rebind, restart",
        budget=450,  # building its kernel, once, included; 15 without
        packages=CMOCKA + UML,
        preset="dev",
        scripts=("test/guest/uml_test.sh build/dev/bin",),
        proves=(("vhost-user", "rng, blk", "Linux, User-Mode Linux"),),
    ),
    Suite(
        "guest-uml-i2c",
        "the I2C adapter under Linux as a plain process: tools, chips, a bus that hangs; and on its buses",
        budget=450,  # building its kernel, once, included; 15 without
        packages=CMOCKA + UML + ("device-tree-compiler",),
        preset="dev",
        scripts=("test/guest/i2c_uml_test.sh build/dev/bin",),
        proves=(
            ("vhost-user", "i2c", "Linux, User-Mode Linux"),
            ("loopback", "i2c, on a kernel's i2c-stub and i2c-virtio", "test driver, in process"),
        ),
    ),
    Suite(
        "guest-uml-scmi",
        "Linux's SCMI drivers on User-Mode Linux: clocks, resets, hwmon, IIO; two guests on one platform",
        budget=450,  # as for guest-uml
        packages=CMOCKA + UML + ("device-tree-compiler",),
        preset="dev",
        scripts=("test/guest/scmi_uml_test.sh build/dev/bin",),
        proves=(("vhost-user", "scmi", "Linux, User-Mode Linux, two at a time"),),
    ),
    Suite(
        "guest-x86_64",
        "a stock Debian kernel on x86_64 uses the devices, under QEMU",
        budget=120,
        packages=CMOCKA,
        preset="dev",
        scripts=(
            "test/guest/rng/rng_check_test.sh",
            "test/guest/blk/blk_check_test.sh",
            "test/guest/qemu_test.sh x86_64 build/dev/bin",
        ),
        proves=(("vhost-user", "rng, blk", "stock Debian kernel, x86_64, QEMU"),),
    ),
    Suite(
        "guest-aarch64",
        "the same on aarch64",
        budget=120,
        packages=CMOCKA,
        preset="dev",
        scripts=("test/guest/qemu_test.sh aarch64 build/dev/bin",),
        proves=(("vhost-user", "rng, blk", "stock Debian kernel, aarch64, QEMU"),),
    ),
    Suite(
        "guest-i2c-x86_64",
        "the I2C adapter under a stock Debian kernel on x86_64, under QEMU: tools, chips, a bus that hangs",
        budget=180,
        packages=CMOCKA,
        preset="dev",
        scripts=("test/guest/i2c_qemu_test.sh x86_64 build/dev/bin",),
        proves=(("vhost-user", "i2c", "stock Debian kernel, x86_64, QEMU"),),
    ),
    Suite(
        "guest-i2c-aarch64",
        "the same on aarch64",
        budget=180,
        packages=CMOCKA,
        preset="dev",
        scripts=("test/guest/i2c_qemu_test.sh aarch64 build/dev/bin",),
        proves=(("vhost-user", "i2c", "stock Debian kernel, aarch64, QEMU"),),
    ),
    Suite(
        "guest-aarch64-scmi",
        "the SCMI drivers of a stock Debian kernel on aarch64: clocks, resets, hwmon, trip points",
        budget=240,  # fetching its kernel and building modules, once, included; 10 without
        packages=CMOCKA,
        preset="dev",
        scripts=("test/guest/scmi_qemu_test.sh build/dev/bin",),
        proves=(("vhost-user", "scmi", "stock Debian kernel, aarch64, QEMU"),),
    ),
    Suite(
        "guest-restart",
        "a back end is killed while a stock kernel writes and reads its disk; the next one goes on",
        budget=60,
        packages=CMOCKA,
        preset="dev",
        scripts=("test/guest/restart_test.sh build/dev/bin",),
        proves=(("vhost-user", "blk, its back end killed", "stock Debian kernel, x86_64, QEMU"),),
    ),
    Suite(
        "guest-kvm",
        "a stock Debian kernel under nested KVM, its devices killed and its machine reset meanwhile",
        budget=150,
        packages=CMOCKA,
        preset="dev",
        scripts=("test/vmm/nested_test.sh build/dev/bin",),
        proves=(("kvm-ioregionfd", "rng, blk, i2c", "stock Debian kernel, x86_64, nested KVM"),),
    ),
    Suite(
        "bench",
        "what a request costs: answers compared, instructions counted, against limits",
        budget=120,
        packages=BUILD + ("valgrind",),
        preset="bench",
        scripts=("bench/bench_test.sh",),
    ),
    Suite(
        "xen-unit",
        "the Xen module over a Xen in the test program: order of calls, each failure, hostile guests",
        budget=120,
        packages=CMOCKA + ("libxen-dev",),
        preset="xen",
        programs=("xen",),
        proves=(("xen", "test device, scmi", "test driver, in process, Xen's libraries replaced"),),
    ),
    Suite(
        "guest-xen-arm64",
        "a real Xen on Arm64 under QEMU: a stock kernel's driver, and what life has in store",
        budget=900,  # fetching, and building hypervisor and kernel once, included; 300 without
        packages=BUILD + XEN_BOX,
        scripts=("test/guest/xen/xen_test.sh aarch64",),
        proves=(
            ("xen", "rng, blk, i2c, scmi", "stock Debian kernel, Xen 4.20 on Arm64, QEMU"),
            ("xen", "test device", "test driver in a guest, Xen 4.20 on Arm64, QEMU"),
        ),
    ),
    Suite(
        "guest-xen-x86_64",
        "Debian's Xen on x86 under QEMU: HVM guests that find the device by an ACPI table",
        budget=900,  # on a quiet machine 400
        packages=BUILD + XEN_HVM_BOX,
        scripts=("test/guest/xen/xen_test.sh x86_64",),
        proves=(("xen", "rng", "stock Debian kernel, HVM guest of Debian's Xen 4.17 on x86, QEMU"),),
    ),
    Suite(
        "mutation",
        "every suite can fail: planted bugs turn it red",
        budget=1200,
        packages=CMOCKA + BARE + CROSS_S390X + CROSS_AARCH64 + FUZZ + LAYERS + UML + PACKAGE
        + ("qemu-system-arm", "valgrind", "libxen-dev"),
        sysroots=(SYSROOT_S390X, SYSROOT_AARCH64),
        scripts=("test/mutation/mutation_test.sh",),
    ),
)


def choose(names):
    """The suites that the words of a command line ask for, in the table's order."""
    known = {suite.name for suite in SUITES}
    unknown = [name for name in names if name not in known | {"quick"}]
    if unknown:
        raise KeyError(f"no suite '{unknown[0]}'; there are: quick, {', '.join(sorted(known))}")
    return [s for s in SUITES if not names or s.name in names or ("quick" in names and s.quick)]
