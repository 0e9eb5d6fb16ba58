/* SPDX-License-Identifier: MIT */
/*
 * A caller that means harm: every ioctl with structs made of values that hurt,
 * pointers that are bad or end at a page's edge, ids of other things, lengths up
 * to 2^64; in between the calls of device models and accesses. Nothing may
 * crash, take long, return an errno that means nothing, or leave a byte charged.
 *
 * Seeds are fixed. "iommufd_abuse SECONDS [SEED]" goes on with others.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>

#include "tests/iommufd_rig.h"

#define BUDGET      (2ULL << 20)
#define KEPT_FILES  2 /* of /proc/self, which the library opens once */
#define SLOW_NS     (5 * 1000000000ULL)
#define STRUCT_ROOM 256

/* One who calls. Several may share a rig. */
struct caller {
	struct rig *rig;
	uint64_t seed;
	char *scratch;   /* a page that can be read and written, before one that cannot */
	char *read_only; /* a page */
	pthread_t thread;
	unsigned int rounds, good;
};

/*
 * What an ioctl's struct consists of, a letter each. 32 bits: s its size, i an
 * id, of an IOAS I, an HWPT H, the device D, a fault queue F; f flags, z 0, n a
 * number, t a type, d a descriptor; 16 bits: h an
 * operation, r 0; 64 bits: A address of memory to map, P of data, L length, V
 * iova, p page size, o option value, Z 0.
 */
struct form {
	unsigned int cmd;
	const char *fields;
};

static const struct form forms[] = {
	{IOMMU_DESTROY, "si"},
	{IOMMU_IOAS_ALLOC, "szz"},
	{IOMMU_IOAS_ALLOW_IOVAS, "sInzP"},
	{IOMMU_IOAS_COPY, "sfIILVV"},
	{IOMMU_IOAS_IOVA_RANGES, "sInzPZ"},
	{IOMMU_IOAS_MAP, "sfIzALV"},
	{IOMMU_IOAS_MAP, "sfIzALV"},
	{IOMMU_IOAS_MAP_FILE, "sfIdLLV"},
	{IOMMU_IOAS_UNMAP, "sIVL"},
	{IOMMU_OPTION, "sthrIo"},
	{IOMMU_VFIO_IOAS, "sIhr"},
	{IOMMU_HWPT_ALLOC, "sfDIzzzzZFz"},
	{IOMMU_HWPT_ALLOC, "sfDHzztnPFz"},
	{IOMMU_GET_HW_INFO, "szDnPzzZ"},
	{IOMMU_HWPT_SET_DIRTY_TRACKING, "sfHz"},
	{IOMMU_HWPT_GET_DIRTY_BITMAP, "sHfzVLpP"},
	{IOMMU_HWPT_INVALIDATE, "sHPtnnz"},
	{IOMMU_FAULT_QUEUE_ALLOC, "szzz"},
	{IOMMU_IOAS_CHANGE_PROCESS, "sz"},
	{VFIO_IOMMU_GET_INFO, "szZzz"},
	{VFIO_IOMMU_MAP_DMA, "sfAVL"},
	{VFIO_IOMMU_UNMAP_DMA, "sfVL"},
};

/* Everything that an ioctl here may say. */
static bool is_known_error(int rc)
{
	static const int known[] = {ENOENT,          EINVAL, EFAULT, E2BIG,      EOPNOTSUPP, ENOMEM,
				    EOVERFLOW,       ENOTTY, EEXIST, EADDRINUSE, ENOSPC,     EBUSY,
				    EMSGSIZE,        ENODEV, EPERM,  EBADF,      EMFILE,     ESPIPE,
				    EPROTONOSUPPORT, EACCES, EFBIG,  ERANGE};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (rc == -known[i])
			return true;
	return false;
}

/* ---- values ---- */

static bool one_in(struct caller *caller, unsigned int n)
{
	return !random_below(&caller->seed, n);
}

static uint64_t any(struct caller *caller)
{
	uint64_t bits = random_below(&caller->seed, 65);

	return bits ? random_next(&caller->seed) >> (64 - bits) : 0;
}

static uint64_t near_power(struct caller *caller)
{
	return (1ULL << random_below(&caller->seed, 64)) + random_below(&caller->seed, 3) - 1;
}

/* Addresses where something is wrong. */
static uint64_t bad_address(struct caller *caller)
{
	const uint64_t edge = (uintptr_t)caller->scratch + PAGE;
	const uint64_t list[] = {
		0,
		1,
		4095,
		edge,
		edge - 1,
		edge - 4,
		(uintptr_t)caller->read_only,
		1ULL << 47,
		(1ULL << 47) - PAGE,
		1ULL << 63,
		0xffffffff80000000,
		UINT64_MAX,
		UINT64_MAX - PAGE + 1,
	};

	return list[random_below(&caller->seed, ARRAY_SIZE(list))];
}

