/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_TEST_CMD, as a kernel with CONFIG_IOMMUFD_TEST answers it: its numbers,
 * and the operations that look at or change what other ioctls have made.
 */
#include <string.h>
#include <unistd.h>

#include <uiommu/dirty.h>

#include "iommufd/pages.h"
#include "iommufd/selftest.h"

static struct io_pagetable *get_iopt(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, id, IOMMUFD_OBJ_IOAS);

	return IS_ERR(obj) ? (void *)obj : &container_of(obj, struct iommufd_ioas, obj)->iopt;
}

/* The domain of a paging HWPT with mock tables. */
static struct iommu_domain *get_mock_domain(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, id, IOMMUFD_OBJ_HWPT_PAGING);
	struct iommu_domain_info info;
	struct iommu_domain *domain;

	if (IS_ERR(obj))
		return (void *)obj;
	domain = container_of(obj, struct iommufd_hwpt, obj)->domain;
	iommu_domain_get_info(domain, &info);
	return strcmp(info.format, "mock") ? ERR_PTR(-EINVAL) : domain;
}

/* ---- IOVAs that a fuzzer can guess ---- */

struct nth_area {
	uint32_t left;
	uint64_t start;
};

static int count_area(void *arg, uint64_t start, uint64_t last)
{
	struct nth_area *nth = arg;

	nth->start = start;
	return nth->left-- ? 0 : 1;
}

uint64_t iommufd_test_syz_iova(struct io_pagetable *iopt, uint64_t code)
{
	struct nth_area nth = {.left = (uint32_t)code};

	if (iopt_for_each_area(iopt, 0, UINT64_MAX, false, count_area, &nth) != 1)
		return 0;
	return nth.start + (code >> 32);
}

void iommufd_test_syz_conv_iova_id(struct iommufd_ucmd *ucmd, uint32_t ioas_id, __u64 *iova,
				   __u32 *flags)
{
	struct io_pagetable *iopt;

	if (!ucmd->ctx->config.test_abi || !(*flags & MOCK_FLAGS_ACCESS_SYZ))
		return;
	*flags &= ~MOCK_FLAGS_ACCESS_SYZ;
	iopt = get_iopt(ucmd->ctx, ioas_id);
	if (!IS_ERR(iopt))
		*iova = iommufd_test_syz_iova(iopt, *iova);
}

/* ---- the operations ---- */

static int add_reserved(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	uint64_t start = cmd->add_reserved.start, length = cmd->add_reserved.length, last;
	struct io_pagetable *iopt;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;
	iopt = get_iopt(ctx, cmd->id);
	return IS_ERR(iopt) ? (int)PTR_ERR(iopt) : iopt_reserve_iova(iopt, start, last, NULL);
}

#define ALIASES_MAX 16

struct aliases {
	unsigned int nr;
	uint64_t address[ALIASES_MAX];
};

static void add_alias(void *arg, const struct iopt_pages *pages, uint64_t index)
{
	struct aliases *aliases = arg;

	if (pages->file && aliases->nr < ALIASES_MAX)
		aliases->address[aliases->nr++] =
			iopt_pages_uaddr(pages) + (index << IOPT_PAGE_SHIFT);
}

static int take_paddr(void *arg, uint64_t paddr, uint64_t npages)
{
	*(uint64_t *)arg = paddr;
	return 0;
}

/*
 * Physical addresses that are not real are made of virtual ones: of a file, which was
 * mapped by a descriptor, of those where we map it.
 */
static bool is_in_file(struct iommufd_ctx *ctx, uint64_t uptr, uint64_t paddr)
{
	struct aliases aliases = {0};
	uint64_t page = 0;

	iopt_pages_find(uptr, add_alias, &aliases);
	for (unsigned int i = 0; i < aliases.nr; i++) {
		if (!iommufd_phys_runs(ctx, iommufd_mm_own(), aliases.address[i], 1, take_paddr,
				       &page) &&
		    page + (uptr & IOPT_PAGE_MASK) == paddr)
			return true;
	}
	return false;
}

