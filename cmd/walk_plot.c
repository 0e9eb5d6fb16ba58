/* SPDX-License-Identifier: MIT */
/*
 * uiommu walk: the address space as a plot. Above, a lane for each size of page, as
 * high as the part of the addresses that such pages map; below, the size of the tables
 * for it.
 */
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/plot.h"
#include "cmd/walk_columns.h"

#define TABLES_COLOR "#555555"
#define LEAST_SHOWN  0.12 /* of a lane, for the first page */
#define LANE         0.86 /* of its height, where all is mapped */

/* The lanes of a plot, from the smallest page up. */
struct lanes {
	unsigned int lg2[LEAF_SIZES];
	unsigned int nr;
};

static struct lanes find_lanes(const struct walk_list *list)
{
	struct lanes lanes = {.nr = 0};

	for (unsigned int lg2 = 0; lg2 < LEAF_SIZES; lg2++)
		if (list->leaves[lg2])
			lanes.lg2[lanes.nr++] = lg2;
	return lanes;
}

/* The same color for a size in every plot: from red at 4K over yellow and blue to green. */
static unsigned int lane_color(unsigned int lg2)
{
	static const struct {
		unsigned int lg2, color;
	} stops[] = {{12, 0xd1495b}, {16, 0xe0a030}, {21, 0x3b7dbd}, {30, 0x2e9e6b}};
	unsigned int above = 1, mixed = 0;
	double part;

	if (lg2 >= 30)
		return stops[3].color;
	while (lg2 >= stops[above].lg2)
		above++;
	part = (double)(lg2 - stops[above - 1].lg2) / (stops[above].lg2 - stops[above - 1].lg2);
	for (unsigned int shift = 0; shift < 24; shift += 8) {
		double a = stops[above - 1].color >> shift & 0xff;
		double b = stops[above].color >> shift & 0xff;

		mixed |= (unsigned int)(a + (b - a) * part) << shift;
	}
	return mixed;
}

/* The x coordinate of column @c of a region. There are gaps between regions. */
static double x_of(const struct walk_columns *columns, const struct walk_region *region,
		   unsigned int c)
{
	return region->column + c + 12.0 * (double)(region - columns->regions);
}

/* The part of a column's addresses that such pages map. */
static double part_mapped(const struct walk_columns *columns, const struct walk_region *region,
			  unsigned int c, unsigned int lg2)
{
	double mapped = (double)columns->columns[region->column + c].mapped[lg2];
	double part = mapped / walk_column_bytes(region);

	return part < 1 ? part : 1;
}

static bool alike(double a, double b)
{
	return a > b * 0.99 && a < b * 1.01;
}

/* Print one box for neighbours that look the same. */
static void print_lane(FILE *pipe, const struct walk_columns *columns, const struct lanes *lanes,
		       unsigned int lane)
{
	unsigned int lg2 = lanes->lg2[lane];

	fprintf(pipe, "$lane%u << END\n", lane);
	for (unsigned int i = 0; i < columns->nr; i++) {
		const struct walk_region *region = &columns->regions[i];
		unsigned int next;

		for (unsigned int c = 0; c < region->columns; c = next) {
			double part = part_mapped(columns, region, c, lg2);

			next = c + 1;
			while (next < region->columns &&
			       alike(part_mapped(columns, region, next, lg2), part))
				next++;
			if (part > 0)
				fprintf(pipe, "%.1f %.1f %.1f %.6g\n", x_of(columns, region, c),
					x_of(columns, region, next), (double)lane, part);
		}
	}
	fputs("END\n", pipe);
}

/* Tables in percent of what is mapped; 0 where nothing is. */
static double density(const struct walk_columns *columns, const struct walk_region *region,
		      unsigned int c)
{
	const struct walk_column *column = &columns->columns[region->column + c];
	double mapped = 0;

	for (unsigned int lg2 = 0; lg2 < LEAF_SIZES; lg2++)
		mapped += (double)column->mapped[lg2];
	return mapped > 0 ? 100 * column->tables / mapped : 0;
}

static void print_tables(FILE *pipe, const struct walk_columns *columns)
{
	fputs("$tables << END\n", pipe);
	for (unsigned int i = 0; i < columns->nr; i++) {
		const struct walk_region *region = &columns->regions[i];
		unsigned int next;

		for (unsigned int c = 0; c < region->columns; c = next) {
			double here = density(columns, region, c);

			next = c + 1;
			while (next < region->columns &&
			       alike(density(columns, region, next), here))
				next++;
			if (here > 0)
				fprintf(pipe, "%.1f %.1f %.6g\n", x_of(columns, region, c),
					x_of(columns, region, next), here);
		}
	}
	fputs("END\n", pipe);
}

