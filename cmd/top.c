/* SPDX-License-Identifier: MIT */
/* `uiommu top`: the command line, and which run it is about. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/top.h"

struct top_args {
	uint64_t interval_ns;
	uint64_t count; /* 0: not given */
	pid_t pid;      /* 0: not given */
	const char *name;
	bool once, json;
};

enum {
	OPTION_INTERVAL = 0x3000,
	OPTION_ONCE,
	OPTION_JSON,
	OPTION_COUNT,
	OPTION_NAME,
};

static const struct argp_option options[] = {
	{"interval", OPTION_INTERVAL, "SECONDS", 0, "Look this often, 0.1 to 3600 (default: 1)", 0},
	{"once", OPTION_ONCE, NULL, 0, "Print what is now as text, and end", 0},
	{"json", OPTION_JSON, NULL, 0, "Print it as JSON", 0},
	{"count", OPTION_COUNT, "N", 0,
	 "With --json: a line after each of N intervals, with the rates in it", 0},
	{"name", OPTION_NAME, "NAME", 0, "Only a run with this --name", 0},
	{0},
};

static const char doc[] =
	"Show what a running 'uiommu run' is charged and does: its memory cgroup, its domains and "
	"their tables by level, how fast it maps, and what failed. The program is neither stopped "
	"nor slowed. PID is that of 'uiommu run' or of a process in it; it can be left out when "
	"only one runs, or one with that --name (default: $UIOMMU_NAME)."
	"\vKeys: q quits, p pauses, s changes what domains are sorted by, arrows scroll.\n\n"
	"Examples:\n"
	"  uiommu top\n"
	"  uiommu top --once\n"
	"  uiommu top --once --name vm1\n"
	"  uiommu top --json --count 10 --interval 0.5 >rates.jsonl\n\n"
	"Exit status: 0, also when the program ended meanwhile; 1 when none is running; 2 for a "
	"wrong command line, or when several run and none was chosen.";

static uint64_t parse_interval(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.1 && seconds <= 3600))
		die("--interval: '%s' is not a number of seconds from 0.1 to 3600", text);
	return (uint64_t)(seconds * 1e9);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct top_args *args = state->input;

	switch (key) {
	case OPTION_INTERVAL:
		args->interval_ns = parse_interval(arg);
		return 0;
	case OPTION_ONCE:
		args->once = true;
		return 0;
	case OPTION_JSON:
		args->json = true;
		return 0;
	case OPTION_COUNT:
		args->count = parse_number("--count", arg, 1, UINT32_MAX);
		return 0;
	case OPTION_NAME:
		args->name = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (args->pid)
			die("%s: one PID only, and it is %d", arg, (int)args->pid);
		args->pid = (pid_t)parse_number("PID", arg, 1, INT32_MAX);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {options, parse_option, "[PID]", doc, NULL, NULL, NULL};

/* ---- which one ---- */

static void read_or_die(const struct top_run *run, struct top_sample *sample)
{
	int rc = top_read(run, sample);

	if (rc == -ENOMEM)
		out_of_memory();
	if (rc)
		die("%d: its report is not of this version of uiommu", (int)run->pid);
}

static bool is_in(const struct top_run *run, pid_t pid)
{
	struct top_sample sample;
	bool found = run->pid == pid;

	if (found || top_read(run, &sample))
		return found;
	for (uint32_t i = 0; i < sample.nr_processes; i++)
		found |= sample.processes[i].pid == pid;
	top_free(&sample);
	return found;
}

static void list_and_die(const struct top_run *runs, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		printf("%7d  %s%s%s\n", (int)runs[i].pid, runs[i].name, *runs[i].name ? ": " : "",
		       runs[i].command);
	die("%zu programs are running under 'uiommu run': choose one by its PID, or by --name", nr);
}

static struct top_run find_run(pid_t pid, const char *name)
{
	struct top_run *runs, found;
	size_t nr = top_find_all(&runs, name), at = 0;

	if (!nr && !pid)
		fail("no 'uiommu run'%s%s is running", name ? " with --name " : "",
		     name ? name : "");
	while (pid && at < nr && !is_in(&runs[at], pid))
		at++;
	if (at == nr)
		die("%d: not a 'uiommu run', nor a process that opened /dev/iommu in one",
		    (int)pid);
	if (!pid && nr > 1)
		list_and_die(runs, nr);
	found = runs[at];
	for (size_t i = 0; i < nr; i++)
		if (i != at)
			close(runs[i].fd);
	free(runs);
	return found;
}

/* ---- without a terminal ---- */

static int print_once(const struct top_run *run)
{
	const char *no = getenv("NO_COLOR");
	bool styled = isatty(STDOUT_FILENO) && !(no && *no);
	static const char *const codes[] = {"", "\033[1m", "\033[31m"};
	struct top_lines lines = {0};
	struct top_sample sample;

	read_or_die(run, &sample);
	top_make_lines(&lines, run, &sample, NULL, TOP_BY_TABLES);
	for (size_t i = 0; i < lines.nr; i++)
		printf("%s%s%s\n", styled ? codes[lines.line[i].style] : "", lines.line[i].text,
		       styled ? "\033[0m" : "");
	top_free_lines(&lines);
	top_free(&sample);
	return 0;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec left = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static int print_json(const struct top_run *run, const struct top_args *args)
{
	struct top_sample before, now;

	read_or_die(run, &now);
	if (!args->count)
		top_print_json(run, &now, NULL);
	for (uint64_t i = 0; i < args->count && !now.ended; i++) {
		before = now;
		sleep_ns(args->interval_ns);
		read_or_die(run, &now);
		top_print_json(run, &now, &before);
		top_free(&before);
	}
	top_free(&now);
	return 0;
}

int cmd_top(int argc, char **argv)
{
	struct top_args args = {.interval_ns = 1000000000};
	struct top_run run;

	cmd_parse(&argp, argc, argv, &args);
	if (args.once && args.json)
		die("--once: is text, and --json is not");
	if (args.count && !args.json)
		die("--count: needs --json");
	if (!args.once && !args.json && !(isatty(STDOUT_FILENO) && isatty(STDIN_FILENO)))
		die("this is no terminal: give --once or --json");
	/* A PID is enough, but for a name on the same command line. */
	run = find_run(args.pid, args.pid && !args.name ? NULL : cmd_run_name(args.name));
	if (args.once)
		return print_once(&run);
	if (args.json)
		return print_json(&run, &args);
	return top_screen(&run, args.interval_ns);
}
