// SPDX-License-Identifier: MIT
/*
 * GFP_ATOMIC and GFP_NOWAIT: every call that may be made in an atomic section makes
 * no system call, waits for no lock and ends after a bounded number of
 * instructions, whether memory is plenty or short, and wherever another thread was
 * stopped.
 */
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/atomic_watch.h"

#include "tests/atomic_calls.h"

#include "mm/rcu.h"
#include "mm/shrinker.h"
#include "mm/slab.h"
#include "mm/thread.h"

#define ARENA   (512ULL << 20)
#define RESERVE 64
#define OURS    (4ULL << 30)
#define THEIRS  (8ULL << 30)

static const gfp_t gfps[] = {GFP_ATOMIC, GFP_NOWAIT};

/* Single pages that are held to make memory short. */
static struct page *held[ARENA / 4096];
static unsigned int nr_held;

static void hold_all_pages(void)
{
	while ((held[nr_held] = alloc_pages(GFP_ATOMIC, 0, NULL, PAGE_OTHER)))
		nr_held++;
}

static void give_pages_back(void)
{
	while (nr_held)
		free_pages(held[--nr_held]);
}

/* Neither the cgroup nor the allocator has anything left, or only one of them. */
enum shortage {
	PLENTY,
	NO_BUDGET,
	NO_PAGES,
	NR_SHORTAGES
};

static void shortage_begin(struct stage *s, enum shortage shortage)
{
	if (shortage == NO_BUDGET)
		cgroup_limit(s->memcg, mem_cgroup_usage(s->memcg));
	if (shortage == NO_PAGES)
		hold_all_pages();
}

static void shortage_end(struct stage *s, enum shortage shortage)
{
	if (shortage == NO_BUDGET)
		cgroup_limit(s->memcg, ~0ULL);
	if (shortage == NO_PAGES)
		give_pages_back();
}

/* Nobody but us: what fails now fails for want of memory. */
static bool result_is_right(const struct call *call, enum shortage shortage, bool done)
{
	return done || (shortage != PLENTY && !call->needs_nothing);
}

#define for_each_call(call) \
	for (const struct call *call = calls; call < calls + ARRAY_SIZE(calls); call++)

static const struct iommu_format *next_format(const struct iommu_format *format)
{
	while ((format = iommu_format_next(format)))
		if (format->width_default > 33)
			break;
	return format;
}

#define for_each_format(f) for (const struct iommu_format *f = NULL; (f = next_format(f));)

/* Let the arena have so many free blocks of 64 KiB. */
static void make_room(unsigned int blocks)
{
	static struct page *block[ARENA / 65536];
	unsigned int n = 0;

	while (n < blocks && (block[n] = alloc_pages(GFP_KERNEL, 4, NULL, PAGE_OTHER)))
		n++;
	while (n)
		free_pages(block[--n]);
}

/* ---- the watch itself ---- */

/* It sees what GFP_KERNEL does that others must not. */
static void test_watch(void **state)
{
	unsigned int n = 0;

	hold_all_pages();
	watch_begin("GFP_KERNEL");
	while (n < 4096 && !watch.sleeps &&
	       (held[nr_held] = alloc_pages(GFP_KERNEL, 0, NULL, PAGE_OTHER))) {
		nr_held++;
		n++;
	}
	watch_end();
	assert_true(watch.sleeps > 0);
	give_pages_back();
#ifdef CAN_STEP
	watch_begin("getpid");
	step_begin();
	syscall(SYS_getpid);
	__builtin_ia32_pause();
	step_end();
	watch_end();
	assert_int_equal(watch.system_calls, 1);
	assert_int_equal(watch.spins, 1);
	assert_true(watch.steps > 5 && watch.steps < 200);
	watch_calls_begin(2, 1000);
	watch_begin("a loop");
	while (!watch.endless)
		;
	watch_call_ended();
	watch_end();
	watch_calls_end();
	assert_true(watch.sleeps == 1 && watch.steps > 1000);
	watch.endless = false;
#endif
}

/* The first of a process, for which there is not even a cache of objects yet. */
static void test_first_domain(void **state)
{
	struct iommu_domain_params params = {.format = "vtd"};
	struct iommu_domain *domain;

	iommu_atomic_enter();
	while ((held[nr_held] = alloc_pages(GFP_NOWAIT, 0, NULL, PAGE_OTHER)))
		nr_held++;
	watch_begin("iommu_domain_alloc");
	domain = iommu_domain_alloc(&params, GFP_NOWAIT);
	watch_end();
	assert_int_equal(PTR_ERR(domain), -ENOMEM);
	assert_int_equal(watch.sleeps, 0);
	give_pages_back();
	iommu_atomic_exit();
}

