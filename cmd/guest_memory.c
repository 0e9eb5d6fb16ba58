/* SPDX-License-Identifier: MIT */
/* Memory for what is read of a guest. All of it is freed at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/guest.h"

#define BLOCK_BYTES 65536
#define ALIGN       16

struct guest_block {
	struct guest_block *next;
	size_t used, size;
	char bytes[] __attribute__((aligned(ALIGN)));
};

void *guest_alloc(struct guest *guest, size_t bytes)
{
	struct guest_block *block = guest->blocks;
	size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;

	bytes = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!block || block->size - block->used < bytes) {
		block = calloc(1, sizeof(*block) + size + ALIGN);
		if (!block)
			out_of_memory();
		block->size = size + ALIGN;
		block->next = guest->blocks;
		guest->blocks = block;
	}
	block->used += bytes;
	return block->bytes + block->used - bytes;
}

char *guest_copy(struct guest *guest, const char *text)
{
	size_t bytes = strlen(text) + 1;

	return memcpy(guest_alloc(guest, bytes), text, bytes);
}

char *guest_vprint(struct guest *guest, const char *format, va_list args)
{
	va_list again;
	char *text;
	int length;

	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	text = guest_alloc(guest, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, args);
	return text;
}

char *guest_print(struct guest *guest, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = guest_vprint(guest, format, args);
	va_end(args);
	return text;
}

void *guest_grow(struct guest *guest, void *list, size_t nr, size_t size)
{
	void *larger;

	/* Double the list when it is full, which is when nr is 0 or a power of two. */
	if (nr & (nr - 1))
		return list;
	larger = guest_alloc(guest, (nr ? 2 * nr : 1) * size);
	if (nr)
		memcpy(larger, list, nr * size);
	return larger;
}

void guest_free(struct guest *guest)
{
	while (guest->blocks) {
		struct guest_block *block = guest->blocks;

		guest->blocks = block->next;
		free(block);
	}
}
