/* SPDX-License-Identifier: MIT */
/* `uiommu replay`: the command line, and the files that are asked for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/plot.h"
#include "cmd/progress.h"
#include "cmd/replay.h"

#define BUDGET_BROKE 3 /* exit status */

enum {
	OPTION_IOMMU = 0x100,
	OPTION_GRANULE,
	OPTION_ADDRESS_WIDTH,
	OPTION_MEMORY_MAX,
	OPTION_CHECK,
	OPTION_CSV,
	OPTION_CSV_ALL,
	OPTION_PLOT,
	OPTION_JSON,
};

static const struct argp_option options[] = {
	{"iommu", OPTION_IOMMU, "FORMAT", 0,
	 "Table format to replay on (default: vtd), or all to compare them", 0},
	{"granule", OPTION_GRANULE, "BYTES", 0,
	 "Arm: size of the smallest page: 4K, 16K or 64K (default: 4K)", 0},
	{"address-width", OPTION_ADDRESS_WIDTH, "BITS", 0,
	 "Bits of input address (default: the format's usual)", 0},
	{"memory-max", OPTION_MEMORY_MAX, "BYTES", 0,
	 "Budget of the memory cgroup: tell where it breaks, and go on", 0},
	{"check", OPTION_CHECK, NULL, 0, "Exit status 3 when that budget breaks", 0},
	{"json", OPTION_JSON, NULL, 0, "Print the report as JSON", 0},
	{"csv", OPTION_CSV, "FILE", 0,
	 "Write a timeline: event, time, mapped, table and stranded bytes; long traces are "
	 "thinned to at most 10000 rows that keep every peak and trough",
	 0},
	{"csv-all", OPTION_CSV_ALL, NULL, 0, "One row per event, however many", 0},
	{"plot", OPTION_PLOT, "FILE", 0,
	 "Draw the timeline by gnuplot; FILE must end in .svg or .png", 0},
	{0},
};

static const char doc[] =
	"Replay the iommu:map and iommu:unmap events of a kernel trace, or its dma events, and "
	"tell "
	"what the I/O page tables cost. TRACE is the text of tracefs' trace file, of 'trace-cmd "
	"report' or of 'perf script', plain or "
	"compressed (gzip, bzip2, xz, zstd, lz4); - is standard input.\v"
	"The iommu events of Linux carry no domain. Domains are inferred: a range that is mapped "
	"already "
	"belongs "
	"to another domain, an unmap to the domain that has exactly this range mapped. Events that "
	"fit several domains equally well are counted as ambiguous.\n\n"
	"The dma events (dma_map_phys, dma_map_page, dma_map_sg, dma_alloc and the like, of "
	"kernels "
	"6.12 and later) name the device: each has a domain of its own. In a trace that has both, "
	"the iommu events are what was really done, and the dma events count as other lines.\n\n"
	"An event that lacks something, or that the format cannot hold, is reported with its line "
	"number, counted and passed over; all that is no such event is counted as other lines.\n\n"
	"Examples:\n"
	"  uiommu replay trace.txt.xz --plot trace.svg --csv trace.csv\n"
	"  uiommu replay trace.txt --iommu amdv1 --memory-max 4M --check\n"
	"  uiommu replay trace.txt --iommu all\n"
	"  trace-cmd report | uiommu replay - --json\n\n"
	"Exit status: 0 when events were replayed, bad lines or not; 1 when a file cannot be "
	"written; 2 when the trace cannot be read to its end or holds no event, or for a wrong "
	"command line; 3 with --check when the budget broke.";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct replay_args *args = state->input;

	switch (key) {
	case OPTION_IOMMU:
		args->iommu = arg;
		return 0;
	case OPTION_GRANULE:
		args->granule = parse_bytes("--granule", arg);
		return 0;
	case OPTION_ADDRESS_WIDTH:
		args->address_width = (unsigned int)parse_number("--address-width", arg, 1, 64);
		return 0;
	case OPTION_MEMORY_MAX:
		args->memory_max = parse_bytes("--memory-max", arg);
		return 0;
	case OPTION_CHECK:
		args->check = true;
		return 0;
	case OPTION_CSV:
		args->csv = arg;
		return 0;
	case OPTION_CSV_ALL:
		args->csv_all = true;
		return 0;
	case OPTION_PLOT:
		plot_check(arg);
		args->plot = arg;
		return 0;
	case OPTION_JSON:
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->trace)
			die("%s: one trace only, and it is '%s'", arg, args->trace);
		args->trace = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {options, parse_option, "TRACE|-", doc, NULL, NULL, NULL};

/* The options that describe one format do not go with "all". */
static void choose_all(struct replay_args *args)
{
	const struct iommu_format *format = NULL;
	const char *single = args->granule         ? "--granule"
			     : args->address_width ? "--address-width"
			     : args->csv           ? "--csv"
			     : args->plot          ? "--plot"
						   : NULL;

	if (single)
		die("%s: is about one format, and --iommu is all", single);
	while ((format = iommu_format_next(format)) && args->nr_formats < REPLAY_FORMATS_MAX)
		args->formats[args->nr_formats++] = format;
}

static void choose_one(struct replay_args *args)
{
	const struct iommu_format *format = cmd_find_format(args->iommu, args->granule);

	args->formats[args->nr_formats++] = format;
	if (args->address_width &&
	    (args->address_width < format->width_min || args->address_width > format->width_max))
		die("--address-width: %s has %u to %u bits, not %u", format->name,
		    format->width_min, format->width_max, args->address_width);
}

