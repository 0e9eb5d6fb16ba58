/* SPDX-License-Identifier: MIT */
/*
 * Events that name their domain, so that nothing is inferred. The events of the DMA API
 * name the device. It has a domain of its own, as in Linux unless it shares a group,
 * and the whole pages around what was asked for are mapped. In the kernels of some
 * vendors the events of the IOMMU name the device or the domain.
 */
#include <errno.h>
#include <string.h>

#include "plat/compiler.h"
#include "trace/dma_line.h"
#include "trace/replay_one.h"

/* The number of the device or domain of an event; -ENOSPC, -ENOMEM. */
static int find_device(struct replay *replay, const struct trace_event *event)
{
	int index = devices_find(replay->devices, event->device, event->device_length);
	struct replay_device *device;

	if (index >= 0)
		return index;
	index = domains_open(replay->domains);
	if (index < 0)
		return index;
	device = &replay->report->device[index];
	memcpy(device->name, event->device, MIN(event->device_length, sizeof(device->name) - 1));
	if (devices_add(replay->devices, event->device, event->device_length, (unsigned int)index))
		return -ENOMEM;
	return index;
}

/* Map one range. Returns 0, 1 when it is in the domain now, or -ENOMEM. */
static int map_range(struct replay *replay, unsigned int index, const struct trace_event *event)
{
	struct run *run;
	int rc = domains_map_in(replay->domains, index, event, replay->at.event, &run);

	if (rc == -EBUSY) {
		replay_fail(replay, event, "map", FAILED_MAPPED);
		return 0;
	}
	if (!rc)
		rc = replay_map_run(replay, index, event, run);
	return rc ? rc : 1;
}

static int map_pieces(struct replay *replay, unsigned int index, const struct trace_event *event)
{
	struct mapped_list list = {.first = UINT64_MAX, .event = replay->at.event};
	struct trace_event piece = *event;
	struct trace_pieces pieces;
	int rc;

	trace_pieces_begin(&pieces, event);
	while (trace_pieces_next(&pieces, &piece)) {
		rc = map_range(replay, index, &piece);
		if (rc < 0)
			return rc;
		if (!rc)
			continue;
		list.first = MIN(list.first, piece.iova);
		list.last = MAX(list.last, piece.iova + (piece.size - 1));
	}
	/* dma_free_sgt, which ends the other kind of list, has the range. */
	if (list.first > list.last || !event->dma.dma_addrs.nr)
		return 0;
	return devices_add_list(replay->devices, index, trace_list_key(&event->dma.phys_addrs),
				&list);
}

static int dma_map(struct replay *replay, unsigned int index, const struct trace_event *event)
{
	struct replay_report *report = replay->report;
	int rc;

	report->device[index].maps++;
	report->maps++;
	report->truncated += event->dma.truncated;
	if (event->dma.direct) {
		report->direct++;
		report->device[index].direct++;
		return 0;
	}
	if (event->dma.lists)
		return map_pieces(replay, index, event);
	rc = map_range(replay, index, event);
	return MIN(rc, 0);
}

/* Unmap the runs of a list; runs that adjoin by one call. */
static int unmap_list(struct replay *replay, unsigned int index, const struct mapped_list *list)
{
	struct runs *runs = domains_runs(replay->domains, index);
	uint64_t from = list->first;
	struct run_place place;
	const struct run *run;

	while ((run = runs_find_first(runs, from, list->last, &place)) != NULL) {
		struct trace_event event = {.iova = run->start};
		struct domain_match match = {.domain = index};
		uint64_t last = run->last;
		bool own = run->event == list->event;

		while ((run = runs_next(runs, &place)) != NULL && run->start - 1 == last &&
		       run->last <= list->last && (run->event == list->event) == own)
			last = run->last;
		event.size = last + 1 - event.iova;
		if (own && replay_unmap_match(replay, &match, &event))
			return -ENOMEM;
		if (last >= list->last)
			break;
		from = last + 1;
	}
	return 0;
}

static int dma_unmap(struct replay *replay, unsigned int index, const struct trace_event *event)
{
	struct replay_report *report = replay->report;
	struct replay_device *device = &report->device[index];
	struct mapped_list list;
	struct domain_match match;

	report->unmaps++;
	device->unmaps++;
	if (event->dma.lists) {
		if (devices_take_list(replay->devices, index,
				      trace_list_key(&event->dma.phys_addrs), &list))
			return unmap_list(replay, index, &list);
	} else if (!domains_match_in(replay->domains, index, event, &match)) {
		return replay_unmap_match(replay, &match, event);
	}
	/* Memory that was given by its physical address is not mapped. */
	if (device->direct) {
		report->direct++;
		device->direct++;
	} else {
		report->unmatched++;
	}
	return 0;
}

int replay_named(struct replay *replay, enum trace_kind kind, const struct trace_event *event)
{
	bool map = kind == TRACE_MAP || kind == TRACE_DMA_MAP;
	struct replay_device *device;
	int rc, index = find_device(replay, event);

	if (index == -ENOSPC) {
		*(map ? &replay->report->maps : &replay->report->unmaps) += 1;
		replay_fail(replay, event, "event", FAILED_DOMAINS);
		return 0;
	}
	if (index < 0)
		return index;
	device = &replay->report->device[index];
	rc = map ? dma_map(replay, (unsigned int)index, event)
		 : dma_unmap(replay, (unsigned int)index, event);
	device->table_peak = MAX(device->table_peak, replay->engine.domain[index].count.bytes);
	return rc;
}

/* What is mapped of the runs that were not refused. */
static uint64_t mapped_bytes(const struct runs *runs)
{
	struct run_place place;
	uint64_t bytes = 0;

	for (const struct run *run = runs_find_first(runs, 0, UINT64_MAX, &place); run;
	     run = runs_next(runs, &place))
		bytes += run->refused ? 0 : run->last - run->start + 1;
	return bytes;
}

void replay_finish_devices(struct replay *replay)
{
	if (!replay->report->named)
		return;
	for (unsigned int i = 0; i < domains_count(replay->domains); i++) {
		struct replay_device *device = &replay->report->device[i];

		device->table_bytes = replay->engine.domain[i].count.bytes;
		device->mapped_bytes = mapped_bytes(domains_runs(replay->domains, i));
	}
}
