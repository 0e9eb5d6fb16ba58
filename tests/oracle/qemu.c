/* SPDX-License-Identifier: MIT */
/*
 * A QEMU as a child. Its sockets are made here and handed down as descriptors,
 * so that there are no paths to wait for or to leave behind; the log is a memfd.
 */
#include "tests/oracle/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#define MAX_ARGUMENTS 96
#define QUEUE_MOST    (64u << 10) /* bytes of qtest commands that are sent at once */
#define READ_SIZE     (256u << 10)

#define MAX_TEXTS 8
#define TEXT_SIZE 160

/* ---- streams ---- */

static struct qemu *running; /* for what is said when it does not answer */

static void reserve_in(struct stream *stream)
{
	if (stream->in_at) {
		memmove(stream->in, stream->in + stream->in_at, stream->in_end - stream->in_at);
		stream->in_end -= stream->in_at;
		stream->in_at = 0;
	}
	if (stream->in_room - stream->in_end >= READ_SIZE)
		return;
	stream->in_room = stream->in_end + 2 * READ_SIZE;
	stream->in = realloc(stream->in, stream->in_room);
	if (!stream->in)
		die("no memory for what QEMU says");
}

/* QEMU speaks of faults as of errors, so this is not worth telling while it runs. */
static void __attribute__((noreturn)) gone(void)
{
	char said[512] = "";
	int status = 0;

	if (!running)
		die("QEMU does not answer");
	kill(running->pid, SIGKILL);
	waitpid(running->pid, &status, 0);
	if (pread(running->said_fd, said, sizeof(said) - 1, 0) <= 0)
		die("QEMU ended with status %#x", (unsigned int)status);
	die("QEMU ended: %.*s", (int)strcspn(said, "\n"), said);
}

/* Wait until it can be read or written; reading goes first. */
static short wait_for(struct stream *stream, short events)
{
	struct pollfd poll_fd = {.fd = stream->fd, .events = events};
	int ret;

	do {
		ret = poll(&poll_fd, 1, -1);
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0)
		die("QEMU does not answer");
	return poll_fd.revents;
}

static void stream_read(struct stream *stream)
{
	ssize_t got;

	reserve_in(stream);
	got = read(stream->fd, stream->in + stream->in_end, READ_SIZE);
	if (got <= 0)
		gone();
	stream->in_end += (size_t)got;
}

static void stream_put(struct stream *stream, const char *text, size_t length)
{
	while (stream->out_room - stream->out_end < length) {
		stream->out_room = 2 * stream->out_room + 4096;
		stream->out = realloc(stream->out, stream->out_room);
		if (!stream->out)
			die("no memory for what QEMU is told");
	}
	memcpy(stream->out + stream->out_end, text, length);
	stream->out_end += length;
}

/* Send what is queued, and read meanwhile: who does neither blocks both. */
static void stream_flush(struct stream *stream)
{
	size_t sent = 0;

	while (sent < stream->out_end) {
		short events = wait_for(stream, POLLIN | POLLOUT);
		ssize_t wrote;

		if (events & POLLIN)
			stream_read(stream);
		if (!(events & POLLOUT))
			continue;
		wrote = send(stream->fd, stream->out + sent, stream->out_end - sent,
			     MSG_DONTWAIT | MSG_NOSIGNAL);
		if (wrote < 0 && errno != EAGAIN && errno != EINTR)
			gone();
		if (wrote > 0)
			sent += (size_t)wrote;
	}
	stream->out_end = 0;
}

/* The next line that has arrived whole, without its end, or NULL. */
static char *stream_line(struct stream *stream)
{
	char *line = stream->in + stream->in_at;
	char *end = stream->in_end > stream->in_at
			    ? memchr(line, '\n', stream->in_end - stream->in_at)
			    : NULL;

	if (!end)
		return NULL;
	stream->in_at += (size_t)(end - line) + 1;
	*end = '\0';
	if (end > line && end[-1] == '\r')
		end[-1] = '\0';
	return line;
}

static char *stream_wait_line(struct stream *stream)
{
	char *line;

	while (!(line = stream_line(stream))) {
		wait_for(stream, POLLIN);
		stream_read(stream);
	}
	return line;
}

static void stream_close(struct stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	free(stream->in);
	free(stream->out);
	*stream = (struct stream){.fd = -1};
}

/* ---- start and stop ---- */

struct command_line {
	const char *arguments[MAX_ARGUMENTS];
	unsigned int count;
	char texts[MAX_TEXTS][TEXT_SIZE];
	unsigned int nr_texts;
};

static void add(struct command_line *line, const char *argument)
{
	if (line->count == MAX_ARGUMENTS - 1)
		die("too many arguments for QEMU");
	line->arguments[line->count++] = argument;
}

static void __attribute__((format(printf, 2, 3)))
add_text(struct command_line *line, const char *format, ...)
{
	char *text = line->texts[line->nr_texts++];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, TEXT_SIZE, format, arguments);
	va_end(arguments);
	add(line, text);
}

