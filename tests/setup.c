/* SPDX-License-Identifier: MIT */
/*
 * The first use of the library by several threads, of which one fails; fork(); and a
 * membarrier() that fails later. Each case has a process of its own. The platform's
 * calls are caught by the linker: reserving fails when it is told to, time goes by when
 * it is told to.
 */
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uiommu/mm.h>

#include "tests/common.h"

#include "mm/page.h"
#include "mm/rcu.h"

#define PAGE     4096ULL
#define UNUSABLE 99 /* exit status: what the case needs cannot be had here */

/* ---- what the linker catches ---- */

static atomic_uint waiting; /* yields since reserving is held up */
static atomic_uint hold_up; /* waiters before reserving fails, 0: it does not */
static atomic_bool holding;
static atomic_ulong clock_ms = 1000;
static atomic_bool clock_runs;

void *__real_plat_reserve(size_t size);
void *__wrap_plat_reserve(size_t size);
void __real_plat_yield(void);
void __wrap_plat_yield(void);
uint64_t __wrap_plat_clock_ms(void);

static __thread bool has_waited;

void *__wrap_plat_reserve(size_t size)
{
	unsigned int waiters = atomic_load(&hold_up);

	if (!waiters)
		return __real_plat_reserve(size);
	atomic_store(&holding, true);
	while (atomic_load(&waiting) < waiters)
		__real_plat_yield();
	/* Only this call fails: those that have waited for it reserve next. */
	atomic_store(&hold_up, 0);
	return NULL;
}

void __wrap_plat_yield(void)
{
	if (atomic_load(&holding) && !has_waited) {
		has_waited = true;
		atomic_fetch_add(&waiting, 1);
	}
	__real_plat_yield();
}

uint64_t __wrap_plat_clock_ms(void)
{
	return atomic_load(&clock_runs) ? atomic_fetch_add(&clock_ms, 1) : atomic_load(&clock_ms);
}

/* ---- a process for each case ---- */

/* The leak checker cannot stop the threads of a child that fork() made of several. */
const char *__lsan_default_options(void);

const char *__lsan_default_options(void)
{
	return "detect_leaks=0";
}

struct outcome {
	int status;
	char text[4096]; /* of its stderr */
};

#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			_exit(1);                                               \
		}                                                               \
	} while (0)

static struct outcome in_child(void (*body)(void))
{
	struct outcome outcome = {0};
	size_t length = 0;
	int pipes[2];
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(pipes[1], STDERR_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		alarm(60);
		body();
		exit(0);
	}
	close(pipes[1]);
	while ((got = read(pipes[0], outcome.text + length, sizeof(outcome.text) - 1 - length)) > 0)
		length += (size_t)got;
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &outcome.status, 0), pid);
	return outcome;
}

static void assert_fine(void (*body)(void))
{
	struct outcome outcome = in_child(body);

	if (WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == UNUSABLE)
		return; /* cmocka counts a skip as a failure */
	if (outcome.status)
		fail_msg("status %#x: %s", outcome.status, outcome.text);
	assert_string_equal(outcome.text, "");
}

static void use_library(void)
{
	struct shape vtd = {iommu_format_find("vtd"), 48};
	struct iommu_domain *domain = alloc_domain(&vtd, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);

	CHECK(!IS_ERR(domain));
	for (uint64_t iova = 0; iova < 16ULL << 30; iova += 1ULL << 30) {
		CHECK(!iommu_map(domain, iova, PAGE, 16 * PAGE, RW, GFP_KERNEL));
		CHECK(iommu_iova_to_phys(domain, iova + PAGE) == 2 * PAGE);
		CHECK(iommu_unmap(domain, iova, 16 * PAGE) == 16 * PAGE);
	}
	CHECK(count_tables(domain) == 1);
	iommu_domain_free(domain);
}

/* ---- the first use fails in one thread ---- */

static const struct uiommu_config config = {.arena_bytes = 64 << 20,
					    .phys_base = UIOMMU_PHYS_IS_VIRT};

static void *init_in_vain(void *arg)
{
	CHECK(uiommu_init(&config) == -ENOMEM);
	return NULL;
}

static void hold_up_init(pthread_t *thread, unsigned int waiters)
{
	atomic_store(&hold_up, waiters);
	pthread_create(thread, NULL, init_in_vain, NULL);
	while (!atomic_load(&holding))
		__real_plat_yield();
}

static void waiter_sets_up(void)
{
	pthread_t thread;

	hold_up_init(&thread, 1);
	CHECK(uiommu_init(&config) == 0);
	CHECK(uiommu_init(&config) == -EBUSY);
	pthread_join(thread, NULL);
	use_library();
}

