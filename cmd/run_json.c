/* SPDX-License-Identifier: MIT */
/* The report as JSON. Limits that are "max" are null. */
#include <signal.h>
#include <sys/wait.h>

#include <uiommu/abi/vfio.h>

#include "cmd/json.h"
#include "cmd/run.h"

static void add_memory(struct json_object *to, const struct report_process *s)
{
	struct json_object *memory = add_object(to, "memory");

	add_limit(memory, "max", s->memory_max);
	add_limit(memory, "high", s->memory_high);
	add_number(memory, "current", s->current);
	add_number(memory, "peak", s->peak);
	memory = add_object(memory, "events");
	add_number(memory, "max", s->events_max);
	add_number(memory, "high", s->events_high);
	if (!s->memlock_reached) {
		add(to, "memlock", NULL);
		return;
	}
	memory = add_object(to, "memlock");
	add_limit(memory, "limit", s->memlock);
	add_number(memory, "reached", s->memlock_reached);
}

static void add_usage(struct json_object *to, const char *key, const struct report_usage *u)
{
	struct json_object *usage = add_object(to, key), *levels;

	add_number(usage, "areas", u->areas);
	add_number(usage, "mapped_bytes", u->mapped);
	add_number(usage, "table_bytes", u->bytes);
	levels = add_array(usage, "levels");
	for (unsigned int level = 0; level < REPORT_LEVELS; level++) {
		struct json_object *object = append_object(levels);

		add_number(object, "level", level);
		add_number(object, "tables", u->tables[level]);
	}
}

static void add_domains(struct json_object *to, const struct report_process *s)
{
	struct json_object *domains = add_array(to, "domains");
	char name[32];

	for (uint32_t i = 0; i < s->nr_domains && i < REPORT_DOMAINS; i++) {
		const struct report_domain *d = &s->domains[i];
		struct json_object *domain = append_object(domains);

		add_number(domain, "file", d->file);
		add_number(domain, "hwpt", d->hwpt);
		add_number(domain, "ioas", d->ioas);
		add_text(domain, "created_by",
			 d->created_cmd
				 ? run_ioctl_name(d->created_cmd, false, name)
				 : run_ioctl_name(VFIO_DEVICE_ATTACH_IOMMUFD_PT, true, name));
		add_bool(domain, "nested", d->nested);
		add_bool(domain, "alive", d->alive);
		add_text(domain, "format", d->format);
		add_number(domain, "address_width", d->width);
		add_usage(domain, "now", &d->now);
		add_usage(domain, "peak", &d->peak);
	}
	add_bool(to, "domains_complete", !s->domains_lost);
}

static void add_errors(struct json_object *to, const struct report_process *s, unsigned int index)
{
	struct json_object *errors = add_object(to, "errors");
	char text[32];

	for (unsigned int i = 0; i < REPORT_ERRORS && s->errors[i].count; i++)
		if (run_error_count(s, index, i))
			add_number(errors, run_error_name(s->errors[i].error, text),
				   run_error_count(s, index, i));
}

static void add_ioctls(struct json_object *to, const struct report_process *s)
{
	struct json_object *ioctls = add_array(to, "ioctls");
	char name[32];

	for (unsigned int i = 0; i < REPORT_IOCTLS; i++) {
		const struct report_ioctl *op = &s->ioctls[i];
		struct json_object *ioctl;

		if (!op->calls)
			continue;
		ioctl = append_object(ioctls);
		add_text(ioctl, "name", run_counted_name(s, i, name));
		add_text(ioctl, "file_type", i < REPORT_NUMBERS ? "device" : "iommu");
		add_number(ioctl, "calls", op->calls);
		add_number(ioctl, "failed", op->failed);
		add_errors(ioctl, s, i);
		add_number(ioctl, "nanoseconds", run_nanoseconds(s, op->ticks));
	}
}

