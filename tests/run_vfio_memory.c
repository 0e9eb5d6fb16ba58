// SPDX-License-Identifier: MIT
/*
 * Parts of tests/run_vfio.c: what a device reads and writes.
 */
#include "run_vfio.h"
#include "run_vfio_parts.h"

/* ---- memory ---- */

void test_faults(void)
{
	char *buffer = memory(4 * PAGE);
	struct engine e;

	engine_open(&e);
	check(!map(e.iommu, e.ioas, buffer, 4 * PAGE, 0x100000));
	memset(buffer, 7, PAGE);
	check(engine_copy(&e, 0x900000, 0x100000, PAGE) == ERROR_WRITE);
	check(engine_copy(&e, 0x100000, 0x900000, PAGE) == ERROR_READ);
	/* Up to the end of what is mapped, and not a byte behind it. */
	check(engine_copy(&e, 0x103000, 0x100000, 2 * PAGE) == ERROR_WRITE);
	check(unmap(e.iommu, e.ioas, 0x100000, 4 * PAGE) == 4);
	check(engine_copy(&e, 0x101000, DESCRIPTOR_IOVA, 64) == ERROR_WRITE);
	check(buffer[PAGE] == 1);
	set_master(e.device, false);
	check(engine_copy(&e, DESCRIPTOR_IOVA + 64, DESCRIPTOR_IOVA, 64));
	engine_close(&e);
}

