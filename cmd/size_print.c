/* SPDX-License-Identifier: MIT */
/* uiommu size: the answer, for people and as JSON. */
#include <stdio.h>

#include <json-c/json.h>

#include "cmd/cmd.h"
#include "cmd/size.h"

/* What a guest's process may lock: its memory in each domain, and device memory. */
static uint64_t memlock(const struct request *request, uint64_t domains)
{
	uint64_t bytes;

	if (__builtin_mul_overflow(request->ram, domains, &bytes) ||
	    __builtin_add_overflow(bytes, GIB, &bytes))
		die("--devices %llu: the memlock limit does not fit in 64 bits",
		    (unsigned long long)domains);
	return bytes;
}

static void json_add(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static struct json_object *json_levels(const struct total *total)
{
	struct json_object *levels = json_object_new_array();

	for (unsigned int level = 0; level < total->one.levels; level++) {
		struct json_object *object = json_object_new_object();

		json_add(object, "level", level);
		json_add(object, "tables", total->one.tables[level] * total->domains);
		json_add(object, "bytes", total->one.bytes[level] * total->domains);
		json_add(object, "entries", total->one.entries[level] * total->domains);
		json_object_array_add(levels, object);
	}
	return levels;
}

static struct json_object *json_case(const struct request *request, const struct total *total)
{
	struct json_object *object = json_object_new_object();

	json_add(object, "domains", total->domains);
	json_add(object, "top_bytes", total->top_bytes);
	json_add(object, "table_bytes", total->table_bytes);
	json_add(object, "total_bytes", total->total_bytes);
	json_add(object, "memory_max_add", total->total_bytes);
	json_add(object, "memlock", memlock(request, total->domains));
	return object;
}

void size_print_json(const struct request *request, const struct total *total,
		     const struct total *shared, const struct total *each)
{
	struct json_object *object = json_object_new_object(), *guest;

	json_object_object_add(object, "iommu", json_object_new_string(total->one.format));
	json_add(object, "address_width", total->one.address_width);
	json_add(object, "granule", total->one.granule);
	json_add(object, "domains", total->domains);
	json_add(object, "top_bytes", total->top_bytes);
	json_add(object, "table_bytes", total->table_bytes);
	json_add(object, "total_bytes", total->total_bytes);
	json_add(object, "tables", total->tables);
	json_object_object_add(object, "levels", json_levels(total));
	if (request->guest) {
		guest = json_object_new_object();
		json_add(guest, "ram", request->ram);
		json_add(guest, "backing", request->ram_backing);
		json_add(guest, "devices", each->domains);
		json_object_object_add(guest, "shared", json_case(request, shared));
		json_object_object_add(guest, "per_device", json_case(request, each));
		json_object_object_add(object, "guest", guest);
	}
	puts(json_object_to_json_string_ext(object,
					    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(object);
}

static void print_sum(const char *what, uint64_t bytes)
{
	char text[BYTES_TEXT];

	printf("%-28s %20llu bytes  %s\n", what, (unsigned long long)bytes,
	       format_bytes(bytes, text));
}

static void print_case(const struct request *request, const char *what, const struct total *total)
{
	char max[BYTES_TEXT], lock[BYTES_TEXT];
	uint64_t locked = memlock(request, total->domains);

	printf("%s:\n", what);
	printf("  add to memory.max          %20llu bytes  %s\n",
	       (unsigned long long)total->total_bytes, format_bytes(total->total_bytes, max));
	printf("  memlock limit              %20llu bytes  %s\n", (unsigned long long)locked,
	       format_bytes(locked, lock));
}

void size_print_text(const struct request *request, const struct total *total,
		     const struct total *shared, const struct total *each)
{
	const struct iommu_size *one = &total->one;
	char ram[BYTES_TEXT], backing[BYTES_TEXT], what[64];

	printf("%s, %u bits of address, %llu domain%s\n\n", one->format, one->address_width,
	       (unsigned long long)total->domains, total->domains == 1 ? "" : "s");
	printf("level %20s %20s %20s\n", "tables", "bytes", "entries");
	for (unsigned int level = one->levels; level-- > 0;)
		printf("%5u %20llu %20llu %20llu\n", level,
		       (unsigned long long)(one->tables[level] * total->domains),
		       (unsigned long long)(one->bytes[level] * total->domains),
		       (unsigned long long)(one->entries[level] * total->domains));
	printf("  sum %20llu %20llu\n\n", (unsigned long long)total->tables,
	       (unsigned long long)total->total_bytes);
	print_sum("allocated with the domains", total->top_bytes);
	print_sum("allocated by mapping", total->table_bytes);
	print_sum("total", total->total_bytes);
	if (!request->guest)
		return;
	printf("\nguest with %s of RAM in pieces of %s, %llu device%s\n",
	       format_bytes(request->ram, ram), exact_bytes(request->ram_backing, backing),
	       (unsigned long long)each->domains, each->domains == 1 ? "" : "s");
	print_case(request, "one domain that the devices share", shared);
	snprintf(what, sizeof(what), "one domain per device (%llu)",
		 (unsigned long long)each->domains);
	print_case(request, what, each);
}
