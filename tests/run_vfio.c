// SPDX-License-Identifier: MIT
/*
 * A program that knows of nothing, with a PCI device of `uiommu run`: what Linux's vfio
 * says of the same calls. One part by its name; 0 when all was as expected.
 */
#include <dirent.h>
#include <limits.h>

#include "run_vfio.h"
#include "run_vfio_parts.h"

#define BDF "0000:3f:00.0"
#define SYS "/sys/bus/pci/devices/" BDF

/* ---- what is found ---- */

static void check_text(const char *path, const char *expected)
{
	char text[128] = "";
	int fd = open(path, O_RDONLY);

	check(fd >= 0);
	check(read(fd, text, sizeof(text) - 1) >= 0);
	if (strcmp(text, expected) != 0)
		printf("%s: '%s'\n", path, text);
	check(!strcmp(text, expected));
	close(fd);
}

static void check_link(const char *path, const char *expected)
{
	char real[PATH_MAX];

	check(realpath(path, real));
	if (strcmp(real, expected) != 0)
		printf("%s: '%s'\n", path, real);
	check(!strcmp(real, expected));
}

static bool lists(const char *directory, const char *name)
{
	const struct dirent *entry;
	bool found = false;
	DIR *dir = opendir(directory);

	check(dir);
	while ((entry = readdir(dir)))
		found |= !strcmp(entry->d_name, name);
	closedir(dir);
	return found;
}

static void test_paths(void)
{
	struct stat st;
	char link[PATH_MAX];
	ssize_t length;

	check_text(SYS "/vendor", "0x8086\n");
	check_text(SYS "/class", "0x088000\n");
	check_text("/sys/class/vfio-dev/vfio0/dev", "511:0\n");
	check_link(SYS, "/sys/devices/pci0000:3f/" BDF);
	check_link(SYS "/driver", "/sys/bus/pci/drivers/vfio-pci");
	check_link(SYS "/subsystem", "/sys/bus/pci");
	check_link("/sys/class/vfio-dev/vfio0/device", "/sys/devices/pci0000:3f/" BDF);
	length = readlink(SYS "/iommu_group", link, sizeof(link));
	check(length > 0);
	link[length] = '\0';
	check(strstr(link, "/kernel/iommu_groups/"));
	check(!lstat(SYS, &st) && S_ISLNK(st.st_mode));
	check(!stat(SYS "/", &st) && S_ISDIR(st.st_mode));
	check(!stat("/dev/vfio/vfio", &st) && S_ISCHR(st.st_mode));
	check(lists("/sys/bus/pci/devices", BDF));
	check(lists("/sys/bus/pci/drivers/vfio-pci", BDF));
	check(lists("/dev/vfio", "vfio") && lists("/dev/vfio/devices", "vfio0"));
	check(lists(SYS, "config") && lists(SYS "/iommu_group/devices", BDF));
	check_errno(open(SYS "/nothing", O_RDONLY), ENOENT);
	check_errno(open(SYS "/vendor", O_WRONLY), EACCES);
}

/* As `echo` in a shell does: by standard output, whatever number the file had. */
static void write_by_shell(const char *path, const char *text)
{
	char command[256];

	snprintf(command, sizeof(command), "echo %s > %s", text, path);
	check(!system(command));
}

static void test_bind(void)
{
	int fd;

	write_by_shell("/sys/bus/pci/drivers/vfio-pci/unbind", BDF);
	check_errno(open("/dev/vfio/devices/vfio0", O_RDWR), ENOENT);
	check_errno(access(SYS "/driver", F_OK), ENOENT);
	check(!lists("/sys/bus/pci/drivers/vfio-pci", BDF));
	fd = open("/sys/bus/pci/drivers/vfio-pci/unbind", O_WRONLY);
	check_errno(write(fd, BDF, strlen(BDF)), ENODEV);
	write_by_shell(SYS "/driver_override", "vfio-pci");
	check_text(SYS "/driver_override", "vfio-pci\n");
	write_by_shell("/sys/bus/pci/drivers_probe", BDF);
	check(!access(SYS "/driver", F_OK));
	check(!access("/dev/vfio/devices/vfio0", F_OK));
}

/* ---- regions and configuration space ---- */

static void check_sizes(int device)
{
	/* All ones say how large a BAR is. */
	config_write(device, 0x10, 4, ~0u);
	check((config_read(device, 0x10, 4) & ~0xfu) == (uint32_t)-0x4000);
	config_write(device, 0x10, 4, 0x12345678);
	check((config_read(device, 0x10, 4) & ~0xfu) == (0x12345678 & (uint32_t)-0x4000));
}

