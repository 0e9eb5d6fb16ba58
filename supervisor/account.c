/* SPDX-License-Identifier: MIT */
/*
 * Keeps the numbers of the report current.
 *
 * Calls are counted as they happen. Domains and the memory cgroup are looked at
 * before a call that may make them smaller, which is when a peak ends, when
 * something ends, and in between as often as costs little.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uiommu/mm.h>

#include "iommufd/iommufd.h"
#include "plat/spinlock.h"
#include "supervisor/supervisor.h"

/* Looking costs at most one part in this many of the time that passes. */
#define SHARE_OF_TIME 100

/* How much time without a look counts for later. */
#define SAVED_TICKS 100000000

/* One that costs more than this is put off even where it would show a peak. */
#define COSTLY_NS 20000

static struct report *report;
static _Atomic uint64_t next_look;
static _Atomic uint64_t look_cost;

uint64_t account_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* What both clocks say from time to time is how ticks become nanoseconds. */
static void note_clock(struct report_clock *clock)
{
	clock->ticks = account_now();
	clock->ns = account_clock();
}

/* ---- the slot ---- */

void account_start(struct report *memory)
{
	report = memory;
}

void account_end(void)
{
	report->current = mem_cgroup_usage(run_cgroup);
}

static struct report_process *take_slot(struct process *process)
{
	uint32_t n = atomic_fetch_add(&report->nr_processes, 1);
	struct report_process *slot;

	if (n >= REPORT_PROCESSES)
		return NULL;
	slot = &report->processes[n];
	slot->pid = process->pid;
	memcpy(slot->comm, process->comm, sizeof(slot->comm));
	note_clock(&slot->first);
	slot->memory_max = slot->memory_high = UINT64_MAX;
	slot->fail_nth = options->fail_nth;
	atomic_store(&slot->state, REPORT_RUNNING);
	return slot;
}

struct report_process *account_slot(struct process *process)
{
	static struct spinlock lock;

	if (!report || atomic_load(&process->slot_taken))
		return process->slot;
	spin_lock(&lock);
	if (!atomic_load(&process->slot_taken)) {
		process->slot = take_slot(process);
		atomic_store(&process->slot_taken, true);
	}
	spin_unlock(&lock);
	return process->slot;
}

/* ---- calls ---- */

static void count_error(struct report_process *s, unsigned int cmd, bool device, int error)
{
	struct report_error *found = NULL;

	spin_lock(&s->lock);
	for (unsigned int i = 0; i < REPORT_ERRORS && !found; i++) {
		struct report_error *e = &s->errors[i];

		if (!e->count || (e->cmd == cmd && e->device == device && e->error == error) ||
		    i == REPORT_ERRORS - 1)
			found = e;
	}
	if (!found->count) {
		found->cmd = cmd;
		found->device = device;
		found->error = error;
	}
	found->count++;
	spin_unlock(&s->lock);
}

/* The place of an ioctl: its own, unless an odd one of the same number has that. */
static struct report_ioctl *find_ioctl(struct report_process *s, unsigned int cmd, bool device)
{
	struct report_ioctl *others = &s->ioctls[report_index(0, device)];
	struct report_ioctl *op = &s->ioctls[report_index(cmd, device)];
	uint32_t none = 0;

