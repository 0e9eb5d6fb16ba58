/* SPDX-License-Identifier: MIT */
/*
 * uiommu run: start a program with libuiommu-preload.so in it, wait, and print
 * what the processes that it consisted of have left in the report's memfd. So
 * the report does not depend on how the program ends.
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
#include "vfio/cdev.h"

#define PRELOAD_NAME "libuiommu-preload.so"

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
	bool json, test_abi;
	char limit_where[PATH_MAX];
};

enum {
	OPTION_IOMMU = 0x2000,
	OPTION_GRANULE,
	OPTION_ADDRESS_WIDTH,
	OPTION_DEVICES,
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
};

static const struct argp_option options[] = {
	{"iommu", OPTION_IOMMU, "FORMAT", 0, "Table format of its domains (default: vtd)", 0},
	{"granule", OPTION_GRANULE, "BYTES", 0,
	 "Arm: size of the smallest page, no more than this machine's own", 0},
	{"address-width", OPTION_ADDRESS_WIDTH, "BITS", 0, "Bits of input address", 0},
	{"devices", OPTION_DEVICES, "N", 0, "Give it /dev/vfio/devices/vfio0 to vfioN-1", 0},
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
	{"test-abi", OPTION_TEST_ABI, NULL, 0,
	 "Answer the test ioctls and fail-nth files of a test kernel too", 0},
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
	"2 for a wrong command line.";

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
	case OPTION_TEST_ABI:
		args->test_abi = true;
		return 0;
	case ARGP_KEY_ARG:
		die("%s: the program comes after '--' (see --help)", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- options, checked, into the environment ---- */

static void set(const char *name, const char *value)
{
	if (setenv(name, value, 1))
		out_of_memory();
}

static void set_number(const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	set(name, text);
}

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

static void set_format(const struct run_args *args)
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
	set(ENV_FORMAT, format->name);
	set_number(ENV_ADDRESS_WIDTH, width);
}

static void set_limit(const char *name, const char *where, const char *text)
{
	if (!text || !strcmp(text, "max"))
		set(name, "max");
	else
		set_number(name, parse_bytes(where, text));
}

static void set_memory(struct run_args *args)
{
	uint64_t limit;

	set_limit(ENV_MEMORY_HIGH, "--memory-high", args->memory_high);
	if (!args->memory_max || strcmp(args->memory_max, "auto") != 0) {
		set_limit(ENV_MEMORY_MAX, "--memory-max", args->memory_max);
		return;
	}
	limit = run_real_limit(args->limit_where, sizeof(args->limit_where));
	if (limit == UINT64_MAX) {
		snprintf(args->limit_where, sizeof(args->limit_where),
			 "no limit in the real cgroup");
		set(ENV_MEMORY_MAX, "max");
	} else {
		set_number(ENV_MEMORY_MAX, limit);
	}
}

/* To the preload 0 is the limit that there is, so nothing at all is 1 byte. */
static void set_memlock(const char *text)
{
	uint64_t limit = 0;

	if (text)
		limit = !strcmp(text, "unlimited") ? UINT64_MAX : parse_bytes("--memlock", text);
	set_number(ENV_MEMLOCK, text && !limit ? 1 : limit);
}

static void set_phys(const char *phys)
{
	if (strcmp(phys, "auto") != 0 && strcmp(phys, "identity") != 0 &&
	    strcmp(phys, "scattered") != 0)
		die("--phys: '%s' is not a mode: expected auto, identity or scattered", phys);
	set(ENV_PHYS, phys);
}

/* By a path to a descriptor of ours: it stays the file's, whatever becomes of its name. */
static struct output *set_trace(const char *file)
{
	struct output *trace;
	char path[64];

	unsetenv(ENV_TRACE);
	if (!file)
		return NULL;
	trace = output_open("--trace", file);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), output_fd(trace));
	set(ENV_TRACE, path);
	return trace;
}

static void set_options(struct run_args *args)
{
	set_format(args);
	set_memory(args);
	set_memlock(args->memlock);
	set_phys(args->phys);
	set_number(ENV_DEVICES,
		   args->devices ? parse_number("--devices", args->devices, 0, VFIO_CDEV_MAX) : 0);
	set_number(ENV_FAIL_NTH,
		   args->fail_nth ? parse_number("--fail-nth", args->fail_nth, 1, UINT32_MAX) : 0);
	set_number(ENV_TEST_ABI, args->test_abi);
}

/* ---- the preload ---- */

static bool try_preload(char *path, const char *dir, const char *below)
{
	snprintf(path, PATH_MAX, "%s%s/%s", dir, below, PRELOAD_NAME);
	return !access(path, R_OK);
}

/* Beside this program as built, or where an installation puts it. */
static void find_preload(char path[PATH_MAX])
{
	char own[PATH_MAX / 2];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	own[length > 0 ? length : 0] = '\0';
	if (strrchr(own, '/'))
		*strrchr(own, '/') = '\0';
	if (try_preload(path, own, "") || try_preload(path, own, "/../" UIOMMU_LIBDIR_NAME) ||
	    try_preload(path, UIOMMU_LIBDIR, "") || try_preload(path, own, "/../lib"))
		return;
	die("%s: not found beside %s/uiommu or in %s", PRELOAD_NAME, own, UIOMMU_LIBDIR);
}

