/* SPDX-License-Identifier: MIT */
/*
 * The timeline as a plot, drawn by gnuplot: above, what is mapped; below, over the same
 * time, the tables for it, live and as a kernel that never frees one would hold them.
 */
#include "cmd/plot.h"
#include "cmd/replay.h"

#define MAPPED_COLOR   "#3b7dbd"
#define TABLES_COLOR   "#2e9e6b"
#define STRANDED_COLOR "#d1495b"
#define BUDGET_COLOR   "#555555"
#define COLUMNS        1200

/* The unit for an axis that goes up to @most bytes. */
struct unit {
	const char *name;
	double bytes;
};

static struct unit choose_unit(uint64_t most)
{
	static const struct unit units[] = {
		{"KiB", 1024.0},
		{"MiB", 1048576.0},
		{"GiB", 1073741824.0},
		{"TiB", 1099511627776.0},
	};
	size_t i = 0;

	while (i < 3 && (double)most >= 2 * units[i + 1].bytes)
		i++;
	return units[i];
}

/* The events within the width of a column, which is about a pixel. */
struct column {
	uint64_t mapped_least;
	uint64_t mapped_most;
	uint64_t tables_least;
	uint64_t tables_most;
	uint64_t held; /* if no table were freed */
};

static void add_to_column(struct column *column, const struct timeline_row *row)
{
	uint64_t held = row->table_bytes + row->stranded_bytes;

	if (row->mapped_bytes < column->mapped_least)
		column->mapped_least = row->mapped_bytes;
	if (row->mapped_bytes > column->mapped_most)
		column->mapped_most = row->mapped_bytes;
	if (row->table_bytes < column->tables_least)
		column->tables_least = row->table_bytes;
	if (row->table_bytes > column->tables_most)
		column->tables_most = row->table_bytes;
	if (held > column->held)
		column->held = held;
}

/* The state since @row, until the next event. */
static struct column column_of(const struct timeline_row *row)
{
	struct column column = {row->mapped_bytes, row->mapped_bytes, row->table_bytes,
				row->table_bytes, 0};

	add_to_column(&column, row);
	return column;
}

/* The horizontal axis: the time or, without time stamps, the events. */
struct axis {
	uint64_t first, span;
	double unit; /* of what the axis shows */
	const char *label;
};

static struct axis choose_axis(const struct replay_report *report)
{
	uint64_t span = report->time_last - report->time_first;

	if (report->clock == REPLAY_CLOCK_NS)
		return (struct axis){report->time_first, span, 1e9,
				     "seconds since the first event"};
	if (report->clock == REPLAY_CLOCK_TICKS)
		return (struct axis){
			report->time_first, span, 1,
			"ticks since the first event, of a clock whose unit is not known"};
	return (struct axis){1, report->maps + report->unmaps - 1, 1, "events since the first"};
}

static size_t column_index(const struct replay_report *report, const struct timeline_row *row)
{
	struct axis axis = choose_axis(report);
	bool timed = report->clock == REPLAY_CLOCK_NS || report->clock == REPLAY_CLOCK_TICKS;
	uint64_t at = timed ? row->time : row->event;

	if (at <= axis.first || axis.span == 0)
		return 0;
	return (size_t)((double)(at - axis.first) / (double)axis.span * (COLUMNS - 1));
}

static void print_data(FILE *pipe, const struct replay_report *report,
		       const struct timeline_row *rows, size_t nr)
{
	struct axis axis = choose_axis(report);
	double step = (double)axis.span / axis.unit / (COLUMNS - 1);
	struct timeline_row last = {0};
	size_t next = 0;

	fputs("$columns << END\n", pipe);
	for (size_t i = 0; i < COLUMNS; i++) {
		struct column column = column_of(&last);

		for (; next < nr && column_index(report, &rows[next]) <= i; next++) {
			last = rows[next];
			add_to_column(&column, &last);
		}
		fprintf(pipe, "%.9f %llu %llu %llu %llu %llu\n", (double)i * step,
			(unsigned long long)column.mapped_least,
			(unsigned long long)column.mapped_most,
			(unsigned long long)column.tables_least,
			(unsigned long long)column.tables_most, (unsigned long long)column.held);
	}
	fputs("END\n", pipe);
}

