/* SPDX-License-Identifier: MIT */
/* Collects what is known of a guest, and counts its address spaces. */
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/guest.h"

#define LIST_MAX 4096

/* One more element of @size bytes, zeroed. */
static void *add_element(struct guest *guest, const char *what, void *list, size_t *nr, size_t size)
{
	void **array = list;
	char *element;

	if (*nr == LIST_MAX)
		die("%s: more than %d %s", guest->option, LIST_MAX, what);
	*array = guest_grow(guest, *array, *nr, size);
	element = (char *)*array + (*nr)++ * size;
	memset(element, 0, size);
	return element;
}

struct guest_part *guest_add_part(struct guest *guest)
{
	return add_element(guest, "NUMA nodes", &guest->parts, &guest->nr_parts,
			   sizeof(*guest->parts));
}

struct guest_plug *guest_add_plug(struct guest *guest)
{
	return add_element(guest, "memory devices", &guest->plugs, &guest->nr_plugs,
			   sizeof(*guest->plugs));
}

struct guest_bar *guest_add_bar(struct guest *guest)
{
	return add_element(guest, "devices with memory", &guest->bars, &guest->nr_bars,
			   sizeof(*guest->bars));
}

struct guest_device *guest_add_device(struct guest *guest)
{
	return add_element(guest, "devices", &guest->devices, &guest->nr_devices,
			   sizeof(*guest->devices));
}

void guest_note(struct guest *guest, const char *format, ...)
{
	const char **note, *text;
	va_list args;

	va_start(args, format);
	text = guest_vprint(guest, format, args);
	va_end(args);
	for (size_t i = 0; i < guest->nr_notes; i++)
		if (!strcmp(guest->notes[i], text))
			return;
	if (guest->nr_notes == LIST_MAX)
		return;
	note = add_element(guest, "notes", &guest->notes, &guest->nr_notes, sizeof(*note));
	*note = text;
}

void guest_set_viommu(struct guest *guest, const char *name, bool own_spaces)
{
	guest->viommu = name;
	guest->own_spaces = own_spaces;
}

bool guest_can_plug(const struct guest *guest)
{
	return guest->board != BOARD_MICROVM && guest->board != BOARD_RISCV;
}

static bool same_container(const struct guest_device *a, const struct guest_device *b)
{
	if (!a->iommufd || !b->iommufd)
		return a->iommufd == b->iommufd;
	return !strcmp(a->iommufd, b->iommufd);
}

uint64_t guest_domains(const struct guest *guest)
{
	bool apart = guest->own_spaces && !guest->bypass;
	uint64_t domains = 0;

	for (size_t i = 0; i < guest->nr_devices; i++) {
		bool known = false;

		for (size_t j = 0; j < i && !apart; j++)
			known |= same_container(&guest->devices[i], &guest->devices[j]);
		domains += !known;
	}
	return domains ? domains : 1;
}

/* ---- contradictions ---- */

#define MEMORY_MAX (1ULL << 56) /* more than any CPU can address; sums do not overflow */

static void check_plugs(struct guest *guest)
{
	uint64_t total = 0, room = guest->max_ram - guest->ram;
	char sum[BYTES_TEXT], left[BYTES_TEXT];

	for (size_t i = 0; i < guest->nr_plugs; i++) {
		const struct guest_plug *plug = &guest->plugs[i];

		if (plug->bytes > MEMORY_MAX || plug->at > MEMORY_MAX || plug->align > MEMORY_MAX)
			die("%s: %s: more than 64P of memory or address", guest->option,
			    plug->kind);
		total += plug->bytes;
		if (total > room)
			die("%s: memory devices of %s, and maxmem leaves %s for them",
			    guest->option, exact_bytes(total, sum), exact_bytes(room, left));
	}
}

static void note_devices(struct guest *guest)
{
	if (!guest->source)
		return;
	if (!guest->nr_devices)
		guest_note(guest, "no device is passed through: counted as if one were");
	else if (guest->viommu && !guest->bypass && guest->own_spaces)
		guest_note(guest,
			   "%s: each device has an address space of its own, with all memory in it "
			   "until the guest translates; then its own mappings count",
			   guest->viommu);
	else if (guest->viommu && !guest->bypass)
		guest_note(guest,
			   "%s: the devices share the second stage, with all memory in it; the "
			   "first is in the guest's memory",
			   guest->viommu);
	else if (guest->viommu)
		guest_note(guest, "%s: bypassed by the default bus", guest->viommu);
}

void guest_check(struct guest *guest)
{
	uint64_t sum = 0;
	char ram[BYTES_TEXT], other[BYTES_TEXT];

	if (!guest_can_plug(guest) && guest->max_ram > guest->ram) {
		guest_note(guest, "machine '%s' has no memory devices: the maximum has no effect",
			   guest->machine);
		guest->max_ram = guest->ram;
	}

	if (guest->ram < MIB || guest->ram > MEMORY_MAX)
		die("%s: %s of RAM: expected 1M to 64P", guest->option,
		    exact_bytes(guest->ram, ram));
	if (guest->max_ram < guest->ram)
		die("%s: at most %s of RAM: less than the %s at the start", guest->option,
		    exact_bytes(guest->max_ram, other), exact_bytes(guest->ram, ram));
	if (guest->max_ram > MEMORY_MAX || guest->slots > 4096)
		die("%s: at most %s of RAM in %llu slots: expected up to 64P and 4096",
		    guest->option, exact_bytes(guest->max_ram, other),
		    (unsigned long long)guest->slots);
	for (size_t i = 0; i < guest->nr_parts && sum <= guest->ram; i++)
		sum += guest->parts[i].bytes < MEMORY_MAX ? guest->parts[i].bytes : MEMORY_MAX;
	if (sum != guest->ram)
		die("%s: the memory of the NUMA nodes, %s, is not that of the guest, %s",
		    guest->option, exact_bytes(sum, other), exact_bytes(guest->ram, ram));
	if (guest->max_below_4g && (guest->max_below_4g < MIB || guest->max_below_4g > 4 * GIB))
		die("%s: max-ram-below-4g of %s: expected 1M to 4G", guest->option,
		    exact_bytes(guest->max_below_4g, other));
	for (size_t i = 0; i < guest->nr_bars; i++)
		if (guest->bars[i].span > MEMORY_MAX / LIST_MAX)
			die("%s: %s: memory of more than 16T", guest->option, guest->bars[i].name);
	if (guest->rom > 16 * MIB)
		die("%s: firmware of %s: expected at most 16M", guest->option,
		    exact_bytes(guest->rom, other));
	check_plugs(guest);
	note_devices(guest);
}