static uint64_t memory_address(struct caller *caller)
{
	uint64_t at = (uintptr_t)caller->rig->memory;

	if (one_in(caller, 12))
		return bad_address(caller);
	at += random_below(&caller->seed, MEMORY / PAGE) * PAGE;
	return one_in(caller, 12) ? at + random_below(&caller->seed, PAGE) : at;
}

/* Data: full of small numbers and page numbers, so that some of it makes sense. */
static uint64_t data_address(struct caller *caller)
{
	uint64_t *words = (uint64_t *)caller->scratch;

	if (one_in(caller, 6))
		return bad_address(caller);
	for (unsigned int i = 0; i < PAGE / sizeof(*words); i++)
		words[i] =
			random_below(&caller->seed, 3) * (random_next(&caller->seed) >> 40) * PAGE +
			(one_in(caller, 3) ? random_below(&caller->seed, 3) : 0);
	if (one_in(caller, 3)) /* ends where the page does */
		return (uintptr_t)caller->scratch + PAGE - 8 * random_below(&caller->seed, 64);
	return (uintptr_t)caller->scratch;
}

static uint64_t length(struct caller *caller)
{
	if (one_in(caller, 12))
		return any(caller);
	if (one_in(caller, 12))
		return near_power(caller);
	if (one_in(caller, 20))
		return UINT64_MAX;
	return (1 + random_below(&caller->seed, one_in(caller, 8) ? 700 : 12)) * PAGE;
}

static uint64_t iova(struct caller *caller)
{
	if (one_in(caller, 16))
		return any(caller);
	if (one_in(caller, 16))
		return near_power(caller);
	return (one_in(caller, 4) ? 1ULL << 39 : 0) +
	       random_below(&caller->seed, one_in(caller, 4) ? 4096 : 40) * PAGE;
}

/* Picks the one of the objects of a kind whose turn it is. */
struct pick {
	char letter;
	unsigned int turn, seen;
	uint32_t id;
};

static void pick_object(void *arg, const struct iommufd_object_info *info)
{
	static const char *const letters[IOMMUFD_OBJ_MAX] = {
		[IOMMUFD_OBJ_DEVICE] = "Di",      [IOMMUFD_OBJ_HWPT_PAGING] = "Hi",
		[IOMMUFD_OBJ_HWPT_NESTED] = "Hi", [IOMMUFD_OBJ_IOAS] = "Ii",
		[IOMMUFD_OBJ_ACCESS] = "i",       [IOMMUFD_OBJ_FAULT] = "Fi",
	};
	struct pick *pick = arg;

	if (strchr(letters[info->type], pick->letter) && pick->seen++ <= pick->turn)
		pick->id = info->id;
}

/* Mostly of an object that there is, if there is one of the kind. */
static uint32_t id_of(struct caller *caller, char letter)
{
	struct pick pick = {.letter = letter, .turn = (unsigned int)random_below(&caller->seed, 8)};

	if (one_in(caller, 8))
		return (uint32_t)random_below(&caller->seed, 14);
	iommufd_for_each_object(caller->rig->ctx, pick_object, &pick);
	return pick.id;
}

static uint64_t value_of(struct caller *caller, char letter)
{
	struct rig *rig = caller->rig;
	const int fds[] = {rig->memfd, -1, 0, 1 << 20, AT_FDCWD};

	switch (letter) {
	case 'i':
	case 'I':
	case 'H':
	case 'D':
	case 'F':
		return id_of(caller, letter);
	case 'f':
		return one_in(caller, 30) ? any(caller) : random_below(&caller->seed, 8);
	case 'n':
		return one_in(caller, 8) ? any(caller) : random_below(&caller->seed, 40);
	case 't':
	case 'h':
	case 'o':
		return random_below(&caller->seed, 3);
	case 'd':
		return (uint64_t)fds[one_in(caller, 4) ? random_below(&caller->seed, 5) : 0];
	case 'A':
		return memory_address(caller);
	case 'P':
		return data_address(caller);
	case 'L':
		return length(caller);
	case 'V':
		return iova(caller);
	case 'p':
		return one_in(caller, 4) ? near_power(caller) : PAGE;
	default:
		return 0;
	}
}

static unsigned int size_of(char letter)
{
	if (strchr("APLVpoZ", letter))
		return 8;
	return strchr("hr", letter) ? 2 : 4;
}

/* ---- an ioctl ---- */