/* A socket whose other end the child has; its number there. */
static int open_socket(struct stream *stream)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		die("socketpair: %s", strerror(errno));
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	*stream = (struct stream){.fd = ends[0]};
	return ends[1];
}

static void add_sockets(struct command_line *line, struct qemu *qemu, unsigned int sockets,
			int theirs[3])
{
	static const char *const names[] = {"qtest", "gdb", "qmp"};
	static const char *const options[] = {"-qtest", "-gdb", "-mon"};
	struct stream *streams[] = {&qemu->qtest, &qemu->gdb, &qemu->qmp};

	for (unsigned int i = 0; i < 3; i++) {
		theirs[i] = -1;
		*streams[i] = (struct stream){.fd = -1};
		if (!(sockets & 1u << i))
			continue;
		theirs[i] = open_socket(streams[i]);
		add(line, "-chardev");
		add_text(line, "socket,id=%s,fd=%d", names[i], theirs[i]);
		add(line, options[i]);
		add_text(line, i == 2 ? "%s,mode=control" : "chardev:%s", names[i]);
	}
	add(line, "-qtest-log");
	add(line, "none");
}

static void __attribute__((noreturn))
run_child(const struct command_line *line, pid_t parent, int said)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before that */
		_exit(1);
	dup2(said, STDERR_FILENO);
	execvp(line->arguments[0], (char *const *)line->arguments);
	fprintf(stderr, "cannot run %s: %s (tools/install-deps.sh oracle installs it)\n",
		line->arguments[0], strerror(errno));
	_exit(127);
}

static void spawn(struct qemu *qemu, const struct command_line *line)
{
	pid_t parent = getpid();

	qemu->said_fd = memfd_create("oracle-stderr", MFD_CLOEXEC);
	if (qemu->said_fd < 0)
		die("memfd_create: %s", strerror(errno));
	fflush(NULL);
	qemu->pid = fork();
	if (qemu->pid < 0)
		die("fork: %s", strerror(errno));
	if (!qemu->pid)
		run_child(line, parent, qemu->said_fd);
	running = qemu;
}

/* The first answer shows that it has started. */
static void greet(struct qemu *qemu)
{
	if (qemu->qtest.fd >= 0)
		qtest_read(qemu, 0, 4);
	if (qemu->qmp.fd >= 0) {
		stream_wait_line(&qemu->qmp); /* its version */
		stream_put(&qemu->qmp, "{\"execute\":\"qmp_capabilities\"}\n", 31);
		stream_flush(&qemu->qmp);
		stream_wait_line(&qemu->qmp);
	}
}

void qemu_start(struct qemu *qemu, const struct peer *peer, unsigned int sockets,
		const char *const *arguments)
{
	struct command_line line = {0};
	int theirs[3];
	int log = memfd_create("oracle-log", 0);

	if (log < 0)
		die("memfd_create: %s", strerror(errno));
	*qemu = (struct qemu){.log = {.fd = log}};
	add(&line, oracle_qemu ? oracle_qemu : peer->program);
	for (const char *const *fixed =
		     (const char *const[]){"-nodefaults", "-display", "none", "-object", NULL};
	     *fixed; fixed++)
		add(&line, *fixed);
	add_text(&line, "memory-backend-file,id=ram0,size=%llu,mem-path=/proc/self/fd/%d,share=on",
		 (unsigned long long)peer->ram_bytes, oracle_ram_fd);
	add(&line, "-m");
	add_text(&line, "%lluM", (unsigned long long)(peer->ram_bytes >> 20));
	add(&line, "-D");
	add_text(&line, "/proc/self/fd/%d", log);
	add_sockets(&line, qemu, sockets, theirs);
	while (*arguments)
		add(&line, *arguments++);
	spawn(qemu, &line);
	for (unsigned int i = 0; i < 3; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	greet(qemu);
}

void qemu_stop(struct qemu *qemu)
{
	running = NULL;
	kill(qemu->pid, SIGKILL);
	waitpid(qemu->pid, NULL, 0);
	stream_close(&qemu->qtest);
	stream_close(&qemu->gdb);
	stream_close(&qemu->qmp);
	stream_close(&qemu->log);
	close(qemu->said_fd);
}

/* ---- qtest ---- */

static const char *qtest_reply(struct qemu *qemu)
{
	const char *line;

	do {
		line = stream_wait_line(&qemu->qtest);
	} while (!strncmp(line, "IRQ ", 4));
	if (strncmp(line, "OK", 2))
		die("QEMU refuses a qtest command: %s", line);
	qemu->qtest_owed--;
	return line;
}

void qtest_sync(struct qemu *qemu)
{
	stream_flush(&qemu->qtest);
	while (qemu->qtest_owed)
		qtest_reply(qemu);
}

void qtest_command(struct qemu *qemu, const char *format, ...)
{
	char text[256];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text) - 1, format, arguments);
	va_end(arguments);
	text[length++] = '\n';
	stream_put(&qemu->qtest, text, (size_t)length);
	qemu->qtest_owed++;
	if (qemu->qtest.out_end >= QUEUE_MOST)
		stream_flush(&qemu->qtest);
}

