/* SPDX-License-Identifier: MIT */
/*
 * Reading is by pread(), not by a mapping: the program may do to the memory what
 * it likes, even shorten it, and costs us a short read at worst. Nothing in it is
 * believed: texts are made printable, counts are bounded where they are used.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/run.h"
#include "cmd/top.h"
#include "plat/compiler.h"

/* How often a slot is read again when it was being written. */
#define TRIES 8

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void make_printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static int read_at(int fd, void *to, size_t size, size_t at)
{
	return pread(fd, to, size, (off_t)at) == (ssize_t)size ? 0 : -EIO;
}

/* A process that died in the middle leaves an odd sequence for ever. */
static int read_process(int fd, uint32_t index, struct report_process *s)
{
	size_t at = offsetof(struct report, processes) + index * sizeof(*s);
	uint32_t after;

	for (int i = 0; i < TRIES; i++) {
		if (read_at(fd, s, sizeof(*s), at) ||
		    read_at(fd, &after, sizeof(after),
			    at + offsetof(struct report_process, sequence)))
			return -EIO;
		if (s->sequence == after && after % 2 == 0)
			break;
	}
	s->nr_domains = MIN(s->nr_domains, REPORT_DOMAINS);
	make_printable(s->comm, sizeof(s->comm));
	make_printable(s->phys, sizeof(s->phys));
	for (uint32_t i = 0; i < s->nr_domains; i++)
		make_printable(s->domains[i].format, sizeof(s->domains[i].format));
	return 0;
}

int top_read(const struct top_run *run, struct top_sample *sample)
{
	struct {
		uint32_t magic, nr;
	} head;
	int rc;

	memset(sample, 0, sizeof(*sample));
	/* First, so that the figures of one that has ended are its last. */
	sample->ended = !top_is_running(run);
	rc = read_at(run->fd, &head, sizeof(head), 0);
	if (rc || head.magic != REPORT_MAGIC)
		return -EIO;
	sample->nr_processes = MIN(head.nr, REPORT_PROCESSES);
	sample->not_read = head.nr - sample->nr_processes;
	sample->processes = calloc(sample->nr_processes + 1, sizeof(*sample->processes));
	if (!sample->processes)
		return -ENOMEM;
	for (uint32_t i = 0; i < sample->nr_processes && !rc; i++)
		rc = read_process(run->fd, i, &sample->processes[i]);
	sample->ns = now_ns();
	if (rc)
		top_free(sample);
	return rc;
}

void top_free(struct top_sample *sample)
{
	free(sample->processes);
	sample->processes = NULL;
	sample->nr_processes = 0;
}

uint64_t top_calls(const struct report_process *s)
{
	uint64_t calls = 0;

	for (unsigned int i = 0; i < REPORT_IOCTLS; i++)
		calls += s->ioctls[i].calls;
	return calls;
}

uint64_t top_failures(const struct report_process *s, int error)
{
	uint64_t failed = 0;

	if (!error) {
		for (unsigned int i = 0; i < REPORT_IOCTLS; i++)
			failed += s->ioctls[i].failed;
		return failed;
	}
	for (unsigned int i = 0; i < REPORT_ERRORS; i++)
		if (s->errors[i].error == error)
			failed += s->errors[i].count;
	return failed;
}

uint64_t top_behind(const struct report_process *s)
{
	uint64_t calls = top_calls(s);

	return calls > s->looked ? calls - s->looked : 0;
}

bool top_is_alive(const struct report_process *s)
{
	return s->state == REPORT_RUNNING && s->pid > 0 && (!kill(s->pid, 0) || errno == EPERM);
}

/* The same process in an earlier sample; before its first there is nothing. */
static const struct report_process *earlier(const struct top_sample *before, uint32_t process)
{
	static const struct report_process nothing;

	return before && process < before->nr_processes ? &before->processes[process] : &nothing;
}

static double seconds(const struct top_sample *now, const struct top_sample *before,
		      uint32_t process)
{
	const struct report_process *s = &now->processes[process];
	uint64_t from = s->first.ns, to = now->ns;

	if (before && before->ns > from)
		from = before->ns;
	/* Of one that has ended the last look was at its end. */
	if (s->state != REPORT_RUNNING && !before)
		to = s->last.ns;
	return to > from ? (double)(to - from) / 1e9 : 0;
}

static double rate(uint64_t now, uint64_t before, double time)
{
	return now > before && time > 0 ? (double)(now - before) / time : 0;
}

void top_rates(const struct top_sample *now, const struct top_sample *before, uint32_t process,
	       struct top_rates *rates)
{
	const struct report_process *s = &now->processes[process], *old = earlier(before, process);
	const struct report_counters *c = &s->counters, *o = &old->counters;
	double t = seconds(now, before, process);

	*rates = (struct top_rates){
		.seconds = t,
		.maps = rate(c->maps, o->maps, t),
		.map_bytes = rate(c->map_bytes, o->map_bytes, t),
		.unmaps = rate(c->unmaps, o->unmaps, t),
		.unmap_bytes = rate(c->unmap_bytes, o->unmap_bytes, t),
		.flushes = rate(c->flushes, o->flushes, t),
		.ioctls = rate(top_calls(s), top_calls(old), t),
		.failed = rate(top_failures(s, 0), top_failures(old, 0), t),
		.faults = rate(c->faults_read, o->faults_read, t),
	};
}

double top_ioctl_rate(const struct top_sample *now, const struct top_sample *before,
		      uint32_t process, unsigned int index)
{
	return rate(now->processes[process].ioctls[index].calls,
		    earlier(before, process)->ioctls[index].calls, seconds(now, before, process));
}
