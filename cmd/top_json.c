/* SPDX-License-Identifier: MIT */
/* A sample as JSON: the processes as in the report of `uiommu run`, and rates. */
#include <errno.h>
#include <stdlib.h>

#include "cmd/json.h"
#include "cmd/run.h"
#include "cmd/top.h"

static void add_rate(struct json_object *to, const char *key, double rate)
{
	char text[40];

	/* Three decimals are plenty, and 17 digits are noise. */
	snprintf(text, sizeof(text), "%.3f", rate);
	add(to, key, made(json_object_new_double_s(rate, text)));
}

static void add_rates(struct json_object *to, const struct top_rates *r)
{
	struct json_object *rates = add_object(to, "rates");

	add_rate(rates, "seconds", r->seconds);
	add_rate(rates, "maps", r->maps);
	add_rate(rates, "map_bytes", r->map_bytes);
	add_rate(rates, "unmaps", r->unmaps);
	add_rate(rates, "unmap_bytes", r->unmap_bytes);
	add_rate(rates, "iotlb_flushes", r->flushes);
	add_rate(rates, "ioctls", r->ioctls);
	add_rate(rates, "failed", r->failed);
	add_rate(rates, "faults", r->faults);
}

void top_print_json(const struct top_run *run, const struct top_sample *now,
		    const struct top_sample *before)
{
	struct json_object *top = made(json_object_new_object()), *processes, *process;
	struct top_rates rates;

	add_number(top, "pid", (uint64_t)run->pid);
	add_text(top, "name", run->name);
	add_text(top, "command", run->command);
	add_bool(top, "ended", now->ended);
	processes = add_array(top, "processes");
	for (uint32_t i = 0; i < now->nr_processes; i++) {
		process = run_add_process(processes, &now->processes[i]);
		top_rates(now, before, i, &rates);
		add_rates(process, &rates);
		add_number(process, "failed", top_failures(&now->processes[i], 0));
		add_number(process, "ioctls_behind", top_behind(&now->processes[i]));
		add_number(process, "enomem", top_failures(&now->processes[i], ENOMEM));
	}
	add_number(top, "processes_not_listed", now->not_read);
	print_json(stdout, top, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	/* Nobody reads it any more: main.c says so. */
	if (fflush(stdout))
		exit(CMD_FAILED);
}
