/* SPDX-License-Identifier: MIT */
/*
 * uiommu run: run a program under the supervisor, wait, and print what the report has
 * of the processes that it consisted of.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uiommu/format.h>
#include <uiommu/iommu.h>

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/run.h"
#include "supervisor/run.h"
#include "vfio/cdev.h"

#define LEAST_LIMIT 4096 /* a page of a memory cgroup */

struct run_args {
	const char *format;
	const char *granule;
	const char *address_width;
	const char *devices;
	const char *memory_max, *memory_high, *memlock;
	const char *phys;
	const char *fail_nth;
	const char *trace;
	const char *report;
	const char *name;
	const char *abi;
	const char *dma_fault;
	const char **models; /* of --device, as often as it is given */
	unsigned int nr_models;
	bool json, test_abi, no_wait;
	char limit_where[PATH_MAX];
};

enum {
	OPTION_IOMMU = 0x2000,
	OPTION_GRANULE,
	OPTION_ADDRESS_WIDTH,
	OPTION_DEVICES,
	OPTION_DEVICE,
	OPTION_DMA_FAULT,
	OPTION_MEMORY_MAX,
	OPTION_MEMORY_HIGH,
	OPTION_MEMLOCK,
	OPTION_PHYS,
	OPTION_FAIL_NTH,
	OPTION_TRACE,
	OPTION_REPORT,
	OPTION_NAME,
	OPTION_JSON,
	OPTION_TEST_ABI,
	OPTION_NO_WAIT,
};

static const struct argp_option options[] = {
	{"iommu", OPTION_IOMMU, "FORMAT", 0, "Table format of its domains (default: vtd)", 0},
	{"granule", OPTION_GRANULE, "BYTES", 0,
	 "Arm: size of the smallest page, no more than this machine's own", 0},
	{"address-width", OPTION_ADDRESS_WIDTH, "BITS", 0, "Bits of input address", 0},
	{"devices", OPTION_DEVICES, "N", 0, "Give it /dev/vfio/devices/vfio0 to vfioN-1", 0},
	{"device", OPTION_DEVICE, "MODEL[,addr=BDF][,KEY=VALUE...]", 0,
	 "Give it a PCI device, bound to vfio-pci; may be given again", 0},
	{"dma-fault", OPTION_DMA_FAULT, "log|abort|stop", 0,
	 "When a device's access is refused, tell it (default), and abort or stop the program", 0},
	{"memory-max", OPTION_MEMORY_MAX, "BYTES|auto", 0,
	 "Limit of its memory cgroup; auto: the limit of the real one", 0},
	{"memory-high", OPTION_MEMORY_HIGH, "BYTES", 0, "memory.high of its memory cgroup", 0},
	{"memlock", OPTION_MEMLOCK, "BYTES|unlimited", 0,
	 "Limit of what it may pin (default: its RLIMIT_MEMLOCK)", 0},
	{"phys", OPTION_PHYS, "MODE", 0,
	 "Physical addresses of its memory: auto, identity or scattered", 0},
	{"fail-nth", OPTION_FAIL_NTH, "N", 0,
	 "Let the Nth allocation after the first open of /dev/iommu fail", 0},
	{"trace", OPTION_TRACE, "FILE", 0, "Write what 'uiommu replay' reads", 0},
	{"report", OPTION_REPORT, "FILE|none", 0, "Where the report goes (default: stderr)", 0},
	{"json", OPTION_JSON, NULL, 0, "Make the report JSON", 0},
	{"name", OPTION_NAME, "NAME", 0, "What 'uiommu top --name' finds it by", 0},
	{"test-abi", OPTION_TEST_ABI, "6.12|7.3", OPTION_ARG_OPTIONAL,
	 "Answer the test ioctls and fail-nth files of a test kernel too", 0},
	{"no-wait", OPTION_NO_WAIT, NULL, 0,
	 "End with the program; serve what it leaves running in the background", 0},
	{0},
};

