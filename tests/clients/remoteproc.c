// SPDX-License-Identifier: MIT
#include "tests/clients/remoteproc.h"

#include "tests/clients/fw_elf.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "plat/compiler.h"
#include "plat/string.h"

#define MOST_VRINGS 2 /* of a device, RVDEV_NUM_VRINGS */

/* A carveout, or a mapping of device memory. */
struct rproc_mem {
	struct rproc_mem *next;
	uint32_t da, len;
	uint32_t flags;
	bool mapped;
	void *va;        /* a carveout's memory */
	uint32_t offset; /* a carveout's: of its entry in the table; 0 for device memory */
	char name[32];
};

struct rproc {
	struct iommu_domain *domain;
	struct mem_cgroup *owner; /* the domain's */
	const struct rproc_ops *ops;
	void *context;
	struct resource_table *table; /* a copy of the file's */
	uint32_t table_size;
	struct rproc_mem *mems, **end; /* in the order of the table */
};

static struct rproc_mem *add_mem(struct rproc *rproc, uint32_t da, uint32_t len)
{
	struct rproc_mem *mem = kzalloc(sizeof(*mem), GFP_KERNEL, rproc->owner);

	if (!mem)
		return NULL;
	mem->da = da;
	mem->len = len;
	*rproc->end = mem;
	rproc->end = &mem->next;
	return mem;
}

static int map_mem(struct rproc *rproc, struct rproc_mem *mem, phys_addr_t paddr)
{
	int ret = iommu_map(rproc->domain, mem->da, paddr, mem->len, (int)mem->flags, GFP_KERNEL);

	mem->mapped = !ret;
	return ret;
}

/* ---- the entries; each of @avail bytes at most, at @rsc, which is not aligned ---- */

static int handle_devmem(struct rproc *rproc, const void *rsc, uint32_t avail)
{
	struct fw_rsc_devmem devmem;
	struct rproc_mem *mem;

	if (avail < sizeof(devmem))
		return -EINVAL;
	memcpy(&devmem, rsc, sizeof(devmem));
	if (devmem.reserved)
		return -EINVAL;
	mem = add_mem(rproc, devmem.da, devmem.len);
	if (!mem)
		return -ENOMEM;
	mem->flags = devmem.flags;
	return map_mem(rproc, mem, devmem.pa);
}

static bool has_carveout(const struct rproc *rproc, const char name[32])
{
	for (const struct rproc_mem *mem = rproc->mems; mem; mem = mem->next)
		if (mem->offset && !strcmp(mem->name, name))
			return true;
	return false;
}

/* Its memory is allocated when the whole table is known to be good. */
static int handle_carveout(struct rproc *rproc, const void *rsc, uint32_t avail)
{
	struct fw_rsc_carveout carveout;
	struct rproc_mem *mem;

	if (avail < sizeof(carveout))
		return -EINVAL;
	memcpy(&carveout, rsc, sizeof(carveout));
	if (carveout.reserved)
		return -EINVAL;
	carveout.name[sizeof(carveout.name) - 1] = '\0';
	if (has_carveout(rproc, (const char *)carveout.name))
		return -ENOMEM; /* which is what the kernel says */
	mem = add_mem(rproc, carveout.da, carveout.len);
	if (!mem)
		return -ENOMEM;
	mem->flags = carveout.flags;
	mem->offset = (uint32_t)((const char *)rsc - (const char *)rproc->table);
	memcpy(mem->name, carveout.name, sizeof(mem->name));
	return 0;
}

static int check_trace(const void *rsc, uint32_t avail)
{
	struct fw_rsc_trace trace;

	if (avail < sizeof(trace))
		return -EINVAL;
	memcpy(&trace, rsc, sizeof(trace));
	return trace.reserved ? -EINVAL : 0;
}

static int check_vdev(const void *rsc, uint32_t avail)
{
	struct fw_rsc_vdev vdev;
	uint64_t rings;

	if (avail < sizeof(vdev))
		return -EINVAL;
	memcpy(&vdev, rsc, sizeof(vdev));
	rings = vdev.num_of_vrings * sizeof(struct fw_rsc_vdev_vring);
	if (rings + vdev.config_len > avail - sizeof(vdev) || vdev.reserved[0] || vdev.reserved[1])
		return -EINVAL;
	return vdev.num_of_vrings > MOST_VRINGS ? -EINVAL : 0;
}

static int handle_resource(struct rproc *rproc, uint32_t offset)
{
	const char *at = (const char *)rproc->table + offset;
	struct fw_rsc_hdr header;
	uint32_t avail;

	if (offset > rproc->table_size || rproc->table_size - offset < sizeof(header))
		return -EINVAL;
	memcpy(&header, at, sizeof(header));
	at += sizeof(header);
	avail = rproc->table_size - offset - (uint32_t)sizeof(header);
	switch (header.type) {
	case RSC_CARVEOUT:
		return handle_carveout(rproc, at, avail);
	case RSC_DEVMEM:
		return handle_devmem(rproc, at, avail);
	case RSC_TRACE:
		return check_trace(at, avail);
	case RSC_VDEV:
		return check_vdev(at, avail);
	default: /* a vendor's, or newer than this */
		return 0;
	}
}

static int handle_resources(struct rproc *rproc)
{
	int ret = 0;

	for (uint32_t i = 0; i < rproc->table->num && !ret; i++)
		ret = handle_resource(rproc, rproc->table->offset[i]);
	return ret;
}