/* That the compiler does not know. */
static void *volatile bad_address = (void *)1;

static void test_config(void)
{
	struct vfio_region_info info;
	struct engine e;
	char bytes[32];
	unsigned int msix = 0xb0;

	engine_open(&e);
	check(config_read(e.device, 0, 2) == 0x8086);
	config_write(e.device, 0, 4, 0);
	check(config_read(e.device, 0, 2) == 0x8086);
	check(config_read(e.device, PCI_COMMAND, 2) & 2);
	check_sizes(e.device);
	/* MSI-X is enabled by SET_IRQS and by nothing else. */
	check((config_read(e.device, msix, 1)) == 0x11);
	config_write(e.device, msix + 2, 2, 0x8000);
	check(!(config_read(e.device, msix + 2, 2) & 0x8000));
	region_offset(e.device, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	check(info.size == 4096 && !(info.flags & VFIO_REGION_INFO_FLAG_MMAP));
	check_errno(pread(e.device, bytes, 4, (off_t)(info.offset + info.size)), EINVAL);
	check_errno(pread(e.device, bytes, 8, (off_t)(info.offset + info.size - 4)), EINVAL);
	check_errno(pread(e.device, bytes, 4, (off_t)(9ull << 40)), EINVAL);
	check_errno(pread(e.device, bad_address, 4, (off_t)info.offset), EFAULT);
	check_errno(lseek(e.device, 0, SEEK_SET), ESPIPE);
	engine_close(&e);
}

static void check_region_errors(int device)
{
	struct vfio_region_info info = {.argsz = sizeof(info) - 1};

	check_errno(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info), EINVAL);
	info.argsz = sizeof(info);
	info.index = VFIO_PCI_VGA_REGION_INDEX;
	check_errno(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info), EINVAL);
	info.index = VFIO_PCI_NUM_REGIONS;
	check_errno(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info), EINVAL);
	check_errno(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, (void *)1), EFAULT);
	region_offset(device, VFIO_PCI_ROM_REGION_INDEX, &info);
	check(!info.size && !info.flags);
}

static void test_regions(void)
{
	struct vfio_device_info device_info = {.argsz = sizeof(device_info)};
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header cap;
	} with_cap = {.info = {.argsz = sizeof(with_cap)}};
	struct engine e;
	uint32_t value;
	uint64_t at;

	engine_open(&e);
	check(!ioctl(e.device, VFIO_DEVICE_GET_INFO, &device_info));
	check(device_info.flags == (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET));
	check(device_info.num_regions == 9 && device_info.num_irqs == 5);
	check_region_errors(e.device);
	check(!ioctl(e.device, VFIO_DEVICE_GET_REGION_INFO, &with_cap));
	check(with_cap.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	check(with_cap.info.cap_offset == sizeof(with_cap.info));
	check(with_cap.cap.id == VFIO_REGION_INFO_CAP_MSIX_MAPPABLE && !with_cap.cap.next);
	at = with_cap.info.offset;
	/* What is stored through a mapping is read by a call, and the other way round. */
	*(volatile uint32_t *)(e.bar + CHANNEL + 0x18) = 0x1234560;
	check(pread(e.device, &value, 4, (off_t)(at + CHANNEL + 0x18)) == 4 && value == 0x1234560);
	value = 0x7654320;
	check(pwrite(e.device, &value, 4, (off_t)(at + CHANNEL + 0x18)) == 4);
	check(*(volatile uint32_t *)(e.bar + CHANNEL + 0x18) == 0x7654320);
	/* The table of MSI-X is not a program's. */
	check(pread(e.device, &value, 4, (off_t)(at + 0x2000)) == 4 && value == ~0u);
	check(pread(e.device, &value, 4, (off_t)(at + 0x3ffe)) == 2);
	check_errno(pread(e.device, &value, 4, (off_t)(at + 0x4000)), EINVAL);
	config_write(e.device, PCI_COMMAND, 2, 0);
	check_errno(pread(e.device, &value, 4, (off_t)at), EIO);
	check(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, e.device, (off_t)(at + 0x4000)) ==
	      MAP_FAILED);
	check(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, e.device, (off_t)at) == MAP_FAILED);
	check(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, e.device, (off_t)(7ull << 40)) == MAP_FAILED);
	engine_close(&e);
}

/* ---- binding ---- */

