/* SPDX-License-Identifier: MIT */
/*
 * A program outside the project, in what C and C++ have in common. It maps a
 * gigabyte on a budget, hits the budget, and gives everything back.
 */
#include <stdio.h>
#include <string.h>

#include <uiommu/iommu.h>
#include <uiommu/memcontrol.h>

static int use_domain(struct iommu_domain *domain, struct mem_cgroup *cg)
{
	const dma_addr_t iova = 0x100000000;
	const phys_addr_t paddr = 0x40001000; /* a page off: 4K leaves only */
	const size_t size = (size_t)1 << 30;
	uint64_t before = mem_cgroup_usage(cg);

	if (iommu_map(domain, iova, paddr, size, IOMMU_READ | IOMMU_WRITE, GFP_KERNEL_ACCOUNT))
		return 2;
	if (iommu_iova_to_phys(domain, iova + 0x123456) != paddr + 0x123456)
		return 3;
	if (mem_cgroup_usage(cg) < before + 512 * 4096)
		return 4;
	if (mem_cgroup_write(cg, "memory.max", "4M"))
		return 5;
	if (iommu_map(domain, 4 * iova, paddr, size, IOMMU_READ, GFP_KERNEL_ACCOUNT) != -12)
		return 6;
	if (iommu_unmap(domain, iova, size) != size)
		return 7;
	return mem_cgroup_usage(cg) == before ? 0 : 8;
}

int main(void)
{
	struct iommu_domain_params params;
	struct mem_cgroup *cg = mem_cgroup_create(NULL);
	struct iommu_domain *domain;
	int ret;

	memset(&params, 0, sizeof(params));
	params.type = IOMMU_DOMAIN_UNMANAGED;
	params.format = "vtd";
	mem_cgroup_set_active(cg);
	domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(domain))
		return 1;
	ret = use_domain(domain, cg);
	iommu_domain_free(domain);
	if (!ret && mem_cgroup_usage(cg))
		ret = 9;
	mem_cgroup_set_active(NULL);
	mem_cgroup_put(cg);
	if (ret)
		fprintf(stderr, "step %d failed\n", ret);
	return ret;
}
