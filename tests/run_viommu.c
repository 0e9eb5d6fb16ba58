/* SPDX-License-Identifier: MIT */
/*
 * What a program under `uiommu run --test-abi` sees of vIOMMUs, of dma-bufs, and of what it
 * has pinned: memory that it maps, files that it polls, and numbers in /proc.
 */
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "iommufd/test_abi.h"
#include "tests/run_program.h"

#define PAGE 4096ul

static int test_op(int fd, struct iommu_test_cmd cmd)
{
	cmd.size = sizeof(cmd);
	return ioctl(fd, IOMMU_TEST_CMD, &cmd);
}

/* A mock device with a nest parent; the device's id. */
static uint32_t mock_device(int fd, uint32_t *parent)
{
	struct iommu_test_cmd mock = {
		.size = sizeof(mock), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas_alloc(fd)};
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT, .pt_id = mock.id};

	check(!ioctl(fd, IOMMU_TEST_CMD, &mock));
	alloc.dev_id = mock.mock_domain.out_idev_id;
	check(!ioctl(fd, IOMMU_HWPT_ALLOC, &alloc));
	*parent = alloc.out_hwpt_id;
	return alloc.dev_id;
}

static uint32_t viommu_alloc(int fd, uint32_t device, uint32_t parent,
			     struct iommu_viommu_selftest *data)
{
	struct iommu_viommu_alloc alloc = {
		.size = sizeof(alloc),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = device,
		.hwpt_id = parent,
		.data_len = sizeof(*data),
		.data_uptr = (uintptr_t)data,
	};

	check(!ioctl(fd, IOMMU_VIOMMU_ALLOC, &alloc));
	check(data->out_data == data->in_data);
	return alloc.out_viommu_id;
}

static uint32_t *map_shared(int fd, const struct iommu_viommu_selftest *data)
{
	return mmap(NULL, data->out_mmap_length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)data->out_mmap_offset);
}

/* Each context, and each vIOMMU, has its own; it stays as long as any process maps it. */
static void test_shared_memory(void)
{
	struct iommu_viommu_selftest data[3] = {{.in_data = 11}, {.in_data = 22}, {.in_data = 33}};
	int fd[2] = {open_iommu(), open_iommu()}, to_child[2];
	uint32_t parent, device, id[3], *at[3], word;
	pid_t child;

	device = mock_device(fd[0], &parent);
	id[0] = viommu_alloc(fd[0], device, parent, &data[0]);
	id[1] = viommu_alloc(fd[0], device, parent, &data[1]);
	device = mock_device(fd[1], &parent);
	id[2] = viommu_alloc(fd[1], device, parent, &data[2]);
	for (int i = 0; i < 3; i++) {
		at[i] = map_shared(fd[i / 2], &data[i]);
		check(at[i] != MAP_FAILED && *at[i] == data[i].in_data);
	}
	check_errno((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd[0], 64 << 20), ENXIO);
	*at[0] = 44;
	check(*at[1] == 22 && *at[2] == 33);
	check_errno(destroy(fd[0], id[0]), EBUSY);

	check(!pipe(to_child));
	child = fork();
	check(child >= 0);
	if (!child) {
		check(!close(to_child[1]));
		exit(read(to_child[0], &word, 4) == 4 ? (int)(*at[0] != 44) : 2);
	}
	check(!munmap(at[0], data[0].out_mmap_length));
	check_errno(destroy(fd[0], id[0]), EBUSY);
	check(write(to_child[1], "word", 4) == 4);
	check(waitpid(child, (int *)&word, 0) == child && !word);
	check(!destroy(fd[0], id[0]));
	check_errno((long)map_shared(fd[0], &data[0]), ENXIO);
	/* Its place is given out again, with nothing of the old one in it. */
	device = mock_device(fd[0], &parent);
	data[0] = (struct iommu_viommu_selftest){.in_data = 55};
	viommu_alloc(fd[0], device, parent, &data[0]);
	at[0] = map_shared(fd[0], &data[0]);
	check(at[0] != MAP_FAILED && at[0][0] == 55 && at[0][1] == 0);
	/* A mapping keeps the file. */
	check(!close(fd[0]) && *at[1] == 22 && *at[0] == 55);
}