/* ---- no call to plat/ that waits, in any format ---- */

static void watch_call(struct stage *s, const struct call *call, gfp_t gfp, enum shortage shortage)
{
	const struct caller us = {s, OURS, gfp};
	unsigned int done = 0;

	make_room(64);
	iommu_atomic_enter();
	shortage_begin(s, shortage);
	watch_begin(call->name);
	for (unsigned int i = 0; i < 3; i++)
		done += call->make(&us);
	watch_end();
	shortage_end(s, shortage);
	iommu_atomic_exit();
	if (watch.sleeps || watch.reports)
		fail_msg("%s, %s, gfp %#x: %s, %u reports", s->format->name, call->name, gfp,
			 watch.slept, watch.reports);
	if (!result_is_right(call, shortage, done == 3))
		fail_msg("%s, %s, gfp %#x, shortage %d: failed", s->format->name, call->name, gfp,
			 shortage);
}

static void test_waits_for_nothing(void **state)
{
	for_each_format(format)
	{
		struct stage stage;

		stage_begin(&stage, format);
		make_room(64);
		for_each_call(call) for (unsigned int g = 0; g < ARRAY_SIZE(gfps);
					 g++) for (enum shortage shortage = 0;
						   shortage < NR_SHORTAGES; shortage++)
			watch_call(&stage, call, gfps[g], shortage);
		stage_end(&stage);
	}
}

/* Each call that takes a gfp reports one that blocks, and no other; and works on. */
static void test_blocking_gfp_is_reported(void **state)
{
	struct stage stage;

	stage_begin(&stage, iommu_format_find("vtd"));
	for_each_call(call)
	{
		const struct caller blocking = {&stage, OURS, GFP_KERNEL};

		iommu_atomic_enter();
		watch_begin(call->name);
		assert_true(call->make(&blocking));
		watch_end();
		iommu_atomic_exit();
		assert_int_equal(watch.reports != 0, call->takes_gfp);
	}
	stage_end(&stage);
}

/* ---- no system call: who makes one is killed ---- */

struct progress {
	const char *call;
	unsigned int shortage, wrong;
};

static void __attribute__((noreturn, unused))
confined_child(struct stage *s, struct progress *progress)
{
	iommu_atomic_enter();
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		syscall(SYS_exit, 77);
	for (enum shortage shortage = 0; shortage < NR_SHORTAGES; shortage++) {
		shortage_begin(s, shortage);
		for_each_call(call)
		{
			progress->call = call->name;
			progress->shortage = shortage;
			for (unsigned int g = 0; g < ARRAY_SIZE(gfps); g++) {
				const struct caller us = {s, OURS, gfps[g]};

				progress->wrong +=
					!result_is_right(call, shortage, call->make(&us));
			}
		}
		shortage_end(s, shortage);
	}
	syscall(SYS_exit, 0);
	__builtin_unreachable();
}

static void __attribute__((unused)) test_makes_no_system_call(void **state)
{
	struct progress *progress =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(progress, MAP_FAILED);
	for_each_format(format)
	{
		struct stage stage;
		int status;
		pid_t pid;

		stage_begin(&stage, format);
		make_room(64);
		pid = fork();
		if (!pid)
			confined_child(&stage, progress);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		stage_end(&stage);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
			print_message("# no seccomp here\n");
			break;
		}
		if (!WIFEXITED(status))
			fail_msg("%s: killed in %s, shortage %u", format->name, progress->call,
				 progress->shortage);
		assert_int_equal(WEXITSTATUS(status), 0);
		assert_int_equal(progress->wrong, 0);
	}
	munmap(progress, 4096);
}

#ifdef CAN_STEP

/* ---- a bounded number of instructions ---- */

/*
 * What a call may take at most: for itself, with every lock tried in vain as often
 * as it is tried; and for each table, that it is cleared, a byte at a time.
 */
static unsigned long most_steps(const struct call *call, uint64_t granule, bool contended)
{
	unsigned int pages = (unsigned int)(granule >> PAGE_SHIFT);

	return (contended ? 60000 : 20000) + call->tables * pages * 5000UL;
}

static bool step_call(const struct caller *c, const struct call *call)
{
	bool done;

	stepping = true;
	watch_begin(call->name);
	step_begin();
	done = call->make(c);
	step_end();
	watch_end();
	stepping = false;
	return done;
}

