/* SPDX-License-Identifier: MIT */
/*
 * Accesses of the test ABI: a file each, whose last close destroys the access.
 * What it has pinned is a list of items with numbers.
 */
#include <stdlib.h>

#include "iommufd/pages.h"
#include "iommufd/selftest.h"

#define TEST_LENGTH_MAX (UINT64_C(16) << 20)

/* The list belongs to ctx->lock. */
struct test_access {
	struct iommufd_access *access;
	struct list_head items;
	uint32_t next_id;
};

struct test_item {
	struct list_head link;
	uint64_t iova, length;
	uint32_t id;
};

static void item_drop(struct test_access *test, struct test_item *item)
{
	list_del(&item->link);
	iommufd_access_unpin_pages(test->access, item->iova, item->length);
	kfree(item);
}

static void unmap(void *data, uint64_t iova, uint64_t length)
{
	struct test_access *test = data;
	struct test_item *item, *next;

	list_for_each_entry_safe(item, next, &test->items, link)
	{
		if (iova <= item->iova + (item->length - 1) && item->iova <= iova + (length - 1))
			item_drop(test, item);
	}
}

static const struct iommufd_access_ops ops = {.unmap = unmap};
static const struct iommufd_access_ops ops_pin = {.needs_pin_pages = true, .unmap = unmap};

/* ---- the file ---- */

void iommufd_test_file_release(void *file)
{
	struct test_access *test = file;
	struct iommufd_ctx *ctx = test->access->ctx;
	struct mem_cgroup *before = iommufd_lock(ctx);

	unmap(test, 0, UINT64_MAX);
	iommufd_access_destroy(test->access);
	kfree(test);
	iommufd_unlock(ctx, before);
}

static int install(struct iommufd_ctx *ctx, struct test_access *test)
{
	const struct iommufd_host *host = ctx->config.host;

	if (!host || !host->install_file)
		return -EOPNOTSUPP;
	return host->install_file(ctx->config.host_context, IOMMUFD_FILE_ACCESS, test);
}

/* Attach it, give it a descriptor, and tell the program. */
static int publish(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd, struct test_access *test)
{
	int rc = iommufd_access_attach(test->access, cmd->id), fd;

	if (rc)
		return rc;
	fd = install(ucmd->ctx, test);
	if (fd < 0)
		return fd;
	cmd->create_access.out_access_fd = (uint32_t)fd;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		ucmd->ctx->config.host->remove_file(ucmd->ctx->config.host_context, fd);
	return rc;
}

int iommufd_test_create_access(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	uint32_t flags = cmd->create_access.flags, id;
	struct test_access *test;
	int rc;

	if (flags & ~MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return -EOPNOTSUPP;
	test = kzalloc(sizeof(*test), GFP_KERNEL_ACCOUNT, ucmd->ctx->owner);
	if (!test)
		return -ENOMEM;
	INIT_LIST_HEAD(&test->items);
	test->access = iommufd_access_create(ucmd->ctx, flags ? &ops_pin : &ops, test, &id);
	if (IS_ERR(test->access)) {
		rc = (int)PTR_ERR(test->access);
		kfree(test);
		return rc;
	}
	rc = publish(ucmd, cmd, test);
	if (rc) {
		iommufd_access_destroy(test->access);
		kfree(test);
	}
	return rc;
}

/* ---- operations on a descriptor ---- */

struct call {
	struct iommufd_ucmd *ucmd;
	struct iommu_test_cmd *cmd;
	int (*operation)(struct test_access *test, struct iommufd_ucmd *ucmd,
			 struct iommu_test_cmd *cmd);
};

static int do_call(void *file, void *arg)
{
	struct test_access *test = file;
	struct call *call = arg;

	/* A descriptor of another /dev/iommu would need that one's lock. */
	if (test->access->ctx != call->ucmd->ctx)
		return -EBADFD;
	return call->operation(test, call->ucmd, call->cmd);
}

/* Carry out an operation on the access with the descriptor cmd->id. */
static int with_access(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd,
		       int (*operation)(struct test_access *test, struct iommufd_ucmd *ucmd,
					struct iommu_test_cmd *cmd))
{
	const struct iommufd_config *config = &ucmd->ctx->config;
	struct call call = {.ucmd = ucmd, .cmd = cmd, .operation = operation};

	if (!config->host || !config->host->with_file)
		return -EBADFD;
	return config->host->with_file(config->host_context, IOMMUFD_FILE_ACCESS, (int)cmd->id,
				       do_call, &call);
}

static int replace_ioas(struct test_access *test, struct iommufd_ucmd *ucmd,
			struct iommu_test_cmd *cmd)
{
	return iommufd_access_replace(test->access, cmd->access_replace_ioas.ioas_id);
}

int iommufd_test_access_replace_ioas(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	return with_access(ucmd, cmd, replace_ioas);
}

static uint64_t real_iova(const struct test_access *test, uint64_t iova, uint32_t flags)
{
	if (!(flags & MOCK_FLAGS_ACCESS_SYZ))
		return iova;
	return test->access->ioas ? iommufd_test_syz_iova(&test->access->ioas->iopt, iova) : 0;
}

struct looked_for {
	uint64_t address;
	bool found;
};

static void look(void *arg, const struct iopt_pages *pages, uint64_t index)
{
	struct looked_for *looked_for = arg;

	if (iopt_pages_uaddr(pages) + (index << IOPT_PAGE_SHIFT) == looked_for->address)
		looked_for->found = true;
}

/* Are these the pages at uptr, which stands for the iova? Those of a file are where we map it. */
static int check_pages(void **pages, uint64_t npages, uint64_t iova, uint64_t uptr)
{
	uint64_t page = (uptr - (iova & IOPT_PAGE_MASK)) & ~IOPT_PAGE_MASK;

	for (uint64_t i = 0; i < npages; i++) {
		struct looked_for looked_for = {.address = (uintptr_t)pages[i]};

		iopt_pages_find(page + i * IOPT_PAGE_SIZE, look, &looked_for);
		if (!looked_for.found)
			return -EBADE;
	}
	return 0;
}

/* Enter what was pinned in the list, and tell its number. */
static int add_item(struct test_access *test, struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd,
		    uint64_t iova)
{
	struct test_item *item = kmalloc(sizeof(*item), GFP_KERNEL_ACCOUNT, NULL);
	int rc;

	if (!item)
		return -ENOMEM;
	item->iova = iova;
	item->length = cmd->access_pages.length;
	item->id = test->next_id++;
	cmd->access_pages.out_access_pages_id = item->id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		kfree(item);
		return rc;
	}
	list_add_tail(&item->link, &test->items);
	return 0;
}

