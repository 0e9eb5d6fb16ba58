/* SPDX-License-Identifier: MIT */
/*
 * Page requests: from the device through the queue's file to the program, and
 * the answers back.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/iommufd_bench.h"

struct queue {
	uint32_t id, hwpt;
};

/* A nested page table with a fault queue, which device 0 is attached to. */
static void begin_queue(struct bench *b, struct queue *q)
{
	struct iommu_fault_alloc alloc = {.size = sizeof(alloc)};
	uint32_t parent, pt;

	begin(b);
	assert_int_equal(iommufd_ioctl(b->fd.ctx, IOMMU_FAULT_QUEUE_ALLOC, &alloc), 0);
	assert_int_equal(alloc.out_fault_fd, 7);
	q->id = alloc.out_fault_id;
	assert_int_equal(new_hwpt(b, 0, b->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	assert_int_equal(new_nested(b, parent, IOMMU_HWPT_FAULT_ID_VALID, q->id, &q->hwpt), 0);
	pt = q->hwpt;
	assert_int_equal(attach(b, 0, &pt), 0);
}

static void end_queue(struct bench *b)
{
	if (b->file)
		iommufd_file_release(b->file, IOMMUFD_FILE_FAULT);
	end(b);
}

static int request(struct bench *b, unsigned int device, unsigned int nr, uint32_t grpid)
{
	struct iommu_hwpt_pgfault requests[8];

	for (unsigned int i = 0; i < nr; i++)
		requests[i] = (struct iommu_hwpt_pgfault){
			.flags = ~0u,
			.pasid = 5,
			.grpid = grpid,
			.perm = IOMMU_PGFAULT_PERM_READ,
			.addr = i * PAGE,
			.cookie = 99,
			.dev_id = 99,
		};
	return iommufd_device_report_iopf(b->idev[device], requests, nr);
}

static ssize_t read_queue(struct bench *b, void *buf, size_t len)
{
	return iommufd_file_read(b->file, IOMMUFD_FILE_FAULT, buf, len, true);
}

static ssize_t answer(struct bench *b, uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response response = {.cookie = cookie, .code = code};

	return iommufd_file_write(b->file, IOMMUFD_FILE_FAULT, &response, sizeof(response));
}

static short poll_queue(struct bench *b)
{
	return iommufd_file_poll(b->file, IOMMUFD_FILE_FAULT, POLLIN | POLLOUT | POLLPRI);
}

static void groups_are_read_and_answered(void **state)
{
	struct iommu_hwpt_pgfault got[8];
	const size_t one = sizeof(got[0]);
	struct queue q;
	struct bench b;

	begin_queue(&b, &q);
	assert_int_equal(poll_queue(&b), POLLOUT);
	assert_int_equal(read_queue(&b, got, sizeof(got)), 0);
	assert_int_equal(request(&b, 0, 3, 70), 0);
	assert_int_equal(request(&b, 0, 1, 71), 0);
	assert_true(b.readable);
	assert_int_equal(poll_queue(&b), POLLIN | POLLOUT);
	assert_int_equal(read_queue(&b, got, one + 1), -ESPIPE);
	assert_int_equal(read_queue(&b, got, 0), -EINVAL);
	assert_int_equal(read_queue(&b, got, 2 * one), -EINVAL);
	assert_int_equal(read_queue(&b, (void *)8, 4 * one), -EFAULT);
	/* A whole group, and no part of the next. */
	assert_int_equal(read_queue(&b, got, 3 * one), 3 * one);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(got[i].dev_id, b.id[0]);
		assert_int_equal(got[i].cookie, 1);
		assert_int_equal(got[i].addr, i * PAGE);
		assert_int_equal(got[i].pasid, 5);
		assert_int_equal(!!(got[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE), i == 2);
	}
	assert_true(b.readable);
	assert_int_equal(read_queue(&b, got, sizeof(got)), one);
	assert_int_equal(got[0].cookie, 2);
	assert_false(b.readable);
	assert_int_equal(poll_queue(&b), POLLOUT);
	assert_int_equal(b.changes, 2);

	assert_int_equal(answer(&b, 3, IOMMUFD_PAGE_RESP_SUCCESS), -EINVAL);
	assert_int_equal(answer(&b, 1, 2), -EINVAL);
	assert_int_equal(iommufd_file_write(b.file, IOMMUFD_FILE_FAULT, got, 4), -ESPIPE);
	assert_int_equal(iommufd_file_write(b.file, IOMMUFD_FILE_FAULT, (void *)8, 8), -EFAULT);
	assert_int_equal(b.model[0].responses, 0);
	assert_int_equal(answer(&b, 1, IOMMUFD_PAGE_RESP_SUCCESS), 8);
	assert_int_equal(answer(&b, 1, IOMMUFD_PAGE_RESP_SUCCESS), -EINVAL);
	/* The smallest cookie that is free. */
	assert_int_equal(request(&b, 0, 1, 72), 0);
	assert_int_equal(read_queue(&b, got, sizeof(got)), one);
	assert_int_equal(got[0].cookie, 1);
	assert_int_equal(answer(&b, 2, IOMMUFD_PAGE_RESP_INVALID), 8);
	assert_int_equal(b.model[0].responses, 2);
	assert_int_equal(b.model[0].grpid[0], 70);
	assert_int_equal(b.model[0].code[0], IOMMUFD_PAGE_RESP_SUCCESS);
	assert_int_equal(b.model[0].grpid[1], 71);
	assert_int_equal(b.model[0].code[1], IOMMUFD_PAGE_RESP_INVALID);
	end_queue(&b);
	/* The one that was never answered ended with the attachment. */
	assert_int_equal(b.model[0].responses, 3);
	assert_int_equal(b.model[0].code[2], IOMMUFD_PAGE_RESP_INVALID);
}

static void several_answers_in_one_write(void **state)
{
	struct iommu_hwpt_page_response responses[3] = {{1, 0}, {2, 1}, {9, 0}};
	struct iommu_hwpt_pgfault got[2];
	struct queue q;
	struct bench b;

	begin_queue(&b, &q);
	assert_int_equal(request(&b, 0, 1, 1), 0);
	assert_int_equal(request(&b, 0, 1, 2), 0);
	assert_int_equal(read_queue(&b, got, sizeof(got)), sizeof(got));
	assert_int_equal(
		iommufd_file_write(b.file, IOMMUFD_FILE_FAULT, responses, sizeof(responses)), 16);
	assert_int_equal(b.model[0].responses, 2);
	end_queue(&b);
}

static void leaving_answers_what_is_left(void **state)
{
	struct iommu_hwpt_pgfault got[1];
	struct queue q;
	struct bench b;
	uint32_t pt;

	begin_queue(&b, &q);
	pt = q.hwpt;
	assert_int_equal(request(&b, 1, 1, 1), -EINVAL);
	assert_int_equal(request(&b, 0, 0, 1), -EINVAL);
	assert_int_equal(attach(&b, 1, &pt), 0);
	assert_int_equal(request(&b, 0, 1, 1), 0);
	assert_int_equal(request(&b, 1, 1, 2), 0);
	assert_int_equal(request(&b, 0, 1, 3), 0);
	assert_int_equal(read_queue(&b, got, sizeof(got)), sizeof(got));
	/* One device goes: the other's request stays. */
	iommufd_device_detach(b.idev[0]);
	assert_int_equal(b.model[0].responses, 2);
	assert_int_equal(b.model[1].responses, 0);
	assert_true(b.readable);
	pt = b.ioas;
	assert_int_equal(iommufd_device_replace(b.idev[1], &pt), 0);
	assert_int_equal(b.model[1].responses, 1);
	assert_false(b.readable);
	assert_int_equal(request(&b, 1, 1, 1), -EINVAL);
	/* The queue stays as long as something uses it. */
	assert_int_equal(destroy(&b.fd, q.id), -EBUSY);
	assert_int_equal(destroy(&b.fd, q.hwpt), 0);
	assert_int_equal(destroy(&b.fd, q.id), -EBUSY);
	iommufd_file_release(b.file, IOMMUFD_FILE_FAULT);
	b.file = NULL;
	assert_int_equal(destroy(&b.fd, q.id), 0);
	end_queue(&b);
}

/* The file may be closed after /dev/iommu. */
static void a_file_may_outlive_the_context(void **state)
{
	struct iommu_hwpt_pgfault got[1];
	struct mem_cgroup *memcg;
	struct queue q;
	struct bench b;

	begin_queue(&b, &q);
	memcg = mem_cgroup_get(b.fd.memcg);
	assert_int_equal(request(&b, 0, 1, 1), 0);
	iommufd_ctx_destroy(b.fd.ctx);
	assert_int_equal(b.model[0].responses, 1);
	assert_int_equal(read_queue(&b, got, sizeof(got)), 0);
	assert_int_equal(answer(&b, 1, 0), -EINVAL);
	assert_int_equal(poll_queue(&b), POLLOUT);
	iommufd_file_release(b.file, IOMMUFD_FILE_FAULT);
	assert_cgroup_empty(memcg);
	mem_cgroup_put(memcg);
	mem_cgroup_put(b.fd.memcg);
	for (unsigned int i = 0; i < DEVICES; i++)
		iommu_device_unregister(b.dev[i]);
	iommu_group_put(b.group);
	unmap_pages(b.memory, MEMORY_PAGES);
}

static void what_cannot_be_told_is_undone(void **state)
{
	char *pages = map_pages(1);
	struct iommu_fault_alloc *alloc = (void *)(pages + PAGE - sizeof(*alloc));
	struct bench b;
	uint64_t before;

	begin(&b);
	before = mem_cgroup_usage(b.fd.memcg);
	*alloc = (struct iommu_fault_alloc){.size = sizeof(*alloc), .flags = 1};
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_FAULT_QUEUE_ALLOC, alloc), -EOPNOTSUPP);
	alloc->flags = 0;
	b.refuse_file = true;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_FAULT_QUEUE_ALLOC, alloc), -EMFILE);
	b.refuse_file = false;
	assert_int_equal(mprotect(pages, PAGE, PROT_READ), 0);
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_FAULT_QUEUE_ALLOC, alloc), -EFAULT);
	assert_int_equal(b.removed, 1);
	assert_int_equal(mem_cgroup_usage(b.fd.memcg), before);
	unmap_pages(pages, 1);
	end(&b);
}