static void waiter_uses(void)
{
	pthread_t thread;

	hold_up_init(&thread, 1);
	use_library();
	CHECK(uiommu_init(&config) == -EBUSY);
	pthread_join(thread, NULL);
}

#define WAITERS 4

static atomic_uint set_up, busy;

static void *try_init(void *arg)
{
	int ret = uiommu_init(&config);

	CHECK(!ret || ret == -EBUSY);
	atomic_fetch_add(ret ? &busy : &set_up, 1);
	use_library();
	return NULL;
}

static void one_of_waiters_sets_up(void)
{
	pthread_t thread, waiter[WAITERS];

	hold_up_init(&thread, WAITERS);
	for (unsigned int i = 0; i < WAITERS; i++)
		pthread_create(&waiter[i], NULL, try_init, NULL);
	for (unsigned int i = 0; i < WAITERS; i++)
		pthread_join(waiter[i], NULL);
	pthread_join(thread, NULL);
	CHECK(set_up == 1 && busy == WAITERS - 1);
}

static void failed_init(void **state)
{
	assert_fine(waiter_sets_up);
	assert_fine(waiter_uses);
	assert_fine(one_of_waiters_sets_up);
}

/* ---- fork() ---- */

static struct iommu_domain *before_fork;

static void expect_child(void (*body)(void), bool refused)
{
	struct outcome outcome = in_child(body);

	if (refused) {
		CHECK(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT);
		CHECK(strstr(outcome.text, "uiommu: cannot be used in this child of fork()"));
	} else {
		CHECK(!outcome.status && !outcome.text[0]);
	}
}

static void map_before_fork(void)
{
	struct shape vtd = {iommu_format_find("vtd"), 48};

	before_fork = alloc_domain(&vtd, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
	CHECK(!iommu_map(before_fork, 0, PAGE, 600 * PAGE, RW, GFP_KERNEL));
}

static void unmap_in_child(void)
{
	CHECK(iommu_iova_to_phys(before_fork, 599 * PAGE) == 600 * PAGE);
	CHECK(iommu_unmap(before_fork, 0, 600 * PAGE) == 600 * PAGE);
	CHECK(count_tables(before_fork) == 1);
	use_library();
	iommu_domain_free(before_fork);
}

static void *use_in_thread(void *arg)
{
	use_library();
	return NULL;
}

static void start_threads_in_child(void)
{
	pthread_t thread;

	unmap_in_child();
	pthread_create(&thread, NULL, use_in_thread, NULL);
	use_library();
	pthread_join(thread, NULL);
}

static void only_thread_forks(void)
{
	pthread_t thread;

	map_before_fork();
	expect_child(unmap_in_child, false);
	expect_child(start_threads_in_child, false);
	/* A thread that has ended is none. */
	pthread_create(&thread, NULL, use_in_thread, NULL);
	pthread_join(thread, NULL);
	expect_child(unmap_in_child, false);
	/* What is the child's is not the parent's. */
	CHECK(iommu_iova_to_phys(before_fork, 599 * PAGE) == 600 * PAGE);
	unmap_in_child();
}

static pthread_barrier_t barrier;

static void *stand_by(void *arg)
{
	map_before_fork();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

/* As a thread that is the only one does, in the middle of a call. */
static void *stand_by_inside(void *arg)
{
	struct mm_thread *self = mm_thread_self();
	bool single, outermost = rcu_read_lock_single(self, &single);

	CHECK(single);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	rcu_read_unlock(self, outermost);
	return NULL;
}

static void do_nothing(void)
{
}

static void look_up_in_child(void)
{
	iommu_iova_to_phys(before_fork, 0);
}

static void map_page_in_child(void)
{
	iommu_map(before_fork, 700 * PAGE, PAGE, PAGE, RW, GFP_KERNEL);
}

static void init_in_child(void)
{
	uiommu_init(NULL);
}

static void exec_in_child(void)
{
	execl("/bin/true", "true", NULL);
}

static void fork_again_in_child(void)
{
	expect_child(do_nothing, false);
	expect_child(use_library, true);
}

static void fork_beside(void *(*other)(void *), bool uses)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, other, NULL);
	pthread_barrier_wait(&barrier);
	if (uses)
		use_library();
	expect_child(do_nothing, false);
	expect_child(exec_in_child, false);
	expect_child(use_library, true);
	expect_child(look_up_in_child, true);
	expect_child(map_page_in_child, true);
	expect_child(init_in_child, true);
	expect_child(fork_again_in_child, false);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	use_library();
	expect_child(use_library, false);
}

static void threads_fork(void)
{
	fork_beside(stand_by, true);
	fork_beside(stand_by, false);
}

static void *inside_only(void *arg)
{
	map_before_fork();
	return stand_by_inside(arg);
}

static void stranger_forks(void)
{
	fork_beside(inside_only, false);
}

