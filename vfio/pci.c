/* SPDX-License-Identifier: MIT */
/*
 * The machine's PCI devices: made of the command line, before there are programs, and
 * there until the end.
 */
#include "vfio/pci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "vfio/cdev.h"

#define FIRST_SLOT 4
#define SLOTS      32

static struct vfio_pci *devices[VFIO_CDEV_MAX];
static unsigned int nr_devices;

unsigned int vfio_pci_count(void)
{
	return nr_devices;
}

struct vfio_pci *vfio_pci_at(unsigned int n)
{
	return devices[n];
}

struct vfio_pci *vfio_pci_by_index(unsigned int index)
{
	for (unsigned int i = 0; i < nr_devices; i++)
		if (devices[i]->index == index)
			return devices[i];
	return NULL;
}

struct vfio_pci *vfio_pci_by_group(unsigned int group)
{
	for (unsigned int i = 0; i < nr_devices; i++)
		if (devices[i]->group == group)
			return devices[i];
	return NULL;
}

struct vfio_pci *vfio_pci_by_name(const char *name)
{
	for (unsigned int i = 0; i < nr_devices; i++)
		if (!strcmp(devices[i]->name, name))
			return devices[i];
	return NULL;
}

/* ---- where it is ---- */

static bool machine_has(const char *directory, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return !access(path, F_OK);
}

static bool is_taken(const char *name)
{
	return vfio_pci_by_name(name) || machine_has("/sys/bus/pci/devices", name);
}

static void set_name(struct vfio_pci *pci)
{
	snprintf(pci->name, sizeof(pci->name), "%04x:%02x:%02x.%x", pci->domain & 0xffff,
		 pci->bus & 0xff, pci->slot & 0x1f, pci->function & 7);
}

/* "[domain:]bus:slot[.function]", all of it. */
static bool parse_address(const char *text, struct vfio_pci *pci)
{
	unsigned int domain = 0, bus, slot, function = 0;
	int end = 0;

	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4 ||
	    text[end]) {
		domain = 0;
		end = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3 || text[end])
			return false;
	}
	if (slot >= SLOTS || function > 7)
		return false;
	pci->domain = domain;
	pci->bus = bus;
	pci->slot = slot;
	pci->function = function;
	return true;
}

/* The first free slot of the root bus from the fifth on, as a virtual machine has them. */
static bool choose_address(struct vfio_pci *pci)
{
	for (pci->bus = 0; pci->bus < 256; pci->bus++)
		for (pci->slot = FIRST_SLOT; pci->slot < SLOTS; pci->slot++) {
			set_name(pci);
			if (!is_taken(pci->name))
				return true;
		}
	return false;
}

static int set_address(struct vfio_pci *pci, const char *address, char *error, size_t size)
{
	if (!address && choose_address(pci))
		return 0;
	if (address && !parse_address(address, pci)) {
		snprintf(error, size,
			 "addr=%s: not an address of PCI: expected "
			 "[DOMAIN:]BUS:DEVICE.FUNCTION, all hexadecimal",
			 address);
		return -1;
	}
	set_name(pci);
	if (!address || is_taken(pci->name)) {
		snprintf(error, size, "addr=%s: the machine has a device there", pci->name);
		return -1;
	}
	return 0;
}

static unsigned int choose_group(void)
{
	char name[16];
	unsigned int group = 0;

	do {
		snprintf(name, sizeof(name), "%u", group);
		if (!machine_has("/sys/kernel/iommu_groups", name) &&
		    !machine_has("/dev/vfio", name) && !vfio_pci_by_group(group))
			return group;
	} while (++group);
	return 0;
}

/* ---- memory of BARs ---- */

static void *map_memory(void *at, uint64_t size, int fd, unsigned int bar)
{
	int flags = MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED : 0);

	if (fd < 0)
		return mmap(at, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	return mmap(at, size, PROT_READ | PROT_WRITE, flags, fd, (off_t)VFIO_REGION_OFFSET(bar));
}

static size_t mapped_size(uint64_t size)
{
	return (size_t)MAX(size, UINT64_C(4096));
}

/* Addresses, which nothing but the program's curiosity depends on. */
static int place_bars(struct vfio_pci *pci, char *error, size_t size)
{
	static uint64_t low = UINT64_C(0xc0000000), high = UINT64_C(1) << 45;

	for (unsigned int i = 0; i < HW_NR_BARS; i++) {
		const struct hw_bar *bar = &pci->id->bar[i];
		uint64_t *next = bar->is_64bit ? &high : &low;

		if (!bar->size)
			continue;
		pci->address[i] = (*next + bar->size - 1) & -bar->size;
		*next = pci->address[i] + bar->size;
		if (low > UINT64_C(0xfec00000) || high < bar->size) {
			snprintf(error, size, "BAR %u: no place for 0x%llx bytes%s", i,
				 (unsigned long long)bar->size,
				 bar->is_64bit ? "" : " below 4 GiB");
			return -1;
		}
	}
	return 0;
}

/* Zeros take the place of what was there. */
static int replace_memory(struct vfio_pci *pci, int fd)
{
	for (unsigned int i = 0; i < HW_NR_BARS; i++) {
		if (pci->memory[i] && map_memory(pci->memory[i], mapped_size(pci->id->bar[i].size),
						 fd, i) == MAP_FAILED)
			return -ENOMEM;
	}
	return 0;
}

