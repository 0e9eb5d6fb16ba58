/* SPDX-License-Identifier: MIT */
/*
 * Read a block of an NVMe disk by nothing but Linux's public ABI: the device's own file and
 * /dev/iommu. A real controller that is bound to vfio-pci answers as one under `uiommu run
 * --device nvme` does.
 *
 *   nvme-read /dev/vfio/devices/vfio0 [BLOCK [bug]]
 *
 * With "bug" the buffer is not mapped: the IOMMU refuses the device's access.
 */
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#include <linux/iommufd.h>
#include <linux/vfio.h>
#else
#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>
#endif

#define PAGE    4096
#define ENTRIES 16
#define IOVA    0x100000 /* of the first page of memory */
#define PAGES   5
/* Pages 0 and 1: admin queues; 2 and 3: I/O queues, of submissions and of completions. */
#define BUFFER 4

static uint8_t *memory;        /* PAGES pages that the device accesses */
static volatile uint8_t *regs; /* BAR 0 */
static unsigned int slot[2];   /* next entry of the admin and the I/O queues */
static unsigned int stride;    /* of doorbells, bytes */

static void check(int bad, const char *doing)
{
	if (bad)
		err(1, "%s", doing);
}

static volatile uint32_t *reg32(unsigned int at)
{
	return (volatile uint32_t *)(regs + at);
}

static void put64(unsigned int at, uint64_t value)
{
	*reg32(at) = htole32((uint32_t)value);
	*reg32(at + 4) = htole32((uint32_t)(value >> 32));
}

/* Wait at most 10 s until the bits of a register or of memory are as wanted. */
static uint32_t wait_for(volatile uint32_t *at, uint32_t mask, uint32_t wanted, const char *what)
{
	for (int tries = 0; (le32toh(*at) & mask) != wanted; tries++) {
		errno = ETIMEDOUT;
		check(tries == 100000, what);
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
	__sync_synchronize();
	return le32toh(*at);
}

/* A command of queue 0 or 1; neither is used more often than it has entries. */
static void run(unsigned int queue, uint8_t opcode, uint64_t data, const uint32_t dw[3])
{
	unsigned int n = slot[queue]++;
	uint32_t *sqe = (uint32_t *)(memory + 2 * queue * PAGE + 64 * n);
	uint32_t *cqe = (uint32_t *)(memory + (2 * queue + 1) * PAGE + 16 * n);

	sqe[0] = htole32(opcode | n << 16);
	sqe[1] = htole32(queue); /* namespace 1, for the queue that reads */
	sqe[6] = htole32((uint32_t)data);
	sqe[7] = htole32((uint32_t)(data >> 32));
	for (int i = 0; i < 3; i++)
		sqe[10 + i] = htole32(dw[i]);
	__sync_synchronize();
	*reg32(0x1000 + 2 * queue * stride) = htole32(slot[queue]);
	n = wait_for(&cqe[3], 1 << 16, 1 << 16, "waiting for a command") >> 17;
	*reg32(0x1000 + (2 * queue + 1) * stride) = htole32(slot[queue]);
	if (n)
		errx(1, "command %#x ended with status %#x", opcode, n);
}

static void open_device(const char *path)
{
	int device = open(path, O_RDWR), iommu = open("/dev/iommu", O_RDWR);
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommu};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.length = PAGES * PAGE,
		.iova = IOVA,
	};
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = 0}, config = bar;
	uint16_t command = htole16(1 << 1 | 1 << 2); /* memory space, bus master */

	check(device < 0 || iommu < 0, "opening the device and /dev/iommu");
	check(ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind), "VFIO_DEVICE_BIND_IOMMUFD");
	check(ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc), "IOMMU_IOAS_ALLOC");
	attach.pt_id = map.ioas_id = alloc.out_ioas_id;
	check(ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), "attaching the device");
	memory =
		mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(memory == MAP_FAILED, "mmap");
	map.user_va = (uintptr_t)memory;
	check(ioctl(iommu, IOMMU_IOAS_MAP, &map), "IOMMU_IOAS_MAP");
	config.index = VFIO_PCI_CONFIG_REGION_INDEX;
	check(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config), "finding configuration space");
	check(pwrite(device, &command, 2, (off_t)config.offset + 4) != 2, "enabling the device");
	check(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar), "finding BAR 0");
	regs = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	check(regs == MAP_FAILED, "mapping BAR 0");
}

int main(int argc, char **argv)
{
	uint64_t block = argc > 2 ? strtoull(argv[2], NULL, 0) : 0, data = IOVA + BUFFER * PAGE;

	if (argc < 2)
		errx(2, "expected a device, such as /dev/vfio/devices/vfio0");
	open_device(argv[1]);
	stride = 4u << (le32toh(*reg32(0x04)) & 0xf); /* CAP.DSTRD */
	*reg32(0x14) = 0;                             /* CC: off */
	wait_for(reg32(0x1c), 1, 0, "disabling the controller");
	*reg32(0x24) = htole32((ENTRIES - 1) << 16 | (ENTRIES - 1));
	put64(0x28, IOVA);
	put64(0x30, IOVA + PAGE);
	*reg32(0x14) = htole32(4 << 20 | 6 << 16 | 1); /* CC: sizes of entries, on */
	wait_for(reg32(0x1c), 1, 1, "enabling the controller");
	/* Create a completion and a submission queue, and read. */
	run(0, 0x05, IOVA + 3 * PAGE, (uint32_t[]){(ENTRIES - 1) << 16 | 1, 1, 0});
	run(0, 0x01, IOVA + 2 * PAGE, (uint32_t[]){(ENTRIES - 1) << 16 | 1, 1 << 16 | 1, 0});
	run(1, 0x02, argc > 3 ? data + PAGE : data,
	    (uint32_t[]){(uint32_t)block, (uint32_t)(block >> 32), 0});
	return fwrite(memory + BUFFER * PAGE, 512, 1, stdout) != 1;
}
