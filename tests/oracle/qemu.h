/* SPDX-License-Identifier: MIT */
/*
 * A QEMU as a child: its qtest socket, its gdbstub, its QMP monitor and its log.
 * The child dies with us.
 */
#ifndef TESTS_ORACLE_QEMU_H
#define TESTS_ORACLE_QEMU_H

#include <stdio.h>
#include <sys/types.h>

#include "tests/oracle/oracle.h"

#define QEMU_QTEST 1u
#define QEMU_GDB   2u
#define QEMU_QMP   4u

/* A socket, with what was read of it ahead and what is still to be sent. */
struct stream {
	int fd;
	char *in, *out;
	size_t in_at, in_end, in_room;
	size_t out_end, out_room;
};

struct qemu {
	pid_t pid;
	struct stream qtest, gdb, qmp;
	struct stream log; /* what -D and -trace write: a file, read at log_at */
	uint64_t log_at;   /* bytes of it that were read */
	int said_fd;       /* what it writes to stderr, told when it ends */
	size_t qtest_owed; /* replies to be read */
};

/*
 * Start it with no display and no default devices; @arguments, up to a NULL, are
 * added: the machine, -S if no CPU shall run. The RAM file is there as the object
 * "ram0" of the peer's ram_bytes, and -m says as much: -machine needs
 * memory-backend=ram0.
 */
void qemu_start(struct qemu *qemu, const struct peer *peer, unsigned int sockets,
		const char *const *arguments);
void qemu_stop(struct qemu *qemu);

/*
 * What QEMU's versions differ in. Whether the peer's lists @word when it is run with the
 * options @help, such as "-device edu,help".
 */
bool qemu_lists(const struct peer *peer, const char *help, const char *word);
/* The items of -d that log accesses to nothing. */
const char *qemu_log_items(const struct peer *peer);

/*
 * qtest commands are queued; qtest_sync() sends them and reads the replies. The
 * queue is worked off by itself when it becomes long. qtest_read() implies a sync.
 */
void qtest_command(struct qemu *qemu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void qtest_write32(struct qemu *qemu, uint64_t paddr, uint32_t value);
void qtest_write64(struct qemu *qemu, uint64_t paddr, uint64_t value);
/* @bytes (at most 64) of little-endian memory or registers, low addresses first. */
void qtest_write(struct qemu *qemu, uint64_t paddr, const void *from, size_t bytes);
uint64_t qtest_read(struct qemu *qemu, uint64_t paddr, unsigned int bytes);
void qtest_out32(struct qemu *qemu, unsigned int port, uint32_t value);
void qtest_sync(struct qemu *qemu);

/* The next line of the log, without its end, or NULL; valid until the next call. */
char *qemu_log_line(struct qemu *qemu);

/* One packet to the gdbstub, and its answer; valid until the next call. */
const char *gdb_command(struct qemu *qemu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Commands of the human monitor are queued too. Each monitor_answer() is what the
 * next of them printed, to be freed.
 */
void monitor_command(struct qemu *qemu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
char *monitor_answer(struct qemu *qemu);

#endif
