/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCMI platform on Linux: described by a file, simulated or with sensors of this machine, and
 * the class that programs serve. devices/scmi/README.md describes the file.
 */
#ifndef ANYHV_DEVICES_SCMI_HOST_H
#define ANYHV_DEVICES_SCMI_HOST_H

#include <anyhv/devices/scmi.h>
#include <anyhv/hv.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Serves guests as agents of a platform file: the only one it has, the one that --agent names, or
 * with --agents-by-arrival each as the first that no other guest is.
 */
extern const struct anyhv_class anyhv_scmi_class;

struct anyhv_scmi_board;

#define ANYHV_SCMI_WHY 320

/*
 * Reads a platform from @stream. Nothing runs yet. NULL: @why says what is wrong, beginning with
 * the line's number: "7: [clock cpu] rate: ...".
 */
struct anyhv_scmi_board *anyhv_scmi_board_read(FILE *stream, char why[ANYHV_SCMI_WHY]);

/* Lets it run on @loop. Says itself what is wrong. 0 or a negative result. */
int anyhv_scmi_board_start(struct anyhv_scmi_board *board, struct anyhv_loop *loop);

/* No guest uses it any more. */
void anyhv_scmi_board_free(struct anyhv_scmi_board *board);

struct anyhv_scmi_platform *anyhv_scmi_board_platform(struct anyhv_scmi_board *board);

#ifdef __cplusplus
}
#endif
#endif