/* The library is being set up by another thread. */
static void init_is_under_way(void)
{
	pthread_t thread;

	hold_up_init(&thread, 1);
	expect_child(do_nothing, false);
	expect_child(use_library, true);
	expect_child(init_in_child, true);
	atomic_store(&waiting, 1);
	pthread_join(thread, NULL);
}

static void forks(void **state)
{
	assert_fine(only_thread_forks);
	assert_fine(threads_fork);
	assert_fine(stranger_forks);
	assert_fine(init_is_under_way);
}

/* ---- membarrier() fails later ---- */

static void forbid_membarrier(unsigned int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	if (rcu_reader_barriers() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program))
		_exit(UNUSABLE);
	CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) < 0);
}

#define BATCH 512u /* pages that are enough to begin a grace period */

static void release_batch(void)
{
	struct page *first = NULL;

	for (unsigned int i = 0; i < BATCH; i++) {
		struct page *page = alloc_pages(GFP_KERNEL, 0, NULL, PAGE_OTHER);

		CHECK(page);
		page->next = first;
		first = page;
	}
	rcu_release_page_list(mm_thread_self(), first);
}

static uint64_t pages_in_use(void)
{
	struct uiommu_mm_stat stat;

	uiommu_mm_stat(&stat);
	return stat.other / PAGE;
}

/* What is freed waits a while, as nobody knows what others have stored just now. */
static void frees_wait(unsigned int error)
{
	struct mm_thread *self = mm_thread_self();
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, stand_by, NULL);
	pthread_barrier_wait(&barrier);
	release_batch();
	CHECK(!pages_in_use());
	forbid_membarrier(error);
	release_batch();
	CHECK(pages_in_use() == BATCH);
	atomic_fetch_add(&clock_ms, PLAT_SETTLE_MS - 1);
	rcu_poll(self);
	CHECK(pages_in_use() == BATCH);
	atomic_fetch_add(&clock_ms, 1);
	rcu_poll(self);
	CHECK(!pages_in_use());
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
}

/* A walk is waited for, however long it takes. */
static void readers_are_waited_for(void)
{
	struct mm_thread *self;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, stand_by_inside, NULL);
	pthread_barrier_wait(&barrier);
	/* Else this thread would not be let in. */
	rcu_single_end(mm_thread_list());
	self = mm_thread_self();
	forbid_membarrier(EPERM);
	release_batch();
	atomic_fetch_add(&clock_ms, 1000000);
	rcu_poll(self);
	CHECK(pages_in_use() == BATCH);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	rcu_poll(self);
	CHECK(!pages_in_use());
}

static void *come(void *arg)
{
	unsigned long *took = arg, before = atomic_load(&clock_ms);

	mm_thread_self();
	*took = atomic_load(&clock_ms) - before;
	return NULL;
}

/* So does a thread that is new, before it believes what others show. */
static void new_threads_wait(void)
{
	unsigned long took;
	pthread_t thread;

	mm_thread_self();
	forbid_membarrier(ENOSYS);
	atomic_store(&clock_runs, true);
	pthread_create(&thread, NULL, come, &took);
	pthread_join(thread, NULL);
	CHECK(took >= PLAT_SETTLE_MS);
}

static void frees_wait_eperm(void)
{
	frees_wait(EPERM);
}

static void frees_wait_enosys(void)
{
	frees_wait(ENOSYS);
}

static void *use_often(void *arg)
{
	for (unsigned int i = 0; i < 200; i++)
		use_library();
	return NULL;
}

static void all_goes_on(void)
{
	pthread_t thread[3];

	atomic_store(&clock_runs, true);
	pthread_create(&thread[0], NULL, use_often, NULL);
	pthread_create(&thread[1], NULL, use_often, NULL);
	use_library();
	forbid_membarrier(EPERM);
	pthread_create(&thread[2], NULL, use_often, NULL);
	use_often(NULL);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
}

/* One line tells of it. */
static void assert_warned(void (*body)(void))
{
	struct outcome outcome = in_child(body);
	const char *line = "uiommu: membarrier() has begun to fail";

	if (WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == UNUSABLE)
		return; /* cmocka counts a skip as a failure */
	if (outcome.status)
		fail_msg("status %#x: %s", outcome.status, outcome.text);
	assert_ptr_equal(strstr(outcome.text, line), outcome.text);
	assert_ptr_equal(strchr(outcome.text, '\n'), outcome.text + strlen(outcome.text) - 1);
}

static void membarrier_fails(void **state)
{
	assert_warned(frees_wait_eperm);
	assert_warned(frees_wait_enosys);
	assert_warned(readers_are_waited_for);
	assert_warned(new_threads_wait);
	assert_warned(all_goes_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_init),
		cmocka_unit_test(forks),
		cmocka_unit_test(membarrier_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