static void test_cdev(void)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct engine e;
	int second, null = open("/dev/null", O_RDWR);
	char byte;

	second = open("/dev/vfio/devices/vfio0", O_RDWR);
	check_errno(ioctl(second, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	check_errno(pread(second, &byte, 1, (off_t)(7ull << 40)), EINVAL);
	bind.iommufd = null;
	check_errno(ioctl(second, VFIO_DEVICE_BIND_IOMMUFD, &bind), EBADFD);
	engine_open(&e);
	bind.iommufd = e.iommu;
	check_errno(ioctl(second, VFIO_DEVICE_BIND_IOMMUFD, &bind), EINVAL);
	check(!ioctl(e.device, VFIO_DEVICE_GET_INFO, &info));
	*(volatile uint32_t *)(e.bar + CHANNEL + 0x18) = 0x1234560;
	check(!ioctl(e.device, VFIO_DEVICE_RESET));
	check(*(volatile uint32_t *)(e.bar + CHANNEL + 0x18) != 0x1234560);
	engine_close(&e);
	/* Everything is as at the first time. */
	check(!close(second));
	engine_open(&e);
	check(config_read(e.device, PCI_COMMAND, 2) == (2 | PCI_COMMAND_MASTER));
	engine_close(&e);
}

/* ---- groups ---- */

static int group_open(void)
{
	char link[PATH_MAX], path[PATH_MAX + 16];
	ssize_t length = readlink(SYS "/iommu_group", link, sizeof(link) - 1);

	check(length > 0);
	link[length] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	return open(path, O_RDWR);
}

static uint32_t status(int group)
{
	struct vfio_group_status s = {.argsz = sizeof(s)};

	check(!ioctl(group, VFIO_GROUP_GET_STATUS, &s));
	return s.flags;
}

static int dma_map(int container, void *at, size_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map_cmd = {.argsz = sizeof(map_cmd),
						   .flags = VFIO_DMA_MAP_FLAG_READ |
							    VFIO_DMA_MAP_FLAG_WRITE,
						   .vaddr = (uintptr_t)at,
						   .iova = iova,
						   .size = size};

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &map_cmd);
}

static int dma_unmap(int container, size_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_unmap unmap_cmd = {
		.argsz = sizeof(unmap_cmd), .iova = iova, .size = size};

	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap_cmd) ? -1 : (int)unmap_cmd.size;
}

static void check_before(int container, int group)
{
	struct vfio_iommu_type1_info info = {.argsz = sizeof(info)};
	int null = open("/dev/null", O_RDWR);

	check(ioctl(container, VFIO_GET_API_VERSION) == VFIO_API_VERSION);
	check(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU) == 1);
	check(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1);
	check(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_SPAPR_TCE_IOMMU) == 0);
	check_errno(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), EINVAL);
	check_errno(ioctl(container, VFIO_IOMMU_GET_INFO, &info), EINVAL);
	check_errno(dma_map(container, memory(PAGE), PAGE, 0), EINVAL);
	check(status(group) == VFIO_GROUP_FLAGS_VIABLE);
	check_errno(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, BDF), EINVAL);
	check_errno(ioctl(group, VFIO_GROUP_UNSET_CONTAINER), EINVAL);
	check_errno(ioctl(group, VFIO_GROUP_SET_CONTAINER, &null), EBADFD);
	check_errno(group_open(), EBUSY);
}

/* A copy by the device, through whatever container. */
static void check_copies(int container, int device, struct engine *e)
{
	char *from = memory(PAGE), *to = memory(PAGE);

	e->device = device;
	engine_begin(e);
	memset(from, 0x5a, PAGE);
	check(!dma_map(container, e->descriptor, PAGE, DESCRIPTOR_IOVA));
	check(!dma_map(container, from, PAGE, 0x100000));
	check(!dma_map(container, to, PAGE, 0x200000));
	check_errno(dma_map(container, to, PAGE, 0x200000), EEXIST);
	check(!engine_copy(e, 0x200000, 0x100000, PAGE));
	check(!memcmp(from, to, PAGE));
	check(dma_unmap(container, PAGE, 0x200000) == PAGE);
	check(dma_unmap(container, PAGE, 0x200000) == 0);
	check(engine_copy(e, 0x200000, 0x100000, PAGE) == ERROR_WRITE);
}

