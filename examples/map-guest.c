/* SPDX-License-Identifier: MIT */
/*
 * What a virtual machine monitor does with /dev/iommu: gives a device the memory
 * of a guest. It knows nothing but the kernel's ABI, and so runs on a kernel
 * with a device that is bound to vfio-pci as it runs under `uiommu run`.
 *
 * Without a device nothing translates: the kernel then only remembers what is
 * mapped, and no page table is made.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The system's headers where they know all that is used here. */
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#include <linux/iommufd.h>
#include <linux/vfio.h>
#else
#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>
#endif

#define KIB       1024ULL
#define MIB       (KIB * KIB)
#define GIB       (KIB * MIB)
#define PAGE      (4 * KIB)
#define HUGE_PAGE (2 * MIB)
#define HIGH_RAM  (4 * GIB)
#define MAX_RANGE 64

/* One piece of the guest's address space. */
struct slot {
	const char *name;
	uint64_t start, size;
	char *memory;
	bool writeable;
	bool mapped;
};

enum {
	RAM_LOW,
	ROM,
	RAM_HIGH,
	NR_SLOTS
};

struct guest {
	uint64_t ram, low, rom;
	const char *iommu_path, *device_path;
	bool small_pages;
	struct slot slots[NR_SLOTS];
	int iommu, device;
	uint32_t ioas, dev_id, hwpt;
	bool dirty_tracking;
};

#define for_each_slot(slot, guest) \
	for (struct slot *slot = (guest)->slots; slot < (guest)->slots + NR_SLOTS; slot++)

static void complain(const char *doing, const char *what)
{
	fflush(stdout);
	fprintf(stderr, "map-guest: %s%s%s: %s\n", doing, *what ? " " : "", what, strerror(errno));
}

static bool call(int fd, unsigned long request, void *arg, const char *doing, const char *what)
{
	if (!ioctl(fd, request, arg))
		return true;
	complain(doing, what);
	return false;
}

/* ---- the guest's memory ---- */

/*
 * RAM is shared memory, as a VMM's is that hands it on to vhost processes, and
 * begins where a huge page would.
 */
