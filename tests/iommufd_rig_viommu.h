/* SPDX-License-Identifier: MIT */
/*
 * What the device of the rig has beyond a page table: vIOMMUs, PASIDs, and a host with
 * memory to share. Included by iommufd_rig.h.
 */
#ifndef TESTS_IOMMUFD_RIG_VIOMMU_H
#define TESTS_IOMMUFD_RIG_VIOMMU_H

#define RIG_VIOMMU  IOMMU_VIOMMU_TYPE_ARM_SMMUV3
#define RIG_EVENT   IOMMU_VEVENTQ_TYPE_ARM_SMMUV3
#define RIG_QUEUE   IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV
#define RIG_QUEUES  4096u
#define RIG_SHARED  (64 * PAGE)
#define RIG_PASIDS  16 /* bits */
#define RIG_REFUSES 77 /* a PASID that the model has no room for */

static int rig_nested_alloc(void *context, const struct iommufd_user_data *data, void **nested);

/* ---- vIOMMUs ---- */

struct rig_viommu {
	struct rig *rig;
	struct iommufd_viommu *viommu;
};

static inline void rig_viommu_free(void *made)
{
	struct rig_viommu *viommu = made;

	assert_true(viommu->rig->viommus_live);
	viommu->rig->viommus_live--;
	kfree(viommu);
}

static inline int rig_viommu_nested_alloc(void *made, const struct iommufd_user_data *data,
					  void **nested)
{
	return rig_nested_alloc(((struct rig_viommu *)made)->rig, data, nested);
}

/* Commands name a device: addr is its number in the virtual machine. */
static inline int rig_viommu_invalidate(void *made, const struct iommufd_user_data *array,
					uint32_t *done)
{
	const struct rig_viommu *viommu = made;
	struct iommu_viommu_arm_smmuv3_invalidate one;

	for (*done = 0; *done < array->entry_num; ++*done) {
		int rc = iommufd_copy_user_data(array, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
						*done, &one, sizeof(one), sizeof(one));

		if (rc)
			return rc;
		if (iommufd_viommu_find_device(viommu->viommu, one.cmd[0]) != viommu->rig)
			return -EIO;
	}
	return 0;
}

static inline int rig_hw_queue_alloc(void *made, uint32_t index, uint64_t paddr, uint64_t length,
				     void **queue)
{
	struct rig *rig = ((struct rig_viommu *)made)->rig;
	uint64_t *kept = kmalloc(sizeof(*kept), GFP_KERNEL_ACCOUNT, NULL);

	if (!kept)
		return -ENOMEM;
	rig->queue_paddr = paddr;
	rig->queues_live++;
	*kept = (uintptr_t)rig;
	*queue = kept;
	return 0;
}

static inline void rig_hw_queue_free(void *queue)
{
	((struct rig *)*(uintptr_t *)queue)->queues_live--;
	kfree(queue);
}

static const struct iommufd_viommu_ops rig_viommu_ops = {
	.free = rig_viommu_free,
	.nested_alloc = rig_viommu_nested_alloc,
	.invalidate = rig_viommu_invalidate,
	.veventq_type = RIG_EVENT,
	.hw_queue_type = RIG_QUEUE,
	.hw_queues = RIG_QUEUES,
	.hw_queue_alloc = rig_hw_queue_alloc,
	.hw_queue_free = rig_hw_queue_free,
};

/* With data it shares a page, and says where. */
static inline int rig_viommu_alloc(void *context, struct iommufd_viommu *handle, uint32_t type,
				   const struct iommufd_user_data *data,
				   const struct iommufd_viommu_ops **ops, void **made)
{
	struct iommu_viommu_tegra241_cmdqv out = {.out_vintf_mmap_length = PAGE};
	struct rig *rig = context;
	struct rig_viommu *viommu;
	uint64_t offset;

	if (type != RIG_VIOMMU)
		return -EOPNOTSUPP;
	viommu = kmalloc(sizeof(*viommu), GFP_KERNEL_ACCOUNT, NULL);
	if (!viommu)
		return -ENOMEM;
	if (data) {
		void *page = iommufd_viommu_share(handle, PAGE, &offset);

		out.out_vintf_mmap_offset = offset;
		if (IS_ERR(page) || iommufd_copy_to_user_data(data, &out, sizeof(out))) {
			kfree(viommu);
			return IS_ERR(page) ? (int)PTR_ERR(page) : -EFAULT;
		}
	}
	*viommu = (struct rig_viommu){rig, handle};
	rig->viommus_live++;
	rig->viommu = handle;
	*ops = &rig_viommu_ops;
	*made = viommu;
	return 0;
}

/* ---- PASIDs ---- */