static int check_page(struct iommufd_ctx *ctx, struct iommu_domain *domain, uint64_t iova,
		      uint64_t uptr)
{
	uint64_t mapped = iommu_iova_to_phys(domain, iova), paddr = 0;
	int rc = iommufd_user_to_phys(ctx, uptr, &paddr);

	if (rc)
		return rc;
	return mapped && (mapped == paddr || is_in_file(ctx, uptr, mapped)) ? 0 : -EINVAL;
}

static int check_map(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	uint64_t iova = cmd->check_map.iova, uptr = cmd->check_map.uptr, end;
	struct iommu_domain *domain;
	int rc = 0;

	if ((iova | cmd->check_map.length | uptr) % MOCK_IO_PAGE_SIZE ||
	    __builtin_add_overflow(uptr, cmd->check_map.length, &end))
		return -EINVAL;
	domain = get_mock_domain(ctx, cmd->id);
	if (IS_ERR(domain))
		return (int)PTR_ERR(domain);
	for (; !rc && uptr < end; uptr += MOCK_IO_PAGE_SIZE, iova += MOCK_IO_PAGE_SIZE)
		rc = check_page(ctx, domain, iova, uptr);
	return rc;
}

static int check_refs(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	uint64_t uptr = cmd->check_refs.uptr, length = cmd->check_refs.length, end;
	struct iommufd_mm *mm;
	int rc = 0;

	if ((uptr | length) % IOPT_PAGE_SIZE || __builtin_add_overflow(uptr, length, &end))
		return -EINVAL;
	mm = iommufd_caller_mm();
	if (IS_ERR(mm))
		return -EFAULT;
	for (; !rc && uptr < end; uptr += IOPT_PAGE_SIZE) {
		rc = iommufd_populate(ctx, mm, uptr, 1, false);
		if (!rc && iopt_pages_pin_count(uptr) != cmd->check_refs.refs)
			rc = -EIO;
	}
	iommufd_mm_put(mm);
	return rc;
}

static int set_memory_limit(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	/* The kernel's smallest batch: a frame number and how often it counts. */
	if (cmd->memory_limit.limit < sizeof(uint64_t) + sizeof(uint32_t))
		return -EINVAL;
	ctx->temp_memory_limit = cmd->memory_limit.limit;
	return 0;
}

/* Mark the pages of a bitmap, a part of it at a time. */
static int mark_dirty(struct iommufd_ctx *ctx, struct iommu_domain *domain,
		      struct iommu_test_cmd *cmd, uint64_t pages)
{
	uint8_t bits[512];

	for (uint64_t i = 0; i < pages; i++) {
		uint64_t byte = i / 8, in = byte % sizeof(bits), left = (pages + 7) / 8 - byte;
		int rc = 0;

		if (!(i % (sizeof(bits) * 8)))
			rc = iommufd_copy_from_user(ctx, bits, cmd->dirty.uptr + byte,
						    MIN(left, sizeof(bits)));
		if (rc)
			return rc;
		if (bits[in] >> i % 8 & 1 &&
		    iommu_mark_dirty(domain, cmd->dirty.iova + i * cmd->dirty.page_size))
			cmd->dirty.out_nr_dirty++;
	}
	return 0;
}

static void ignore_range(void *context, dma_addr_t iova, dma_addr_t last)
{
}

static bool is_tracked(struct iommu_domain *domain)
{
	const struct iommu_dirty_bitmap look = {.record = ignore_range};

	return !iommu_read_and_clear_dirty(domain, 0, 1, IOMMU_DIRTY_NO_CLEAR, &look);
}