static char *alloc_ram(const char *name, uint64_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	char *space = mmap(NULL, size + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t start = ((uintptr_t)space + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
	char *memory = MAP_FAILED;

	if (space != MAP_FAILED && fd >= 0 && !ftruncate(fd, (off_t)size))
		memory = mmap((void *)start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			      fd, 0);
	if (fd >= 0)
		close(fd);
	return memory;
}

static char *alloc_rom(uint64_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Every page says where it is in the guest. */
static void fill(struct slot *slot)
{
	for (uint64_t at = 0; at < slot->size; at += PAGE)
		*(uint64_t *)(slot->memory + at) = ~(slot->start + at);
}

static bool is_filled(const struct slot *slot)
{
	for (uint64_t at = 0; at < slot->size; at += PAGE) {
		if (*(uint64_t *)(slot->memory + at) == ~(slot->start + at))
			continue;
		fprintf(stderr, "map-guest: %s was overwritten at %#llx\n", slot->name,
			(unsigned long long)(slot->start + at));
		return false;
	}
	return true;
}

static void set_slot(struct slot *slot, const char *name, uint64_t start, uint64_t size)
{
	*slot = (struct slot){.name = name, .start = start, .size = size, .writeable = true};
}

static bool make_memory(struct guest *guest)
{
	set_slot(&guest->slots[RAM_LOW], "RAM below 4 GiB", 0, guest->low);
	set_slot(&guest->slots[ROM], "ROM", HIGH_RAM - guest->rom, guest->rom);
	set_slot(&guest->slots[RAM_HIGH], "RAM above 4 GiB", HIGH_RAM, guest->ram - guest->low);
	guest->slots[ROM].writeable = false;
	for_each_slot (slot, guest) {
		if (!slot->size)
			continue;
		slot->memory =
			slot->writeable ? alloc_ram(slot->name, slot->size) : alloc_rom(slot->size);
		if (slot->memory == MAP_FAILED) {
			complain("no memory for", slot->name);
			return false;
		}
		fill(slot);
		if (!slot->writeable)
			mprotect(slot->memory, slot->size, PROT_READ);
	}
	return true;
}

/* ---- the address space ---- */

static bool make_ioas(struct guest *guest)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_option huge = {
		.size = sizeof(huge),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
	};

	guest->iommu = open(guest->iommu_path, O_RDWR | O_CLOEXEC);
	if (guest->iommu < 0) {
		complain("cannot open", guest->iommu_path);
		return false;
	}
	if (!call(guest->iommu, IOMMU_IOAS_ALLOC, &alloc, "cannot make an address space", ""))
		return false;
	guest->ioas = alloc.out_ioas_id;
	huge.object_id = guest->ioas;
	return !guest->small_pages ||
	       call(guest->iommu, IOMMU_OPTION, &huge, "cannot switch large pages off", "");
}

/* What the guest needs must stay usable, whatever device comes. */
static bool claim_addresses(struct guest *guest)
{
	struct iommu_iova_range ranges[NR_SLOTS];
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.ioas_id = guest->ioas,
		.allowed_iovas = (uintptr_t)ranges,
	};

	for_each_slot (slot, guest)
		if (slot->size)
			ranges[allow.num_iovas++] = (struct iommu_iova_range){
				slot->start, slot->start + slot->size - 1};
	return call(guest->iommu, IOMMU_IOAS_ALLOW_IOVAS, &allow,
		    "cannot claim the guest's addresses", "");
}

static bool show_usable(struct guest *guest)
{
	struct iommu_iova_range ranges[MAX_RANGE];
	struct iommu_ioas_iova_ranges query = {
		.size = sizeof(query),
		.ioas_id = guest->ioas,
		.num_iovas = MAX_RANGE,
		.allowed_iovas = (uintptr_t)ranges,
	};

	if (ioctl(guest->iommu, IOMMU_IOAS_IOVA_RANGES, &query) && errno != EMSGSIZE) {
		complain("cannot ask for usable addresses", "");
		return false;
	}
	for (uint32_t i = 0; i < query.num_iovas && i < MAX_RANGE; i++)
		printf("usable    %#14llx to %#llx\n", (unsigned long long)ranges[i].start,
		       (unsigned long long)ranges[i].last);
	return true;
}

static void show_slot(const char *verb, const struct slot *slot)
{
	printf("%-9s %#14llx %8llu KiB  %s\n", verb, (unsigned long long)slot->start,
	       (unsigned long long)(slot->size / KIB), slot->name);
}

static bool map_slot(struct guest *guest, struct slot *slot)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 (slot->writeable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = guest->ioas,
		.user_va = (uintptr_t)slot->memory,
		.length = slot->size,
		.iova = slot->start,
	};

	if (!slot->size)
		return true;
	if (!call(guest->iommu, IOMMU_IOAS_MAP, &map, "cannot map", slot->name))
		return false;
	slot->mapped = true;
	show_slot("mapped", slot);
	return true;
}

static bool map_all(struct guest *guest)
{
	for_each_slot (slot, guest)
		if (!map_slot(guest, slot))
			return false;
	return true;
}

static bool unmap(struct guest *guest, uint32_t ioas, uint64_t start, uint64_t *length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = start,
		.length = *length,
	};

	if (!call(guest->iommu, IOMMU_IOAS_UNMAP, &unmap, "cannot unmap", ""))
		return false;
	*length = unmap.length;
	return true;
}

/* All that is mapped must still be there, no more and no less. */
static bool unmap_all(struct guest *guest)
{
	uint64_t length = UINT64_MAX, expected = 0;

	for_each_slot (slot, guest)
		if (slot->mapped)
			expected += slot->size;
	if (!unmap(guest, guest->ioas, 0, &length))
		return false;
	printf("unmapped  %23llu KiB  all of it\n", (unsigned long long)(length / KIB));
	if (length == expected)
		return true;
	fprintf(stderr, "map-guest: %llu KiB were mapped\n", (unsigned long long)(expected / KIB));
	return false;
}

/* ---- the device ---- */

static bool can_track_dirty(struct guest *guest)
{
	struct iommu_hw_info info = {.size = sizeof(info), .dev_id = guest->dev_id};

	return !ioctl(guest->iommu, IOMMU_GET_HW_INFO, &info) &&
	       info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
}

/* A page table of our own making, where that gives us dirty tracking. */
static bool choose_table(struct guest *guest)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.dev_id = guest->dev_id,
		.pt_id = guest->ioas,
	};

	guest->dirty_tracking = can_track_dirty(guest);
	if (!guest->dirty_tracking)
		return true;
	if (!call(guest->iommu, IOMMU_HWPT_ALLOC, &alloc, "cannot make a page table", ""))
		return false;
	guest->hwpt = alloc.out_hwpt_id;
	return true;
}