static void check_args(struct replay_args *args)
{
	if (!args->trace)
		die("no trace given: expected a file, or - for standard input (see --help)");
	if (args->check && args->memory_max == UINT64_MAX)
		die("--check: needs --memory-max BYTES");
	if (args->csv_all && !args->csv)
		die("--csv-all: needs --csv FILE");
	if (!strcmp(args->iommu, "all"))
		choose_all(args);
	else
		choose_one(args);
	args->trace_name = strcmp(args->trace, "-") ? args->trace : "standard input";
}

/* What the callbacks of a replay need. */
struct job {
	const struct replay_args *args;
	struct output *csv, *plot; /* NULL when not asked for */
	struct timeline *timeline;
};

static void on_say(void *context, uint64_t line, const char *text)
{
	const struct job *job = context;

	complain("%s:%llu: %s", quoted(job->args->trace_name), (unsigned long long)line, text);
}

static void on_row(void *context, const struct timeline_row *row)
{
	struct job *job = context;

	if (job->csv)
		replay_csv_row(output_stream(job->csv), row);
}

/* Rows that were written before a restart do not count. */
static void on_restart(void *context)
{
	struct job *job = context;

	if (!job->csv || !job->args->csv_all)
		return;
	output_restart(job->csv);
	replay_csv_head(output_stream(job->csv));
}

static void on_progress(void *context, double done, uint64_t events)
{
	(void)context;
	progress_show(done, events, "events");
}

static void open_files(struct job *job)
{
	if (job->args->csv) {
		job->csv = output_open("--csv", job->args->csv);
		replay_csv_head(output_stream(job->csv));
	}
	if (job->args->plot)
		job->plot = output_open("--plot", job->args->plot);
}

/* 0, or 1 after a message. */
static int finish_csv(struct job *job, const struct timeline_row *rows, size_t nr)
{
	if (!job->csv)
		return 0;
	for (size_t i = 0; i < nr && !job->args->csv_all; i++)
		replay_csv_row(output_stream(job->csv), &rows[i]);
	return output_finish(job->csv);
}

static void run(struct job *job, struct trace_reader *reader, struct replay_report reports[])
{
	const struct replay_args *args = job->args;
	struct replay_options replay = {
		.formats = args->formats,
		.nr_formats = args->nr_formats,
		.address_width = args->address_width,
		.memory_max = args->memory_max,
		.timeline = job->timeline,
		.context = job,
		.say = on_say,
		.row = args->csv_all ? on_row : NULL,
		.restart = on_restart,
		.progress = on_progress,
	};
	int rc = replay_run(reader, &replay, reports);

	progress_clear();
	trace_reader_close(reader);
	if (rc == -EINVAL)
		die("--address-width: %s has no tables for %u bits", args->formats[0]->name,
		    args->address_width ? args->address_width : args->formats[0]->width_default);
	if (rc)
		out_of_memory();
}

/* Has a replay of a format left something behind? Returns 1 after a message. */
static int check_left(const struct replay_report *report)
{
	if (!report->left_charged)
		return 0;
	complain("%s: %llu bytes are still charged after every domain was freed",
		 report->format->name, (unsigned long long)report->left_charged);
	return 1;
}

/* The files and the report; the exit status. */
static int finish(struct job *job, const struct replay_report reports[])
{
	const struct replay_args *args = job->args;
	struct timeline_row *rows;
	size_t nr = timeline_rows(job->timeline, &rows);
	int status = finish_csv(job, rows, nr);

	if (job->plot)
		status |= replay_plot(job->plot, args, reports, rows, nr);
	free(rows);
	if (args->json)
		replay_print_json(args, reports);
	else
		replay_print_text(args, reports);
	for (size_t i = 0; i < args->nr_formats; i++)
		status |= check_left(&reports[i]);
	return status;
}

/* The exit status of --check: was the budget exceeded with any of the formats? */
static int check_budget(const struct replay_args *args, const struct replay_report reports[])
{
	for (size_t i = 0; i < args->nr_formats && args->check; i++)
		if (reports[i].failed[FAILED_BUDGET])
			return BUDGET_BROKE;
	return 0;
}

int cmd_replay(int argc, char **argv)
{
	struct replay_args args = {.memory_max = UINT64_MAX, .iommu = "vtd"};
	struct job job = {.args = &args};
	static struct replay_report reports[REPLAY_FORMATS_MAX];
	const struct replay_report *report = &reports[0]; /* what is the same in all */
	static struct trace_reader *reader;               /* static, for die() */
	char why[256];
	int status;

	cmd_parse(&argp, argc, argv, &args);
	check_args(&args);
	reader = trace_reader_open(args.trace, why, sizeof(why));
	if (!reader)
		die("%s: %s", quoted(args.trace_name), why);
	job.timeline = timeline_new();
	if (!job.timeline)
		out_of_memory();
	open_files(&job);
	run(&job, reader, reports);
	if (!report->maps && !report->unmaps && report->first_bad)
		die("%s:%llu: %s; none of %llu lines can be replayed", quoted(args.trace_name),
		    (unsigned long long)report->first_bad, report->first_bad_why,
		    (unsigned long long)report->lines);
	if (!report->maps && !report->unmaps)
		die("%s: no iommu:map, iommu:unmap or dma event in %llu lines%s%s",
		    quoted(args.trace_name), (unsigned long long)report->lines,
		    report->input_error[0] ? ": " : "", report->input_error);
	status = finish(&job, reports);
	timeline_free(job.timeline);
	if (report->input_error[0])
		die("%s:%llu: the input ends here: %s", quoted(args.trace_name),
		    (unsigned long long)report->lines, report->input_error);
	return status ? status : check_budget(&args, reports);
}