	if (likely(__atomic_load_n(&op->cmd, __ATOMIC_RELAXED) == cmd) ||
	    __atomic_compare_exchange_n(&op->cmd, &none, cmd, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		return op;
	none = 0;
	if (__atomic_load_n(&others->cmd, __ATOMIC_RELAXED) != cmd &&
	    !__atomic_compare_exchange_n(&others->cmd, &none, cmd, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		__atomic_store_n(&others->cmd, REPORT_VARIOUS, __ATOMIC_RELAXED);
	return others;
}

void account_count(struct report_process *s, unsigned int cmd, bool device, long ret,
		   uint64_t ticks)
{
	struct report_ioctl *op = find_ioctl(s, cmd, device);

	__atomic_fetch_add(&op->calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&op->ticks, ticks, __ATOMIC_RELAXED);
	if (unlikely(ret < 0)) {
		__atomic_fetch_add(&op->failed, 1, __ATOMIC_RELAXED);
		count_error(s, cmd, device, (int)-ret);
	}
}

void account_memlock(struct file *file)
{
	struct mem_cgroup *before = iommufd_lock(file->ctx);
	struct iommufd_memlock now = file->ctx->memlock;
	struct report_process *s = file->slot;
	uint64_t seen;

	iommufd_unlock(file->ctx, before);
	seen = __atomic_exchange_n(&file->memlock_seen, now.reached, __ATOMIC_RELAXED);

	if (!s || now.reached <= seen)
		return;
	s->memlock = now.limit;
	__atomic_fetch_add(&s->memlock_reached, now.reached - seen, __ATOMIC_RELAXED);
}

void account_trace_failed(int error)
{
	int32_t none = 0;

	atomic_compare_exchange_strong(&report->trace_error, &none, error);
}

void account_munmap(struct report_process *s, const struct report_munmap *event)
{
	spin_lock(&s->lock);
	if (s->nr_munmaps < REPORT_MUNMAPS)
		s->munmaps[s->nr_munmaps] = *event;
	s->nr_munmaps++;
	spin_unlock(&s->lock);
}

/* ---- domains ---- */

struct look {
	struct file *file;
	struct report_process *slot;
	bool objects; /* list what is alive */
};

static struct report_domain *find_domain(struct look *look, const struct iommufd_object_info *info)
{
	struct report_process *s = look->slot;
	struct report_domain *d;

	/* The latest is the likeliest. */
	for (uint32_t i = s->nr_domains; i-- > 0;) {
		d = &s->domains[i];
		if (d->alive && d->file == look->file->number && d->hwpt == info->id)
			return d;
	}
	if (s->nr_domains == REPORT_DOMAINS)
		return NULL;
	d = &s->domains[s->nr_domains++];
	*d = (struct report_domain){
		.file = look->file->number,
		.hwpt = info->id,
		.created_cmd = info->created_cmd,
		.nested = info->type == IOMMUFD_OBJ_HWPT_NESTED,
		.alive = 1,
	};
	return d;
}

static void look_at_domain(struct look *look, const struct iommufd_object_info *info)
{
	struct report_domain *d = find_domain(look, info);
	struct iommu_domain_info domain;

	if (!d) {
		look->slot->domains_lost = 1;
		return;
	}
	d->ioas = info->ioas_id;
	d->alive = 2;
	if (d->nested || !info->domain)
		return;
	iommu_domain_get_info(info->domain, &domain);
	snprintf(d->format, sizeof(d->format), "%s", domain.format ? domain.format : "");
	d->width = domain.address_width;
	d->now = (struct report_usage){
		.bytes = domain.table_bytes,
		.areas = info->nr_areas,
		.mapped = info->mapped_bytes,
	};
	for (unsigned int i = 0; i < REPORT_LEVELS; i++)
		d->now.tables[i] = domain.tables[i];
	if (d->now.bytes > d->peak.bytes ||
	    (d->now.bytes == d->peak.bytes && d->now.mapped >= d->peak.mapped))
		d->peak = d->now;
}

static void look_at_object(void *arg, const struct iommufd_object_info *info)
{
	struct look *look = arg;
	struct report_process *s = look->slot;

	if (info->type == IOMMUFD_OBJ_HWPT_PAGING || info->type == IOMMUFD_OBJ_HWPT_NESTED)
		look_at_domain(look, info);
	if (!look->objects)
		return;
	if (s->nr_objects < REPORT_OBJECTS)
		s->objects[s->nr_objects] = (struct report_object){look->file->number, info->id,
								   info->type, info->created_cmd};
	s->nr_objects++;
}

/* Domains that were not seen any more are gone: what they hold now is nothing. */
static void end_domains(struct report_process *s, unsigned int file)
{
	for (uint32_t i = 0; i < s->nr_domains; i++) {
		struct report_domain *d = &s->domains[i];

		if (d->file != file || !d->alive)
			continue;
		d->alive--;
		if (!d->alive)
			memset(&d->now, 0, sizeof(d->now));
	}
}

static uint64_t memcg_number(struct mem_cgroup *cgroup, const char *file, const char *key)
{
	char text[256];
	const char *at = text;

	if (!cgroup || mem_cgroup_read(cgroup, file, text, sizeof(text)) < 0)
		return 0;
	if (key)
		at = strstr(text, key);
	if (!at)
		return 0;
	at += key ? strlen(key) : 0;
	return strncmp(at, "max", 3) ? strtoull(at, NULL, 10) : UINT64_MAX;
}

/* Under the lock: a reader who sees an odd number, or another one, reads again. */
static void begin_lists(struct report_process *s)
{
	spin_lock(&s->lock);
	atomic_fetch_add_explicit(&s->sequence, 1, memory_order_acq_rel);
}

static void end_lists(struct report_process *s)
{
	atomic_fetch_add_explicit(&s->sequence, 1, memory_order_release);
	spin_unlock(&s->lock);
}

/* What a process has is its own cgroup's, the limits are those of the run. */
static void look_at_memcg(struct report_process *s, const struct process *process)
{
	begin_lists(s);
	note_clock(&s->last);
	s->memory_max = memcg_number(run_cgroup, "memory.max", NULL);
	s->memory_high = memcg_number(run_cgroup, "memory.high", NULL);
	s->current = memcg_number(process->cgroup, "memory.current", NULL);
	s->peak = memcg_number(process->cgroup, "memory.peak", NULL);
	s->events_max = memcg_number(run_cgroup, "memory.events", "\nmax ");
	s->events_high = memcg_number(run_cgroup, "memory.events", "high ");
	end_lists(s);
}

static uint64_t calls_of(const struct report_process *s)
{
	uint64_t calls = 0;

	for (unsigned int i = 0; i < REPORT_IOCTLS; i++)
		calls += __atomic_load_n(&s->ioctls[i].calls, __ATOMIC_RELAXED);
	return calls;
}

static void look_at_context(struct file *file, bool objects)
{
	struct look look = {file, file->slot, objects};
	/* First, since a call may hold it for long. */
	struct mem_cgroup *before = iommufd_lock(file->ctx);

	atomic_store_explicit(&file->grown, false, memory_order_relaxed);
	begin_lists(look.slot);
	iommufd_for_each_object(file->ctx, look_at_object, &look);
	snprintf(look.slot->phys, sizeof(look.slot->phys), "%s", iommufd_phys_name(file->ctx));
	end_domains(look.slot, file->number);
	look.slot->looked = calls_of(look.slot);
	end_lists(look.slot);
	iommufd_unlock(file->ctx, before);
}

/* Of the processor: that others had it meanwhile makes a look no dearer. */
static uint64_t processor_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t ns_to_ticks(struct report_process *s, uint64_t ns)
{
	uint64_t ticks, time;

	spin_lock(&s->lock);
	ticks = s->last.ticks - s->first.ticks;
	time = s->last.ns - s->first.ns;
	spin_unlock(&s->lock);
	return time ? (uint64_t)((double)ns * (double)ticks / (double)time) : ns;
}

/* What was not used up in quiet times is good for a while: then nothing goes unseen. */
static void put_off_look(uint64_t now, uint64_t cost)
{
	uint64_t next = MIN(atomic_load(&next_look), now);

	if (now > SAVED_TICKS)
		next = MAX(next, now - SAVED_TICKS);
	atomic_store(&next_look, next + cost * SHARE_OF_TIME);
}

void account_context(struct file *file)
{
	uint64_t start, began, cost;

	if (!file->slot)
		return;
	start = account_now();
	began = processor_ns();
	look_at_context(file, false);
	look_at_memcg(file->slot, file->opener);
	cost = processor_ns() - began;
	atomic_store(&look_cost, cost);
	put_off_look(start, ns_to_ticks(file->slot, cost));
}

void account_if_cheap(struct file *file)
{
	if (atomic_load(&look_cost) <= COSTLY_NS || account_now() >= atomic_load(&next_look))
		account_context(file);
}

void account_sometimes(struct file *file, uint64_t now)
{
	if (now >= atomic_load_explicit(&next_look, memory_order_relaxed))
		account_context(file);
}

void account_close(struct file *file)
{
	struct report_process *s = file->slot;

	if (!s || atomic_load(&file->described))
		return;
	look_at_context(file, false);
	begin_lists(s);
	for (uint32_t i = 0; i < s->nr_domains; i++)
		if (s->domains[i].file == file->number) {
			s->domains[i].alive = 0;
			memset(&s->domains[i].now, 0, sizeof(s->domains[i].now));
		}
	end_lists(s);
	__atomic_fetch_sub(&s->files_open, 1, __ATOMIC_RELAXED);
}

void account_closed(const struct file *file)
{
	if (file->slot && !atomic_load(&file->described))
		look_at_memcg(file->slot, file->opener);
}

/* ---- the end ---- */

struct open_files {
	const struct process *opener;
	unsigned int nr, room;
	struct file **file;
};

/* Looking takes locks that may not be taken under that of the files. */
static void collect(struct file *file, void *arg)
{
	struct open_files *open = arg;

	if (file->opener != open->opener || !file->slot)
		return;
	if (open->nr == open->room) {
		unsigned int room = open->room ? open->room * 2 : 16;
		struct file **more = realloc(open->file, room * sizeof(*more));

		if (!more)
			return;
		open->file = more;
		open->room = room;
	}
	if (file_hold_live(file))
		open->file[open->nr++] = file;
}

/* Which of them the process has a descriptor of, or of a device that keeps it. */
static void find_held(pid_t pid)
{
	const struct dirent *entry;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) != NULL) {
		struct file *file =
			entry->d_name[0] == '.' ? NULL : file_get(pid, atoi(entry->d_name));
		struct file *context = file ? device_context(file) : NULL;

		if (context) {
			atomic_store(&context->held, true);
			file_put(context);
		}
		if (file)
			file_put(file);
	}
	if (dir)
		closedir(dir);
}

/* What others keep open goes on. */
static void describe(struct file *file, bool killed)
{
	memory_check(file);
	if (!killed && !atomic_exchange(&file->held, false))
		return;
	look_at_context(file, true);
	atomic_store(&file->described, true);
}

static int by_number(const void *a, const void *b)
{
	const struct file *x = *(struct file *const *)a, *y = *(struct file *const *)b;

	return (x->number > y->number) - (x->number < y->number);
}

/* One that seemed to be killed has ended by itself, without exit_group(). */
static void correct_state(struct process *process, struct report_process *slot)
{
	int status = atomic_load(&process->status);

	if (!status || atomic_load(&slot->state) != REPORT_KILLED)
		return;
	begin_lists(slot);
	slot->status = status - 1;
	end_lists(slot);
	atomic_store(&slot->state, REPORT_EXITED);
}

void account_exit(struct process *process, enum report_state state, int status)
{
	struct open_files open = {.opener = process};
	struct report_process *slot = atomic_load(&process->slot_taken) ? process->slot : NULL;

	if (!slot)
		return;
	/* The end may be noticed by several threads at once. */
	pthread_mutex_lock(&process->exit_lock);
	if (atomic_load(&slot->state) != REPORT_RUNNING) {
		correct_state(process, slot);
		pthread_mutex_unlock(&process->exit_lock);
		return;
	}
	begin_lists(slot);
	slot->nr_objects = 0;
	slot->status = status;
	slot->fail_hit = options->fail_nth && fail_was_hit();
	end_lists(slot);
	contexts_for_each(collect, &open);
	if (open.nr) {
		qsort(open.file, open.nr, sizeof(*open.file), by_number);
		find_held(process->pid);
	}
	for (unsigned int i = 0; i < open.nr; i++)
		describe(open.file[i], state == REPORT_KILLED);
	look_at_memcg(slot, process);
	atomic_store(&slot->state, state);
	correct_state(process, slot);
	pthread_mutex_unlock(&process->exit_lock);
	for (unsigned int i = 0; i < open.nr; i++)
		file_put(open.file[i]);
	free(open.file);
}