static bool attach_device(struct guest *guest)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = guest->iommu};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};

	guest->device = open(guest->device_path, O_RDWR | O_CLOEXEC);
	if (guest->device < 0) {
		complain("cannot open", guest->device_path);
		return false;
	}
	if (!call(guest->device, VFIO_DEVICE_BIND_IOMMUFD, &bind, "cannot bind",
		  guest->device_path))
		return false;
	guest->dev_id = bind.out_devid;
	if (!choose_table(guest))
		return false;
	attach.pt_id = guest->hwpt ? guest->hwpt : guest->ioas;
	if (!call(guest->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, "cannot attach",
		  guest->device_path))
		return false;
	printf("attached  %s to page table %u%s\n", guest->device_path, attach.pt_id,
	       guest->dirty_tracking ? ", which tracks dirty pages" : "");
	return true;
}

static bool detach_device(struct guest *guest)
{
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};
	struct iommu_destroy destroy = {.size = sizeof(destroy), .id = guest->hwpt};

	if (!call(guest->device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach, "cannot detach",
		  guest->device_path))
		return false;
	if (guest->hwpt &&
	    !call(guest->iommu, IOMMU_DESTROY, &destroy, "cannot destroy the page table", ""))
		return false;
	return !close(guest->device);
}

static bool track_dirty(struct guest *guest, bool enable)
{
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.flags = enable ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = guest->hwpt,
	};

	return call(guest->iommu, IOMMU_HWPT_SET_DIRTY_TRACKING, &set,
		    "cannot switch dirty tracking", enable ? "on" : "off");
}

static bool count_dirty(struct guest *guest, const struct slot *slot)
{
	uint64_t words = (slot->size / PAGE + 63) / 64, dirty = 0;
	uint64_t *bitmap = calloc(words + 1, sizeof(*bitmap));
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.hwpt_id = guest->hwpt,
		.iova = slot->start,
		.length = slot->size,
		.page_size = PAGE,
		.data = (uintptr_t)bitmap,
	};
	bool good = bitmap && !ioctl(guest->iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get);

	for (uint64_t i = 0; good && i < words; i++)
		dirty += (uint64_t)__builtin_popcountll(bitmap[i]);
	if (good)
		printf("dirty     %#14llx %8llu pages  %s, by the device\n",
		       (unsigned long long)slot->start, (unsigned long long)dirty, slot->name);
	else
		complain("cannot tell what is dirty in", slot->name);
	free(bitmap);
	return good;
}

/* What a live migration does until there is little left. */
static bool find_dirty(struct guest *guest)
{
	if (!guest->dirty_tracking)
		return true;
	if (!track_dirty(guest, true))
		return false;
	for_each_slot (slot, guest) {
		if (!slot->size || !slot->writeable)
			continue;
		fill(slot);
		if (!count_dirty(guest, slot))
			return false;
	}
	return track_dirty(guest, false);
}

/* ---- a second address space with the same memory ---- */

static bool copy_slot(struct guest *guest, uint32_t ioas, uint64_t start, uint64_t size)
{
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = ioas,
		.src_ioas_id = guest->ioas,
		.length = size,
		.dst_iova = start,
		.src_iova = start,
	};

	return !ioctl(guest->iommu, IOMMU_IOAS_COPY, &copy);
}

/*
 * A copy finds what is mapped and only that, so it tells how the first address
 * space looks.
 */
static bool compare_layout(struct guest *guest, uint32_t ioas)
{
	for_each_slot (slot, guest) {
		if (slot->size && !copy_slot(guest, ioas, slot->start, slot->size)) {
			complain("cannot copy", slot->name);
			return false;
		}
		if (slot->size)
			show_slot("copied", slot);
	}
	if (!copy_slot(guest, ioas, guest->low, PAGE) && errno == ENOENT) {
		printf("hole      %#14llx %8llu KiB\n", (unsigned long long)guest->low,
		       (unsigned long long)((HIGH_RAM - guest->rom - guest->low) / KIB));
		return true;
	}
	fprintf(stderr, "map-guest: something is mapped at %#llx, between RAM and ROM\n",
		(unsigned long long)guest->low);
	return false;
}

static bool copy_all(struct guest *guest)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_destroy destroy = {.size = sizeof(destroy)};
	uint64_t length = UINT64_MAX;

	if (!call(guest->iommu, IOMMU_IOAS_ALLOC, &alloc, "cannot make a second address space", ""))
		return false;
	destroy.id = alloc.out_ioas_id;
	return compare_layout(guest, alloc.out_ioas_id) &&
	       unmap(guest, alloc.out_ioas_id, 0, &length) &&
	       call(guest->iommu, IOMMU_DESTROY, &destroy, "cannot destroy it again", "");
}

