/* Takes from this process whatever reading a file does not need, before the first byte of it is read. */
#ifndef EXTRACT_SANDBOX_H
#define EXTRACT_SANDBOX_H

#include <stddef.h>

struct sandbox_options {
    size_t memory_bytes; /* of address space; 0: no bound */
    unsigned cpu_seconds;
    const char *data_dir; /* the one folder that may be read (character maps of poppler); NULL: none */
};

/* From now on: no new privileges, no descriptors but 0, 1 and 2, no file can be written or made, none be opened but below
 * data_dir (and none at all where the kernel has no Landlock), no socket, process, thread, signal to others; memory and
 * processor time are bounded. What is forbidden fails with EPERM; starting programs or processes, sockets and debugging end
 * the process (SIGSYS). 0, or -1 with errno: then nothing may be read. Cannot be undone. */
int sandbox_enter(const struct sandbox_options *options);

#endif