/* Fills @buffer; returns the true size. */
static uint32_t make_struct(struct caller *caller, const char *fields, char *buffer)
{
	uint32_t at = 0, true_size;

	memset(buffer, 0, STRUCT_ROOM);
	for (const char *f = fields; *f; f++) {
		uint64_t value = one_in(caller, 200) ? any(caller) : value_of(caller, *f);

		memcpy(buffer + at, &value, size_of(*f));
		at += size_of(*f);
	}
	true_size = at;
	if (one_in(caller, 20))
		at = (uint32_t)random_below(&caller->seed, STRUCT_ROOM);
	if (one_in(caller, 100))
		at = (uint32_t)any(caller);
	memcpy(buffer, &at, sizeof(at));
	if (one_in(caller, 30)) /* what no version of it has */
		buffer[random_below(&caller->seed, STRUCT_ROOM)] = 1;
	return true_size;
}

/* Somewhere in memory, now and then where not all of it is, or none. */
static void *place_struct(struct caller *caller, char *buffer, uint32_t size)
{
	char *at = caller->scratch + PAGE - size;

	if (one_in(caller, 30))
		return (void *)(uintptr_t)bad_address(caller);
	if (one_in(caller, 60)) {
		mprotect(caller->read_only, PAGE, PROT_READ | PROT_WRITE);
		memcpy(caller->read_only, buffer, STRUCT_ROOM);
		mprotect(caller->read_only, PAGE, PROT_READ);
		return caller->read_only;
	}
	if (one_in(caller, 2))
		return buffer;
	if (one_in(caller, 20))
		at += random_below(&caller->seed, size) + 1;
	memcpy(at, buffer, (size_t)(caller->scratch + PAGE - at));
	return at;
}

/* Of the thread's processor: other work on this machine does not count. */
static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void abuse_ioctl(struct caller *caller)
{
	const struct form *form = &forms[random_below(&caller->seed, ARRAY_SIZE(forms))];
	uint64_t buffer[STRUCT_ROOM / 8], start;
	uint32_t size = make_struct(caller, form->fields, (char *)buffer);
	void *arg = place_struct(caller, (char *)buffer, size);
	unsigned int cmd = form->cmd;
	int rc;

	if (one_in(caller, 40)) /* another one's struct, or nobody's */
		cmd += (unsigned int)random_below(&caller->seed, 5) - 2;
	if (one_in(caller, 200))
		cmd = (unsigned int)any(caller);
	if (one_in(caller, 60)) {
		cmd = one_in(caller, 2) ? VFIO_SET_IOMMU : VFIO_CHECK_EXTENSION;
		arg = (void *)(uintptr_t)random_below(&caller->seed, 12);
	}
	start = now_ns();
	rc = rig_ioctl(caller->rig, cmd, arg);
	if (now_ns() - start > SLOW_NS)
		fail_msg("ioctl %#x took more than 5 s of a processor", cmd);
	if (rc < 0 && !is_known_error(rc))
		fail_msg("ioctl %#x: %d", cmd, rc);
	caller->good += rc >= 0;
}

/* ---- the rest of iommufd.h ---- */

static void abuse_device(struct caller *caller)
{
	struct iommu_hwpt_pgfault requests[3] = {0};
	struct iommufd_device *idev = caller->rig->idev;
	uint32_t id = id_of(caller, one_in(caller, 3) ? 'I' : 'H');
	int rc = 0;

	switch (random_below(&caller->seed, 4)) {
	case 0:
		rc = iommufd_device_attach(idev, &id);
		break;
	case 1:
		rc = iommufd_device_replace(idev, &id);
		break;
	case 2:
		if (one_in(caller, 3))
			iommufd_device_detach(idev);
		break;
	default:
		rc = iommufd_device_report_iopf(idev, requests,
						(unsigned int)random_below(&caller->seed, 4));
	}
	if (rc && !is_known_error(rc))
		fail_msg("device: %d", rc);
}

static void abuse_file(struct caller *caller)
{
	struct rig *rig = caller->rig;
	unsigned int nth;
	ssize_t rc;
	void *buf = (void *)(uintptr_t)data_address(caller);
	size_t len = random_below(&caller->seed, 8) * (one_in(caller, 2) ? 8 : 40);

	if (!rig->nr_files)
		return;
	nth = (unsigned int)random_below(&caller->seed, rig->nr_files);
	if (one_in(caller, 8)) {
		iommufd_file_release(rig->files[nth].file, rig->files[nth].kind);
		rig->files[nth] = rig->files[--rig->nr_files];
		return;
	}
	if (one_in(caller, 2))
		rc = iommufd_file_read(rig->files[nth].file, rig->files[nth].kind, buf, len, true);
	else
		rc = iommufd_file_write(rig->files[nth].file, rig->files[nth].kind, buf, len);
	if (rc < 0 && !is_known_error((int)rc))
		fail_msg("file: %d", (int)rc);
}

static void let_go(void *data, uint64_t start, uint64_t size)
{
}

static const struct iommufd_access_ops access_ops = {.unmap = let_go};