static int dirty(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	uint64_t page_size = cmd->dirty.page_size, length = cmd->dirty.length;
	struct iommu_domain *domain;
	int rc;

	if (!page_size || !length || cmd->dirty.iova % page_size || length % page_size ||
	    !cmd->dirty.uptr)
		return -EINVAL;
	if (length / page_size > UINT64_C(8) << 24)
		return -EOVERFLOW;
	domain = get_mock_domain(ucmd->ctx, cmd->id);
	if (IS_ERR(domain))
		return (int)PTR_ERR(domain);
	if (!is_tracked(domain))
		return -EINVAL;
	cmd->dirty.out_nr_dirty = 0;
	rc = mark_dirty(ucmd->ctx, domain, cmd, length / page_size);
	return rc ? rc : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* What came with Linux 7.3: it tells that the caller knows it, unless it is said that not. */
static int test_7_3(struct iommufd_ctx *ctx, struct iommu_test_cmd *cmd)
{
	if (ctx->config.abi && ctx->config.abi < IOMMUFD_ABI_7_3)
		return -EOPNOTSUPP;
	ctx->knows_7_3 = true;
	switch (cmd->op) {
	case IOMMU_TEST_OP_DEV_CHECK_CACHE:
		return iommufd_test_check_cache(ctx, cmd);
	case IOMMU_TEST_OP_TRIGGER_VEVENT:
		return iommufd_test_trigger_vevent(ctx, cmd);
	case IOMMU_TEST_OP_PASID_ATTACH:
	case IOMMU_TEST_OP_PASID_REPLACE:
	case IOMMU_TEST_OP_PASID_DETACH:
	case IOMMU_TEST_OP_PASID_CHECK_HWPT:
		return iommufd_test_pasid(ctx, cmd);
	case IOMMU_TEST_OP_DMABUF_GET:
		return iommufd_test_dmabuf_get(ctx, cmd);
	case IOMMU_TEST_OP_DMABUF_REVOKE:
		return iommufd_test_dmabuf_revoke(ctx, cmd);
	default:
		return -EOPNOTSUPP;
	}
}

int iommufd_test(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_ctx *ctx = ucmd->ctx;

	switch (cmd->op) {
	case IOMMU_TEST_OP_ADD_RESERVED:
		return add_reserved(ctx, cmd);
	case IOMMU_TEST_OP_MOCK_DOMAIN:
	case IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS:
		return iommufd_test_mock_domain(ucmd, cmd);
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
		return iommufd_test_mock_domain_replace(ucmd, cmd);
	case IOMMU_TEST_OP_MD_CHECK_MAP:
		return check_map(ctx, cmd);
	case IOMMU_TEST_OP_MD_CHECK_REFS:
		return check_refs(ctx, cmd);
	case IOMMU_TEST_OP_MD_CHECK_IOTLB:
		return iommufd_test_check_iotlb(ctx, cmd);
	case IOMMU_TEST_OP_CREATE_ACCESS:
		return iommufd_test_create_access(ucmd, cmd);
	case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
		return iommufd_test_access_replace_ioas(ucmd, cmd);
	case IOMMU_TEST_OP_ACCESS_PAGES:
		return iommufd_test_access_pages(ucmd, cmd);
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
		return iommufd_test_destroy_access_pages(ucmd, cmd);
	case IOMMU_TEST_OP_ACCESS_RW:
		return iommufd_test_access_rw(ucmd, cmd);
	case IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT:
		return set_memory_limit(ctx, cmd);
	case IOMMU_TEST_OP_DIRTY:
		return dirty(ucmd, cmd);
	case IOMMU_TEST_OP_TRIGGER_IOPF:
		return iommufd_test_trigger_iopf(ctx, cmd);
	default:
		return test_7_3(ctx, cmd);
	}
}

const struct iommufd_ioctl_op iommufd_test_op = {
	.name = "IOMMU_TEST_CMD",
	.cmd = IOMMU_TEST_CMD,
	.size = sizeof(struct iommu_test_cmd),
	.min_size = offsetof(struct iommu_test_cmd, last) + sizeof(__u32),
	.execute = iommufd_test,
};

_Static_assert(sizeof(struct iommu_test_cmd) <= IOMMUFD_UCMD_MAX, "does not fit in a ucmd");
