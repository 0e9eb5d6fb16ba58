/* SPDX-License-Identifier: MIT */
/* What the files of `uiommu run` offer each other. */
#ifndef CMD_RUN_H
#define CMD_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "supervisor/report.h"

/* ---- run_program.c ---- */

/*
 * The file that @name stands for, as a shell finds it. Where there is none that can be
 * run: one line, and CMD_NOT_FOUND or CMD_CANNOT_RUN. The caller frees it.
 */
char *run_find_program(const char *name);

/* ---- run_limit.c ---- */

/*
 * The least memory.max above the calling process in the real cgroup hierarchy,
 * version 2 or 1, in bytes; UINT64_MAX for none. Says whose in @where.
 */
uint64_t run_real_limit(char *where, size_t size);

/* ---- run_text.c, run_json.c ---- */

struct run_result {
	const char *program;
	const struct report *report;
	pid_t pid;
	int status;             /* of waitpid() */
	const char *auto_limit; /* where --memory-max auto was found, or NULL */
};

void run_print_text(FILE *out, const struct run_result *result);
void run_print_json(FILE *out, const struct run_result *result);

struct json_object;
/* One process, appended to an array: its object. */
struct json_object *run_add_process(struct json_object *array, const struct report_process *s);

/* Slots in use. */
uint32_t run_processes(const struct report *report);
uint64_t run_nanoseconds(const struct report_process *s, uint64_t ticks);
/* For people: "IOMMU_IOAS_MAP", or the number of one without a name. Returns @text or a name. */
const char *run_ioctl_name(uint32_t cmd, bool device, char text[32]);
/* The name of what is counted in s->ioctls[index]. */
const char *run_counted_name(const struct report_process *s, unsigned int index, char text[32]);
/* How often it failed like s->errors[i]; 0 where an error before that one said so. */
uint64_t run_error_count(const struct report_process *s, unsigned int index, unsigned int i);
/* Ioctls that came after the last look at the memory cgroup and the domains. */
uint64_t run_calls_since_look(const struct report_process *s);
/* The ioctl that made an object, also where that was of a device's file. */
const char *run_maker(const struct report_object *object, char text[32]);
const char *run_object_name(uint32_t type);
/* "EINVAL" */
const char *run_error_name(int error, char text[32]);
/* "exited with status 0", "was killed by SIGKILL" */
void run_describe_end(int status, char *text, size_t size);

#endif
