# SPDX-License-Identifier: Apache-2.0
#
# What the User-Mode Linux guest has beyond `make ARCH=um allnoconfig`; all the rest is off, so that
# it builds and boots fast. uml.sh builds it, and refuses a line here that Kconfig does not honour.

# --- a guest that runs our initramfs ---
CONFIG_64BIT=y
CONFIG_EXPERT=y
CONFIG_PRINTK=y
CONFIG_HIGH_RES_TIMERS=y
CONFIG_INIT_STACK_NONE=y
CONFIG_BLK_DEV_INITRD=y
CONFIG_BINFMT_ELF=y
CONFIG_BINFMT_SCRIPT=y
CONFIG_MULTIUSER=y
CONFIG_FUTEX=y
CONFIG_EPOLL=y
CONFIG_EVENTFD=y
CONFIG_SIGNALFD=y
CONFIG_TIMERFD=y
CONFIG_POSIX_TIMERS=y
CONFIG_SHMEM=y
CONFIG_ADVISE_SYSCALLS=y
CONFIG_AIO=y
CONFIG_TTY=y
CONFIG_UNIX98_PTYS=y
CONFIG_STDERR_CONSOLE=y
CONFIG_NULL_CHAN=y
CONFIG_PROC_FS=y
CONFIG_PROC_SYSCTL=y
CONFIG_SYSFS=y
CONFIG_DEVTMPFS=y
CONFIG_TMPFS=y
CONFIG_DEBUG_FS=y
CONFIG_HOSTFS=y
CONFIG_MODULES=y
CONFIG_MODULE_UNLOAD=y
CONFIG_KALLSYMS=y
CONFIG_UML_TIME_TRAVEL_SUPPORT=y

# An interrupt that comes while the kernel is about to sleep waits for the next one (os_idle_sleep of
# Linux 6.1 and arch_cpu_idle do not exclude it). A periodic tick makes that 10 ms at most: without,
# a device seems to hang for up to a second now and then.
CONFIG_HZ_PERIODIC=y

# --- VIRTIO over vhost-user, and a device tree for what hangs on it ---
CONFIG_VIRTIO_MENU=y
CONFIG_VIRTIO_UML=y
CONFIG_OF=y
CONFIG_COMPILE_TEST=y

# --- rng ---
CONFIG_HW_RANDOM=y
CONFIG_HW_RANDOM_VIRTIO=y

# --- blk ---
CONFIG_BLOCK=y
CONFIG_BLK_DEV=y
CONFIG_VIRTIO_BLK=y
CONFIG_EXT2_FS=y
CONFIG_EXT4_FS=y

# --- i2c; chips on its bus that are declared by hand (new_device) or by a device tree ---
CONFIG_I2C=y
CONFIG_I2C_CHARDEV=y
CONFIG_I2C_VIRTIO=y
CONFIG_EEPROM_AT24=y
CONFIG_HWMON=y
CONFIG_SENSORS_LM75=y

# --- gpio; keys and lights on its lines ---
CONFIG_GPIOLIB=y
CONFIG_GPIO_CDEV=y
CONFIG_GPIO_CDEV_V1=y
CONFIG_GPIO_SYSFS=y
CONFIG_GPIO_VIRTIO=y
CONFIG_INPUT=y
CONFIG_INPUT_EVDEV=y
CONFIG_INPUT_KEYBOARD=y
CONFIG_KEYBOARD_GPIO=y
CONFIG_NEW_LEDS=y
CONFIG_LEDS_CLASS=y
CONFIG_LEDS_GPIO=y
CONFIG_LEDS_TRIGGERS=y
CONFIG_LEDS_TRIGGER_TIMER=y

# --- scmi, the drivers of its protocols, and what those drive ---
CONFIG_ARM_SCMI_PROTOCOL=y
CONFIG_ARM_SCMI_TRANSPORT_VIRTIO=y
CONFIG_COMMON_CLK=y
CONFIG_COMMON_CLK_SCMI=y
CONFIG_SENSORS_ARM_SCMI=y
CONFIG_THERMAL=y
CONFIG_THERMAL_OF=y
CONFIG_IIO=y
CONFIG_IIO_SCMI=y
CONFIG_REGULATOR=y
CONFIG_REGULATOR_ARM_SCMI=y
CONFIG_REGULATOR_VIRTUAL_CONSUMER=y
CONFIG_RESET_CONTROLLER=y
CONFIG_RESET_SCMI=y
CONFIG_PM=y
CONFIG_ARM_SCMI_POWER_DOMAIN=y
CONFIG_ARM_SCMI_POWER_CONTROL=y

# --- this kernel as the host of back ends that run in it: sockets, and hardware that is not there.
# i2c-stub speaks SMBus only; a bus of two GPIO lines takes plain messages, too (and nothing answers).
# I2C_SLAVE is not here: no bus that this kernel can have would let it be one. Modules get their
# hardware as parameters ---
CONFIG_NET=y
CONFIG_UNIX=y
CONFIG_I2C_STUB=m
CONFIG_I2C_GPIO=y
CONFIG_CONFIGFS_FS=y
CONFIG_GPIO_SIM=y
CONFIG_GPIO_MOCKUP=m
CONFIG_IIO_SW_DEVICE=y
CONFIG_IIO_SIMPLE_DUMMY=y