static int pin_pages(struct test_access *test, struct iommufd_ucmd *ucmd,
		     struct iommu_test_cmd *cmd)
{
	uint64_t length = cmd->access_pages.length, uptr = cmd->access_pages.uptr, npages;
	uint32_t flags = cmd->access_pages.flags;
	uint64_t iova = real_iova(test, cmd->access_pages.iova, flags);
	void **pages;
	int rc;

	if (test->access->ops != &ops_pin)
		return -EOPNOTSUPP;
	npages = ((iova & IOPT_PAGE_MASK) + length + IOPT_PAGE_MASK) >> IOPT_PAGE_SHIFT;
	pages = kmalloc(MAX(npages, 1) * sizeof(*pages), GFP_KERNEL_ACCOUNT, NULL);
	if (!pages)
		return -ENOMEM;
	rc = iommufd_access_pin_pages(test->access, iova, length, pages,
				      flags & MOCK_FLAGS_ACCESS_WRITE);
	if (!rc) {
		if (uptr)
			rc = check_pages(pages, npages, iova, uptr);
		if (!rc)
			rc = add_item(test, ucmd, cmd, iova);
		if (rc)
			iommufd_access_unpin_pages(test->access, iova, length);
	}
	kfree(pages);
	return rc;
}

int iommufd_test_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	if (cmd->access_pages.length > TEST_LENGTH_MAX)
		return -ENOMEM;
	if (cmd->access_pages.flags & ~(MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_SYZ))
		return -EOPNOTSUPP;
	return with_access(ucmd, cmd, pin_pages);
}

static int unpin_pages(struct test_access *test, struct iommufd_ucmd *ucmd,
		       struct iommu_test_cmd *cmd)
{
	struct test_item *item;

	list_for_each_entry(item, &test->items, link)
	{
		if (item->id == cmd->destroy_access_pages.access_pages_id) {
			item_drop(test, item);
			return 0;
		}
	}
	return -ENOENT;
}

int iommufd_test_destroy_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	return with_access(ucmd, cmd, unpin_pages);
}

static int read_write(struct test_access *test, struct iommufd_ucmd *ucmd,
		      struct iommu_test_cmd *cmd)
{
	uint64_t length = cmd->access_rw.length, uptr = cmd->access_rw.uptr;
	uint32_t flags = cmd->access_rw.flags;
	bool write = flags & MOCK_ACCESS_RW_WRITE;
	void *data = malloc(length + 1);
	int rc = 0;

	if (!data)
		return -ENOMEM;
	if (write)
		rc = iommufd_copy_from_user(ucmd->ctx, data, uptr, length);
	if (!rc)
		rc = iommufd_access_rw(
			test->access, real_iova(test, cmd->access_rw.iova, flags), data, length,
			(write ? IOMMUFD_ACCESS_RW_WRITE : 0) |
				(flags & MOCK_ACCESS_RW_SLOW_PATH ? IOMMUFD_ACCESS_RW_KTHREAD : 0));
	if (!rc && !write)
		rc = iommufd_copy_to_user(ucmd->ctx, uptr, data, length);
	free(data);
	return rc;
}

int iommufd_test_access_rw(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	if (cmd->access_rw.length > TEST_LENGTH_MAX)
		return -ENOMEM;
	if (cmd->access_rw.flags &
	    ~(MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH | MOCK_FLAGS_ACCESS_SYZ))
		return -EOPNOTSUPP;
	return with_access(ucmd, cmd, read_write);
}