static void test_steps_are_bounded(void **state)
{
	for_each_format(format)
	{
		struct stage stage;

		stage_begin(&stage, format);
		make_room(64);
		iommu_atomic_enter();
		for (enum shortage shortage = 0; shortage < NR_SHORTAGES; shortage++) {
			const struct caller us = {&stage, OURS, gfps[shortage & 1]};

			shortage_begin(&stage, shortage);
			for_each_call(call)
			{
				bool done = step_call(&us, call);

				if (getenv("ATOMIC_STEPS"))
					print_message("# %s %d %s: %lu steps, %lu spins\n",
						      format->name, shortage, call->name,
						      watch.steps, watch.spins);
				assert_true(result_is_right(call, shortage, done));
				assert_int_equal(watch.system_calls, 0);
				assert_int_equal(watch.spins, 0);
				assert_in_range(watch.steps, 1,
						most_steps(call, stage.page, false));
			}
			shortage_end(&stage, shortage);
		}
		iommu_atomic_exit();
		stage_end(&stage);
	}
}

/* ---- wherever another thread was stopped ---- */

/*
 * A thread that is stopped after each of its instructions in turn, while another
 * makes every call: as a signal handler on the same stack that goes by the other
 * thread's state, so that nothing is left to chance.
 */
static struct {
	struct caller us;
	struct mm_thread *self;
	pthread_t thread;
	pthread_barrier_t lent, done;
	unsigned long stops, most_stops;
	unsigned long made[ARRAY_SIZE(calls)], failed[ARRAY_SIZE(calls)];
} other;

static void *lend_state(void *arg)
{
	mem_cgroup_set_active(other.us.stage->memcg);
	iommu_atomic_enter();
	other.self = plat_self;
	pthread_barrier_wait(&other.lent);
	pthread_barrier_wait(&other.done);
	iommu_atomic_exit();
	mem_cgroup_set_active(NULL);
	return NULL;
}

#define MOST_STEPS 2000000 /* of any of the calls, with every lock held by the other */
#define MOST_STOPS 1000000 /* several times those of the longest */

/* Of so many stops, one at which a call is counted, instruction by instruction. */
#define COUNTED 997

static void other_call(unsigned int i)
{
	bool count = !(other.stops % COUNTED) && i == other.stops / COUNTED % ARRAY_SIZE(calls);
	bool done;

	if (count) {
		done = step_call(&other.us, &calls[i]);
	} else {
		watch_begin(calls[i].name);
		done = calls[i].make(&other.us);
		watch_call_ended();
		watch_end();
	}
	other.made[i]++;
	other.failed[i] += !done;
	if (count &&
	    (watch.system_calls || watch.steps > most_steps(&calls[i], other.us.stage->page, true)))
		fail_msg("%s: %lu steps, %lu system calls", calls[i].name, watch.steps,
			 watch.system_calls);
}

static void other_thread_runs(void)
{
	struct mm_thread *stopped = plat_self;

	if (other.stops > other.most_stops)
		watch_abort("the thread that is stopped", "for ever");

	plat_self = other.self;
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++)
		other_call(i);
	/* Between two atomic sections, what waits for a grace period can go. */
	if (!(other.stops++ % 32))
		rcu_poll(other.self);
	plat_self = stopped;
}

static void other_begin(struct stage *s)
{
	memset(&other, 0, sizeof(other));
	other.us = (struct caller){s, OURS, GFP_ATOMIC};
	pthread_barrier_init(&other.lent, NULL, 2);
	pthread_barrier_init(&other.done, NULL, 2);
	assert_int_equal(pthread_create(&other.thread, NULL, lend_state, NULL), 0);
	pthread_barrier_wait(&other.lent);
	watch.fatal = true;
	watch_calls_begin(1000, MOST_STEPS);
}

static void other_end(void)
{
	watch_calls_end();
	watch.fatal = false;
	pthread_barrier_wait(&other.done);
	pthread_join(other.thread, NULL);
}

/* What a thread that may block does besides the calls. */

/* The top grows, or a map that would make it grow fails at each of its allocations. */
static bool op_grow_top(const struct caller *c)
{
	struct iommu_domain *domain = c->stage->domain;
	uint64_t page = c->stage->page, last = domain_info(domain).aperture_last - page + 1;

	for (unsigned int nth = 1; nth < 8; nth++) {
		uiommu_fail_nth(nth, false);
		if (!iommu_map(domain, last, page, page, RW, GFP_KERNEL))
			iommu_unmap(domain, last, page);
		uiommu_fail_nth(0, false);
	}
	return true;
}

