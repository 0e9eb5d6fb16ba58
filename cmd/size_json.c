/* SPDX-License-Identifier: MIT */
/* uiommu size: the answer as JSON. */
#include <stdio.h>

#include "cmd/json.h"
#include "cmd/size.h"

static void add_levels(struct json_object *to, const struct total *total)
{
	struct json_object *levels = add_array(to, "levels");

	for (unsigned int level = 0; level < total->one.levels; level++) {
		struct json_object *object = append_object(levels);

		add_number(object, "level", level);
		add_number(object, "tables", total->one.tables[level] * total->domains);
		add_number(object, "bytes", total->one.bytes[level] * total->domains);
		add_number(object, "entries", total->one.entries[level] * total->domains);
	}
}

static void add_sums(struct json_object *to, const struct total *total)
{
	add_number(to, "domains", total->domains);
	add_number(to, "top_bytes", total->top_bytes);
	add_number(to, "table_bytes", total->table_bytes);
	add_number(to, "total_bytes", total->total_bytes);
}

static void fill_need(struct json_object *to, const struct need *need)
{
	add_sums(to, &need->total);
	add_number(to, "memory_max_add", need->total.total_bytes);
	add_number(to, "pinned", need->pinned);
	add_number(to, "memlock", need->memlock);
}

static void add_needs(struct json_object *to, const char *key, const struct needs *needs)
{
	struct json_object *object = add_object(to, key);

	fill_need(object, &needs->now);
	if (needs->full.ram > needs->now.ram)
		fill_need(add_object(object, "all_plugged"), &needs->full);
}

static const char *when_name(enum guest_when when)
{
	return when == WHEN_FIRMWARE ? "firmware" : when == WHEN_FULL ? "plugged" : "started";
}

static void add_ranges(struct json_object *to, const struct guest_ranges *ranges)
{
	struct json_object *array = add_array(to, "ranges");

	for (size_t i = 0; i < ranges->nr; i++) {
		struct json_object *object = append_object(array);

		add_number(object, "iova", ranges->ranges[i].iova);
		add_number(object, "size", ranges->ranges[i].bytes);
		add_number(object, "backing", ranges->ranges[i].backing);
		add_text(object, "what", ranges->ranges[i].what);
		add_text(object, "when", when_name(ranges->ranges[i].when));
	}
}

static void add_devices(struct json_object *to, const struct guest *guest)
{
	struct json_object *array = add_array(to, "host_devices");

	for (size_t i = 0; i < guest->nr_devices; i++) {
		struct json_object *object = append_object(array);

		add_text(object, "name", guest->devices[i].name);
		if (guest->devices[i].iommufd)
			add_text(object, "iommufd", guest->devices[i].iommufd);
		else
			add(object, "iommufd", NULL);
	}
}

static void add_described(struct json_object *to, const struct guest *guest,
			  const struct answer *answer)
{
	struct json_object *notes;

	add_text(to, "source", guest->source);
	add_text(to, "machine", guest->machine);
	if (guest->viommu)
		add_text(to, "viommu", guest->viommu);
	else
		add(to, "viommu", NULL);
	add_devices(to, guest);
	add_ranges(to, &answer->ranges);
	add_needs(to, "needs", &answer->shared);
	add_number(to, "firmware_bytes", answer->firmware_bytes);
	notes = add_array(to, "notes");
	for (size_t i = 0; i < guest->nr_notes; i++)
		append(notes, make_text(guest->notes[i]));
}

static void add_guest(struct json_object *to, const struct request *request,
		      const struct answer *answer)
{
	const struct guest *guest = &request->guest;
	struct json_object *object = add_object(to, "guest");

	add_number(object, "ram", guest->ram);
	add_number(object, "max_ram", guest->max_ram);
	add_number(object, "backing", answer->backing);
	if (request->described) {
		add_number(object, "devices", guest->nr_devices);
		add_described(object, guest, answer);
		return;
	}
	add_number(object, "devices", answer->each.now.total.domains);
	add_needs(object, "shared", &answer->shared);
	add_needs(object, "per_device", &answer->each);
}

static void fill_answer(struct json_object *to, const struct request *request,
			const struct answer *answer)
{
	const struct total *total = &answer->total;

	add_text(to, "format", answer->format->name);
	if (answer->why) {
		add_number(to, "granule", answer->format->granule);
		add_text(to, "why", answer->why);
		return;
	}
	add_number(to, "address_width", total->one.address_width);
	add_number(to, "granule", total->one.granule);
	add_sums(to, total);
	add_number(to, "tables", total->tables);
	add_levels(to, total);
	if (request->guest.option)
		add_guest(to, request, answer);
}

void size_print_json(const struct request *request, const struct answer *answers)
{
	struct json_object *root = made(json_object_new_object()), *formats;

	if (request->all) {
		formats = add_array(root, "formats");
		for (size_t i = 0; i < request->nr_formats; i++)
			fill_answer(append_object(formats), request, &answers[i]);
	} else {
		fill_answer(root, request, answers);
	}
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
							  JSON_C_TO_STRING_SPACED |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
}
