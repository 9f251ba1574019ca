/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest program that serves a device: the class names the model, and every field that this
 * device does not need (options, a host object, state per guest) stays empty. The model is in
 * invert.c; docs/writing-a-device.md explains both.
 *
 *   build/dev/bin/anyhv-invert-loopback --out 64 --in 64 --requests 1000 --output /tmp/answers
 *   build/dev/bin/anyhv-invert-vhost-user --socket-path=/tmp/invert.sock
 */
#include "invert.h"
#include <anyhv/hv.h>

static const struct anyhv_class invert_class = {.ops = &invert_ops};

int main(int argc, char **argv)
{
    return anyhv_main(argc, argv, &invert_class, &ANYHV_HV);
}