static bool op_cgroups(const struct caller *c)
{
	struct mem_cgroup *child = mem_cgroup_create(c->stage->memcg);
	char text[512];
	void *object;

	cgroup_limit(child, 65536);
	object = kmalloc(100, GFP_KERNEL, child);
	mem_cgroup_read(child, "memory.stat", text, sizeof(text));
	mem_cgroup_usage(c->stage->memcg);
	kfree(object);
	mem_cgroup_put(child);
	return object;
}

static bool op_addresses(const struct caller *c)
{
	struct iova_domain *iovad = iova_domain_alloc(4096, 1, 1 << 20, GFP_KERNEL_ACCOUNT);
	bool kept = !reserve_iova(iovad, 5000, 6000, GFP_KERNEL);

	iova_domain_free(iovad);
	return kept && !reserve_iova(c->stage->iovad, 1 << 19, (1 << 19) + 600, GFP_KERNEL);
}

static bool op_shrink(const struct caller *c)
{
	shrink_all(GFP_KERNEL);
	return true;
}

static bool op_blocks(const struct caller *c)
{
	struct page *big = alloc_pages(GFP_KERNEL, 4, NULL, PAGE_OTHER);
	struct page *small = alloc_pages(GFP_KERNEL, 1, NULL, PAGE_OTHER);

	free_pages(big);
	free_pages(small);
	return big && small;
}

static bool op_interrupts(const struct caller *c)
{
	dma_addr_t iova;

	return !iommu_dma_prepare_msi(c->stage->dev, 0xfee00000, &iova);
}

static const struct call ops[] = {
	{"growth of the top table", op_grow_top, 0, true, true},
	{"memory cgroups", op_cgroups, 0, true, true},
	{"sets of addresses", op_addresses, 0, true, true},
	{"shrinkers", op_shrink, 0, true, true},
	{"blocks of pages", op_blocks, 0, true, true},
	{"interrupts", op_interrupts, 0, true, true},
};

/* It may fail: what the other one frees while a walk is stopped waits for its end. */
static void stop_everywhere(struct stage *s, const struct call *op)
{
	const struct caller them = {s, THEIRS, GFP_KERNEL};

	other.most_stops = other.stops + MOST_STOPS;
	after_step = other_thread_runs;
	step_begin();
	op->make(&them);
	step_end();
	after_step = NULL;
}

static void stop_in_all(struct stage *s)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++)
		stop_everywhere(s, &ops[i]);
	for_each_call(call)
		/* Not two of this at a time. */
		if (call->make != call_dirty) stop_everywhere(s, call);
}

/* Tables that are objects: what is theirs alone. */
static void stop_in_maps(struct stage *s)
{
	stop_everywhere(s, &calls[0]);
	stop_everywhere(s, &calls[1]);
}

static void test_other_thread_stopped(void **state)
{
	static const char *const formats[] = {"amdv1", "s390"};

	for (unsigned int f = 0; f < ARRAY_SIZE(formats); f++) {
		struct stage stage;
		unsigned long failed = 0;

		stage_begin(&stage, iommu_format_find(formats[f]));
		make_room(ARENA / 65536 * 3 / 4);
		other_begin(&stage);
		if (f)
			stop_in_maps(&stage);
		else
			stop_in_all(&stage);
		other_end();
		stage_end(&stage);
		for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
			if (getenv("ATOMIC_STEPS"))
				print_message("# %s, %s: %lu stops, %lu failed\n", formats[f],
					      calls[i].name, other.made[i], other.failed[i]);
			assert_true(other.failed[i] < other.made[i]);
			failed += other.failed[i];
		}
		/* Locks were met that were held. */
		assert_true(failed > 0);
	}
}

#endif

static int setup(void **state)
{
	struct uiommu_config config = {ARENA, RESERVE, UIOMMU_PHYS_IS_VIRT};

#ifdef CAN_STEP
	step_init();
#endif
	return uiommu_init(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_domain), /* first, as it says */
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_waits_for_nothing),
		cmocka_unit_test(test_blocking_gfp_is_reported),
#ifndef ITEMS_SANITIZED /* sanitizers make system calls of their own */
		cmocka_unit_test(test_makes_no_system_call),
#endif
#ifdef CAN_STEP
		cmocka_unit_test(test_steps_are_bounded),
		cmocka_unit_test(test_other_thread_stopped),
#endif
	};

	return cmocka_run_group_tests_name("atomic", tests, setup, NULL);
}