static void test_group(void)
{
	int container = open("/dev/vfio/vfio", O_RDWR), group = group_open(), device;
	struct vfio_iommu_type1_info info = {.argsz = sizeof(info)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct engine e = {0};

	check(container >= 0 && group >= 0);
	check_before(container, group);
	check(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	check_errno(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), EINVAL);
	check(status(group) == (VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET));
	check_errno(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, BDF), EINVAL);
	check_errno(ioctl(container, VFIO_SET_IOMMU, VFIO_SPAPR_TCE_IOMMU), ENODEV);
	check(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	check_errno(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), EINVAL);
	check(!ioctl(container, VFIO_IOMMU_GET_INFO, &info));
	check(info.iova_pgsizes & PAGE);
	check_errno(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:3f:1f.7"), ENODEV);
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, BDF);
	check(device >= 0);
	check(fcntl(device, F_GETFD) & FD_CLOEXEC);
	check_errno(ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind), EINVAL);
	check_errno(ioctl(group, VFIO_GROUP_UNSET_CONTAINER), EBUSY);
	check_copies(container, device, &e);
	/* The group's own file may go before the device's. */
	check(!close(group));
	check_errno(group_open(), EBUSY);
	munmap((void *)(uintptr_t)e.bar, 0x4000);
	check(!close(device));
	group = group_open();
	check(group >= 0 && status(group) == VFIO_GROUP_FLAGS_VIABLE);
	/* With its last group the container has lost its address space. */
	check_errno(ioctl(container, VFIO_IOMMU_GET_INFO, &info), EINVAL);
	check(!close(group) && !close(container));
}

/* An iommufd in the place of a container. */
static void test_compat(void)
{
	int iommu = open_iommu(), group = group_open(), device;
	struct engine e = {0};

	check(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &iommu));
	check(!ioctl(iommu, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, BDF);
	check(device >= 0);
	check_errno(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, BDF), EBUSY);
	check_copies(iommu, device, &e);
	munmap((void *)(uintptr_t)e.bar, 0x4000);
	check(!close(device));
	check(!ioctl(group, VFIO_GROUP_UNSET_CONTAINER));
	check(!close(group) && !close(iommu));
}

/* ---- interrupts ---- */

#define EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define NONE    (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define BOOL    (VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER)

static void check_irq_errors(int device)
{
	int32_t bad = 1000, null = open("/dev/null", O_RDWR);
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = VFIO_PCI_NUM_IRQS};

	check_errno(ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info), EINVAL);
	info.index = VFIO_PCI_MSIX_IRQ_INDEX;
	check(!ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info) && info.count >= 1);
	check_errno(set_irqs(device, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &bad, 4), EBADF);
	check_errno(set_irqs(device, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &null, 4), EINVAL);
	check_errno(set_irqs(device, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, info.count, 1, &bad, 4),
		    EINVAL);
	check_errno(set_irqs(device, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &bad, 3), EINVAL);
	check_errno(set_irqs(device, EVENTFD, VFIO_PCI_NUM_IRQS, 0, 1, &bad, 4), EINVAL);
	check_errno(set_irqs(device, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 1, UINT32_MAX, &bad, 4),
		    EINVAL);
	check_errno(set_irqs(device, EVENTFD | VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_MSIX_IRQ_INDEX, 0,
			     1, &bad, 4),
		    EINVAL);
	check_errno(set_irqs(device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK,
			     VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, NULL, 0),
		    ENOTTY);
	check_errno(set_irqs(device, NONE, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, NULL, 0), EINVAL);
	close(null);
}

static void test_msix(void)
{
	int32_t event = eventfd(0, EFD_NONBLOCK), off = -1;
	struct engine e;
	char *buffer = memory(2 * PAGE);
	uint8_t yes = 1, no = 0;

	engine_open(&e);
	check(!map(e.iommu, e.ioas, buffer, 2 * PAGE, 0x100000));
	check_irq_errors(e.device);
	check(!set_irqs(e.device, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &event, 4));
	check(config_read(e.device, 0xb2, 2) & 0x8000);
	check_errno(set_irqs(e.device, EVENTFD, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &event, 4), EINVAL);
	check(!set_irqs(e.device, NONE, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, NULL, 0));
	check(is_signalled(event, 0));
	check(!set_irqs(e.device, BOOL, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &no, 1));
	check(!is_signalled(event, 0));
	check(!set_irqs(e.device, BOOL, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &yes, 1));
	check(is_signalled(event, 0));
	/* By the device itself, when a copy has ended. */
	check(!engine_copy_with(&e, 0x101000, 0x100000, 64, 1));
	check(is_signalled(event, 10000));
	check(!set_irqs(e.device, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &off, 4));
	check(!set_irqs(e.device, NONE, VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, NULL, 0));
	check(!(config_read(e.device, 0xb2, 2) & 0x8000));
	check(!engine_copy_with(&e, 0x101000, 0x100000, 64, 1));
	check(!is_signalled(event, 20));
	engine_close(&e);
}

