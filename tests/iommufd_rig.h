/* SPDX-License-Identifier: MIT */
/*
 * A context with a device, an IOAS and memory, ioctls in one line, and a picture
 * of all that a failed call must leave alone.
 */
#ifndef TESTS_IOMMUFD_RIG_H
#define TESTS_IOMMUFD_RIG_H

#include <sys/mman.h>
#include <unistd.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>
#include <uiommu/iommufd.h>
#include <uiommu/iommufd_dmabuf.h>
#include <uiommu/iommufd_pasid.h>
#include <uiommu/iommufd_viommu.h>
#include <uiommu/mm.h>

#include "iommufd/iommufd.h"
#include "plat/compiler.h"
#include "tests/device.h"

#define PAGE            4096ULL
#define HUGE            (512 * PAGE)
#define MEMORY          (2 * HUGE)
#define RIG_SPAN        (MEMORY + (64ULL << 20)) /* with what cannot be accessed behind it */
#define RIG_FILES       64
#define RIG_PASID_SLOTS 8

struct rig {
	struct mem_cgroup *memcg;
	struct iommufd_ctx *ctx;
	struct hardware hw;
	struct iommu_device *dev;
	struct iommufd_device *idev;
	struct iommufd_access *access;
	uint32_t dev_id, ioas, access_id;
	uint32_t ids[8]; /* what a test makes */
	char *memory;    /* MEMORY bytes at a multiple of HUGE, which memfd holds */
	int memfd;
	unsigned int nr_files, responses, unmaps, nested_live, viommus_live, queues_live;
	struct iommufd_viommu *viommu; /* the last one that was made */
	uint64_t queue_paddr;
	unsigned int pasid_flushes;
	struct iommu_domain *pasid_domain[RIG_PASID_SLOTS];
	char *shared; /* what a program would see that maps /dev/iommu */
	size_t shared_bytes;
	bool is_mapped;
	struct {
		void *file;
		enum iommufd_file_kind kind;
	} files[RIG_FILES];
};

/* ---- the program around the library: descriptors are indexes of files[] ---- */

static inline int rig_install_file(void *context, enum iommufd_file_kind kind, void *file)
{
	struct rig *rig = context;

	if (rig->nr_files == RIG_FILES)
		return -EMFILE;
	rig->files[rig->nr_files].file = file;
	rig->files[rig->nr_files].kind = kind;
	return (int)rig->nr_files++;
}

static inline void rig_remove_file(void *context, int fd)
{
	struct rig *rig = context;

	assert_int_equal(fd, rig->nr_files - 1);
	rig->nr_files--;
}

static inline int rig_with_file(void *context, enum iommufd_file_kind kind, int fd,
				int (*call)(void *file, void *arg), void *arg)
{
	struct rig *rig = context;

	if (fd < 0 || fd >= (int)rig->nr_files || rig->files[fd].kind != kind)
		return -EBADFD;
	return call(rig->files[fd].file, arg);
}

#include "tests/iommufd_rig_viommu.h"

static const struct iommufd_host rig_host = {
	.install_file = rig_install_file,
	.remove_file = rig_remove_file,
	.with_file = rig_with_file,
	.share_memory = rig_share_memory,
	.unshare_memory = rig_unshare_memory,
	.is_mapped = rig_is_mapped,
};

/* ---- the device model ---- */

static inline int rig_hw_info(void *context, void *buf, size_t len, uint32_t *type, size_t *full)
{
	const struct iommu_hw_info_vtd info = {.cap_reg = 1, .ecap_reg = 2};

	memcpy(buf, &info, len < sizeof(info) ? len : sizeof(info));
	*type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	*full = sizeof(info);
	return 0;
}

static inline int rig_nested_alloc(void *context, const struct iommufd_user_data *data,
				   void **nested)
{
	struct rig *rig = context;
	struct iommu_hwpt_vtd_s1 s1;
	int rc = iommufd_copy_user_data(data, IOMMU_HWPT_DATA_VTD_S1, 0, &s1, sizeof(s1),
					sizeof(s1));

	if (rc)
		return rc;
	*nested = rig;
	rig->nested_live++;
	return 0;
}

static inline void rig_nested_free(void *nested)
{
	struct rig *rig = nested;

	assert_true(rig->nested_live);
	rig->nested_live--;
}

