/* SPDX-License-Identifier: MIT */
/*
 * The program: which cases there are, and a process and a guest's memory for each.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uiommu/format.h>
#include <uiommu/mm.h>

#include "mm/page.h"
#include "tests/oracle/random.h"

#define CHUNK     ((size_t)2 << 20)
#define MAX_JOBS  16
#define MAX_CASES 128
#define DISAGREED 2 /* exit status of a case that has said so */

/* Up to a width of 0. */
static const struct family {
	const char *format;
	struct peer *peer;
	uint64_t pgsizes; /* 0 for all */
	unsigned int widths[8];
} families[] = {
	{"vtd", &peer_vtd, 0, {39, 48}},
	{"amdv1", &peer_amdv1, 0, {21, 30, 39, 48, 57, 64}},
	{"x86_64", &peer_x86_64, 0, {48, 57}},
	{"x86_64", &peer_x86_cpu, 0, {48, 57}},
	{"arm64-s1", &peer_smmuv3, 0, {25, 39, 48}},
	{"arm64-s1-16k", &peer_smmuv3, 0, {36, 47, 48}},
	{"arm64-s1-64k", &peer_smmuv3, 0, {29, 42, 48}},
	{"arm64-s1", &peer_arm_cpu, 0, {30, 40, 48}},
	{"arm64-s1-16k", &peer_arm_cpu, 0, {25, 47, 48}},
	{"arm64-s1-64k", &peer_arm_cpu, 0, {42, 48, 52}},
	{"arm64-s2", &peer_arm_cpu, 0, {39, 40, 43, 48}},
	{"arm64-s2-16k", &peer_arm_cpu, 0, {36, 37, 40, 41, 47, 48}},
	{"arm64-s2-64k", &peer_arm_cpu, 0, {42, 48, 52}},
	{"arm64-s1-64k", &peer_arm_cpu, 1 << 16 | 1 << 29 | UINT64_C(1) << 42, {48, 52}},
	{"arm64-s2-64k", &peer_arm_cpu, 1 << 16 | 1 << 29 | UINT64_C(1) << 42, {48, 52}},
	{"riscv64", &peer_riscv64, 0, {39, 48, 57, 41, 50, 59}},
	{"s390", &peer_s390, 0, {42}},
	{"s390", &peer_s390, 1 << 12 | 1 << 20, {42}},
};

static struct {
	const char *format;
	unsigned int width;
	uint64_t granule, count, seed;
	unsigned int items, jobs;
	bool tap;
} options = {.count = 100000, .seed = 1, .jobs = 1};

char *oracle_ram;
int oracle_ram_fd = -1;
const char *oracle_qemu;

void die(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fprintf(stderr, "# oracle: ");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

/* ---- the guest's memory ---- */

static void make_ram(const struct peer *peer)
{
	oracle_ram_fd = memfd_create("oracle-ram", 0);
	if (oracle_ram_fd < 0 || ftruncate(oracle_ram_fd, (off_t)peer->ram_bytes))
		die("no memory for the guest: %s", strerror(errno));
	oracle_ram = mmap(NULL, peer->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			  oracle_ram_fd, 0);
	if (oracle_ram == MAP_FAILED)
		die("no address space for the guest's memory: %s", strerror(errno));
}

/*
 * Put the guest's memory in place of the arena's, with what the library has
 * written there so far: it takes from the front, so the first page that cannot be
 * read ends that.
 */
static void share_arena(const struct peer *peer)
{
	off_t offset = (off_t)peer->arena_offset;

	for (size_t at = 0; at < arena.size; at += CHUNK)
		if (pwrite(oracle_ram_fd, arena.base + at, CHUNK, offset + (off_t)at) < 0)
			break;
	if (mmap(arena.base, arena.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 oracle_ram_fd, offset) == MAP_FAILED)
		die("cannot share the arena with the guest: %s", strerror(errno));
}

static void setup_memory(const struct peer *peer)
{
	const struct uiommu_config config = {
		.arena_bytes = ARENA_BYTES,
		.atomic_reserve = 64,
		.phys_base = peer->arena_paddr,
	};
	int ret;

	make_ram(peer);
	ret = uiommu_init(&config);
	if (ret)
		die("uiommu_init: error %d", ret);
	share_arena(peer);
}

/* ---- one case ---- */

static void print_name(const struct oracle_case *test, bool good)
{
	printf("%s%s%s, %u bits", good ? "ok " : "not ok ", options.tap ? "- " : "", test->format,
	       test->width);
	if (test->pgsizes)
		printf(", leaves %#" PRIx64, test->pgsizes);
	printf(", %s: ", test->peer->name);
}

static void print_counts(const struct run *run, double seconds)
{
	printf("%" PRIu64 " translations, %" PRIu64 " present", run->probes, run->present);
	if (run->listed)
		printf(", %" PRIu64 " listed", run->listed);
	printf(", %" PRIu64 " changes", run->changes);
	if (run->flips)
		printf("; %" PRIu64 " bits flipped in %" PRIu64 " items: %" PRIu64
		       " noticed, %" PRIu64 " without effect, %" PRIu64 " missed",
		       run->flips, run->items, run->caught, run->ignored, run->survived);
	printf("; %.1f s\n", seconds);
	for (unsigned int i = 0; i < NR_REASONS && run->reasons[i].text; i++)
		printf("#   %" PRIu64 " bits: %s\n", run->reasons[i].count, run->reasons[i].text);
}

static bool do_case(const struct oracle_case *test)
{
	struct run run = {
		.test = test,
		.peer = test->peer,
		.random = options.seed,
		.progress = options.jobs == 1 && isatty(STDERR_FILENO),
	};
	double start = seconds_now();
	bool good;

	setup_memory(test->peer);
	test->peer->start(test->peer, test);
	run_case(&run, options.count, options.items);
	test->peer->stop(test->peer);
	good = !run.disagreements && !run.survived;
	print_name(test, good);
	print_counts(&run, seconds_now() - start);
	return good;
}

/* ---- many cases ---- */

static struct {
	struct job {
		pid_t pid;
		struct oracle_case test;
	} jobs[MAX_JOBS];
	unsigned int running, passed, failed;
} work;

/* Wait for any one of the cases under way. */
static void reap(void)
{
	unsigned int i = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) < 0 && errno == EINTR)
		;
	while (i < work.running && work.jobs[i].pid != pid)
		i++;
	if (i == work.running)
		die("a process is missing");
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		work.passed++;
	} else {
		work.failed++;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != DISAGREED) {
			/* It came to no line of its own. */
			print_name(&work.jobs[i].test, false);
			printf("ended with status %#x\n", (unsigned int)status);
		}
	}
	work.jobs[i] = work.jobs[--work.running];
}

