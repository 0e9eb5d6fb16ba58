/* SPDX-License-Identifier: MIT */
/* The machines of QEMU by their names: "pc-q35-8.2", "virt", "pc-i440fx-rhel7.6.0". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/guest.h"

static const struct board {
	const char *name;   /* what the machine's name begins with */
	const char *arches; /* of the emulators that have it */
	enum guest_board board;
} boards[] = {
	{"pc-q35-", "x86_64 i386", BOARD_Q35},     {"q35", "x86_64 i386", BOARD_Q35},
	{"pc-i440fx-", "x86_64 i386", BOARD_PC},   {"pc", "x86_64 i386", BOARD_PC},
	{"microvm", "x86_64 i386", BOARD_MICROVM}, {"virt", "aarch64 arm", BOARD_ARM},
	{"virt", "riscv64 riscv32", BOARD_RISCV},
};

#define NR_BOARDS (sizeof(boards) / sizeof(boards[0]))

/* "q35" and "pc-q35-8.2", but not "q35x". */
static bool has_name(const struct board *board, const char *name)
{
	size_t length = strlen(board->name);

	return !strncmp(name, board->name, length) &&
	       (board->name[length - 1] == '-' || !name[length] || name[length] == '-');
}

static bool has_word(const char *list, const char *word)
{
	const char *at = strstr(list, word);
	size_t length = strlen(word);

	return at && length && (at == list || at[-1] == ' ') && (!at[length] || at[length] == ' ');
}

/* A version such as 2.12 as 2012, or -1 if the name has none of QEMU's own. */
static int version_of(const char *name)
{
	const char *dash = strrchr(name, '-');
	int major, minor, length = 0;

	if (!dash || sscanf(dash + 1, "%3d.%3d%n", &major, &minor, &length) != 2)
		return -1;
	if (dash[1 + length] && dash[1 + length] != '.')
		return -1;
	return major * 1000 + minor;
}

void guest_set_machine(struct guest *guest, const char *name, const char *arch)
{
	const struct board *found = NULL;
	int version = version_of(name);

	for (size_t i = 0; i < NR_BOARDS && !found; i++)
		if (has_name(&boards[i], name) && (!arch || has_word(boards[i].arches, arch)))
			found = &boards[i];
	if (!found)
		die("%s: machine '%s'%s%s: its memory layout is not known: expected q35, pc or "
		    "microvm of x86, or virt of aarch64 or riscv64",
		    guest->option, name, arch ? " of " : "", arch ? arch : "");
	guest->machine = name;
	guest->board = found->board;
	guest->old_split = (version >= 0 && version < 2000) || strstr(name, "rhel6.");
	guest->keeps_below_1t = version >= 0 && version < 7001;
	if (guest->board == BOARD_MICROVM)
		guest->rom = 64 * KIB;
	else if (guest->board == BOARD_PC || guest->board == BOARD_Q35)
		guest->rom = guest->old_split ? 128 * KIB : 256 * KIB;
}