static inline int rig_nested_invalidate(void *nested, const struct iommufd_user_data *array,
					uint32_t *done)
{
	struct iommu_hwpt_vtd_s1_invalidate one;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
		return -EINVAL;
	for (*done = 0; *done < array->entry_num && *done < 64; ++*done) {
		int rc = iommufd_copy_user_data(array, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, *done,
						&one, sizeof(one), sizeof(one));

		if (rc)
			return rc;
	}
	return 0;
}

static inline void rig_page_response(void *context, uint32_t pasid, uint32_t grpid, uint32_t code)
{
	((struct rig *)context)->responses++;
}

static const struct iommufd_device_ops rig_device_ops = {
	.hw_info = rig_hw_info,
	.nested_alloc = rig_nested_alloc,
	.nested_free = rig_nested_free,
	.nested_invalidate = rig_nested_invalidate,
	.pasid_attach = rig_pasid_attach,
	.pasid_layout = &rig_pasid_layout,
	.pasid_first = rig_pasid_first,
	.pasid_flush = rig_pasid_flush,
	.viommu_alloc = rig_viommu_alloc,
	.page_response = rig_page_response,
	.dirty_tracking = true,
	.enforce_cache_coherency = true,
	.pasid_domains = true,
	.max_pasid_log2 = RIG_PASIDS,
};

/* ---- its life ---- */

/* Nothing of the test's own lies behind what an ioctl may be told to map. */
static inline char *rig_map_memory(int memfd)
{
	char *space = mmap(NULL, RIG_SPAN + HUGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((uintptr_t)space + HUGE - 1) & ~(uintptr_t)(HUGE - 1));

	assert_ptr_not_equal(space, MAP_FAILED);
	assert_ptr_equal(mmap(at, MEMORY, PROT_READ | PROT_WRITE,
			      MAP_FIXED | MAP_SHARED | MAP_POPULATE, memfd, 0),
			 at);
	munmap(space, (size_t)(at - space));
	munmap(at + RIG_SPAN, (size_t)(space + HUGE - at));
	return at;
}

/* Memory, a cgroup that is the thread's, a device; no context. */
static inline void rig_prepare(struct rig *rig)
{
	*rig = (struct rig){.memfd = memfd_create("rig", MFD_CLOEXEC)};
	assert_true(rig->memfd >= 0 && !ftruncate(rig->memfd, (off_t)MEMORY));
	rig->memory = rig_map_memory(rig->memfd);
	rig->shared = calloc(1, RIG_SHARED);
	rig->memcg = enter_cgroup(NULL);
	add_region(&rig->hw, 0xfee00000, 0x100000, 0, IOMMU_RESV_MSI);
	rig->dev = new_device(&rig->hw, NULL);
}

static inline void rig_open(struct rig *rig, enum iommufd_phys_mode phys)
{
	const struct iommufd_config config = {
		.format = "vtd",
		.phys = phys,
		.owner = rig->memcg,
		.host = &rig_host,
		.host_context = rig,
	};

	rig->ctx = iommufd_ctx_create(&config);
}

static inline int rig_ioctl(struct rig *rig, unsigned int cmd, void *arg)
{
	return iommufd_ioctl(rig->ctx, cmd, arg);
}

static inline uint32_t rig_new_ioas(struct rig *rig)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	assert_int_equal(rig_ioctl(rig, IOMMU_IOAS_ALLOC, &alloc), 0);
	return alloc.out_ioas_id;
}

/* And a context, with the device bound and an IOAS. */
static inline void rig_begin(struct rig *rig, enum iommufd_phys_mode phys)
{
	rig_prepare(rig);
	rig_open(rig, phys);
	assert_false(IS_ERR(rig->ctx));
	rig->idev = iommufd_device_bind(rig->ctx, rig->dev, &rig_device_ops, rig, &rig->dev_id);
	assert_false(IS_ERR(rig->idev));
	rig->ioas = rig_new_ioas(rig);
}

/* Closes everything; nothing may be charged then. */
static inline void rig_end(struct rig *rig)
{
	if (rig->access)
		iommufd_access_destroy(rig->access);
	if (rig->idev)
		iommufd_device_unbind(rig->idev);
	if (rig->ctx)
		iommufd_ctx_destroy(rig->ctx);
	for (unsigned int i = 0; i < rig->nr_files; i++)
		iommufd_file_release(rig->files[i].file, rig->files[i].kind);
	assert_int_equal(rig->nested_live + rig->viommus_live + rig->queues_live, 0);
	assert_int_equal(rig->shared_bytes, 0);
	free(rig->shared);
	iommu_device_unregister(rig->dev);
	leave_cgroup(rig->memcg);
	munmap(rig->memory, RIG_SPAN);
	close(rig->memfd);
}

