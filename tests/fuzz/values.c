/* SPDX-License-Identifier: MIT */
/* Memory, good and bad, and what an input makes of a letter of a form. */
#include <fcntl.h>

#include "tests/fuzz/harness.h"

char *fuzz_pool;
int fuzz_pool_file;

static void pool_protect(unsigned int page, unsigned int pages, int prot)
{
	assert_int_equal(mprotect(fuzz_pool + page * PAGE, pages * PAGE, prot), 0);
}

void fuzz_pool_begin(void)
{
	fuzz_pool = mmap(NULL, POOL_SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);
	assert_ptr_not_equal(fuzz_pool, MAP_FAILED);
	pool_protect(POOL_RW, POOL_RO - POOL_RW, PROT_READ | PROT_WRITE);
	memset(fuzz_pool, 1, POOL_RO * PAGE / 2); /* the other half has never been touched */
	pool_protect(POOL_RO, POOL_NONE - POOL_RO, PROT_READ);
	for (unsigned int nth = 0; nth < 2; nth++)
		pool_protect(POOL_DATA + 2 * nth, 1, PROT_READ | PROT_WRITE);
	fuzz_pool_file = memfd_create("fuzz", MFD_CLOEXEC);
	assert_true(fuzz_pool_file >= 0);
	assert_int_equal(ftruncate(fuzz_pool_file, (POOL_FILE_END - POOL_FILE) * PAGE), 0);
	assert_ptr_equal(mmap(fuzz_pool + POOL_FILE * PAGE, (POOL_DATA - POOL_FILE) * PAGE,
			      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fuzz_pool_file, 0),
			 fuzz_pool + POOL_FILE * PAGE);
}

/* ---- values ---- */

uint8_t fuzz_u8(struct fuzz_caller *caller)
{
	return caller->at < caller->end ? *caller->at++ : 0;
}

uint64_t fuzz_raw(struct fuzz_caller *caller, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | fuzz_u8(caller);
	return value;
}

uint64_t fuzz_bad_address(unsigned int nth)
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
		return fuzz_bad_address(page);
	return (uintptr_t)fuzz_pool + page % POOL_PAGES * PAGE + (offset >= 224 ? offset - 240 : 0);
}

/* Of data, which is from the input; mostly right before the edge of a page. */
uint64_t fuzz_data(struct fuzz_caller *caller)
{
	uint8_t kind = fuzz_u8(caller);
	unsigned int words = kind % 32 + 1;
	uint64_t edge = (uintptr_t)fuzz_pool + (POOL_DATA + 2 * caller->nth + 1) * PAGE;
	uint64_t *at = (uint64_t *)(uintptr_t)edge - words;

	if (kind >= 250)
		return fuzz_bad_address(fuzz_u8(caller));
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

	if (kind < 128)
		return (kind % 8 + 1) * PAGE;
	if (kind < 192)
		return (kind % 48 + 1) * PAGE;
	if (kind < 224)
		return fuzz_raw(caller, 2);
	if (kind < 240)
		return fuzz_raw(caller, 8);
	return (1ULL << fuzz_raw(caller, 1) % 64) - kind % 2;
}

/* Of a mapping of the pool, not beyond it: an access may write to it. */
static uint64_t length(struct fuzz_caller *caller)
{
	uint64_t bytes = any_length(caller), start = (uintptr_t)fuzz_pool;

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
		return fuzz_raw(caller, 8);
	page = fuzz_u8(caller);
	return bases[kind < 192 ? 0 : kind % ARRAY_SIZE(bases)] + page % 32 * PAGE +
	       (kind >= 232 ? page * 8 : 0);
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
		[IOMMUFD_OBJ_VIOMMU] = "vHQi",     [IOMMUFD_OBJ_VDEVICE] = "i",
		[IOMMUFD_OBJ_VEVENTQ] = "i",       [IOMMUFD_OBJ_HW_QUEUE] = "i",
	};
	struct pick *pick = arg;

	if (strchr(letters[info->type], pick->letter) && pick->seen++ <= pick->turn)
		pick->id = info->id;
}

/* Mostly of an object of the kind, if there is one. */
uint32_t fuzz_id(struct fuzz_caller *caller, char letter)
{
	uint8_t kind = fuzz_u8(caller);
	struct pick pick = {.letter = letter, .turn = kind % 3};

	if (kind >= 240)
		return kind % 16;
	iommufd_for_each_object(caller->fuzz->rig.ctx, pick_object, &pick);
	return pick.id;
}

static uint64_t number(struct fuzz_caller *caller, uint8_t below)
{
	uint8_t value = fuzz_u8(caller);

	return value < 240 ? value % below : fuzz_raw(caller, value < 248 ? 4 : 8);
}

static uint64_t type(struct fuzz_caller *caller)
{
	static const uint32_t types[] = {
		IOMMU_HWPT_DATA_NONE,
		IOMMU_HWPT_DATA_VTD_S1,
		IOMMU_HWPT_DATA_SELFTEST,
		IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, /* of vIOMMUs and their queues, too */
		IOMMU_VEVENTQ_TYPE_SELFTEST,
	};

	return types[fuzz_u8(caller) % ARRAY_SIZE(types)];
}

static uint64_t descriptor(struct fuzz_caller *caller)
{
	const int fds[] = {fuzz_pool_file, -1, 0, 1 << 20, AT_FDCWD};
	uint8_t kind = fuzz_u8(caller);

	return (uint64_t)(kind < 200 ? fuzz_pool_file : fds[kind % ARRAY_SIZE(fds)]);
}

static uint64_t flags(struct fuzz_caller *caller)
{
	uint8_t value = fuzz_u8(caller);

	if (value >= 248)
		return fuzz_raw(caller, 4);
	return (value & 15) | (value & 32 ? MOCK_FLAGS_ACCESS_SYZ : 0);
}

uint64_t fuzz_value(struct fuzz_caller *caller, char letter)
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

unsigned int fuzz_size_of(char letter)
{
	if (strchr("APLVpoZ", letter))
		return 8;
	return strchr("hr", letter) ? 2 : 4;
}