/* ---- the course of things ---- */

static bool take_down(struct guest *guest)
{
	struct slot *rom = &guest->slots[ROM];
	struct iommu_destroy destroy = {.size = sizeof(destroy), .id = guest->ioas};
	uint64_t length = rom->size;

	if (!unmap(guest, guest->ioas, rom->start, &length))
		return false;
	rom->mapped = false;
	show_slot("unmapped", rom);
	if (!unmap_all(guest) || (guest->device_path && !detach_device(guest)))
		return false;
	for_each_slot (slot, guest)
		if (!is_filled(slot))
			return false;
	return call(guest->iommu, IOMMU_DESTROY, &destroy, "cannot destroy the address space",
		    "") &&
	       !close(guest->iommu);
}

static bool run(struct guest *guest)
{
	if (!make_memory(guest) || !make_ioas(guest) || !claim_addresses(guest))
		return false;
	if (guest->device_path && !attach_device(guest))
		return false;
	if (!show_usable(guest))
		return false;
	/* What was mapped before the one that failed is as it was. */
	if (!map_all(guest)) {
		unmap_all(guest);
		return false;
	}
	return copy_all(guest) && find_dirty(guest) && take_down(guest);
}

/* ---- options ---- */

enum {
	LOW = 256,
	ROM_SIZE,
	IOMMU
};

static const struct argp_option options[] = {
	{"ram", 'r', "SIZE", 0, "memory of the guest, such as 256M (default) or 4G", 0},
	{"low", LOW, "SIZE", 0, "how much of it is below 4 GiB (default half, at most 3G)", 0},
	{"rom", ROM_SIZE, "SIZE", 0, "read-only memory that ends at 4 GiB (default 256K)", 0},
	{"device", 'd', "FILE", 0, "VFIO device, such as /dev/vfio/devices/vfio0", 0},
	{"iommu", IOMMU, "FILE", 0, "instead of /dev/iommu", 0},
	{"small-pages", 's', NULL, 0, "map every page of 4 KiB by itself", 0},
	{0},
};

static uint64_t parse_size(struct argp_state *state, const char *text)
{
	static const char suffixes[] = "KMG";
	const char *suffix;
	char *end;
	uint64_t size;

	errno = 0;
	size = strtoull(text, &end, 0);
	suffix = *end ? strchr(suffixes, *end) : NULL;
	if (suffix)
		end++;
	for (const char *s = suffixes; suffix && s <= suffix; s++)
		size = size > UINT64_MAX / KIB ? UINT64_MAX : size * KIB;
	if (errno || *end || *text == '-' || size % PAGE || size > 1024 * GIB)
		argp_error(state, "'%s' is not a size: whole pages, up to 1024G", text);
	return size;
}

static void check_sizes(struct argp_state *state, struct guest *guest)
{
	if (guest->low == UINT64_MAX) {
		guest->low = guest->ram / 2 / PAGE * PAGE;
		if (guest->low > 3 * GIB)
			guest->low = 3 * GIB;
	}
	if (!guest->low || guest->low > guest->ram || guest->low > 3 * GIB)
		argp_error(state, "--low must be more than 0, at most --ram, and at most 3G");
	if (!guest->rom || guest->rom > 16 * MIB)
		argp_error(state, "--rom must be more than 0 and at most 16M");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct guest *guest = state->input;

	switch (key) {
	case 'r':
		guest->ram = parse_size(state, arg);
		return 0;
	case LOW:
		guest->low = parse_size(state, arg);
		return 0;
	case ROM_SIZE:
		guest->rom = parse_size(state, arg);
		return 0;
	case 'd':
		guest->device_path = arg;
		return 0;
	case IOMMU:
		guest->iommu_path = arg;
		return 0;
	case 's':
		guest->small_pages = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", arg);
		return 0;
	case ARGP_KEY_END:
		check_sizes(state, guest);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Map the memory of a guest for a device, as a virtual machine monitor does.",
	};
	struct guest guest = {
		.ram = 256 * MIB,
		.low = UINT64_MAX,
		.rom = 256 * KIB,
		.iommu_path = "/dev/iommu",
	};

	argp_err_exit_status = 1;
	argp_parse(&argp, argc, argv, 0, NULL, &guest);
	return run(&guest) ? EXIT_SUCCESS : EXIT_FAILURE;
}