/* ---- ioctls ---- */

#define RIG_RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

static inline int rig_map_in(struct rig *rig, uint32_t ioas, uint64_t iova, uint64_t offset,
			     uint64_t length)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RIG_RW,
		.ioas_id = ioas,
		.user_va = (uintptr_t)rig->memory + offset,
		.length = length,
		.iova = iova,
	};

	return rig_ioctl(rig, IOMMU_IOAS_MAP, &map);
}

static inline int rig_map(struct rig *rig, uint64_t iova, uint64_t offset, uint64_t length)
{
	return rig_map_in(rig, rig->ioas, iova, offset, length);
}

static inline int rig_unmap(struct rig *rig, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = rig->ioas, .iova = iova, .length = length};

	return rig_ioctl(rig, IOMMU_IOAS_UNMAP, &unmap);
}

static inline int rig_destroy(struct rig *rig, uint32_t id)
{
	struct iommu_destroy destroy = {.size = sizeof(destroy), .id = id};

	return rig_ioctl(rig, IOMMU_DESTROY, &destroy);
}

static inline int rig_new_hwpt(struct rig *rig, uint32_t pt_id, uint32_t flags, uint32_t *id)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc), .flags = flags, .dev_id = rig->dev_id, .pt_id = pt_id};
	int rc = rig_ioctl(rig, IOMMU_HWPT_ALLOC, &alloc);

	if (!rc)
		*id = alloc.out_hwpt_id;
	return rc;
}

static inline int rig_new_nested(struct rig *rig, uint32_t parent, uint32_t fault_id, uint32_t *id)
{
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = rig->dev_id,
		.pt_id = parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1),
		.data_uptr = (uintptr_t)&s1,
		.fault_id = fault_id,
	};
	int rc = rig_ioctl(rig, IOMMU_HWPT_ALLOC, &alloc);

	if (!rc)
		*id = alloc.out_hwpt_id;
	return rc;
}

static inline int rig_new_fault(struct rig *rig, uint32_t *id)
{
	struct iommu_fault_alloc alloc = {.size = sizeof(alloc)};
	int rc = rig_ioctl(rig, IOMMU_FAULT_QUEUE_ALLOC, &alloc);

	if (!rc)
		*id = alloc.out_fault_id;
	return rc;
}

/* ---- the picture ---- */

struct picture {
	uint64_t hash;
	uint64_t usage;
	uint64_t objects;
	uint64_t areas;
};

static inline void picture_add(struct picture *picture, uint64_t value)
{
	picture->hash = (picture->hash ^ value) * 0x100000001b3ULL;
	picture->hash ^= picture->hash >> 29;
}

/* The tests map around these. */
static const uint64_t rig_places[] = {HUGE, 3 * HUGE, 1ULL << 30, (1ULL << 39) + HUGE};

static inline void picture_domain(struct picture *picture, struct iommu_domain *domain)
{
	struct iommu_domain_info info = domain_info(domain);

	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		picture_add(picture, info.tables[level]);
	for (size_t i = 0; i < ARRAY_SIZE(rig_places); i++)
		for (uint64_t at = 0; at < 2 * HUGE; at += 7 * PAGE)
			picture_add(picture, iommu_iova_to_phys(domain, rig_places[i] - HUGE + at));
}

static inline void picture_object(void *arg, const struct iommufd_object_info *info)
{
	struct picture *picture = arg;

	picture->objects++;
	picture->areas += info->nr_areas;
	picture_add(picture, info->id);
	picture_add(picture, info->type);
	picture_add(picture, info->ioas_id);
	picture_add(picture, info->mapped_bytes);
	if (info->domain)
		picture_domain(picture, info->domain);
}

/* Objects, areas, translations, tables, attachments, pins, and what is charged for it. */
static inline struct picture rig_picture(struct rig *rig)
{
	struct picture picture = {.usage = mem_cgroup_usage(rig->memcg)};

	if (rig->ctx)
		iommufd_for_each_object(rig->ctx, picture_object, &picture);
	picture_add(&picture, (uintptr_t)rig->hw.uses);
	for (uint64_t at = 0; at < MEMORY; at += 17 * PAGE)
		picture_add(&picture, iopt_pages_pin_count((uintptr_t)rig->memory + at));
	return picture;
}

#endif
