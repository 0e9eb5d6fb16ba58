/* SPDX-License-Identifier: MIT */
/* The memory of a libvirt domain: what is behind each node, and memory devices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/libvirt.h"

/* Whether @number is in a list such as "0-2,^1,4". */
static bool in_set(const char *set, unsigned long number)
{
	bool found = false;

	while (*set) {
		bool without = *set == '^';
		char *end;
		unsigned long first, last;

		set += without;
		first = last = strtoul(set, &end, 10);
		if (end == set)
			return found;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (number >= first && number <= last)
			found = !without;
		set = *end == ',' ? end + 1 : "";
	}
	return found;
}

static uint64_t page_bytes(const struct libvirt *domain, const struct xml *at, const char *size,
			   const char *unit)
{
	uint64_t bytes = libvirt_bytes_of(domain, at, size, unit, KIB);

	if (!bytes || bytes & (bytes - 1))
		libvirt_refuse(domain, at, "a page of '%.40s': expected a power of two", size);
	return bytes;
}

/*
 * The huge pages of a node: of the <page> that names the node, or else of one that
 * names none.
 */
static uint64_t page_of_node(struct libvirt *domain, unsigned long node)
{
	const struct xml *huge = xml_path(domain->top, "memoryBacking/hugepages");
	const struct xml *page = xml_child(huge, "page"), *chosen = NULL;
	const char *size;

	if (!huge)
		return 0;
	if (!page)
		return GUEST_HUGE;
	for (; page; page = xml_next(page)) {
		const char *set = xml_attribute(page, "nodeset");

		if (set ? in_set(set, node) : !chosen)
			chosen = page;
	}
	size = xml_attribute(chosen, "size");
	if (chosen && !size)
		libvirt_refuse(domain, chosen, "size= is missing");
	return chosen ? page_bytes(domain, chosen, size, xml_attribute(chosen, "unit")) : 0;
}

/* A memory backend, as libvirt chooses it. */
static void add_backend(struct libvirt *domain, const char *id, uint64_t bytes, uint64_t page)
{
	const struct xml *source = xml_path(domain->top, "memoryBacking/source");
	const char *kind = libvirt_is(source, "type", "file")    ? "file"
			   : libvirt_is(source, "type", "memfd") ? "memfd"
								 : "ram";
	char size[48] = "";

	if (page > GUEST_HUGE)
		snprintf(size, sizeof(size), ",hugetlbsize=%llu", (unsigned long long)page);
	if (page)
		kind = "memfd";
	libvirt_option(domain, "object", "memory-backend-%s,id=%s,size=%llu%s%s", kind, id,
		       (unsigned long long)bytes, page ? ",hugetlb=on" : "", size);
}

/* libvirt gives guests whole MiB. */
static uint64_t whole_mib(uint64_t bytes)
{
	return bytes > UINT64_MAX - MIB ? bytes : (bytes + MIB - 1) & -MIB;
}

static uint64_t add_cells(struct libvirt *domain)
{
	const struct xml *cell = xml_child(xml_path(domain->top, "cpu/numa"), "cell");
	unsigned long next = 0;
	uint64_t total = 0;

	for (; cell; cell = xml_next(cell)) {
		const char *id = xml_attribute(cell, "id"), *memory = xml_attribute(cell, "memory");
		unsigned long number = id ? strtoul(id, NULL, 10) : next;
		char name[32];
		uint64_t bytes;

		next = number + 1;
		if (!memory)
			continue;
		bytes = whole_mib(
			libvirt_bytes_of(domain, cell, memory, xml_attribute(cell, "unit"), KIB));
		if (__builtin_add_overflow(total, bytes, &total))
			libvirt_refuse(domain, cell, "the total does not fit in 64 bits");
		snprintf(name, sizeof(name), "node%lu", number);
		add_backend(domain, name, bytes, page_of_node(domain, number));
		libvirt_option(domain, "numa", "node,nodeid=%lu,memdev=%s", number, name);
	}
	return total;
}

/* ---- memory devices ---- */

static uint64_t page_of_device(struct libvirt *domain, const struct xml *memory)
{
	const struct xml *page = xml_path(memory, "source/pagesize");
	const struct xml *node = xml_path(memory, "target/node");

	if (page)
		return page_bytes(domain, page, page->text, xml_attribute(page, "unit"));
	return page_of_node(domain, node ? strtoul(node->text, NULL, 10) : 0);
}