/* In a process of its own. Its QEMU dies with it, and it with us. */
static void fork_case(const struct oracle_case *test)
{
	pid_t parent = getpid(), pid;

	while (work.running >= options.jobs)
		reap();
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		exit(do_case(test) ? 0 : DISAGREED);
	}
	work.jobs[work.running++] = (struct job){pid, *test};
}

/* ---- options ---- */

static const struct argp_option argp_options[] = {
	{"format", 'f', "NAME", 0, "this format or family of formats only", 0},
	{"width", 'w', "BITS", 0, "these bits of input address only", 0},
	{"granule", 'g', "KIB", 0, "formats of this smallest page only, in KiB", 0},
	{"count", 'n', "N", 0, "translations of each (100000)", 0},
	{"seed", 's', "N", 0, "of the random numbers (1)", 0},
	{"mutate", 'm', "ITEMS", OPTION_ARG_OPTIONAL,
	 "then change each bit of so many items (24): each must be noticed", 0},
	{"jobs", 'j', "N", 0, "so many at once (1)", 0},
	{"qemu", 'q', "PATH", 0, "the emulator, instead of the peer's from PATH", 0},
	{"tap", 't', NULL, 0, "print TAP", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'f':
		options.format = arg;
		return 0;
	case 'w':
		options.width = (unsigned int)strtoul(arg, NULL, 0);
		return 0;
	case 'g':
		options.granule = strtoull(arg, NULL, 0) << 10;
		return 0;
	case 'n':
		options.count = strtoull(arg, NULL, 0);
		return 0;
	case 's':
		options.seed = strtoull(arg, NULL, 0);
		if (!options.seed)
			argp_error(state, "a seed is not 0");
		return 0;
	case 'm':
		options.items = arg ? (unsigned int)strtoul(arg, NULL, 0) : 24;
		return 0;
	case 'j':
		options.jobs = (unsigned int)strtoul(arg, NULL, 0);
		if (!options.jobs || options.jobs > MAX_JOBS)
			argp_error(state, "1 to %d at once", MAX_JOBS);
		return 0;
	case 'q':
		oracle_qemu = arg;
		return 0;
	case 't':
		options.tap = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool is_wanted(const struct oracle_case *test)
{
	const struct iommu_format *format = iommu_format_find(test->format);

	if (!format)
		die("the library has no format %s", test->format);
	if (options.format && strcmp(options.format, format->name) &&
	    strcmp(options.format, format->family))
		return false;
	return (!options.width || options.width == test->width) &&
	       (!options.granule || options.granule == format->granule);
}

static size_t list_cases(struct oracle_case list[MAX_CASES])
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const struct family *family = &families[i];

		for (unsigned int j = 0; family->widths[j] && count < MAX_CASES; j++) {
			list[count] = (struct oracle_case){family->format, family->widths[j],
							   family->pgsizes, family->peer};
			count += is_wanted(&list[count]);
		}
	}
	return count;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse,
		.doc = "Have tables of every format walked by something that is not ours.",
	};
	struct oracle_case list[MAX_CASES];
	size_t count;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	printf("# seed %" PRIu64 "\n", options.seed);
	count = list_cases(list);
	for (size_t i = 0; i < count; i++)
		fork_case(&list[i]);
	while (work.running)
		reap();
	if (options.tap)
		printf("1..%zu\n", count);
	else
		printf("%u passed, %u failed\n", work.passed, work.failed);
	return work.failed || !count;
}