static inline int rig_pasid_attach(void *context, uint32_t pasid, struct iommu_domain *domain,
				   void *nested)
{
	struct rig *rig = context;

	if (domain && pasid == RIG_REFUSES)
		return -EIO;
	if (pasid < RIG_PASID_SLOTS)
		rig->pasid_domain[pasid] = domain;
	return 0;
}

static const enum iommu_pasid_layout rig_pasid_layout = IOMMU_PASID_VTD;

static inline int rig_pasid_first(void *nested, struct iommu_pasid_first *first)
{
	*first = (struct iommu_pasid_first){.root = 77 * PAGE, .address_width = 48};
	return 0;
}

static inline void rig_pasid_flush(void *context, uint32_t pasid, bool tables)
{
	((struct rig *)context)->pasid_flushes++;
}

/* ---- the host's memory ---- */

static inline void *rig_share_memory(void *context, uint64_t offset, size_t length)
{
	struct rig *rig = context;

	if (offset + length > RIG_SHARED)
		return NULL;
	rig->shared_bytes += length;
	return rig->shared + offset;
}

static inline void rig_unshare_memory(void *context, uint64_t offset, size_t length)
{
	struct rig *rig = context;

	rig->shared_bytes -= length;
	memset(rig->shared + offset, 0, length);
}

static inline bool rig_is_mapped(void *context, uint64_t offset, size_t length)
{
	return ((struct rig *)context)->is_mapped;
}

/* ---- ioctls ---- */

static int rig_ioctl(struct rig *rig, unsigned int cmd, void *arg);

static inline int rig_new_viommu(struct rig *rig, uint32_t parent, uint32_t *id)
{
	struct iommu_viommu_alloc alloc = {.size = sizeof(alloc),
					   .type = RIG_VIOMMU,
					   .dev_id = rig->dev_id,
					   .hwpt_id = parent};
	int rc = rig_ioctl(rig, IOMMU_VIOMMU_ALLOC, &alloc);

	if (!rc)
		*id = alloc.out_viommu_id;
	return rc;
}

/* One that shares memory, at *offset. */
static inline int rig_new_sharing_viommu(struct rig *rig, uint32_t parent, uint32_t *id,
					 uint64_t *offset)
{
	struct iommu_viommu_tegra241_cmdqv data = {0};
	struct iommu_viommu_alloc alloc = {
		.size = sizeof(alloc),
		.type = RIG_VIOMMU,
		.dev_id = rig->dev_id,
		.hwpt_id = parent,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = rig_ioctl(rig, IOMMU_VIOMMU_ALLOC, &alloc);

	if (!rc) {
		*id = alloc.out_viommu_id;
		*offset = data.out_vintf_mmap_offset;
		assert_int_equal(data.out_vintf_mmap_length, PAGE);
	}
	return rc;
}

static inline int rig_new_vdevice(struct rig *rig, uint32_t viommu, uint64_t virt_id, uint32_t *id)
{
	struct iommu_vdevice_alloc alloc = {.size = sizeof(alloc),
					    .viommu_id = viommu,
					    .dev_id = rig->dev_id,
					    .virt_id = virt_id};
	int rc = rig_ioctl(rig, IOMMU_VDEVICE_ALLOC, &alloc);

	if (!rc)
		*id = alloc.out_vdevice_id;
	return rc;
}

static inline int rig_new_veventq(struct rig *rig, uint32_t viommu, uint32_t depth, uint32_t *id)
{
	struct iommu_veventq_alloc alloc = {.size = sizeof(alloc),
					    .viommu_id = viommu,
					    .type = RIG_EVENT,
					    .veventq_depth = depth};
	int rc = rig_ioctl(rig, IOMMU_VEVENTQ_ALLOC, &alloc);

	if (!rc)
		*id = alloc.out_veventq_id;
	return rc;
}

static inline int rig_new_hw_queue(struct rig *rig, uint32_t viommu, uint32_t index, uint64_t iova,
				   uint64_t length, uint32_t *id)
{
	struct iommu_hw_queue_alloc alloc = {.size = sizeof(alloc),
					     .viommu_id = viommu,
					     .type = RIG_QUEUE,
					     .index = index,
					     .nesting_parent_iova = iova,
					     .length = length};
	int rc = rig_ioctl(rig, IOMMU_HW_QUEUE_ALLOC, &alloc);

	if (!rc)
		*id = alloc.out_hw_queue_id;
	return rc;
}

/* Without a file, a queue can go by its id alone. */
static inline void rig_close_last_file(struct rig *rig)
{
	rig->nr_files--;
	iommufd_file_release(rig->files[rig->nr_files].file, rig->files[rig->nr_files].kind);
}

#endif