void qtest_write32(struct qemu *qemu, uint64_t paddr, uint32_t value)
{
	qtest_command(qemu, "writel 0x%llx 0x%x", (unsigned long long)paddr, value);
}

void qtest_write64(struct qemu *qemu, uint64_t paddr, uint64_t value)
{
	qtest_command(qemu, "writeq 0x%llx 0x%llx", (unsigned long long)paddr,
		      (unsigned long long)value);
}

void qtest_write(struct qemu *qemu, uint64_t paddr, const void *from, size_t bytes)
{
	const unsigned char *byte = from;
	char hex[2 * 64 + 1];

	for (size_t i = 0; i < bytes && i < 64; i++)
		snprintf(hex + 2 * i, 3, "%02x", byte[i]);
	qtest_command(qemu, "write 0x%llx %zu 0x%s", (unsigned long long)paddr, bytes, hex);
}

uint64_t qtest_read(struct qemu *qemu, uint64_t paddr, unsigned int bytes)
{
	char width = bytes == 1 ? 'b' : bytes == 2 ? 'w' : bytes == 4 ? 'l' : 'q';

	qtest_command(qemu, "read%c 0x%llx", width, (unsigned long long)paddr);
	stream_flush(&qemu->qtest);
	while (qemu->qtest_owed > 1)
		qtest_reply(qemu);
	return strtoull(qtest_reply(qemu) + 3, NULL, 16);
}

void qtest_out32(struct qemu *qemu, unsigned int port, uint32_t value)
{
	qtest_command(qemu, "outl 0x%x 0x%x", port, value);
}

/* ---- log ---- */

/* What was read is given back: there may be gigabytes of it in time. */
static bool read_log(struct qemu *qemu)
{
	struct stream *log = &qemu->log;
	ssize_t got;

	reserve_in(log);
	got = pread(log->fd, log->in + log->in_end, READ_SIZE, (off_t)qemu->log_at);
	if (got <= 0)
		return false;
	log->in_end += (size_t)got;
	qemu->log_at += (uint64_t)got;
	fallocate(log->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		  (off_t)(qemu->log_at & ~4095ULL));
	return true;
}

char *qemu_log_line(struct qemu *qemu)
{
	char *line;

	while (!(line = stream_line(&qemu->log)))
		if (!read_log(qemu))
			return NULL;
	return line;
}

/* ---- gdbstub ---- */

static void gdb_need(struct stream *stream, size_t bytes)
{
	while (stream->in_end - stream->in_at < bytes) {
		wait_for(stream, POLLIN);
		stream_read(stream);
	}
}

/* '$' text '#' two digits of the sum of its bytes; each side says '+'. */
const char *gdb_command(struct qemu *qemu, const char *format, ...)
{
	struct stream *stream = &qemu->gdb;
	char text[512], packet[512 + 5];
	unsigned char sum = 0;
	size_t length;
	va_list arguments;
	int bytes;
	char *end;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (const char *at = text; *at; at++)
		sum = (unsigned char)(sum + *at);
	bytes = snprintf(packet, sizeof(packet), "$%s#%02x", text, sum);
	stream_put(stream, packet, (size_t)bytes);
	stream_flush(stream);
	do {
		gdb_need(stream, 1);
	} while (stream->in[stream->in_at] != '$' && ++stream->in_at);
	for (length = 1; stream->in[stream->in_at + length - 1] != '#'; length++)
		gdb_need(stream, length + 1);
	gdb_need(stream, length + 2);
	end = stream->in + stream->in_at + length - 1;
	*end = '\0';
	stream_put(stream, "+", 1);
	stream_flush(stream);
	stream->in_at += length + 2;
	return end - (length - 1) + 1;
}

/* ---- monitor ---- */

/* The answer to a command of QMP, which events may precede. */
static struct json_object *qmp_answer(struct qemu *qemu)
{
	struct json_object *answer, *value;

	for (;;) {
		answer = json_tokener_parse(stream_wait_line(&qemu->qmp));
		if (!answer)
			die("QEMU's monitor speaks no JSON");
		if (json_object_object_get_ex(answer, "return", &value))
			return answer;
		if (json_object_object_get_ex(answer, "error", &value))
			die("QEMU's monitor: %s", json_object_get_string(value));
		json_object_put(answer);
	}
}

void monitor_command(struct qemu *qemu, const char *format, ...)
{
	char command[128], text[256];
	va_list arguments;
	int length;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	length = snprintf(text, sizeof(text),
			  "{\"execute\":\"human-monitor-command\","
			  "\"arguments\":{\"command-line\":\"%s\"}}\n",
			  command);
	stream_put(&qemu->qmp, text, (size_t)length);
}

char *monitor_answer(struct qemu *qemu)
{
	struct json_object *answer, *value;
	char *copy;

	stream_flush(&qemu->qmp);
	answer = qmp_answer(qemu);
	json_object_object_get_ex(answer, "return", &value);
	copy = strdup(json_object_get_string(value));
	json_object_put(answer);
	if (!copy)
		die("no memory for what QEMU says");
	return copy;
}
