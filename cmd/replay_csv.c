/* SPDX-License-Identifier: MIT */
/*
 * The timeline of a replay as CSV. The time is seconds with nine decimals, an integer
 * where the clock's unit is not known, and empty where there is none.
 */
#include <inttypes.h>

#include "cmd/replay.h"

void replay_csv_head(FILE *file)
{
	fputs("event,time,mapped_bytes,table_bytes,stranded_bytes\n", file);
}

void replay_csv_row(FILE *file, const struct timeline_row *row)
{
	fprintf(file, "%" PRIu64 ",", row->event);
	if (row->clock == TRACE_CLOCK_NS)
		fprintf(file, "%" PRIu64 ".%09" PRIu64, row->time / 1000000000,
			row->time % 1000000000);
	else if (row->clock == TRACE_CLOCK_TICKS)
		fprintf(file, "%" PRIu64, row->time);
	fprintf(file, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", row->mapped_bytes, row->table_bytes,
		row->stranded_bytes);
}
