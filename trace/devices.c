/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/devices.h"

#define NAMES 1024
#define LISTS 65536

struct name {
	struct name *next;
	unsigned int number;
	size_t length;
	char text[];
};

struct list {
	struct list *next;
	uint64_t key;
	unsigned int device;
	struct mapped_list mapped;
};

/*
 * Hash tables with chains. There are few devices, and lists are freed in the order of
 * traffic.
 */
struct devices {
	struct name *name[NAMES];
	struct list *list[LISTS];
	struct list *unused;
};

struct devices *devices_new(void)
{
	return calloc(1, sizeof(struct devices));
}

static void free_lists(struct list *list)
{
	struct list *next;

	for (; list; list = next) {
		next = list->next;
		free(list);
	}
}

void devices_free(struct devices *devices)
{
	struct name *name, *next;

	if (!devices)
		return;
	for (size_t i = 0; i < NAMES; i++)
		for (name = devices->name[i]; name; name = next) {
			next = name->next;
			free(name);
		}
	for (size_t i = 0; i < LISTS; i++)
		free_lists(devices->list[i]);
	free_lists(devices->unused);
	free(devices);
}

static struct name **name_chain(struct devices *devices, const char *text, size_t length)
{
	uint32_t hash = 2166136261;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619;
	return &devices->name[hash % NAMES];
}

int devices_find(struct devices *devices, const char *text, size_t length)
{
	const struct name *name;

	for (name = *name_chain(devices, text, length); name; name = name->next)
		if (name->length == length && !memcmp(name->text, text, length))
			return (int)name->number;
	return -1;
}

int devices_add(struct devices *devices, const char *text, size_t length, unsigned int number)
{
	struct name **chain = name_chain(devices, text, length);
	struct name *name = malloc(sizeof(*name) + length);

	if (!name)
		return -ENOMEM;
	name->next = *chain;
	name->number = number;
	name->length = length;
	memcpy(name->text, text, length);
	*chain = name;
	return 0;
}

static struct list **list_chain(struct devices *devices, unsigned int device, uint64_t key)
{
	return &devices->list[(key ^ key >> 32 ^ device) % LISTS];
}

int devices_add_list(struct devices *devices, unsigned int device, uint64_t key,
		     const struct mapped_list *mapped)
{
	struct list **chain = list_chain(devices, device, key), *list = devices->unused;

	if (list)
		devices->unused = list->next;
	else
		list = malloc(sizeof(*list));
	if (!list)
		return -ENOMEM;
	*list = (struct list){*chain, key, device, *mapped};
	*chain = list;
	return 0;
}

bool devices_take_list(struct devices *devices, unsigned int device, uint64_t key,
		       struct mapped_list *mapped)
{
	struct list **at = list_chain(devices, device, key), *list;

	for (; (list = *at) != NULL; at = &list->next)
		if (list->key == key && list->device == device)
			break;
	if (!list)
		return false;
	*mapped = list->mapped;
	*at = list->next;
	list->next = devices->unused;
	devices->unused = list;
	return true;
}
