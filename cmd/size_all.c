/* SPDX-License-Identifier: MIT */
/* uiommu size --iommu all: the formats compared, and notes that belong to every answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/size.h"

/* Columns of amounts: for mappings the kinds of tables, for guests the cases. */
struct column {
	const char *head;
	uint64_t (*bytes)(const struct answer *answer);
};

static uint64_t top_bytes(const struct answer *answer)
{
	return answer->total.top_bytes;
}

static uint64_t table_bytes(const struct answer *answer)
{
	return answer->total.table_bytes;
}

static uint64_t total_bytes(const struct answer *answer)
{
	return answer->total.total_bytes;
}

static uint64_t shared_bytes(const struct answer *answer)
{
	return answer->shared.now.total.total_bytes;
}

static uint64_t shared_full_bytes(const struct answer *answer)
{
	return answer->shared.full.total.total_bytes;
}

static uint64_t each_bytes(const struct answer *answer)
{
	return answer->each.now.total.total_bytes;
}

static uint64_t each_full_bytes(const struct answer *answer)
{
	return answer->each.full.total.total_bytes;
}

#define MAX_COLUMNS 4

static size_t choose_columns(const struct request *request, struct column *columns)
{
	const struct guest *guest = &request->guest;
	bool full = guest->max_ram > guest->ram;
	size_t nr = 0;

	if (!guest->option) {
		columns[nr++] = (struct column){"with domains", top_bytes};
		columns[nr++] = (struct column){"by mapping", table_bytes};
		columns[nr++] = (struct column){"total", total_bytes};
		return nr;
	}
	columns[nr++] = (struct column){request->described ? "now" : "shared", shared_bytes};
	if (full)
		columns[nr++] = (struct column){"all plugged", shared_full_bytes};
	if (request->described)
		return nr;
	columns[nr++] = (struct column){"per device", each_bytes};
	if (full)
		columns[nr++] = (struct column){"all plugged", each_full_bytes};
	return nr;
}

static void print_row(const struct answer *answer, const struct column *columns, size_t nr)
{
	char text[BYTES_TEXT];
	unsigned int width =
		answer->why ? answer->format->width_default : answer->total.one.address_width;

	printf("  %-14s %6u %5s", answer->format->name, width,
	       exact_bytes(answer->format->granule, text));
	for (size_t i = 0; i < nr; i++)
		if (answer->why)
			printf(" %13s", "-");
		else
			printf(" %13s", format_bytes(columns[i].bytes(answer), text));
	putchar('\n');
}

/* Why formats have no answer: each reason once. */
static void print_reasons(const struct request *request, const struct answer *answers)
{
	for (size_t i = 0; i < request->nr_formats; i++) {
		size_t said = 0;

		while (said < i && (!answers[i].why || !answers[said].why ||
				    strcmp(answers[i].why, answers[said].why)))
			said++;
		if (answers[i].why && said == i)
			printf("  -: %s\n", answers[i].why);
	}
}

static void print_limits(const char *what, const struct need *need)
{
	char pinned[BYTES_TEXT], memlock[BYTES_TEXT];

	printf("%s: pinned memory %s, memlock limit %s\n", what, format_bytes(need->pinned, pinned),
	       format_bytes(need->memlock, memlock));
}

/* The pinned memory depends only on the smallest page, and hardly on that. */
static void print_guest_limits(const struct request *request, const struct answer *answers)
{
	const struct answer *answer = answers;

	while (answer < answers + request->nr_formats && answer->why)
		answer++;
	if (answer == answers + request->nr_formats)
		return;
	print_limits(request->described ? "now" : "shared", &answer->shared.now);
	if (!request->described)
		print_limits("per device", &answer->each.now);
	if (request->guest.max_ram == request->guest.ram)
		return;
	print_limits("all plugged", &answer->shared.full);
	if (!request->described)
		print_limits("all plugged, per device", &answer->each.full);
}

#define COLUMNS 80

/* Words of @text in lines of at most COLUMNS, those after the first indented. */
static void print_wrapped(const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t length = strcspn(text, " ");

		if (column && column + 1 + length > COLUMNS) {
			printf("\n ");
			column = 1;
		}
		printf("%s%.*s", column ? " " : "", (int)length, text);
		column += length + (column != 0);
		text += length + (text[length] == ' ');
	}
	putchar('\n');
}

/* A line on BARs, and what was not read. */
void size_print_notes(const struct request *request)
{
	const struct guest *guest = &request->guest;
	char *note;

	if (!guest->option)
		return;
	if (request->maps.nr || guest->nr_devices)
		print_wrapped("BARs: --map adds their tables; no memlock limit counts them: type1 "
			      "maps them, iommufd does from Linux 6.19 on (as dma-buf) and fails "
			      "before");
	for (size_t i = 0; i < guest->nr_notes; i++) {
		if (asprintf(&note, "note: %s", guest->notes[i]) < 0)
			out_of_memory();
		print_wrapped(note);
		free(note);
	}
}

void size_print_all(const struct request *request, const struct answer *answers)
{
	struct column columns[MAX_COLUMNS];
	size_t nr = choose_columns(request, columns);

	printf("Tables             bits  page");
	for (size_t i = 0; i < nr; i++)
		printf(" %13s", columns[i].head);
	putchar('\n');
	for (size_t i = 0; i < request->nr_formats; i++)
		print_row(&answers[i], columns, nr);
	print_reasons(request, answers);
	if (request->guest.option)
		print_guest_limits(request, answers);
	size_print_notes(request);
}