/* ",KEY=BYTES" of an element, or nothing. */
static const char *key_of(struct libvirt *domain, const struct xml *at, const char *key,
			  char text[64])
{
	text[0] = '\0';
	if (at)
		snprintf(text, 64, ",%s=%llu", key,
			 (unsigned long long)libvirt_bytes(domain, at, 0));
	return text;
}

static void add_device(struct libvirt *domain, const struct xml *memory, const char *model,
		       uint64_t bytes, unsigned int nr)
{
	static const char *const models[][2] = {
		{"dimm", "pc-dimm"},
		{"nvdimm", "nvdimm"},
		{"virtio-mem", "virtio-mem-pci"},
		{"virtio-pmem", "virtio-pmem-pci"},
	};
	const struct xml *target = xml_child(memory, "target");
	const char *base = xml_attribute(xml_child(memory, "address"), "base"), *driver = NULL;
	char id[32], requested[64], block[64], label[64], place[64] = "";

	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (!strcmp(model, models[i][0]))
			driver = models[i][1];
	if (!driver)
		libvirt_refuse(domain, memory,
			       "model='%.40s': expected dimm, nvdimm, virtio-mem or virtio-pmem",
			       model);
	snprintf(id, sizeof(id), "memory%u", nr);
	if (base)
		snprintf(place, sizeof(place), ",%s=%.40s",
			 !strncmp(driver, "virtio", 6) ? "memaddr" : "addr", base);
	add_backend(domain, id, bytes, page_of_device(domain, memory));
	libvirt_option(domain, "device", "%s,memdev=%s%s%s%s%s", driver, id, place,
		       key_of(domain, xml_child(target, "requested"), "requested-size", requested),
		       key_of(domain, xml_child(target, "block"), "block-size", block),
		       key_of(domain, xml_path(target, "label/size"), "label-size", label));
}

/* All memory devices; returns their size in all. */
static uint64_t add_devices(struct libvirt *domain)
{
	const struct xml *memory = xml_child(xml_child(domain->top, "devices"), "memory");
	unsigned int nr = 0;
	uint64_t total = 0;

	for (; memory; memory = xml_next(memory)) {
		const struct xml *size = xml_path(memory, "target/size");
		const char *model = xml_attribute(memory, "model");
		uint64_t bytes;

		if (!size || !model)
			libvirt_refuse(domain, memory, "expected model= and <target> with <size>");
		bytes = libvirt_bytes(domain, size, 0);
		if (strcmp(model, "nvdimm"))
			bytes = whole_mib(bytes);
		if (__builtin_add_overflow(total, bytes, &total))
			libvirt_refuse(domain, size, "the total does not fit in 64 bits");
		if (!strcmp(model, "sgx-epc"))
			guest_note(domain->guest, "sgx-epc: SGX memory is not counted");
		else
			add_device(domain, memory, model, bytes, nr++);
	}
	return total;
}

static void add_sizes(struct libvirt *domain, const struct xml *max, uint64_t ram)
{
	const char *slots = xml_attribute(max, "slots");
	uint64_t most = libvirt_bytes(domain, max, ram);

	if (most < ram)
		libvirt_refuse(domain, max, "'%.40s' is less than the memory at the start",
			       max->text);
	if (slots && (!*slots || slots[strspn(slots, "0123456789")]))
		libvirt_refuse(domain, max, "slots='%.40s' is not a number", slots);
	libvirt_option(domain, "m", "%lluB,slots=%s,maxmem=%llu", (unsigned long long)ram,
		       slots ? slots : "0", (unsigned long long)most);
}

/* The amount in <memory> includes memory devices; nodes have the amount without them. */
void libvirt_memory(struct libvirt *domain)
{
	const struct xml *memory = xml_child(domain->top, "memory");
	uint64_t plugged = add_devices(domain), ram = add_cells(domain);

	if (!memory && !ram)
		libvirt_refuse(domain, domain->top, "expected <memory> in it");
	if (!ram) {
		ram = libvirt_bytes(domain, memory, 0);
		if (ram < plugged || ram - plugged < MIB)
			libvirt_refuse(domain, memory,
				       "'%.40s' is less than the memory devices have and 1M",
				       memory->text);
		ram = whole_mib(ram - plugged);
		add_backend(domain, "ram", ram, page_of_node(domain, 0));
		libvirt_option(domain, "machine", "memory-backend=ram");
	}
	add_sizes(domain, xml_child(domain->top, "maxMemory"), ram);
}
