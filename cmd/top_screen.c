/* SPDX-License-Identifier: MIT */
/* `uiommu top` on a terminal, by ncurses. */
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/cmd.h"
#include "cmd/top.h"
#include "plat/compiler.h"

#define PAIR_BAD 1

struct screen {
	const struct top_run *run;
	struct top_sample now, before;
	bool has_before;
	bool paused;
	enum top_sort sort;
	int first; /* line that is shown at the top, below the heading */
	uint64_t interval_ns, due;
	bool colour;
	struct top_lines lines;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The last sample becomes the earlier one. False when there is nothing to read any more. */
static bool take_sample(struct screen *s)
{
	struct top_sample next;

	s->due = clock_ns() + s->interval_ns;
	if (s->now.ended || s->paused)
		return true;
	if (top_read(s->run, &next))
		return false;
	if (s->has_before)
		top_free(&s->before);
	s->before = s->now;
	s->has_before = s->before.processes != NULL;
	s->now = next;
	return true;
}

static void put_line(const struct screen *s, int y, const struct top_line *line)
{
	attr_t attr = line->style == TOP_HEADING ? A_BOLD : A_NORMAL;

	if (line->style == TOP_BAD)
		attr = s->colour ? (attr_t)COLOR_PAIR(PAIR_BAD) : A_BOLD;
	attron(attr);
	mvaddnstr(y, 0, line->text, COLS);
	attroff(attr);
}

static void put_keys(const struct screen *s)
{
	char text[128];

	snprintf(text, sizeof(text), "q quit  p %s  s sort by %s  arrows scroll%s",
		 s->paused ? "go on" : "pause", top_sort_name(s->sort),
		 s->paused ? "  PAUSED" : "");
	attron(A_REVERSE);
	mvaddnstr(LINES - 1, 0, text, COLS);
	attroff(A_REVERSE);
}

/* The heading stays; what is below it scrolls. */
static void draw(struct screen *s)
{
	int room = MAX(LINES - 2, 0), most;

	top_make_lines(&s->lines, s->run, &s->now, s->has_before ? &s->before : NULL, s->sort);
	most = MAX((int)s->lines.nr - 1 - room, 0);
	s->first = MAX(MIN(s->first, most), 0);
	erase();
	put_line(s, 0, &s->lines.line[0]);
	for (int y = 0; y < room && (size_t)(y + 1 + s->first) < s->lines.nr; y++)
		put_line(s, y + 1, &s->lines.line[y + 1 + s->first]);
	if (LINES > 1)
		put_keys(s);
	refresh();
}

/* False when the user leaves. */
static bool handle_key(struct screen *s, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case 'p':
	case ' ':
		s->paused = !s->paused;
		break;
	case 's':
		s->sort = (s->sort + 1) % TOP_SORTS;
		break;
	case KEY_UP:
	case 'k':
		s->first--;
		break;
	case KEY_DOWN:
	case 'j':
		s->first++;
		break;
	case KEY_PPAGE:
		s->first -= MAX(LINES - 2, 1);
		break;
	case KEY_NPAGE:
		s->first += MAX(LINES - 2, 1);
		break;
	case KEY_HOME:
		s->first = 0;
		break;
	default: /* KEY_RESIZE too: all is drawn anew */
		break;
	}
	return true;
}

/* What keys come until the next sample is due. False when the user leaves. */
static bool wait_for_keys(struct screen *s)
{
	for (;;) {
		uint64_t now = clock_ns();
		int key;

		if (now >= s->due)
			return true;
		timeout((int)((s->due - now) / 1000000 + 1));
		key = getch();
		if (key == ERR)
			continue;
		if (!handle_key(s, key))
			return false;
		draw(s);
	}
}

static void begin(struct screen *s)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (!newterm(NULL, stdout, stdin))
		die("TERM: '%s' is no terminal that is known here (see --once)", term ? term : "");
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	s->colour = !(no && *no) && has_colors();
	if (s->colour) {
		start_color();
		use_default_colors();
		init_pair(PAIR_BAD, COLOR_RED, -1);
	}
}

int top_screen(const struct top_run *run, uint64_t interval_ns)
{
	struct screen s = {.run = run, .interval_ns = interval_ns};
	bool readable;

	begin(&s);
	do {
		readable = take_sample(&s);
		if (!readable)
			break;
		draw(&s);
	} while (wait_for_keys(&s));
	endwin();
	if (!readable)
		die("%d: its report cannot be read any more", (int)run->pid);
	top_free(&s.now);
	if (s.has_before)
		top_free(&s.before);
	top_free_lines(&s.lines);
	return 0;
}