static void print_frame(FILE *pipe, const struct walk *walk, const struct walk_columns *columns,
			const struct walk_list *list)
{
	double end = columns->nr_columns + 12.0 * (columns->nr ? columns->nr - 1 : 0);
	char mapped[BYTES_TEXT], bytes[BYTES_TEXT];
	uint64_t tables = 0;

	for (unsigned int level = 0; level < walk->layout.levels; level++)
		tables += walk_level_bytes(list, walk, level);
	fprintf(pipe,
		"set multiplot\nset border 0\nunset key\n"
		"set tics nomirror scale 0 textcolor '#333333'\n"
		"set lmargin at screen 0.08\nset rmargin at screen 0.975\n"
		"set xrange [0:%.1f]\nset label 1 ",
		end > 0 ? end : 1.0);
	plot_quoted(pipe, plot_base_name(walk->image.name), PLOT_NAME_SHOWN);
	fputs(" at screen 0.02,0.955 left noenhanced font ',20' textcolor '#222222'\n", pipe);
	fprintf(pipe,
		"set label 2 '%s with %u bits: %s mapped by %s of tables%s' at screen 0.02,0.905 "
		"left noenhanced textcolor '#666666'\n",
		walk->tables.format->name, walk->layout.address_width,
		format_bytes(list->mapped, mapped), format_bytes(tables, bytes),
		columns->nr > 1 ? "; large gaps are left out" : "");
}

/* A grey background for each region, with its start below the last panel. */
static void print_regions(FILE *pipe, const struct walk_columns *columns, bool named)
{
	char bytes[BYTES_TEXT];

	for (unsigned int i = 0; i < columns->nr; i++) {
		const struct walk_region *region = &columns->regions[i];
		double from = x_of(columns, region, 0);

		fprintf(pipe,
			"set object %u rectangle from first %.1f, graph 0 to first %.1f, graph 1 "
			"behind fillcolor '#f2f2f2' fillstyle solid noborder\n",
			i + 1, from, x_of(columns, region, region->columns));
		if (named)
			fprintf(pipe,
				"set label %u \"0x%llx\\n%s\" at first %.1f, graph -0.07 left "
				"noenhanced font ',12' textcolor '#333333'\n",
				i + 10, (unsigned long long)region->first,
				format_bytes(region->last - region->first + 1, bytes), from);
	}
}

static void print_lanes_panel(FILE *pipe, const struct walk_columns *columns,
			      const struct lanes *lanes)
{
	char size[BYTES_TEXT];

	fprintf(pipe,
		"set tmargin at screen 0.82\nset bmargin at screen 0.44\n"
		"set format x ''\nset label 3 'what is mapped, by the size of pages' at graph "
		"0,1.06 "
		"textcolor '#333333'\nset yrange [0:%u]\nset ytics (",
		lanes->nr);
	for (unsigned int lane = 0; lane < lanes->nr; lane++)
		fprintf(pipe, "%s'%s' %.2f", lane ? ", " : "",
			exact_bytes(UINT64_C(1) << lanes->lg2[lane], size), lane + LANE / 2);
	fputs(")\n", pipe);
	print_regions(pipe, columns, false);
	fprintf(pipe, "height(part) = %g * (%g + %g * sqrt(part))\nplot ", LANE, LEAST_SHOWN,
		1 - LEAST_SHOWN);
	for (unsigned int lane = 0; lane < lanes->nr; lane++)
		fprintf(pipe,
			"%s$lane%u using 1:3:1:2:3:($3+height($4)) with boxxyerror fillstyle solid "
			"1 noborder "
			"linecolor rgb '#%06x'",
			lane ? ", " : "", lane, lane_color(lanes->lg2[lane]));
	fputs("\nunset label 1\nunset label 2\n", pipe);
}

static void print_tables_panel(FILE *pipe, const struct walk_columns *columns)
{
	fputs("set tmargin at screen 0.36\nset bmargin at screen 0.13\n"
	      "set label 3 'tables, in percent of what they map' at graph 0,1.09\n"
	      "set logscale y\nset yrange [*:*]\nset ytics auto\nset format y '%g%%'\n",
	      pipe);
	print_regions(pipe, columns, true);
	fputs("stats $tables using 3 nooutput\n"
	      "low = 10**(floor(log10(STATS_min)) - 0.2)\n"
	      "set yrange [low:10**(ceil(log10(STATS_max)) + 0.2)]\n"
	      "set ytics 100\n"
	      "plot $tables using 1:3:1:2:(low):3 with boxxyerror fillstyle solid 1 noborder "
	      "linecolor rgb '" TABLES_COLOR "'\nunset multiplot\n",
	      pipe);
}

static void print_nothing(FILE *pipe)
{
	fputs("set label 3 'nothing is mapped' at screen 0.5,0.5 center textcolor '#666666'\n"
	      "unset tics\nset yrange [0:1]\nplot -1 notitle\nunset multiplot\n",
	      pipe);
}

int walk_plot(struct output *output, const struct walk *walk, const struct walk_args *args,
	      const struct walk_list *list)
{
	struct walk_columns *columns = calloc(1, sizeof(*columns));
	struct lanes lanes = find_lanes(list);
	struct plot plot;
	FILE *pipe;

	if (!columns)
		out_of_memory();
	pipe = plot_open(&plot, output, args->plot);
	walk_columns_fill(columns, walk, args);
	for (unsigned int lane = 0; lane < lanes.nr; lane++)
		print_lane(pipe, columns, &lanes, lane);
	print_tables(pipe, columns);
	print_frame(pipe, walk, columns, list);
	if (columns->nr) {
		print_lanes_panel(pipe, columns, &lanes);
		print_tables_panel(pipe, columns);
	} else {
		print_nothing(pipe);
	}
	free(columns);
	return plot_close(&plot);
}
