/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <pthread.h>

#include <uiommu/dirty.h>

#include "iommufd/user.h"
#include "tests/fuzz/harness.h"

#define STRUCT_ROOM 256
#define MOST_OPS    200
#define MOST_ERRNO  133

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- memory ---- */

/*
 * The pool, in pages: what can be written, what can be read, nothing, a file
 * and what is beyond its end, a page for data of each caller with nothing
 * behind it; and then nothing for as long as a bitmap may reach.
 */
enum {
	POOL_RW = 0,
	POOL_RO = 32,
	POOL_NONE = 34,
	POOL_FILE = 36,
	POOL_FILE_END = 38,
	POOL_DATA = 40,
	POOL_PAGES = 44,
};
#define POOL_SPAN (16ULL << 30)

static char *pool;
static int pool_file;

static void pool_protect(unsigned int page, unsigned int pages, int prot)
{
	assert_int_equal(mprotect(pool + page * PAGE, pages * PAGE, prot), 0);
}

static void pool_begin(void)
{
	pool = mmap(NULL, POOL_SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(pool, MAP_FAILED);
	pool_protect(POOL_RW, POOL_RO - POOL_RW, PROT_READ | PROT_WRITE);
	memset(pool, 1, POOL_RO * PAGE / 2); /* the other half has never been touched */
	pool_protect(POOL_RO, POOL_NONE - POOL_RO, PROT_READ);
	for (unsigned int nth = 0; nth < 2; nth++)
		pool_protect(POOL_DATA + 2 * nth, 1, PROT_READ | PROT_WRITE);
	pool_file = memfd_create("fuzz", MFD_CLOEXEC);
	assert_true(pool_file >= 0);
	assert_int_equal(ftruncate(pool_file, (POOL_FILE_END - POOL_FILE) * PAGE), 0);
	assert_ptr_equal(mmap(pool + POOL_FILE * PAGE, (POOL_DATA - POOL_FILE) * PAGE,
			      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, pool_file, 0),
			 pool + POOL_FILE * PAGE);
}

/* ---- values ---- */

uint8_t fuzz_u8(struct fuzz_caller *caller)
{
	return caller->at < caller->end ? *caller->at++ : 0;
}

static uint64_t raw(struct fuzz_caller *caller, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | fuzz_u8(caller);
	return value;
}

static uint64_t bad_address(unsigned int nth)
{
	const uint64_t list[] = {
		0,
		1,
		4095,
		1ULL << 47,
		(1ULL << 47) - PAGE,
		1ULL << 63,
		0xffffffff80000000,
		UINT64_MAX,
		UINT64_MAX - PAGE + 1,
	};

	return list[nth % ARRAY_SIZE(list)];
}

/* Of memory to map: at a page, or right before or behind its start. */
static uint64_t address(struct fuzz_caller *caller)
{
	uint8_t page = fuzz_u8(caller), offset = fuzz_u8(caller);

	if (page >= 240)
		return bad_address(page);
	return (uintptr_t)pool + page % POOL_PAGES * PAGE + (offset >= 224 ? offset - 240 : 0);
}

/* Of data, which is from the input; mostly right before the edge of a page. */
uint64_t fuzz_data(struct fuzz_caller *caller)
{
	uint8_t kind = fuzz_u8(caller);
	unsigned int words = kind % 32 + 1;
	uint64_t edge = (uintptr_t)pool + (POOL_DATA + 2 * caller->nth + 1) * PAGE;
	uint64_t *at = (uint64_t *)(uintptr_t)edge - words;

	if (kind >= 250)
		return bad_address(fuzz_u8(caller));
	if (kind >= 240)
		return address(caller);
	for (unsigned int i = 0; i < words; i++) {
		uint8_t value = fuzz_u8(caller);

		at[i] = value < 128 ? value : (uint64_t)(value - 128) * PAGE;
	}
	if (kind >= 224) /* a part of it is missing */
		return edge - fuzz_u8(caller) % (words * 8);
	return (uintptr_t)at;
}

static uint64_t any_length(struct fuzz_caller *caller)
{
	uint8_t kind = fuzz_u8(caller);

	if (kind < 192)
		return (kind % 48 + 1) * PAGE;
	if (kind < 224)
		return raw(caller, 2);
	if (kind < 240)
		return raw(caller, 8);
	return (1ULL << raw(caller, 1) % 64) - kind % 2;
}

/* Of a mapping of the pool, not beyond it: an access may write to it. */
static uint64_t length(struct fuzz_caller *caller)
{
	uint64_t bytes = any_length(caller), start = (uintptr_t)pool;

	if (!fuzz_family.test_abi || !caller->mapped)
		return bytes;
	if (caller->mapped < PAGE)
		return MIN(bytes, 16 * PAGE);
	if (caller->mapped - start + PAGE < POOL_SPAN)
		return MIN(bytes, start + POOL_SPAN - caller->mapped);
	return bytes;
}

uint64_t fuzz_iova(struct fuzz_caller *caller)
{
	static const uint64_t bases[] = {MOCK_APERTURE_START, 0, 1ULL << 39, 0xfee00000 - 8 * PAGE};
	uint8_t kind = fuzz_u8(caller), page;

	if (kind >= 248)
		return raw(caller, 8);
	page = fuzz_u8(caller);
	return bases[fuzz_family.test_abi && kind < 192 ? 0 : kind % ARRAY_SIZE(bases)] +
	       page % 64 * PAGE + (kind >= 232 ? page * 8 : 0);
}

struct pick {
	char letter;
	unsigned int turn, seen;
	uint32_t id;
};

static void pick_object(void *arg, const struct iommufd_object_info *info)
{
	static const char *const letters[IOMMUFD_OBJ_MAX] = {
		[IOMMUFD_OBJ_NONE] = "i",          [IOMMUFD_OBJ_DEVICE] = "Di",
		[IOMMUFD_OBJ_HWPT_PAGING] = "HQi", [IOMMUFD_OBJ_HWPT_NESTED] = "HQi",
		[IOMMUFD_OBJ_IOAS] = "IQi",        [IOMMUFD_OBJ_ACCESS] = "i",
		[IOMMUFD_OBJ_FAULT] = "Fi",        [IOMMUFD_OBJ_SELFTEST] = "Si",
	};
	struct pick *pick = arg;

	if (strchr(letters[info->type], pick->letter) && pick->seen++ <= pick->turn)
		pick->id = info->id;
}

/* Mostly of an object of the kind, if there is one. */
uint32_t fuzz_id(struct fuzz_caller *caller, char letter)
{
	uint8_t kind = fuzz_u8(caller);
	struct pick pick = {.letter = letter, .turn = kind % 16};

	if (kind >= 240)
		return kind % 16;
	iommufd_for_each_object(caller->fuzz->rig.ctx, pick_object, &pick);
	return pick.id;
}

static uint64_t number(struct fuzz_caller *caller, uint8_t below)
{
	uint8_t value = fuzz_u8(caller);

	return value < 240 ? value % below : raw(caller, value < 248 ? 4 : 8);
}

static uint64_t type(struct fuzz_caller *caller)
{
	static const uint32_t types[] = {
		IOMMU_HWPT_DATA_NONE,
		IOMMU_HWPT_DATA_VTD_S1,
		IOMMU_HWPT_DATA_SELFTEST,
		IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
	};

	return types[fuzz_u8(caller) % ARRAY_SIZE(types)];
}

static uint64_t descriptor(struct fuzz_caller *caller)
{
	const int fds[] = {pool_file, -1, 0, 1 << 20, AT_FDCWD};
	uint8_t kind = fuzz_u8(caller);

	return (uint64_t)(kind < 200 ? pool_file : fds[kind % ARRAY_SIZE(fds)]);
}

static uint64_t flags(struct fuzz_caller *caller)
{
	uint8_t value = fuzz_u8(caller);

	if (value >= 248)
		return raw(caller, 4);
	return (value & 15) | (value & 32 ? MOCK_FLAGS_ACCESS_SYZ : 0);
}

static uint64_t value_of(struct fuzz_caller *caller, char letter)
{
	switch (letter) {
	case 'A':
		return caller->mapped = address(caller);
	case 'P':
		return fuzz_data(caller);
	case 'L':
		return length(caller);
	case 'V':
		return fuzz_iova(caller);
	case 'p':
		return number(caller, 4) * 2048;
	case 'f':
		return flags(caller);
	case 'n':
		return number(caller, 40);
	case 't':
		return type(caller);
	case 'h':
	case 'o':
		return number(caller, 3);
	case 'd':
		return descriptor(caller);
	case 'a':
		return fuzz_u8(caller) % FUZZ_FILES;
	default:
		return fuzz_id(caller, letter);
	}
}

static unsigned int size_of(char letter)
{
	if (strchr("APLVpoZ", letter))
		return 8;
	return strchr("hr", letter) ? 2 : 4;
}

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
			value = value_of(caller, *f);
		else if (*f != 'O')
			value = 0;
		memcpy(buffer + at, &value, size_of(*f));
		at += size_of(*f);
	}
	at = form->size ? form->size : at;
	size = twist % 32 == 1 ? fuzz_u8(caller) : twist % 32 == 2 ? (uint32_t)raw(caller, 4) : at;
	memcpy(buffer, &size, sizeof(size));
	/* What is 0 in every version of it, or behind it. */
	if (twist % 32 == 3)
		for (const char *f = form->fields, *to = buffer; *f; to += size_of(*f++))
			if (strchr("zrZ", *f))
				buffer[to - buffer] = (char)fuzz_u8(caller);
	if (twist % 32 == 4)
		buffer[at + fuzz_u8(caller) % 32] = (char)fuzz_u8(caller);
	return at;
}