static void add_alive(struct json_object *to, const struct report_process *s)
{
	struct json_object *alive = add_array(to, "alive");
	char name[32];

	for (uint32_t i = 0; i < s->nr_objects && i < REPORT_OBJECTS; i++) {
		struct json_object *object = append_object(alive);

		add_number(object, "file", s->objects[i].file);
		add_number(object, "id", s->objects[i].id);
		add_text(object, "type", run_object_name(s->objects[i].type));
		add_text(object, "created_by", run_maker(&s->objects[i], name));
	}
	add_number(to, "alive_count", s->nr_objects);
}

static void add_munmaps(struct json_object *to, const struct report_process *s)
{
	struct json_object *munmaps = add_array(to, "munmaps");

	for (uint32_t i = 0; i < s->nr_munmaps && i < REPORT_MUNMAPS; i++) {
		struct json_object *munmap = append_object(munmaps);

		add_number(munmap, "address", s->munmaps[i].address);
		add_number(munmap, "length", s->munmaps[i].length);
		add_number(munmap, "iova", s->munmaps[i].iova);
		add_number(munmap, "mapped_bytes", s->munmaps[i].mapped);
	}
	add_number(to, "munmap_count", s->nr_munmaps);
}

static void add_counters(struct json_object *to, const struct report_process *s)
{
	struct json_object *counters = add_object(to, "counters");

	add_number(counters, "maps", s->counters.maps);
	add_number(counters, "maps_failed", s->counters.maps_failed);
	add_number(counters, "map_bytes", s->counters.map_bytes);
	add_number(counters, "unmaps", s->counters.unmaps);
	add_number(counters, "unmap_bytes", s->counters.unmap_bytes);
	add_number(counters, "iotlb_flushes", s->counters.flushes);
	add_number(counters, "iotlb_flushes_with_tables", s->counters.flushed_tables);
	add_number(counters, "faults_read", s->counters.faults_read);
	add_number(counters, "faults_answered", s->counters.faults_answered);
}

struct json_object *run_add_process(struct json_object *array, const struct report_process *s)
{
	static const char *const states[] = {"free", "running", "exited", "killed"};
	struct json_object *process = append_object(array);

	add_number(process, "pid", (uint64_t)s->pid);
	add_text(process, "name", s->comm);
	add_text(process, "state", states[s->state & 3]);
	if (s->state == REPORT_EXITED)
		add_number(process, "exit_status", (uint64_t)s->status);
	else
		add(process, "exit_status", NULL);
	add_text(process, "phys", s->phys);
	add_number(process, "files_opened", s->files_opened);
	add_number(process, "files_open", s->files_open);
	add_number(process, "fail_nth", s->fail_nth);
	add_bool(process, "fail_nth_hit", s->fail_hit);
	add_number(process, "ioctls_since_look", run_calls_since_look(s));
	add_memory(process, s);
	add_counters(process, s);
	add_domains(process, s);
	add_ioctls(process, s);
	add_alive(process, s);
	add_munmaps(process, s);
	return process;
}

void run_print_json(FILE *out, const struct run_result *result)
{
	struct json_object *top = made(json_object_new_object()), *processes;
	uint32_t nr = run_processes(result->report);

	add_text(top, "program", result->program);
	add_number(top, "pid", (uint64_t)result->pid);
	if (WIFSIGNALED(result->status)) {
		add(top, "exit_status", NULL);
		add_number(top, "signal", (uint64_t)WTERMSIG(result->status));
	} else {
		add_number(top, "exit_status", (uint64_t)WEXITSTATUS(result->status));
		add(top, "signal", NULL);
	}
	if (result->auto_limit)
		add_text(top, "memory_max_auto", result->auto_limit);
	processes = add_array(top, "processes");
	for (uint32_t i = 0; i < nr; i++)
		run_add_process(processes, &result->report->processes[i]);
	add_number(top, "processes_not_listed", result->report->nr_processes - nr);
	add_number(top, "memory_current", result->report->current);
	print_json(out, top, JSON_C_TO_STRING_PRETTY);
}
