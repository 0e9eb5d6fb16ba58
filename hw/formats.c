// SPDX-License-Identifier: MIT
/* The formats that have a walker. */
#include <string.h>

#include "hw/decode.h"

static const struct hw_format *const formats[] = {
	&hw_vtd, &hw_x86_64, &hw_amdv1, &hw_arm64_s1, &hw_arm64_s2, &hw_riscv64, &hw_s390, NULL,
};

const struct hw_format *hw_format_at(unsigned int index)
{
	return index < sizeof(formats) / sizeof(formats[0]) ? formats[index] : NULL;
}

const struct hw_format *hw_format_find(const char *name)
{
	const struct hw_format *format;

	for (unsigned int i = 0; (format = hw_format_at(i)); i++)
		if (!strcmp(format->name, name))
			return format;
	return NULL;
}