/* On the stack, before the edge of a page, partly beyond it, or nowhere. */
static void *place_struct(struct fuzz_caller *caller, uint8_t twist, char *buffer, uint32_t size)
{
	char *at = pool + (POOL_DATA + 2 * caller->nth + 1) * PAGE - size;

	switch (twist / 32) {
	case 0:
		return (void *)(uintptr_t)(twist % 32 == 31 ? bad_address(fuzz_u8(caller))
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

/* ---- files ---- */

static int install_file(void *context, enum iommufd_file_kind kind, void *file)
{
	struct fuzz *fuzz = context;
	int fd = -EMFILE;

	pthread_mutex_lock(&fuzz->lock);
	for (int i = 0; i < FUZZ_FILES && fd < 0; i++)
		if (!fuzz->files[i].users)
			fd = i;
	if (fd >= 0) {
		fuzz->files[fd].file = file;
		fuzz->files[fd].kind = kind;
		fuzz->files[fd].users = 1;
		fuzz->files[fd].closed = false;
	}
	pthread_mutex_unlock(&fuzz->lock);
	return fd;
}

/* Nobody else may have it yet, but for one who guessed its number. */
static void put_file(struct fuzz *fuzz, unsigned int fd, bool release)
{
	bool last;

	pthread_mutex_lock(&fuzz->lock);
	last = fuzz->files[fd].users == 1;
	pthread_mutex_unlock(&fuzz->lock);
	if (last && release)
		iommufd_file_release(fuzz->files[fd].file, fuzz->files[fd].kind);
	pthread_mutex_lock(&fuzz->lock);
	fuzz->files[fd].users--;
	pthread_mutex_unlock(&fuzz->lock);
}

/* A descriptor's file for a call; with @close the descriptor's own share. */
static bool get_file(struct fuzz *fuzz, unsigned int fd, bool close)
{
	bool got;

	pthread_mutex_lock(&fuzz->lock);
	got = fuzz->files[fd].users && !fuzz->files[fd].closed;
	if (got && close)
		fuzz->files[fd].closed = true;
	else if (got)
		fuzz->files[fd].users++;
	pthread_mutex_unlock(&fuzz->lock);
	return got;
}

static void remove_file(void *context, int fd)
{
	if (get_file(context, (unsigned int)fd, true))
		put_file(context, (unsigned int)fd, false);
}

static int with_file(void *context, enum iommufd_file_kind kind, int fd,
		     int (*call)(void *file, void *arg), void *arg)
{
	struct fuzz *fuzz = context;
	int rc = -EBADFD;

	if (fd < 0 || fd >= FUZZ_FILES || !get_file(fuzz, (unsigned int)fd, false))
		return rc;
	if (fuzz->files[fd].kind == kind)
		rc = call(fuzz->files[fd].file, arg);
	put_file(fuzz, (unsigned int)fd, true);
	return rc;
}

static const struct iommufd_host host = {
	.install_file = install_file,
	.remove_file = remove_file,
	.with_file = with_file,
};

static void close_files(struct fuzz *fuzz, bool all)
{
	for (unsigned int fd = 0; fd < FUZZ_FILES; fd++)
		if ((all || fuzz->files[fd].kind == IOMMUFD_FILE_ACCESS) &&
		    get_file(fuzz, fd, true))
			put_file(fuzz, fd, true);
}

void fuzz_call_file(struct fuzz_caller *caller)
{
	struct fuzz *fuzz = caller->fuzz;
	unsigned int what = fuzz_u8(caller), fd = fuzz_u8(caller) % 4;
	void *buf = (void *)(uintptr_t)fuzz_data(caller);
	size_t len = fuzz_u8(caller);

	if (!get_file(fuzz, fd, what % 8 == 7))
		return;
	len = len >= 240   ? SIZE_MAX / (len - 239)
	      : len >= 200 ? len
			   : len % 8 * (what & 8 ? 8 : 40);
	switch (what % 8) {
	case 0:
		fuzz_check(iommufd_file_poll(fuzz->files[fd].file, fuzz->files[fd].kind, -1));
		break;
	case 1:
	case 2:
	case 3:
		fuzz_check(iommufd_file_read(fuzz->files[fd].file, fuzz->files[fd].kind, buf, len,
					     what & 16));
		break;
	case 4:
	case 5:
	case 6:
		fuzz_check(
			iommufd_file_write(fuzz->files[fd].file, fuzz->files[fd].kind, buf, len));
		break;
	default:
		break;
	}
	put_file(fuzz, fd, true);
}

/* ---- the rest of iommufd.h ---- */

void fuzz_call_device(struct fuzz_caller *caller)
{
	struct iommu_hwpt_pgfault requests[3] = {{.flags = fuzz_u8(caller), .grpid = 1}};
	struct iommufd_device *idev = caller->fuzz->rig.idev;
	uint8_t what = fuzz_u8(caller);
	uint32_t id = fuzz_id(caller, 'Q');

	switch (what % 8) {
	case 0:
	case 1:
		fuzz_check(iommufd_device_attach(idev, &id));
		break;
	case 2:
	case 3:
		fuzz_check(iommufd_device_replace(idev, &id));
		break;
	case 4:
		iommufd_device_detach(idev);
		break;
	default:
		fuzz_check(iommufd_device_report_iopf(idev, requests, what / 8 % 4));
	}
}

static void let_go(void *data, uint64_t start, uint64_t size)
{
}

static const struct iommufd_access_ops access_ops = {.unmap = let_go};

/* What is written is what was there. */
static int access_rw(struct fuzz_caller *caller, struct iommufd_access *access)
{
	uint64_t iova = fuzz_iova(caller);
	char data[3 * PAGE];
	size_t size = raw(caller, 2) % sizeof(data);
	int rc = iommufd_access_rw(access, iova, data, size, 0);

	return rc ? rc : iommufd_access_rw(access, iova, data, size, IOMMUFD_ACCESS_RW_WRITE);
}

/* The access is made by begin(), or by the first who calls this alone. */
void fuzz_call_access(struct fuzz_caller *caller)
{
	struct rig *rig = &caller->fuzz->rig;
	uint8_t what = fuzz_u8(caller);
	uint32_t id = fuzz_id(caller, 'I');

	if (!rig->access) {
		struct iommufd_access *made =
			iommufd_access_create(rig->ctx, &access_ops, rig, &rig->access_id);

		rig->access = IS_ERR(made) ? NULL : made;
	}
	if (!rig->access)
		return;
	switch (what % 8) {
	case 0:
	case 1:
		fuzz_check(iommufd_access_attach(rig->access, id));
		break;
	case 2:
		fuzz_check(iommufd_access_replace(rig->access, id));
		break;
	case 3:
		iommufd_access_detach(rig->access);
		break;
	default:
		fuzz_check(access_rw(caller, rig->access));
	}
}

static void mark_dirty(void *arg, const struct iommufd_object_info *info)
{
	if (info->domain)
		iommu_mark_dirty(info->domain, *(uint64_t *)arg);
}

void fuzz_call_dirty(struct fuzz_caller *caller)
{
	uint64_t iova = fuzz_iova(caller);

	iommufd_for_each_object(caller->fuzz->rig.ctx, mark_dirty, &iova);
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
		.host = &host,
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
	rig->memory = pool;
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

	close_files(fuzz, !files_last);
	if (rig->access)
		iommufd_access_destroy(rig->access);
	iommufd_device_unbind(rig->idev);
	iommufd_ctx_destroy(rig->ctx);
	close_files(fuzz, true);
	assert_int_equal(rig->nested_live, 0);
	assert_null(rig->hw.uses);
	iommu_device_unregister(rig->dev);
	leave_cgroup(rig->memcg);
	for (unsigned int page = 0; page < POOL_PAGES; page++)
		assert_int_equal(iopt_pages_pin_count((uintptr_t)pool + page * PAGE), 0);
}

/* The number that the next file would get: a leak raises it. */
static void check_descriptors(void)
{
	static int most;
	int fd = dup(pool_file);

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

	if (!pool) {
		pool_begin();
		assert_int_equal(iommufd_user_guard(sigaction), 0);
	}
	fuzz_begin(&fuzz, &caller);
	if (fuzz_family.racing)
		run_racing(&caller);
	else
		run_caller(&caller);
	fuzz_end(&fuzz, files_last);
	check_descriptors();
	return 0;
}