static void test_intx(void)
{
	int32_t event = eventfd(0, EFD_NONBLOCK), resample = eventfd(0, EFD_NONBLOCK);
	const uint32_t unmask = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK;
	const uint32_t by_event = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK;
	struct engine e;
	char *buffer = memory(2 * PAGE);
	uint64_t one = 1;

	engine_open(&e);
	check(!map(e.iommu, e.ioas, buffer, 2 * PAGE, 0x100000));
	check(!set_irqs(e.device, EVENTFD, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &event, 4));
	*(e.bar + 3) = 1; /* INTRCTRL: interrupts by the pin */
	check(!engine_copy_with(&e, 0x101000, 0x100000, 64, 1));
	check(is_signalled(event, 10000));
	check(config_read(e.device, 6, 2) & 8);
	/* It stays asserted: signalled again as soon as it is unmasked, and only then. */
	check(!is_signalled(event, 20));
	check(!set_irqs(e.device, unmask, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0));
	check(is_signalled(event, 0));
	check(!set_irqs(e.device, by_event, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &resample, 4));
	check(write(resample, &one, 8) == 8);
	check(is_signalled(event, 10000));
	/* The command register masks it too. */
	config_write(e.device, PCI_COMMAND, 2, 0x406);
	check(!set_irqs(e.device, unmask, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0));
	check(!is_signalled(event, 0));
	config_write(e.device, PCI_COMMAND, 2, 0x6);
	check(is_signalled(event, 10000));
	check(!set_irqs(e.device, NONE, VFIO_PCI_INTX_IRQ_INDEX, 0, 0, NULL, 0));
	check_errno(set_irqs(e.device, unmask, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0), EINVAL);
	check(!set_irqs(e.device, EVENTFD, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &event, 4));
	check(!set_irqs(e.device, NONE, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, NULL, 0));
	check(is_signalled(event, 0));
	check(!set_irqs(e.device, NONE, VFIO_PCI_REQ_IRQ_INDEX, 0, 0, NULL, 0));
	check_errno(set_irqs(e.device, NONE, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, NULL, 0), EINVAL);
	engine_close(&e);
}

/* ---- allocations that fail ---- */

/* All the way, until something says that there is no memory. */
static void test_fail(void)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt pt = {.argsz = sizeof(pt)};
	int32_t event = eventfd(0, EFD_NONBLOCK);
	int iommu = open("/dev/iommu", O_RDWR), device = open("/dev/vfio/devices/vfio0", O_RDWR);
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	int ok;

	bind.iommufd = iommu;
	ok = iommu >= 0 && device >= 0 && !ioctl(iommu, IOMMU_IOAS_ALLOC, &ioas);
	pt.pt_id = ioas.out_ioas_id;
	ok = ok && !ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind) &&
	     !map(iommu, pt.pt_id, memory(PAGE), PAGE, 0x100000) &&
	     !ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt) &&
	     !set_irqs(device, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &event, 4);
	check(ok || errno == ENOMEM);
	close(device);
	close(iommu);
}

static void test_fail_group(void)
{
	int container = open("/dev/vfio/vfio", O_RDWR), group, device = -1;
	bool ok = container >= 0;

	group = ok ? group_open() : -1;
	ok = ok && group >= 0 && !ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) &&
	     !ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) &&
	     !dma_map(container, memory(PAGE), PAGE, 0x100000);
	if (ok)
		device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, BDF);
	check((ok && device >= 0) || errno == ENOMEM);
	close(device);
	close(group);
	close(container);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*test)(void);
	} parts[] = {
		{"paths", test_paths},   {"bind", test_bind},
		{"config", test_config}, {"regions", test_regions},
		{"cdev", test_cdev},     {"group", test_group},
		{"compat", test_compat}, {"msix", test_msix},
		{"intx", test_intx},     {"faults", test_faults},
		{"dirty", test_dirty},   {"canary", test_canary},
		{"fail", test_fail},     {"fail-group", test_fail_group},
		{"killed", test_killed},
	};

	for (size_t i = 0; argc == 2 && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(argv[1], parts[i].name)) {
			parts[i].test();
			return 0;
		}
	return 2;
}