/* What is written is what was there: an area may reach over memory of the test itself. */
static int access_rw(struct caller *caller)
{
	struct iommufd_access *access = caller->rig->access;
	uint64_t at = iova(caller);
	char data[3 * PAGE];
	size_t size = random_below(&caller->seed, sizeof(data));
	int rc = iommufd_access_rw(access, at, data, size, 0);

	return rc ? rc : iommufd_access_rw(access, at, data, size, IOMMUFD_ACCESS_RW_WRITE);
}

static void abuse_access(struct caller *caller)
{
	struct rig *rig = caller->rig;
	uint32_t id = id_of(caller, 'I');
	int rc = 0;

	if (!rig->access) {
		rig->access = iommufd_access_create(rig->ctx, &access_ops, rig, &rig->access_id);
		if (IS_ERR(rig->access))
			rig->access = NULL;
		return;
	}
	switch (random_below(&caller->seed, 6)) {
	case 0:
		rc = iommufd_access_attach(rig->access, id);
		break;
	case 1:
		rc = iommufd_access_replace(rig->access, id);
		break;
	case 2:
		if (one_in(caller, 4))
			iommufd_access_detach(rig->access);
		break;
	default:
		rc = access_rw(caller);
	}
	if (rc && !is_known_error(rc))
		fail_msg("access: %d", rc);
}

/* ---- rounds ---- */

static void caller_begin(struct caller *caller, struct rig *rig, uint64_t seed, unsigned int rounds)
{
	char *pages = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	*caller = (struct caller){.rig = rig, .seed = seed, .rounds = rounds};
	caller->scratch = pages;
	caller->read_only = pages + 2 * PAGE;
	assert_int_equal(mprotect(caller->scratch, PAGE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(mprotect(caller->read_only, PAGE, PROT_READ), 0);
}

static void caller_end(struct caller *caller)
{
	munmap(caller->scratch, 4 * PAGE);
}

static void *call_ioctls(void *arg)
{
	struct caller *caller = arg;

	for (unsigned int i = 0; i < caller->rounds; i++)
		abuse_ioctl(caller);
	return NULL;
}

static void call_all(struct caller *caller)
{
	for (unsigned int i = 0; i < caller->rounds; i++) {
		abuse_ioctl(caller);
		if (one_in(caller, 10))
			abuse_device(caller);
		if (one_in(caller, 15))
			abuse_file(caller);
		if (one_in(caller, 15))
			abuse_access(caller);
		assert_true(mem_cgroup_usage(caller->rig->memcg) <= BUDGET);
	}
}

static unsigned int count_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* One life of a context: it must leave neither charges nor open files. */
static unsigned int abuse_one(uint64_t seed, unsigned int rounds)
{
	enum iommufd_phys_mode phys = (enum iommufd_phys_mode)(seed % 3);
	unsigned int files = count_files();
	struct caller caller;
	struct rig rig;

	rig_begin(&rig, phys);
	cgroup_limit(rig.memcg, BUDGET);
	caller_begin(&caller, &rig, seed * 0x9e3779b97f4a7c15ULL, rounds);
	call_all(&caller);
	rig_end(&rig);
	caller_end(&caller);
	assert_true(count_files() <= files + KEPT_FILES);
	return caller.good;
}

#define SEEDS 12

static void one_caller(void **state)
{
	unsigned int good = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		good += abuse_one(seed, 8000);
	print_message("# seeds 1 to %u: %u of %u ioctls succeeded\n", SEEDS, good, SEEDS * 8000);
	/* Else the harm stays at the door. */
	assert_true(good > SEEDS * 8000 / 10);
}

static void callers_at_once(void **state)
{
	struct caller callers[3];
	struct rig rig;

	rig_begin(&rig, IOMMUFD_PHYS_SCATTERED);
	cgroup_limit(rig.memcg, BUDGET);
	for (unsigned int i = 0; i < 3; i++)
		caller_begin(&callers[i], &rig, 77 * (i + 1), 8000);
	for (unsigned int i = 1; i < 3; i++)
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call_ioctls, &callers[i]),
				 0);
	call_ioctls(&callers[0]);
	for (unsigned int i = 1; i < 3; i++)
		pthread_join(callers[i].thread, NULL);
	for (unsigned int i = 0; i < 3; i++)
		caller_end(&callers[i]);
	rig_end(&rig);
}

static int go_on(unsigned int seconds, uint64_t seed)
{
	uint64_t end = now_ns() + seconds * 1000000000ULL;

	for (; now_ns() < end; seed++) {
		printf("seed %llu\n", (unsigned long long)seed);
		fflush(stdout);
		abuse_one(seed, 20000);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_caller),
		cmocka_unit_test(callers_at_once),
	};

	if (argc > 1)
		return go_on((unsigned int)strtoul(argv[1], NULL, 10),
			     argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
