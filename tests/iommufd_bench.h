/* SPDX-License-Identifier: MIT */
/*
 * A context with devices in groups, whose hardware and models remember what they
 * were told; for the tests of what belongs to devices.
 */
#ifndef TESTS_IOMMUFD_BENCH_H
#define TESTS_IOMMUFD_BENCH_H

#include "iommufd/iommufd.h"
#include "tests/iommufd.h"

#define MIB 0x100000ull

/* A program with two devices in one group and a third in another. */
#define DEVICES 3

struct stage1 {
	struct iommu_hwpt_vtd_s1 s1;
	uint64_t invalidated[8];
};

struct bench {
	struct fd fd;
	struct iommu_group *group;
	struct hardware hw[DEVICES];
	struct iommu_device *dev[DEVICES];
	struct iommufd_device *idev[DEVICES];
	struct model {
		struct stage1 *nested;
		unsigned int grpid[8], code[8], responses;
	} model[DEVICES];
	uint32_t id[DEVICES];
	void *file; /* a fault queue's */
	bool refuse_file, readable;
	unsigned int removed, changes;
	uint32_t ioas;
	char *memory; /* 64 pages */
};

#define MEMORY_PAGES 64ul

static inline int install_file(void *context, enum iommufd_file_kind kind, void *file)
{
	struct bench *b = context;

	assert_int_equal(kind, IOMMUFD_FILE_FAULT);
	if (b->refuse_file)
		return -EMFILE;
	b->file = file;
	return 7;
}

static inline void remove_file(void *context, int fd)
{
	struct bench *b = context;

	assert_int_equal(fd, 7);
	b->removed++;
}

static inline void file_changed(void *context, enum iommufd_file_kind kind, void *file,
				bool readable)
{
	struct bench *b = context;

	assert_ptr_equal(file, b->file);
	assert_true(readable != b->readable);
	b->readable = readable;
	b->changes++;
}

static const struct iommufd_host host = {
	.install_file = install_file,
	.remove_file = remove_file,
	.file_changed = file_changed,
};

static inline int hw_info(void *context, void *buf, size_t len, uint32_t *type, size_t *full)
{
	const struct iommu_hw_info_vtd info = {.cap_reg = 0x1111, .ecap_reg = 0x2222};

	memcpy(buf, &info, len < sizeof(info) ? len : sizeof(info));
	*type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	*full = sizeof(info);
	return 0;
}

static inline int nested_alloc(void *context, const struct iommufd_user_data *data, void **nested)
{
	struct stage1 *stage1 = calloc(1, sizeof(*stage1));
	int rc = -EOPNOTSUPP;

	if (data->type == IOMMU_HWPT_DATA_VTD_S1)
		rc = iommufd_copy_user_data(data, IOMMU_HWPT_DATA_VTD_S1, 0, &stage1->s1, 20,
					    sizeof(stage1->s1));
	if (rc)
		free(stage1);
	else
		*nested = stage1;
	return rc;
}

static inline int nested_invalidate(void *nested, const struct iommufd_user_data *array,
				    uint32_t *done)
{
	struct stage1 *stage1 = nested;
	struct iommu_hwpt_vtd_s1_invalidate one;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
		return -EINVAL;
	for (*done = 0; *done < array->entry_num; ++*done) {
		int rc = iommufd_copy_user_data(array, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, *done,
						&one, sizeof(one), sizeof(one));

		if (rc)
			return rc;
		if (one.addr >= 8)
			return -EOPNOTSUPP;
		stage1->invalidated[one.addr]++;
	}
	return 0;
}

static inline void nested_attach(void *context, void *nested)
{
	((struct model *)context)->nested = nested;
}

static inline void page_response(void *context, uint32_t pasid, uint32_t grpid, uint32_t code)
{
	struct model *model = context;

	model->grpid[model->responses % 8] = grpid;
	model->code[model->responses % 8] = code;
	model->responses++;
}

static const struct iommufd_device_ops full_ops = {
	.hw_info = hw_info,
	.nested_alloc = nested_alloc,
	.nested_free = free,
	.nested_invalidate = nested_invalidate,
	.nested_attach = nested_attach,
	.page_response = page_response,
	.dirty_tracking = true,
};

static const struct iommufd_device_ops plain_ops = {.hw_info = NULL};

static inline void begin_with(struct bench *b, const struct iommufd_device_ops *third)
{
	memset(b, 0, sizeof(*b));
	fd_open_as(&b->fd,
		   (struct iommufd_config){.format = "vtd", .host = &host, .host_context = b});
	b->group = iommu_group_alloc(GFP_KERNEL);
	for (unsigned int i = 0; i < DEVICES; i++) {
		b->dev[i] = new_device(&b->hw[i], i < 2 ? b->group : NULL);
		b->idev[i] = iommufd_device_bind(b->fd.ctx, b->dev[i], i < 2 ? &full_ops : third,
						 &b->model[i], &b->id[i]);
		assert_false(IS_ERR(b->idev[i]));
	}
	b->ioas = new_ioas(&b->fd);
	b->memory = map_pages(MEMORY_PAGES);
}

static inline void begin(struct bench *b)
{
	begin_with(b, &full_ops);
}

static inline void end(struct bench *b)
{
	for (unsigned int i = 0; i < DEVICES; i++)
		iommufd_device_unbind(b->idev[i]);
	for (unsigned int i = 0; i < DEVICES; i++) {
		assert_null(b->hw[i].uses);
		iommu_device_unregister(b->dev[i]);
	}
	iommu_group_put(b->group);
	fd_close(&b->fd);
	unmap_pages(b->memory, MEMORY_PAGES);
}

static inline int map_at(struct bench *b, uint32_t ioas, uint64_t iova, unsigned int page,
			 unsigned int n)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)b->memory + page * PAGE,
		.length = n * PAGE,
		.iova = iova,
	};

	return iommufd_ioctl(b->fd.ctx, IOMMU_IOAS_MAP, &cmd);
}

static inline int new_hwpt(struct bench *b, unsigned int device, uint32_t pt_id, uint32_t flags,
			   uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = b->id[device], .pt_id = pt_id};
	int rc = iommufd_ioctl(b->fd.ctx, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

static inline int new_nested(struct bench *b, uint32_t parent, uint32_t flags, uint32_t fault_id,
			     uint32_t *id)
{
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = b->id[0],
		.pt_id = parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1),
		.data_uptr = (uintptr_t)&s1,
		.fault_id = fault_id,
	};
	int rc = iommufd_ioctl(b->fd.ctx, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

struct wanted {
	uint32_t id;
	struct iommu_domain *domain;
};

static inline void find_domain(void *arg, const struct iommufd_object_info *info)
{
	struct wanted *wanted = arg;

	if (info->id == wanted->id)
		wanted->domain = info->domain;
}

static inline struct iommu_domain *domain_of(struct bench *b, uint32_t hwpt_id)
{
	struct wanted wanted = {.id = hwpt_id};

	iommufd_for_each_object(b->fd.ctx, find_domain, &wanted);
	return wanted.domain;
}

static inline int attach(struct bench *b, unsigned int device, uint32_t *pt_id)
{
	return iommufd_device_attach(b->idev[device], pt_id);
}

#endif
