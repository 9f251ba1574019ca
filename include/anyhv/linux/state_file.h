/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that outlives the process: one device's state block and journal, and a note of the
 * module's own, mapped. A process that is killed leaves it as it was at that instant, and its
 * successor goes on from there (`resume` of struct anyhv_attach).
 *
 * A folder on a tmpfs is the right place: what is in there is worth nothing after the machine was
 * restarted, and nothing waits for a disk.
 */
#ifndef ANYHV_LINUX_STATE_FILE_H
#define ANYHV_LINUX_STATE_FILE_H

#include <anyhv/control.h>
#include <anyhv/linux/fdmem.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANYHV_STATE_FILE_OWNER 128 /* bytes of an owner's name, with its end */

/* Caller's storage, zeroed; in place until close or remove. */
struct anyhv_state_file {
    void *note;  /* zeroes in a fresh file */
    void *area;  /* of the device, for anyhv_keep_use; NULL without one */
    bool resume; /* what is there is a predecessor's */
    /* private */
    const struct anyhv_device_ops *ops;
    struct anyhv_fdmem map;
    char *path; /* NULL: not open */
    int fd;
};

/*
 * Opens the file @path, or makes it, with @note_size bytes for the caller and the areas that the
 * device @ops needs (NULL: none). @owner names the peer whose state it is: what a file says of
 * another peer is wiped. One process at a time.
 *
 * ANYHV_E_STATE: another process has it; ANYHV_E_VERSION: it is @owner's, but of another shape, so
 * another build or device wrote it; ANYHV_E_INVAL: what is there is no state file and stays as it
 * is, or @owner is too long;
 * ANYHV_E_IO (errno).
 */
int anyhv_state_file_open(struct anyhv_state_file *file, const char *path, const char *owner,
                          size_t note_size, const struct anyhv_device_ops *ops);

/* What @result of it means, for a message; with ANYHV_E_IO right after the call. */
const char *anyhv_state_file_error(int result);

/* anyhv_keep_use with the file's area: it has to have one. */
void anyhv_state_file_use(const struct anyhv_state_file *file, struct anyhv_attach *how);

/* Leaves it to a successor. After detach. Both do nothing for a zeroed struct. */
void anyhv_state_file_close(struct anyhv_state_file *file);
/* The peer is gone, and so is the file. */
void anyhv_state_file_remove(struct anyhv_state_file *file);

#ifdef __cplusplus
}
#endif
#endif
