/* SPDX-License-Identifier: MIT */
/* The life of a context that an input is for. */
#include <pthread.h>
#include <unistd.h>

#include "tests/fuzz/harness.h"
#include "tests/fuzz/slowest.h"

#define STRUCT_ROOM 256
#define MOST_OPS    200
#define MOST_ERRNO  133

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- an ioctl ---- */

/* Returns the true size; the low bits of @twist say what is wrong with it. */
static uint32_t make_struct(struct fuzz_caller *caller, const struct fuzz_form *form, uint8_t twist,
			    char *buffer)
{
	uint32_t at = 0, size;

	memset(buffer, 0, STRUCT_ROOM);
	caller->mapped = 0;
	for (const char *f = form->fields; *f; f++) {
		uint64_t value = form->op;

		if (!strchr("szrZO", *f))
			value = fuzz_value(caller, *f);
		else if (*f != 'O')
			value = 0;
		memcpy(buffer + at, &value, fuzz_size_of(*f));
		at += fuzz_size_of(*f);
	}
	at = form->size ? form->size : at;
	size = twist % 32 == 1   ? fuzz_u8(caller)
	       : twist % 32 == 2 ? (uint32_t)fuzz_raw(caller, 4)
				 : at;
	memcpy(buffer, &size, sizeof(size));
	/* What is 0 in every version of it, or behind it. */
	if (twist % 32 == 3)
		for (const char *f = form->fields, *to = buffer; *f; to += fuzz_size_of(*f++))
			if (strchr("zrZ", *f))
				buffer[to - buffer] = (char)fuzz_u8(caller);
	if (twist % 32 == 4)
		buffer[at + fuzz_u8(caller) % 32] = (char)fuzz_u8(caller);
	return at;
}

/* On the stack, before the edge of a page, partly beyond it, or nowhere. */
static void *place_struct(struct fuzz_caller *caller, uint8_t twist, char *buffer, uint32_t size)
{
	char *at = fuzz_pool + (POOL_DATA + 2 * caller->nth + 1) * PAGE - size;

	switch (twist / 32) {
	case 0:
		return (void *)(uintptr_t)(twist % 32 == 31 ? fuzz_bad_address(fuzz_u8(caller))
							    : (uintptr_t)buffer);
	case 1:
		at += fuzz_u8(caller) % 8 ? 0 : fuzz_u8(caller) % (size + 1);
		memcpy(at, buffer, MIN(size, (size_t)(-(uintptr_t)at % PAGE)));
		return at;
	default:
		return buffer;
	}
}

void fuzz_check(long rc)
{
	if (rc < -MOST_ERRNO)
		fail_msg("returned %ld", rc);
}

static void call_ioctl(struct fuzz_caller *caller, const struct fuzz_form *form)
{
	uint64_t buffer[STRUCT_ROOM / 8];
	uint8_t twist = fuzz_u8(caller);
	uint32_t size = make_struct(caller, form, twist, (char *)buffer);

	fuzz_check(iommufd_ioctl(caller->fuzz->rig.ctx, form->cmd,
				 form->fields[0] ? place_struct(caller, twist, (char *)buffer, size)
						 : (void *)(uintptr_t)(fuzz_u8(caller) % 16)));
}

/* ---- an input ---- */

static void *run_caller(void *arg)
{
	struct fuzz_caller *caller = arg;
	unsigned int calls = 0;

	while (fuzz_family.calls[calls])
		calls++;
	for (unsigned int op = 0; op < MOST_OPS && caller->at < caller->end; op++) {
		unsigned int nth = fuzz_u8(caller) % (fuzz_family.nr_forms + calls);

		if (nth < fuzz_family.nr_forms)
			call_ioctl(caller, &fuzz_family.forms[nth]);
		else
			fuzz_family.calls[nth - fuzz_family.nr_forms](caller);
		if (!fuzz_family.racing)
			assert_true(mem_cgroup_usage(caller->fuzz->rig.memcg) <= caller->fuzz->max);
	}
	return NULL;
}

static void run_racing(const struct fuzz_caller *both)
{
	size_t half = (size_t)(both->end - both->at) / 2;
	struct fuzz_caller callers[2] = {*both, *both};
	pthread_t thread;

	callers[0].end = callers[1].at = both->at + half;
	callers[1].nth = 1;
	assert_int_equal(pthread_create(&thread, NULL, run_caller, &callers[1]), 0);
	run_caller(&callers[0]);
	pthread_join(thread, NULL);
}

static void fuzz_begin(struct fuzz *fuzz, struct fuzz_caller *caller)
{
	uint8_t kind = fuzz_u8(caller), limit = fuzz_u8(caller);
	struct rig *rig = &fuzz->rig;
	const struct iommufd_config config = {
		.format = kind & 64 ? "amdv1" : "vtd",
		.phys = (enum iommufd_phys_mode)(kind % 3),
		.owner = rig->memcg = enter_cgroup(NULL),
		.host = &fuzz_host,
		.host_context = fuzz,
		.test_abi = fuzz_family.test_abi,
	};

	add_region(&rig->hw, 0xfee00000, 0x100000, 0, IOMMU_RESV_MSI);
	rig->dev = new_device(&rig->hw, NULL);
	rig->ctx = iommufd_ctx_create(&config);
	assert_false(IS_ERR(rig->ctx));
	rig->idev = iommufd_device_bind(rig->ctx, rig->dev, &rig_device_ops, rig, &rig->dev_id);
	assert_false(IS_ERR(rig->idev));
	rig->ioas = rig_new_ioas(rig);
	rig->memory = fuzz_pool;
	if (fuzz_family.begin)
		fuzz_family.begin(fuzz);
	fuzz->max = ~0ULL;
	if (limit < 192)
		fuzz->max = mem_cgroup_usage(rig->memcg) / PAGE * PAGE + (limit % 96 + 1) * PAGE;
	cgroup_limit(rig->memcg, fuzz->max);
}

/* Nothing may be left. */
static void fuzz_end(struct fuzz *fuzz, bool files_last)
{
	struct rig *rig = &fuzz->rig;

	fuzz_close_files(fuzz, !files_last);
	if (rig->access)
		iommufd_access_destroy(rig->access);
	iommufd_device_unbind(rig->idev);
	iommufd_ctx_destroy(rig->ctx);
	fuzz_close_files(fuzz, true);
	assert_int_equal(rig->nested_live + rig->viommus_live + rig->queues_live, 0);
	assert_null(rig->hw.uses);
	iommu_device_unregister(rig->dev);
	leave_cgroup(rig->memcg);
	for (unsigned int page = 0; page < POOL_PAGES; page++)
		assert_int_equal(iopt_pages_pin_count((uintptr_t)fuzz_pool + page * PAGE), 0);
}

/* The number that the next file would get: a leak raises it. */
static void check_descriptors(void)
{
	static int most;
	int fd = dup(fuzz_pool_file);

	assert_true(fd >= 0);
	close(fd);
	if (!most)
		most = fd + 16; /* the library's own, and the fuzzer's */
	assert_true(fd < most);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct fuzz_caller caller = {.fuzz = &fuzz, .at = data, .end = data + size};
	bool files_last = size && data[0] & 128;
	time_t start = slowest_begin();

	if (!fuzz_pool)
		fuzz_pool_begin();
	fuzz_begin(&fuzz, &caller);
	if (fuzz_family.racing)
		run_racing(&caller);
	else
		run_caller(&caller);
	fuzz_end(&fuzz, files_last);
	check_descriptors();
	slowest_end(start);
	return 0;
}
