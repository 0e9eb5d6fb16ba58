/* SPDX-License-Identifier: MIT */
/* What the QEMUs of Debian 12 (7.2) and 13 (10.0) differ in, found by asking them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/oracle/qemu.h"

bool qemu_lists(const struct peer *peer, const char *help, const char *word)
{
	char text[512];
	bool found = false;
	FILE *list;

	snprintf(text, sizeof(text), "'%s' %s 2>&1", oracle_qemu ? oracle_qemu : peer->program,
		 help);
	list = popen(text, "r");
	if (!list)
		die("popen: %s", strerror(errno));
	while (fgets(text, sizeof(text), list))
		found |= strstr(text, word) != NULL;
	pclose(list);
	return found;
}

const char *qemu_log_items(const struct peer *peer)
{
	return qemu_lists(peer, "-d help", "invalid_mem") ? "guest_errors,invalid_mem"
							  : "guest_errors";
}