static void print_frame(FILE *pipe, const struct replay_args *args,
			const struct replay_report *report)
{
	struct axis axis = choose_axis(report);
	double span = (double)axis.span / axis.unit;

	fprintf(pipe,
		"set multiplot\n"
		"set border 3 linecolor '#888888'\n"
		"set tics nomirror out textcolor '#333333'\n"
		"set grid ytics xtics linecolor '#e4e4e4' linetype 1 linewidth 0.6\n"
		"set lmargin at screen 0.085\nset rmargin at screen 0.975\n"
		"set xrange [0:%.9f]\n"
		"set key maxrows 1 reverse Left samplen 2 width -2 textcolor '#333333'\n",
		span > 0 ? span : 1.0);
	fputs("set label 1 ", pipe);
	plot_quoted(pipe, plot_base_name(args->trace_name), PLOT_NAME_SHOWN);
	fputs(" at screen 0.02,0.955 left noenhanced font ',20' textcolor '#222222'\n", pipe);
	fprintf(pipe,
		"set label 2 '%llu events, %u domain%s, replayed on %s with %u bits' at screen "
		"0.02,0.91 left noenhanced textcolor '#666666'\n",
		(unsigned long long)(report->maps + report->unmaps), report->domains,
		report->domains == 1 ? "" : "s", report->format->name, report->address_width);
}

/* Fill an area up to the maximum of each column, and darker up to its minimum. */
static void print_area(FILE *pipe, unsigned int least, struct unit unit, const char *color,
		       const char *title)
{
	fprintf(pipe,
		"plot $columns using 1:($%u/%.1f) with filledcurves y1=0 fillstyle solid 0.30 "
		"noborder linecolor '%s' notitle, "
		"'' using 1:($%u/%.1f) with filledcurves y1=0 fillstyle solid 0.35 noborder "
		"linecolor '%s' notitle, "
		"'' using 1:($%u/%.1f) with lines linewidth 1.4 linecolor '%s' title '%s'",
		least + 1, unit.bytes, color, least, unit.bytes, color, least + 1, unit.bytes,
		color, title);
}

static void print_mapped(FILE *pipe, const struct replay_report *report)
{
	uint64_t most = report->mapped_peak ? report->mapped_peak : 1;
	struct unit unit = choose_unit(most);

	fprintf(pipe,
		"set tmargin at screen 0.81\nset bmargin at screen 0.53\n"
		"set key at screen 0.075,0.865 left top\n"
		"set format x ''\nset ylabel '%s' offset 1,0 textcolor '#333333'\n"
		"set yrange [0:%.6f]\n",
		unit.name, (double)most / unit.bytes * 1.06);
	print_area(pipe, 2, unit, MAPPED_COLOR, "mapped for devices");
	fputs("\nunset label 1\nunset label 2\n", pipe);
}

static void print_tables(FILE *pipe, const struct replay_args *args,
			 const struct replay_report *report)
{
	uint64_t most = report->never_freed.bytes ? report->never_freed.bytes : 1;
	/* A budget far above the maximum would flatten the curves. */
	bool budget = args->memory_max <= 2 * most;
	struct unit unit = choose_unit(most);

	if (budget && args->memory_max > most)
		most = args->memory_max;
	fprintf(pipe,
		"set tmargin at screen 0.42\nset bmargin at screen 0.115\n"
		"set key at screen 0.075,0.475 left top\n"
		"set format x '%%g'\n"
		"set xlabel '%s' textcolor '#333333'\n"
		"set ylabel '%s' offset 1,0 textcolor '#333333'\nset yrange [0:%.6f]\n",
		choose_axis(report).label, unit.name, (double)most / unit.bytes * 1.08);
	print_area(pipe, 4, unit, TABLES_COLOR, "I/O page tables");
	fprintf(pipe,
		", '' using 1:($6/%.1f) with lines linewidth 2.2 linecolor '" STRANDED_COLOR
		"' title 'if empty tables were never freed'",
		unit.bytes);
	if (budget)
		fprintf(pipe,
			", %.6f with lines dashtype 2 linewidth 1.5 linecolor '" BUDGET_COLOR
			"' title 'budget'",
			(double)args->memory_max / unit.bytes);
	fputs("\nunset multiplot\n", pipe);
}

int replay_plot(struct output *output, const struct replay_args *args,
		const struct replay_report *report, const struct timeline_row *rows, size_t nr)
{
	struct plot plot;
	FILE *pipe = plot_open(&plot, output, args->plot);

	print_data(pipe, report, rows, nr);
	print_frame(pipe, args, report);
	print_mapped(pipe, report);
	print_tables(pipe, args, report);
	return plot_close(&plot);
}