static const char doc[] =
	"Run a program that finds a working /dev/iommu, and report what it was charged."
	"\vExamples:\n"
	"  uiommu run -- sh -c ': </dev/iommu'\n"
	"  uiommu run --devices 1 --memlock unlimited --memory-max 16M -- \\\n"
	"      ./map-guest --device /dev/vfio/devices/vfio0\n"
	"  uiommu run --devices 1 --memlock unlimited --trace trace.txt \\\n"
	"      --json --report report.json -- \\\n"
	"      ./map-guest --device /dev/vfio/devices/vfio0\n\n"
	"Exit status: the program's own, or 128 and the signal that killed it; 126 when it cannot "
	"be started, 127 when it is not there; 1 when the report or the trace cannot be written; "
	"2 for a wrong command line, or when the kernel refuses what it takes.";

static void add_model(struct run_args *args, const char *model)
{
	const char **models = realloc(args->models, (args->nr_models + 1) * sizeof(*args->models));

	if (!models)
		out_of_memory();
	models[args->nr_models++] = model;
	args->models = models;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct run_args *args = state->input;
	const struct {
		int key;
		const char **value;
	} values[] = {
		{OPTION_IOMMU, &args->format},
		{OPTION_GRANULE, &args->granule},
		{OPTION_ADDRESS_WIDTH, &args->address_width},
		{OPTION_DEVICES, &args->devices},
		{OPTION_DMA_FAULT, &args->dma_fault},
		{OPTION_MEMORY_MAX, &args->memory_max},
		{OPTION_MEMORY_HIGH, &args->memory_high},
		{OPTION_MEMLOCK, &args->memlock},
		{OPTION_PHYS, &args->phys},
		{OPTION_FAIL_NTH, &args->fail_nth},
		{OPTION_TRACE, &args->trace},
		{OPTION_REPORT, &args->report},
		{OPTION_NAME, &args->name},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (values[i].key == key) {
			*values[i].value = arg;
			return 0;
		}
	switch (key) {
	case OPTION_JSON:
		args->json = true;
		return 0;
	case OPTION_DEVICE:
		add_model(args, arg);
		return 0;
	case OPTION_TEST_ABI:
		args->test_abi = true;
		args->abi = arg;
		return 0;
	case OPTION_NO_WAIT:
		args->no_wait = true;
		return 0;
	case ARGP_KEY_ARG:
		die("%s: the program comes after '--' (see --help)", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- options, checked ---- */

/* Within the range a format may have some widths only. */
static void check_width(const char *format, uint64_t width)
{
	struct iommu_domain_params params = {
		.type = IOMMU_DOMAIN_UNMANAGED,
		.format = format,
		.address_width = (unsigned int)width,
	};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);

	if (IS_ERR(domain))
		die("--address-width: %s has no tables for %llu bits", format,
		    (unsigned long long)width);
	iommu_domain_free(domain);
}

static void set_format(const struct run_args *args, struct supervisor_options *to)
{
	uint64_t granule = args->granule ? parse_bytes("--granule", args->granule) : 0;
	const struct iommu_format *format = cmd_find_format(args->format, granule);
	char text[BYTES_TEXT];
	uint64_t width = 0;

	/* A kernel's iommufd would not attach such a device either. */
	if (format->granule > (uint64_t)sysconf(_SC_PAGESIZE))
		die("--iommu %s: its pages of %s are larger than this machine's", format->name,
		    exact_bytes(format->granule, text));
	if (args->address_width) {
		width = parse_number("--address-width", args->address_width, format->width_min,
				     format->width_max);
		check_width(format->name, width);
	}
	to->format = format->name;
	to->address_width = (unsigned int)width;
}

static uint64_t parse_limit(const char *where, const char *text)
{
	return !text || !strcmp(text, "max") ? UINT64_MAX : parse_bytes(where, text);
}

static void set_memory(struct run_args *args, struct supervisor_options *to)
{
	to->memory_high = parse_limit("--memory-high", args->memory_high);
	if (!args->memory_max || strcmp(args->memory_max, "auto") != 0) {
		to->memory_max = parse_limit("--memory-max", args->memory_max);
		if (to->memory_max < LEAST_LIMIT)
			die("--memory-max %s: expected 4K or more: whole pages count, and without "
			    "one /dev/iommu cannot be opened",
			    args->memory_max);
		return;
	}
	to->memory_max = run_real_limit(args->limit_where, sizeof(args->limit_where));
	if (to->memory_max == UINT64_MAX)
		snprintf(args->limit_where, sizeof(args->limit_where),
			 "no limit in the real cgroup");
}

/* 0 is the limit that there is, so nothing at all is 1 byte. */
static uint64_t parse_memlock(const char *text)
{
	uint64_t limit;

	if (!text)
		return 0;
	limit = !strcmp(text, "unlimited") ? UINT64_MAX : parse_bytes("--memlock", text);
	return limit ? limit : 1;
}

static enum iommufd_phys_mode parse_phys(const char *phys)
{
	if (!strcmp(phys, "auto"))
		return IOMMUFD_PHYS_AUTO;
	if (!strcmp(phys, "identity"))
		return IOMMUFD_PHYS_IDENTITY;
	if (!strcmp(phys, "scattered"))
		return IOMMUFD_PHYS_SCATTERED;
	die("--phys: '%s' is not a mode: expected auto, identity or scattered", phys);
}

/* NULL: by what the program does. */
static enum iommufd_abi parse_abi(const char *abi)
{
	if (!abi)
		return IOMMUFD_ABI_NEWEST;
	if (!strcmp(abi, "6.12"))
		return IOMMUFD_ABI_6_12;
	if (!strcmp(abi, "7.3"))
		return IOMMUFD_ABI_7_3;
	die("--test-abi: '%s' is not a kernel whose tests are known: expected 6.12 or 7.3", abi);
}

static enum dma_fault parse_dma_fault(const char *what)
{
	if (!what || !strcmp(what, "log"))
		return DMA_FAULT_LOG;
	if (!strcmp(what, "abort"))
		return DMA_FAULT_ABORT;
	if (!strcmp(what, "stop"))
		return DMA_FAULT_STOP;
	die("--dma-fault: '%s' is not known: expected log, abort or stop", what);
}

static void set_devices(const struct run_args *args, struct supervisor_options *to)
{
	if (args->devices)
		to->devices =
			(unsigned int)parse_number("--devices", args->devices, 0, VFIO_CDEV_MAX);
	if (args->nr_models > VFIO_CDEV_MAX - to->devices)
		die("--device: with those of --devices there can be %u devices", VFIO_CDEV_MAX);
	to->models = args->models;
	to->nr_models = args->nr_models;
	to->dma_fault = parse_dma_fault(args->dma_fault);
}

static void set_options(struct run_args *args, struct supervisor_options *to)
{
	set_format(args, to);
	set_memory(args, to);
	to->memlock = parse_memlock(args->memlock);
	to->phys = parse_phys(args->phys);
	set_devices(args, to);
	if (args->fail_nth)
		to->fail_nth =
			(unsigned int)parse_number("--fail-nth", args->fail_nth, 1, UINT32_MAX);
	to->test_abi = args->test_abi;
	to->abi = parse_abi(args->abi);
}

/* ---- the report ---- */

/* A path to a descriptor of ours: it stays the file's, whatever becomes of its name. */
static void own_path(char path[64], int fd)
{
	snprintf(path, 64, "/proc/%d/fd/%d", (int)getpid(), fd);
}

static struct report *make_report(const char *name, char path[64])
{
	char memfd[sizeof(REPORT_NAME) + 1 + RUN_NAME_MAX];
	struct report *report;
	int fd;

	snprintf(memfd, sizeof(memfd), "%s%s%s", REPORT_NAME, name ? ":" : "", name ? name : "");
	fd = memfd_create(memfd, MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, sizeof(*report)))
		fail("the report's memory: %s", strerror(errno));
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (report == MAP_FAILED)
		fail("the report's memory: %s", strerror(errno));
	report->magic = REPORT_MAGIC;
	report->owner = (int32_t)getpid();
	own_path(path, fd);
	return report;
}

static void print_report(FILE *out, const struct run_result *result, bool json)
{
	if (json)
		run_print_json(out, result);
	else
		run_print_text(out, result);
}

/* To its file, or to standard error: 0, or CMD_FAILED after a message. */
static int write_report(struct output *file, const struct run_result *result, bool json)
{
	if (file) {
		print_report(output_stream(file), result, json);
		return output_finish(file);
	}
	print_report(stderr, result, json);
	if (!fflush(stderr) && !ferror(stderr))
		return 0;
	complain("cannot write the report: %s", strerror(errno));
	return CMD_FAILED;
}

/*
 * A program that uses the library adds what it asks of the DMA API, and says in the
 * report when it cannot.
 */
static struct output *begin_trace(const char *file, const char *report, char path[64])
{
	struct output *trace;

	unsetenv(REPORT_ENV_TRACE);
	unsetenv(REPORT_ENV_PATH);
	if (!file)
		return NULL;
	trace = output_open("--trace", file);
	own_path(path, output_fd(trace));
	if (setenv(REPORT_ENV_TRACE, path, 1) || setenv(REPORT_ENV_PATH, report, 1))
		out_of_memory();
	return trace;
}

static int finish_trace(struct output *trace, const struct report *report)
{
	if (!trace)
		return 0;
	if (report->trace_pending)
		complain("--trace: the last lines of %u processes are missing: they did not come "
			 "to their end",
			 (unsigned int)report->trace_pending);
	output_failed(trace, report->trace_error);
	return output_finish(trace);
}

/* ---- the program ---- */

static struct report *shared_report;

/* In the process that was to become it. */
static void not_started(const char *path, int error)
{
	shared_report->not_started = 1;
	complain("%s: %s", quoted(path), strerror(error));
	_exit(error == ENOENT ? CMD_NOT_FOUND : CMD_CANNOT_RUN);
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Of --no-wait: where the status of the program goes. */
static int status_pipe = -1;

static void tell_status(int status)
{
	if (write(status_pipe, &status, sizeof(status)) < 0)
		_exit(1);
}

/*
 * --no-wait: the supervisor goes on in a process of its own, and this one ends with
 * the program. What it is sent meanwhile is for the program.
 */
static volatile sig_atomic_t supervisor_pid;

static void forward(int sig)
{
	kill(supervisor_pid, sig);
}

static void go_to_background(void)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		fail("--no-wait: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		fail("--no-wait: %s", strerror(errno));
	if (!pid) {
		close(ends[0]);
		status_pipe = ends[1];
		return;
	}
	supervisor_pid = pid;
	signal(SIGTERM, forward);
	signal(SIGINT, forward);
	signal(SIGHUP, forward);
	close(ends[1]);
	do
		n = read(ends[0], &status, sizeof(status));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(status))
		exit(exit_status(status));
	/* It has said why. */
	waitpid(pid, &status, 0);
	exit(exit_status(status));
}

/* The arguments of ours, up to the "--" that begins the program's. */
static int own_arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--"))
			return i;
	return argc;
}

/* The files are opened by the process that is to finish them. */
static int run(const struct run_args *args, struct supervisor_options *with, const char *path,
	       char **argv)
{
	bool wanted = !args->report || strcmp(args->report, "none") != 0;
	char trace_path[64], report_path[64], error[512];
	struct report *report = make_report(cmd_run_name(args->name), report_path);
	struct output *trace = begin_trace(args->trace, report_path, trace_path), *file = NULL;
	struct run_result result = {
		.program = argv[0],
		.report = report,
		.auto_limit = args->limit_where[0] ? args->limit_where : NULL,
	};
	int failed;

	if (wanted && args->report)
		file = output_open("--report", args->report);
	with->trace = trace ? trace_path : NULL;
	with->not_started = not_started;
	shared_report = report;
	if (supervisor_run(with, report, path, argv, args->no_wait ? tell_status : NULL,
			   &result.pid, &result.status, error, sizeof(error)))
		die("%s", error);
	/* Then the files are left as they were. */
	if (report->not_started)
		return exit_status(result.status);
	failed = finish_trace(trace, report);
	if (wanted)
		failed |= write_report(file, &result, args->json);
	return failed ? CMD_FAILED : exit_status(result.status);
}

int cmd_run(int argc, char **argv)
{
	static const struct argp argp = {options, parse_option, "-- PROGRAM [ARG...]", doc, NULL,
					 NULL,    NULL};
	struct run_args args = {.format = "vtd", .phys = "auto"};
	struct supervisor_options with = {0};
	int own = own_arguments(argc, argv), status;
	char *path;

	cmd_parse(&argp, own, argv, &args);
	if (own + 1 >= argc)
		die("no program given: expected -- PROGRAM [ARG...] after the options");
	path = run_find_program(argv[own + 1]);
	set_options(&args, &with);
	cmd_run_name(args.name);
	if (args.no_wait)
		go_to_background();
	status = run(&args, &with, path, argv + own + 1);
	free(path);
	free(args.models);
	return status;
}
