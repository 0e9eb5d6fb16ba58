// SPDX-License-Identifier: MIT
/* The walk of one address through the tables of any format. */
#include <errno.h>
#include <string.h>

#include "hw/walk.h"

const char *hw_fault_name(enum hw_fault fault)
{
	static const char *const names[HW_NR_FAULTS] = {
		[HW_FAULT_NONE] = "none",
		[HW_FAULT_NOT_PRESENT] = "not present",
		[HW_FAULT_READ] = "no read access",
		[HW_FAULT_WRITE] = "no write access",
		[HW_FAULT_EXEC] = "no execute access",
		[HW_FAULT_ACCESS_FLAG] = "access flag clear",
		[HW_FAULT_RESERVED] = "reserved bits",
		[HW_FAULT_ADDRESS] = "address too wide",
		[HW_FAULT_LEVEL] = "bad level",
		[HW_FAULT_MEMORY] = "no memory",
	};

	return fault < HW_NR_FAULTS ? names[fault] : "unknown";
}

int hw_layout(const struct hw_tables *tables, struct hw_layout *out)
{
	const struct hw_level *top;
	int ret;

	memset(out, 0, sizeof(*out));
	ret = tables->format->layout(tables, out);
	if (ret)
		return ret;
	top = &out->level[out->levels - 1];
	return tables->root & ((UINT64_C(8) << top->bits) - 1) ? -EINVAL : 0;
}

void hw_decode(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
	       unsigned int level, unsigned int index, struct hw_item *out)
{
	memset(out, 0, sizeof(*out));
	tables->format->decode(tables, layout, item, level, index, out);
}

enum hw_fault hw_translate(const struct hw_tables *tables, uint64_t iova, unsigned int access,
			   struct hw_translation *out)
{
	memset(out, 0, sizeof(*out));
	out->fault = HW_FAULT_NOT_PRESENT;
	return out->fault;
}