static void set_preload(void)
{
	const char *others = getenv("LD_PRELOAD");
	char path[PATH_MAX], *all;

	find_preload(path);
	if (strpbrk(path, " :"))
		die("%s: the dynamic linker cannot preload from a path with a blank or a colon",
		    path);
	if (asprintf(&all, "%s%s%s", path, others && *others ? ":" : "", others ? others : "") < 0)
		out_of_memory();
	set("LD_PRELOAD", all);
	free(all);
}

/* ---- the report ---- */

static struct report *make_report(bool wanted, const char *name)
{
	char path[64], memfd[sizeof(REPORT_NAME) + 1 + RUN_NAME_MAX];
	struct report *report;
	int fd;

	unsetenv(ENV_REPORT);
	if (!wanted)
		return NULL;
	snprintf(memfd, sizeof(memfd), "%s%s%s", REPORT_NAME, name ? ":" : "", name ? name : "");
	fd = memfd_create(memfd, MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, sizeof(*report)))
		fail("the report's memory: %s", strerror(errno));
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (report == MAP_FAILED)
		fail("the report's memory: %s", strerror(errno));
	report->magic = REPORT_MAGIC;
	report->owner = (int32_t)getpid();
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
	set(ENV_REPORT, path);
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

/* What the processes say of the trace, which they write. */
static int finish_trace(struct output *trace, const struct report *report)
{
	if (!trace)
		return 0;
	for (uint32_t i = 0; i < run_processes(report); i++) {
		const struct report_process *s = &report->processes[i];

		if (s->state == REPORT_RUNNING)
			complain("--trace: the last lines of process %d are missing: it did not "
				 "come to its end",
				 (int)s->pid);
	}
	output_failed(trace, report->trace_error);
	return output_finish(trace);
}

/* ---- the program ---- */

static volatile sig_atomic_t program_pid;

/* What the terminal sends, it sends to the program as well. */
static void forward(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (program_pid > 0 && info->si_code <= 0)
		kill(program_pid, sig);
}

static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

#define NR_FORWARDED (sizeof(forwarded) / sizeof(forwarded[0]))

/* The program starts with the signals as they were for us. */
static void start(const char *path, char **argv, const struct sigaction old[NR_FORWARDED],
		  const sigset_t *mask)
{
	int error;

	for (size_t i = 0; i < NR_FORWARDED; i++)
		sigaction(forwarded[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(path, argv);
	error = errno;
	complain("%s: %s", quoted(path), strerror(error));
	_exit(error == ENOENT ? CMD_NOT_FOUND : CMD_CANNOT_RUN);
}

static int run_program(const char *path, char **argv, pid_t *pid)
{
	struct sigaction act = {.sa_sigaction = forward, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigaction old[NR_FORWARDED];
	sigset_t block, mask;
	int status;

	sigemptyset(&block);
	for (size_t i = 0; i < NR_FORWARDED; i++)
		sigaddset(&block, forwarded[i]);
	sigprocmask(SIG_BLOCK, &block, &mask);
	for (size_t i = 0; i < NR_FORWARDED; i++)
		sigaction(forwarded[i], &act, &old[i]);
	fflush(NULL);
	*pid = fork();
	if (*pid < 0)
		fail("cannot start another process: %s", strerror(errno));
	if (!*pid)
		start(path, argv, old, &mask);
	program_pid = *pid;
	sigprocmask(SIG_SETMASK, &mask, NULL);
	while (waitpid(*pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("waiting for the program: %s", strerror(errno));
	return status;
}

/* The arguments of ours, up to the "--" that begins the program's. */
static int own_arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--"))
			return i;
	return argc;
}

int cmd_run(int argc, char **argv)
{
	static const struct argp argp = {options, parse_option, "-- PROGRAM [ARG...]", doc, NULL,
					 NULL,    NULL};
	struct run_args args = {.format = "vtd", .phys = "auto"};
	struct output *file = NULL, *trace;
	struct run_result result = {0};
	int own = own_arguments(argc, argv), failed = 0;
	bool wanted;
	char *path;

	cmd_parse(&argp, own, argv, &args);
	if (own + 1 >= argc)
		die("no program given: expected -- PROGRAM [ARG...] after the options");
	path = run_find_program(argv[own + 1]);
	wanted = !args.report || strcmp(args.report, "none") != 0;
	set_options(&args);
	set_preload();
	trace = set_trace(args.trace);
	if (wanted && args.report)
		file = output_open("--report", args.report);
	result.report = make_report(wanted || trace, cmd_run_name(args.name));
	result.program = argv[own + 1];
	result.auto_limit = args.limit_where[0] ? args.limit_where : NULL;
	result.status = run_program(path, argv + own + 1, &result.pid);
	free(path);
	failed |= finish_trace(trace, result.report);
	if (wanted)
		failed |= write_report(file, &result, args.json);
	if (failed)
		return CMD_FAILED;
	return WIFSIGNALED(result.status) ? 128 + WTERMSIG(result.status)
					  : WEXITSTATUS(result.status);
}
