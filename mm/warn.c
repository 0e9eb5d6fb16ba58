/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stddef.h>

#include "mm/warn.h"
#include "plat/plat.h"

/* Longer texts are cut short. */
struct line {
	char text[160];
	size_t length;
};

static void add_char(struct line *line, char c)
{
	if (line->length < sizeof(line->text) - 1)
		line->text[line->length++] = c;
}

static void add_text(struct line *line, const char *text)
{
	while (*text)
		add_char(line, *text++);
}

static void add_hex(struct line *line, uintptr_t value)
{
	unsigned int shift = value ? fls64_index(value) & ~3u : 0;

	add_text(line, "0x");
	for (;; shift -= 4) {
		add_char(line, "0123456789abcdef"[value >> shift & 15]);
		if (!shift)
			break;
	}
}

void mm_warn_once(atomic_uint *said, const char *what, const char *subject, uintptr_t value)
{
	struct line line = {.length = 0};

	if (atomic_exchange_explicit(said, 1, memory_order_relaxed))
		return;
	add_text(&line, what);
	if (subject) {
		add_char(&line, ' ');
		add_text(&line, subject);
	}
	add_text(&line, ": ");
	add_hex(&line, value);
	line.text[line.length] = '\0';
	plat_warn(line.text);
}