/* ---- the table ---- */

static int load_table(struct rproc *rproc, const struct elf_image *elf,
		      const struct elf_section *section)
{
	struct resource_table head;

	if (section->size < sizeof(head))
		return -EINVAL;
	memcpy(&head, elf->data + section->offset, sizeof(head));
	if (head.ver != 1 || head.reserved[0] || head.reserved[1])
		return -EINVAL;
	if (head.num > (section->size - sizeof(head)) / sizeof(head.offset[0]))
		return -EINVAL;
	rproc->table = kmalloc(section->size, GFP_KERNEL, rproc->owner);
	if (!rproc->table)
		return -ENOMEM;
	rproc->table_size = (uint32_t)section->size;
	memcpy(rproc->table, elf->data + section->offset, section->size);
	return 0;
}

/* Where the processor looks for it, if it is loaded at all. */
static void publish_table(struct rproc *rproc, const struct elf_section *section)
{
	void *loaded = rproc_da_to_va(rproc, section->addr, rproc->table_size);

	if (loaded)
		memcpy(loaded, rproc->table, rproc->table_size);
}

/* ---- carveouts ---- */

static size_t page_align(size_t size)
{
	return (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static void tell_carveout(struct rproc *rproc, const struct rproc_mem *mem, phys_addr_t paddr)
{
	char *entry = (char *)rproc->table + mem->offset;
	struct fw_rsc_carveout carveout;

	memcpy(&carveout, entry, sizeof(carveout));
	carveout.da = mem->da;
	carveout.pa = (uint32_t)paddr;
	carveout.len = mem->len;
	memcpy(entry, &carveout, sizeof(carveout));
}

static int alloc_carveout(struct rproc *rproc, struct rproc_mem *mem)
{
	phys_addr_t paddr;

	if (!mem->len)
		return -ENOMEM;
	mem->va = rproc->ops->alloc(rproc->context, page_align(mem->len), &paddr);
	if (!mem->va)
		return -ENOMEM;
	if (mem->da == FW_RSC_ADDR_ANY)
		mem->da = (uint32_t)paddr;
	else if (map_mem(rproc, mem, paddr))
		return -ENOMEM;
	tell_carveout(rproc, mem, paddr);
	return 0;
}

static int alloc_carveouts(struct rproc *rproc)
{
	int ret = 0;

	for (struct rproc_mem *mem = rproc->mems; mem && !ret; mem = mem->next)
		if (mem->offset)
			ret = alloc_carveout(rproc, mem);
	return ret;
}

void *rproc_da_to_va(const struct rproc *rproc, uint64_t da, uint64_t len)
{
	for (const struct rproc_mem *mem = rproc->mems; mem; mem = mem->next)
		if (mem->va && da >= mem->da && da - mem->da <= mem->len &&
		    len <= mem->len - (da - mem->da))
			return (char *)mem->va + (da - mem->da);
	return NULL;
}

/* ---- all of it ---- */

static int load_segments(struct rproc *rproc, const struct elf_image *elf)
{
	struct elf_segment segment;
	unsigned int index = 0;
	int ret;

	while ((ret = elf_next_load(elf, &index, &segment)) > 0) {
		void *to = rproc_da_to_va(rproc, segment.paddr, segment.memsz);

		if (!to)
			return -EINVAL;
		elf_load_segment(&segment, to);
	}
	return ret;
}

static int boot(struct rproc *rproc, const struct elf_image *elf)
{
	struct elf_section section;
	int ret;

	ret = elf_find_section(elf, ".resource_table", &section);
	if (!ret)
		ret = load_table(rproc, elf, &section);
	if (!ret)
		ret = handle_resources(rproc);
	if (!ret)
		ret = alloc_carveouts(rproc);
	if (!ret)
		ret = load_segments(rproc, elf);
	if (!ret)
		publish_table(rproc, &section);
	return ret;
}

struct rproc *rproc_boot(struct iommu_domain *domain, const void *elf, size_t size,
			 const struct rproc_ops *ops, void *context)
{
	struct iommu_domain_info info;
	struct elf_image image;
	struct rproc *rproc;
	int ret;

	iommu_domain_get_info(domain, &info);
	if (!info.format || elf_open(&image, elf, size))
		return ERR_PTR(-EINVAL);
	rproc = kzalloc(sizeof(*rproc), GFP_KERNEL, info.owner);
	if (!rproc)
		return ERR_PTR(-ENOMEM);
	rproc->domain = domain;
	rproc->owner = info.owner;
	rproc->ops = ops;
	rproc->context = context;
	rproc->end = &rproc->mems;
	ret = boot(rproc, &image);
	if (ret) {
		rproc_shutdown(rproc);
		return ERR_PTR(ret);
	}
	return rproc;
}

void rproc_shutdown(struct rproc *rproc)
{
	struct rproc_mem *next;

	for (struct rproc_mem *mem = rproc->mems; mem; mem = next) {
		next = mem->next;
		if (mem->mapped)
			iommu_unmap(rproc->domain, mem->da, mem->len);
		if (mem->va)
			rproc->ops->free(rproc->context, mem->va, page_align(mem->len));
		kfree(mem);
	}
	kfree(rproc->table);
	kfree(rproc);
}
