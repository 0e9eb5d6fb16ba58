// SPDX-License-Identifier: MIT
/* The listing of everything that a set of tables has. */
#include <errno.h>

#include "hw/walk.h"

int hw_list(const struct hw_tables *tables, const struct hw_list_ops *ops)
{
	return -EINVAL;
}