static uint64_t dirty_bits(struct engine *e, uint64_t iova, size_t length)
{
	uint64_t bits = 0;
	struct iommu_hwpt_get_dirty_bitmap get = {.size = sizeof(get),
						  .hwpt_id = e->hwpt,
						  .iova = iova,
						  .length = length,
						  .page_size = PAGE,
						  .data = (uintptr_t)&bits};

	check(!ioctl(e->iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	return bits;
}

void test_dirty(void)
{
	struct iommu_hwpt_set_dirty_tracking track = {.size = sizeof(track),
						      .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc),
					 .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING};
	struct vfio_device_attach_iommufd_pt pt = {.argsz = sizeof(pt)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	char *buffer = memory(8 * PAGE);
	struct engine e = {.iommu = open_iommu()};

	e.ioas = ioas_alloc(e.iommu);
	e.device = open("/dev/vfio/devices/vfio0", O_RDWR);
	bind.iommufd = e.iommu;
	check(!ioctl(e.device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	alloc.dev_id = bind.out_devid;
	alloc.pt_id = e.ioas;
	check(!ioctl(e.iommu, IOMMU_HWPT_ALLOC, &alloc));
	track.hwpt_id = pt.pt_id = e.hwpt = alloc.out_hwpt_id;
	check(!ioctl(e.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt));
	engine_begin(&e);
	check(!map(e.iommu, e.ioas, e.descriptor, PAGE, DESCRIPTOR_IOVA));
	for (unsigned int i = 0; i < 8; i++) /* each its own entry */
		check(!map(e.iommu, e.ioas, buffer + i * PAGE, PAGE, 0x100000 + i * PAGE));
	check(!ioctl(e.iommu, IOMMU_HWPT_SET_DIRTY_TRACKING, &track));
	check(dirty_bits(&e, 0x100000, 8 * PAGE) == 0);
	check(!engine_copy(&e, 0x103000, 0x100000, 64));
	check(!engine_copy(&e, 0x105ff0, 0x100000, 64)); /* two pages */
	check(dirty_bits(&e, 0x100000, 8 * PAGE) == 0x68);
	/* What was read is clean, though the IOTLB has seen the page. */
	check(dirty_bits(&e, 0x100000, 8 * PAGE) == 0);
	check(!engine_copy(&e, 0x103000, 0x100000, 64));
	check(dirty_bits(&e, 0x100000, 8 * PAGE) == 0x8);
	engine_close(&e);
}

/* ---- nothing outside of what is mapped is read or written ---- */

#define COPIES      1500
#define SPACE_PAGES 40
#define BUFFERS     8
#define BUFFER      (4 * PAGE)

struct buffer {
	uint8_t *at; /* with a page in front and behind that must stay as it is */
	uint8_t model[BUFFER];
	uint64_t iova; /* 0: not mapped */
	bool writable;
};

static uint64_t seed = 0x5eed;

static uint64_t random_below(uint64_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % limit;
}

static void make_buffer(struct buffer *b, unsigned int i)
{
	int fd = i % 2 ? -1 : memfd_create("buffer", 0);

	check(fd < 0 || !ftruncate(fd, BUFFER + 2 * PAGE));
	b->at = mmap(NULL, BUFFER + 2 * PAGE, PROT_READ | PROT_WRITE,
		     fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	check(b->at != MAP_FAILED);
	memset(b->at, 0xc0 + (int)i, BUFFER + 2 * PAGE);
	memset(b->model, 0xc0 + (int)i, BUFFER);
	b->at += PAGE;
	b->iova = 0;
}

static void check_buffer(const struct buffer *b, unsigned int i)
{
	check(!memcmp(b->at, b->model, BUFFER));
	for (size_t k = 0; k < PAGE; k++)
		check((b->at - PAGE)[k] == 0xc0 + i && b->at[BUFFER + k] == 0xc0 + i);
}

/* Map or unmap one of them, somewhere that may be where another was. */
static void change(struct engine *e, struct buffer *buffers, struct buffer *b)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
				     .ioas_id = e->ioas,
				     .user_va = (uintptr_t)b->at,
				     .length = BUFFER};

	if (b->iova && random_below(4))
		return;
	if (b->iova) {
		check(unmap(e->iommu, e->ioas, b->iova, BUFFER) == 4);
		b->iova = 0;
		return;
	}
	cmd.iova = (1 + random_below(SPACE_PAGES - 4)) * PAGE;
	for (unsigned int i = 0; i < BUFFERS; i++)
		if (buffers[i].iova && cmd.iova + BUFFER > buffers[i].iova &&
		    buffers[i].iova + BUFFER > cmd.iova)
			return;
	b->writable = random_below(4);
	if (b->writable)
		cmd.flags |= IOMMU_IOAS_MAP_WRITEABLE;
	check(!ioctl(e->iommu, IOMMU_IOAS_MAP, &cmd));
	b->iova = cmd.iova;
}

/* Where a device's access ends up, by what is mapped; NULL for a fault. */
static uint8_t *model_at(struct buffer *buffers, uint64_t iova, bool write)
{
	for (unsigned int i = 0; i < BUFFERS; i++)
		if (buffers[i].iova && iova >= buffers[i].iova && iova < buffers[i].iova + BUFFER &&
		    (!write || buffers[i].writable))
			return buffers[i].model + (iova - buffers[i].iova);
	return NULL;
}

/* The same copy by the model: the error of the first byte that cannot be. */
static uint32_t model_copy(struct buffer *buffers, uint64_t to, uint64_t from, uint32_t size)
{
	uint8_t data[2 * BUFFER];

	for (uint32_t i = 0; i < size; i++) {
		const uint8_t *at = model_at(buffers, from + i, false);

		if (!at)
			return ERROR_READ;
		data[i] = *at;
	}
	for (uint32_t i = 0; i < size; i++) {
		uint8_t *at = model_at(buffers, to + i, true);

		if (!at)
			return ERROR_WRITE;
		*at = data[i];
	}
	return 0;
}

void test_canary(void)
{
	static struct buffer buffers[BUFFERS];
	unsigned int done = 0, refused = 0;
	struct engine e;

	engine_open(&e);
	for (unsigned int i = 0; i < BUFFERS; i++)
		make_buffer(&buffers[i], i);
	for (unsigned int n = 0; n < COPIES; n++) {
		uint64_t to = random_below(SPACE_PAGES * PAGE);
		uint64_t from = random_below(SPACE_PAGES * PAGE);
		uint32_t size = 1 + (uint32_t)random_below(random_below(4) ? 300 : BUFFER), error;

		if (!random_below(2))
			change(&e, buffers, &buffers[random_below(BUFFERS)]);
		if (!random_below(8))
			memset(buffers[n % BUFFERS].at, (int)n, 100),
				memset(buffers[n % BUFFERS].model, (int)n, 100);
		error = engine_copy(&e, to, from, size);
		check(error == model_copy(buffers, to, from, size));
		done += !error;
		refused += !!error;
		for (unsigned int i = 0; i < BUFFERS && n % 16 == 0; i++)
			check_buffer(&buffers[i], i);
	}
	for (unsigned int i = 0; i < BUFFERS; i++)
		check_buffer(&buffers[i], i);
	check(done > COPIES / 30 && refused > COPIES / 30);
	engine_close(&e);
}

/* The process ends while its device is at work. */
void test_killed(void)
{
	char *buffer = memory(M);
	struct engine e;

	engine_open(&e);
	check(!map(e.iommu, e.ioas, buffer, M, 0x100000));
	e.descriptor[0] = 0x8000;
	e.descriptor[1] = 0x100000;
	e.descriptor[2] = 0x100000 + M / 2;
	e.descriptor[3] = DESCRIPTOR_IOVA; /* for ever */
	*(volatile uint64_t *)(e.bar + CHAINADDR) = DESCRIPTOR_IOVA;
	*(volatile uint16_t *)(e.bar + DMACOUNT) = 60000;
	while (!(*(volatile uint64_t *)(e.bar + CHANSTS) & ~63ull))
		check((*(volatile uint64_t *)(e.bar + CHANSTS) & 7) != 3 ||
		      !*(volatile uint32_t *)(e.bar + CHANERR));
	raise(SIGKILL);
}