static void test_events(void)
{
	struct iommu_viommu_selftest data = {0};
	struct {
		struct iommufd_vevent_header header;
		struct iommu_viommu_event_selftest event;
	} got;
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .virt_id = 7};
	struct iommu_veventq_alloc queue = {
		.size = sizeof(queue), .type = IOMMU_VEVENTQ_TYPE_SELFTEST, .veventq_depth = 1};
	struct iommu_test_cmd trigger = {.op = IOMMU_TEST_OP_TRIGGER_VEVENT};
	struct pollfd polled = {.events = POLLIN | POLLOUT};
	uint32_t parent;
	int fd = open_iommu();

	vdevice.dev_id = trigger.trigger_vevent.dev_id = mock_device(fd, &parent);
	vdevice.viommu_id = queue.viommu_id = viommu_alloc(fd, vdevice.dev_id, parent, &data);
	check(!ioctl(fd, IOMMU_VDEVICE_ALLOC, &vdevice));
	check(!ioctl(fd, IOMMU_VEVENTQ_ALLOC, &queue));
	polled.fd = (int)queue.out_veventq_fd;
	check(poll(&polled, 1, 0) == 0);
	check(read(polled.fd, &got, sizeof(got)) == 0);
	check(!test_op(fd, trigger) && !test_op(fd, trigger));
	check(poll(&polled, 1, 0) == 1 && polled.revents == POLLIN);
	check(read(polled.fd, &got, sizeof(got)) == sizeof(got));
	check(got.event.virt_id == 7 && !got.header.flags && !got.header.sequence);
	/* The second one did not fit. */
	check(poll(&polled, 1, 0) == 1);
	check(read(polled.fd, &got, sizeof(got)) == sizeof(got.header));
	check(got.header.flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS && got.header.sequence == 1);
	check(poll(&polled, 1, 0) == 0);
	check(write(polled.fd, &got, 8) == -1);
	check_errno(destroy(fd, queue.out_veventq_id), EBUSY);
	check(!close(polled.fd));
	check(!destroy(fd, queue.out_veventq_id));
	check(!close(fd));
}

static void test_dmabuf(void)
{
	struct iommu_ioas_map_file map_file = {
		.size = sizeof(map_file), .flags = IOMMU_IOAS_MAP_READABLE, .length = 2 * PAGE};
	int fd = open_iommu(), other = open_iommu(), again;

	map_file.ioas_id = ioas_alloc(fd);
	map_file.fd = test_op(fd, (struct iommu_test_cmd){.op = IOMMU_TEST_OP_DMABUF_GET,
							  .dmabuf_get.length = 2 * PAGE});
	check(map_file.fd > 2 && fcntl(map_file.fd, F_GETFD) == FD_CLOEXEC);
	check(!ioctl(fd, IOMMU_IOAS_MAP_FILE, &map_file));
	check(ioas_alloc(other) == map_file.ioas_id);
	check_errno(ioctl(other, IOMMU_IOAS_MAP_FILE, &map_file), EINVAL);
	again = dup(map_file.fd);
	check(again >= 0 && !close(map_file.fd));
	map_file.fd = again;
	check(!test_op(fd, (struct iommu_test_cmd){.op = IOMMU_TEST_OP_DMABUF_REVOKE,
						   .dmabuf_revoke = {again, 1}}));
	check_errno(ioctl(fd, IOMMU_IOAS_MAP_FILE, &map_file), ENODEV);
	check(!close(fd));
	check(!close(again));
}

/* ---- /proc ---- */

static long pinned_kib(pid_t pid)
{
	char path[32], line[128];
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	check(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmPin: %ld kB", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

static void change_process(int fd, pid_t parent)
{
	struct iommu_ioas_change_process change = {.size = sizeof(change)};

	check(pinned_kib(parent) == 12 && pinned_kib(getpid()) == 0);
	check(!ioctl(fd, IOMMU_IOAS_CHANGE_PROCESS, &change));
	check(pinned_kib(parent) == 0 && pinned_kib(getpid()) == 12);
}

/* What is pinned is its process's, until another process takes it over. */
static void test_pinned(void)
{
	int fd = open_iommu(), memory = memfd_create("memory", MFD_CLOEXEC), status;
	struct iommu_ioas_map_file map_file = {.size = sizeof(map_file),
					       .flags = IOMMU_IOAS_MAP_READABLE |
							IOMMU_IOAS_MAP_FIXED_IOVA,
					       .fd = memory,
					       .length = 3 * PAGE,
					       .iova = MOCK_APERTURE_START};
	struct iommu_test_cmd mock = {.size = sizeof(mock), .op = IOMMU_TEST_OP_MOCK_DOMAIN};
	pid_t child;

	check(memory >= 0 && !ftruncate(memory, 3 * PAGE));
	check(pinned_kib(getpid()) == 0);
	mock.id = map_file.ioas_id = ioas_alloc(fd);
	check(!ioctl(fd, IOMMU_IOAS_MAP_FILE, &map_file));
	/* Not before there is a table. */
	check(pinned_kib(getpid()) == 0);
	check(!ioctl(fd, IOMMU_TEST_CMD, &mock));
	check(pinned_kib(getpid()) == 12);
	child = fork();
	check(child >= 0);
	if (!child) {
		change_process(fd, getppid());
		exit(0);
	}
	check(waitpid(child, &status, 0) == child && !status);
	check(unmap(fd, map_file.ioas_id, map_file.iova, 3 * PAGE) == 3);
	check(!close(fd));
}

int main(void)
{
	test_shared_memory();
	test_events();
	test_dmabuf();
	test_pinned();
	return 0;
}