static int make_memory(struct vfio_pci *pci)
{
	for (unsigned int i = 0; i < HW_NR_BARS; i++) {
		const struct hw_bar *bar = &pci->id->bar[i];
		void *at;

		if (!bar->size || !bar->mappable)
			continue;
		at = map_memory(NULL, mapped_size(bar->size), -1, i);
		if (at == MAP_FAILED)
			return -ENOMEM;
		pci->memory[i] = at;
		pci->model->set_memory(pci->dev, i, at);
	}
	return 0;
}

static void reset_locked(struct vfio_pci *pci)
{
	pci->model->reset(pci->dev);
	vfio_irqs_set_pin(pci, false);
}

int vfio_pci_use(struct vfio_pci *pci, int memory)
{
	int ret;

	pthread_mutex_lock(&pci->model_lock);
	pci->model->stop(pci->dev);
	ret = replace_memory(pci, memory);
	if (ret)
		replace_memory(pci, -1);
	vfio_config_start(&pci->config, memory >= 0);
	reset_locked(pci);
	pci->model->start(pci->dev);
	pthread_mutex_unlock(&pci->model_lock);
	return ret;
}

void vfio_pci_reset(struct vfio_pci *pci)
{
	pthread_mutex_lock(&pci->model_lock);
	pci->model->stop(pci->dev);
	reset_locked(pci);
	pci->model->start(pci->dev);
	pthread_mutex_unlock(&pci->model_lock);
}

/* ---- making one ---- */

static void remove_device(struct vfio_pci *pci)
{
	if (pci->dev) {
		vfio_irqs_release(pci);
		pci->model->destroy(pci->dev);
	}
	for (unsigned int i = 0; i < HW_NR_BARS; i++)
		if (pci->memory[i])
			munmap(pci->memory[i], mapped_size(pci->id->bar[i].size));
	if (pci->dma)
		vfio_dma_destroy(pci->dma);
	free(pci);
}

void vfio_pci_end(void)
{
	for (unsigned int i = 0; i < nr_devices; i++) {
		struct vfio_pci *pci = devices[i];

		pthread_mutex_lock(&pci->model_lock);
		/* A file that is not closed yet uses what is there. */
		if (atomic_load(&pci->user)) {
			pci->model->stop(pci->dev);
		} else {
			pci->model->destroy(pci->dev);
			pci->dev = NULL;
		}
		pthread_mutex_unlock(&pci->model_lock);
	}
}

/* Take "addr=..." out of "key=value,...": the value, or NULL. */
static char *take_address(char *text)
{
	static char address[32];
	char *at = text;

	while (at && strncmp(at, "addr=", 5) != 0) {
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return NULL;
	snprintf(address, sizeof(address), "%.*s", (int)strcspn(at + 5, ","), at + 5);
	text = strchr(at, ',');
	if (text)
		memmove(at, text + 1, strlen(text + 1) + 1);
	else
		*at = '\0';
	return address;
}

static const struct hw_model *find_model(const char *name, char *error, size_t size)
{
	const struct hw_model *model = hw_model_find(name);
	size_t used;

	if (model)
		return model;
	used = (size_t)snprintf(error, size, "'%s' is not a model: expected ", name);
	for (unsigned int i = 0; (model = hw_model_at(i)) && used < size; i++)
		used += (size_t)snprintf(error + used, size - used, "%s%s", i ? ", " : "",
					 model->name);
	return NULL;
}

static int create(struct vfio_pci *pci, char *spec, char *error, size_t size)
{
	char *rest = strchr(spec, ',');
	size_t length;

	if (rest)
		*rest++ = '\0';
	else
		rest = spec + strlen(spec);
	pci->model = find_model(spec, error, size);
	if (!pci->model || set_address(pci, take_address(rest), error, size))
		return -1;
	length = strlen(rest);
	if (length && rest[length - 1] == ',')
		rest[length - 1] = '\0';
	pci->group = choose_group();
	vfio_irqs_init(pci);
	pthread_mutex_init(&pci->model_lock, NULL);
	pci->dma = vfio_dma_create(pci);
	if (!pci->dma) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return -1;
	}
	pci->dev = pci->model->create(rest, &vfio_dma_host, pci, error, size);
	if (!pci->dev)
		return -1;
	pci->id = pci->model->identity(pci->dev);
	if (place_bars(pci, error, size))
		return -1;
	vfio_config_init(&pci->config, pci->id, pci->address, !pci->bus);
	if (make_memory(pci)) {
		snprintf(error, size, "memory of its BARs: %s", strerror(ENOMEM));
		return -1;
	}
	vfio_pci_reset(pci);
	return 0;
}

int vfio_pci_add(const char *spec, unsigned int index, char *error, size_t size)
{
	struct vfio_pci *pci = calloc(1, sizeof(*pci));
	char *copy = strdup(spec);
	int ret;

	if (!pci || !copy) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		free(pci);
		free(copy);
		return -1;
	}
	pci->index = index;
	atomic_init(&pci->bound, true);
	ret = create(pci, copy, error, size);
	free(copy);
	if (ret)
		remove_device(pci);
	else
		devices[nr_devices++] = pci;
	return ret;
}
