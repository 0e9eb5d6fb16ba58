/* SPDX-License-Identifier: MIT */
/*
 * A network card's rings, as its driver sees the DMA API: buffers that wait for
 * packets are mapped and given to the card one by one, packets that are sent are
 * lists of pieces. Run it as it is, or see what it asked for:
 *
 *   uiommu run --trace trace.txt -- dma-client
 *   uiommu replay trace.txt
 */
#include <stdio.h>
#include <stdlib.h>

#include <uiommu/dma-mapping.h>

#define RING    256
#define PACKETS 10000
#define BUFFER  2048
#define PIECES  3

/* What the card reads: where a buffer is, and how long. */
struct descriptor {
	uint64_t addr;
	uint32_t length;
	uint32_t flags;
};

struct nic {
	struct iommu_domain *domain;
	struct iommu_group *group;
	struct iommu_device *dev;
	struct descriptor *ring;
	dma_addr_t ring_addr;
	phys_addr_t buffer[RING];
	char *memory;
};

static void fail(const char *what)
{
	fprintf(stderr, "dma-client: %s failed\n", what);
	exit(1);
}

/* This card reads nothing: that its domain changes is no matter to it. */
static int attach_dev(struct iommu_domain *domain, struct iommu_device *dev,
		      struct iommu_domain *old)
{
	(void)domain, (void)dev, (void)old;
	return 0;
}

static void detach_dev(struct iommu_domain *domain, struct iommu_device *dev)
{
	(void)domain, (void)dev;
}

/* The card, alone in its group, in a domain of the DMA API's. */
static void probe(struct nic *nic)
{
	static const struct iommu_device_ops ops = {.attach_dev = attach_dev,
						    .detach_dev = detach_dev};
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_DMA, .format = "vtd"};

	nic->domain = iommu_domain_alloc(&params, GFP_KERNEL);
	nic->group = iommu_group_alloc(GFP_KERNEL);
	if (IS_ERR(nic->domain) || IS_ERR(nic->group))
		fail("allocating a domain and a group");
	nic->dev = iommu_device_register("0000:00:04.0", &ops, NULL, nic->group, GFP_KERNEL);
	if (IS_ERR(nic->dev) || iommu_group_set_default_domain(nic->group, nic->domain) ||
	    iommu_setup_dma_ops(nic->dev, GFP_KERNEL))
		fail("setting up the device");
	nic->ring = dma_alloc_attrs(nic->dev, RING * sizeof(*nic->ring), &nic->ring_addr,
				    GFP_KERNEL, 0);
	nic->memory = aligned_alloc(4096, RING * BUFFER);
	if (!nic->ring || !nic->memory)
		fail("allocating the ring");
}

/* Where the program's memory is for real only the kernel knows; its address will do. */
static void fill(struct nic *nic, unsigned int i)
{
	nic->buffer[i] = (uintptr_t)nic->memory + (size_t)i * BUFFER;
	nic->ring[i].addr = dma_map_page(nic->dev, nic->buffer[i], 0, BUFFER, DMA_FROM_DEVICE);
	nic->ring[i].length = BUFFER;
	if (dma_mapping_error(nic->dev, nic->ring[i].addr))
		fail("dma_map_page");
}

/* A packet has come: the CPU gets its buffer, the card the next one. */
static void receive(struct nic *nic, unsigned int i)
{
	dma_unmap_page(nic->dev, nic->ring[i].addr, BUFFER, DMA_FROM_DEVICE);
	fill(nic, i);
}

/* Headers, and a body in two places. */
static void send_packet(struct nic *nic, unsigned int i)
{
	struct scatterlist sg[PIECES] = {
		{.paddr = nic->buffer[i] + 64, .length = 54},
		{.paddr = 0x100000000 + (phys_addr_t)i * 8192, .length = 4096},
		{.paddr = 0x200000000 + (phys_addr_t)i * 8192, .length = 1000},
	};

	if (!dma_map_sg(nic->dev, sg, PIECES, DMA_TO_DEVICE))
		fail("dma_map_sg");
	dma_unmap_sg(nic->dev, sg, PIECES, DMA_TO_DEVICE);
}

static void leave(struct nic *nic)
{
	for (unsigned int i = 0; i < RING; i++)
		dma_unmap_page(nic->dev, nic->ring[i].addr, BUFFER, DMA_FROM_DEVICE);
	dma_free_attrs(nic->dev, RING * sizeof(*nic->ring), nic->ring, nic->ring_addr, 0);
	iommu_device_unregister(nic->dev);
	iommu_group_put(nic->group);
	iommu_domain_free(nic->domain);
	free(nic->memory);
}

int main(void)
{
	struct nic nic = {0};

	probe(&nic);
	for (unsigned int i = 0; i < RING; i++)
		fill(&nic, i);
	for (unsigned int i = 0; i < PACKETS; i++) {
		receive(&nic, i % RING);
		if (i % 4 == 0)
			send_packet(&nic, i % RING);
	}
	leave(&nic);
	printf("%d packets came, %d were sent\n", PACKETS, PACKETS / 4);
	return 0;
}