static atomic_bool stop;

static void *read_and_answer(void *arg)
{
	struct iommu_hwpt_pgfault got[4];
	struct bench *b = arg;

	while (!atomic_load(&stop)) {
		ssize_t len = read_queue(b, got, sizeof(got));

		assert_true(len >= 0 && len % (ssize_t)sizeof(got[0]) == 0);
		/* Somebody else may have answered: the device has gone. */
		for (size_t i = 0; i < (size_t)len / sizeof(got[0]); i++)
			if (got[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)
				answer(b, got[i].cookie, IOMMUFD_PAGE_RESP_SUCCESS);
		if (!len)
			sched_yield();
	}
	return NULL;
}

/* Each group has one answer, whoever gives it. */
static void devices_come_and_go_meanwhile(void **state)
{
	unsigned int reported = 0;
	pthread_t thread;
	struct queue q;
	struct bench b;

	begin_queue(&b, &q);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, read_and_answer, &b), 0);
	for (unsigned int round = 0; round < 300; round++) {
		uint32_t pt = q.hwpt;

		for (unsigned int i = 0; i < 10; i++, reported++)
			assert_int_equal(request(&b, 0, 1 + i % 4, i), 0);
		iommufd_device_detach(b.idev[0]);
		assert_int_equal(b.model[0].responses, reported);
		assert_int_equal(attach(&b, 0, &pt), 0);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	end_queue(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_read_and_answered),
		cmocka_unit_test(several_answers_in_one_write),
		cmocka_unit_test(leaving_answers_what_is_left),
		cmocka_unit_test(a_file_may_outlive_the_context),
		cmocka_unit_test(what_cannot_be_told_is_undone),
		cmocka_unit_test(devices_come_and_go_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
