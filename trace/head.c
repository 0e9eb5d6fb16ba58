/* SPDX-License-Identifier: MIT */
/*
 * What stands before the name of an event. A task may call itself anything, so
 * all but function_graph's columns is read backwards from the name.
 *
 * tracefs, trace-cmd:
 *   TASK-PID (TGID) [CPU] FLAGS TIME: (+SINCE) NAME:
 *   TASK-PID CPUFLAGS TIME: NAME:                                 latency format,
 *   TASK PID CPU FLAGS PREEMPT INDEX [STAMP] TIME (+SINCE): NAME:  the same, verbose
 * perf script:
 *   TASK PID/TID [CPU] MODE DATE TIME: PERIOD NAME:
 * function_graph, the event in a comment:
 *   TIME | CPU) TASK-PID | FLAGS | DURATION | NAME:
 *
 * TIME is seconds, microseconds (12us), or an integer of a clock whose unit is not
 * told: x86-tsc and counter count no time at all.
 */
#include "plat/compiler.h"
#include "trace/span.h"

#define NO_TIME "no time stamp before the event"
#define NO_CPU  "no [CPU] before the time stamp"
#define NO_TASK "no TASK-PID before the CPU"

/* Words that may stand between the CPU and the time: flags, or a mode and a date. */
#define WORDS_BETWEEN 4

/* An integer of this length may follow the flags without a blank; flags are never longer. */
#define GLUED_DIGITS 12
#define GLUED_FLAGS  4

/* Marks of long delays, before or after a time. */
static bool is_mark(char c)
{
	return c != '\0' && strchr("$@*#!+", c);
}

/* The last word before @s->at, for reading forwards. */
static struct span back_word(struct span *s)
{
	const char *end;

	back_blanks(s);
	end = s->at;
	while (s->at > s->start && !is_blank(s->at[-1]))
		s->at--;
	return (struct span){s->at, s->at, end};
}

/* The same word, for reading backwards. */
static struct span from_end(struct span word)
{
	return (struct span){word.at, word.end, word.end};
}

static bool parse_u32(struct span *word, uint32_t *value)
{
	uint64_t v;

	if (!parse_decimal(word, &v) || v > UINT32_MAX)
		return false;
	*value = (uint32_t)v;
	return true;
}

static bool is_number(struct span word)
{
	uint64_t value;

	return parse_decimal(&word, &value) && word.at == word.end;
}

/* "1234.567890" or "1234": all of the word. */
static bool parse_time(struct span word, struct trace_event *event)
{
	uint64_t time, fraction = 0, unit = 1000000000;
	enum trace_clock clock = TRACE_CLOCK_TICKS;

	if (!parse_decimal(&word, &time))
		return false;
	if (word.at < word.end && (*word.at == '.' || *word.at == ',')) {
		for (word.at++; word.at < word.end && is_digit(*word.at); word.at++) {
			unit /= 10;
			fraction += (uint64_t)(*word.at - '0') * unit;
		}
		if (__builtin_mul_overflow(time, 1000000000, &time) ||
		    __builtin_add_overflow(time, fraction, &time))
			return false;
		clock = TRACE_CLOCK_NS;
	}
	if (word.at < word.end)
		return false;
	event->clock = clock;
	event->time = time;
	return true;
}

/* A whole number of microseconds. */
static bool parse_micro(struct span word, struct trace_event *event)
{
	uint64_t time;

	if (!parse_decimal(&word, &time) || word.at < word.end ||
	    __builtin_mul_overflow(time, 1000, &event->time))
		return false;
	event->clock = TRACE_CLOCK_NS;
	return true;
}

/* "12us", "12us+" and "12us ", as the latency format has them. */
static bool back_micro(struct span *s, struct trace_event *event)
{
	if (s->at > s->start && (is_mark(s->at[-1]) || is_blank(s->at[-1])))
		s->at--;
	return back_literal(s, "us") && parse_micro(back_word(s), event);
}

/* trace-cmd prints no blank before a number of 12 digits: "d..1.91287364518273". */
static bool split_glued(struct span *word)
{
	struct span flags = from_end(*word);
	int dots = 0;

	while (flags.at > flags.start && is_digit(flags.at[-1]))
		flags.at--;
	if (flags.at - word->at < GLUED_FLAGS || flags.at[-1] != '.' ||
	    word->end - flags.at < GLUED_DIGITS)
		return false;
	for (const char *p = word->at; p < flags.at; p++)
		dots += !is_digit(*p);
	word->at = flags.at;
	return dots > 1; /* with one dot it is a number of seconds */
}

static bool back_time(struct span *s, struct trace_event *event)
{
	struct span word;

	if (s->at > s->start && !is_digit(s->at[-1]))
		return back_micro(s, event);
	word = back_word(s);
	if (parse_time(word, event))
		return true;
	if (word.at < word.end && is_mark(*word.at))
		word.at++;
	else if (split_glued(&word))
		s->at = word.at;
	else
		return false;
	return parse_time(word, event);
}

/* The number that trace-cmd and perf print between the time's colon and the event's name. */
static void back_since(struct span *s)
{
	struct span rest = *s, word = back_word(&rest);

	back_blanks(&rest);
	if (rest.at == rest.start || rest.at[-1] != ':')
		return;
	if (is_number(word) || (eat(&word, "(+") && word.end[-1] == ')'))
		*s = rest;
}

/* "[003]", with trace-cmd's raw flags behind it: "[003]-0x1". */
static bool parse_bracket(struct span word, struct trace_event *event)
{
	return eat(&word, "[") && parse_u32(&word, &event->cpu) && eat(&word, "]") &&
	       (word.at == word.end || eat(&word, "-0x"));
}

/* "NAME-PID", "NAME PID" or "NAME PID/TID", with "(TGID)" behind it where it was recorded. */
static bool back_task(struct span *s, uint32_t *pid)
{
	uint32_t process;

	back_blanks(s);
	if (back_char(s, ')')) {
		while (s->at > s->start && s->at[-1] != '(')
			s->at--;
		if (!back_char(s, '('))
			return false;
		back_blanks(s);
	}
	if (!back_number(s, pid) || (back_char(s, '/') && !back_number(s, &process)))
		return false;
	return s->at == s->start || s->at[-1] == '-' || is_blank(s->at[-1]);
}

/*
 * Is the number @word before the time a CPU, as `perf script -L` prints it, in three
 * columns after the task? Otherwise it is the task's: perf has no CPU if it recorded a
 * single process.
 */
static bool is_column_of_cpu(const struct span *s, const struct span *word)
{
	struct span before = *s, task;
	const char *end;
	uint32_t pid, tid;

	back_blanks(&before);
	end = before.at;
	task = back_word(&before);
	if (task.at == task.end || !is_digit(task.end[-1]) || !is_number(*word))
		return false;
	if (word->end - end == 4)
		return true;
	return parse_u32(&task, &pid) && eat(&task, "/") && parse_u32(&task, &tid) &&
	       task.at == task.end;
}

/* Parse the CPU, and the task before it. Returns NULL, or what is missing. */
static const char *back_place(struct span *s, struct trace_event *event)
{
	struct span word, rest;

	for (int i = 0; i < WORDS_BETWEEN; i++) {
		rest = word = back_word(s);
		if (word.at == word.end)
			break;
		if (parse_bracket(word, event))
			return back_task(s, &event->pid) ? NULL : NO_TASK;
		/* "3d..1.", or without flags, or no CPU at all: but not "12:34:56" */
		if (i || !parse_u32(&rest, &event->cpu) || (rest.at < rest.end && *rest.at == ':'))
			continue;
		if ((rest.at == rest.end || *rest.at == '/') && !is_column_of_cpu(s, &word)) {
			event->cpu = 0;
			s->at = word.end;
		}
		return back_task(s, &event->pid) ? NULL : NO_TASK;
	}
	return NO_CPU;
}

/* "TASK PID CPU FLAGS PREEMPT INDEX [STAMP] 1.234ms (+0.012ms)", or 1234 (+12) */
static const char *back_verbose(struct span *s, struct trace_event *event)
{
	struct span since = back_word(s), time = back_word(s), back = from_end(time), stamp, cpu;
	bool milliseconds = back_literal(&back, "ms");

	time.end = back.at;
	if (!eat(&since, "(+") || !parse_time(time, event) ||
	    milliseconds != (event->clock == TRACE_CLOCK_NS))
		return NO_TIME;
	if (milliseconds)
		event->time /= 1000; /* it was read as seconds */
	stamp = back_word(s);
	if (!eat(&stamp, "["))
		return NO_CPU;
	for (int i = 0; i < 3; i++)
		back_word(s);
	cpu = back_word(s);
	if (!parse_u32(&cpu, &event->cpu) || cpu.at != cpu.end)
		return NO_CPU;
	return back_task(s, &event->pid) ? NULL : NO_TASK;
}

/* The columns of function_graph that were found. */
struct columns {
	bool cpu, task;
};

static void parse_column(struct span column, struct trace_event *event, struct columns *had)
{
	struct span rest = column, word;
	uint32_t number;

	skip_blanks(&rest);
	if (parse_u32(&rest, &number) && eat(&rest, ")")) {
		event->cpu = number;
		had->cpu = true;
		column.at = rest.at;
	}
	rest = from_end(column);
	word = back_word(&rest);
	if (word.end - word.at == 2 && eat(&word, "us")) {
		parse_micro(back_word(&rest), event);
		return;
	}
	rest = from_end(word);
	if (back_number(&rest, &number) && back_char(&rest, '-')) {
		event->pid = number;
		had->task = true;
	} else if (memchr(word.at, '.', (size_t)(word.end - word.at))) {
		parse_time(word, event);
	}
}

/* function_graph's columns, up to the comment. */
static const char *parse_columns(struct span s, struct trace_event *event)
{
	struct columns had = {false, false};
	const char *bar;

	for (;;) {
		bar = s.at < s.end ? memchr(s.at, '|', (size_t)(s.end - s.at)) : NULL;
		parse_column((struct span){s.at, s.at, bar ? bar : s.end}, event, &had);
		if (!bar)
			break;
		s.at = bar + 1;
	}
	event->no_task = !had.task;
	return had.cpu || had.task ? NULL : "neither a CPU nor a task before the comment";
}

int trace_parse_head(struct span *s, struct trace_event *event, char *why)
{
	const char *wrong = NULL;
	bool comment;

	event->pid = event->cpu = 0;
	event->clock = TRACE_CLOCK_NONE;
	event->no_task = false;
	back_blanks(s);
	comment = back_literal(s, "/*");
	if (!comment && s->at > s->start && s->at[-1] != ':')
		back_since(s);
	if (comment)
		wrong = parse_columns((struct span){s->start, s->start, s->at}, event);
	else if (!back_char(s, ':'))
		wrong = NO_TIME;
	else if (s->at > s->start && s->at[-1] == ')')
		wrong = back_verbose(s, event);
	else if (!back_time(s, event))
		wrong = NO_TIME;
	else
		wrong = back_place(s, event);
	if (wrong)
		trace_bad(why, "%s", wrong);
	return wrong ? -1 : 0;
}

/* "NAME-PID", with blanks around it: the end of it tells. */
static bool parse_centred_task(const char *start, const char *end, uint32_t *pid)
{
	struct span back = {start, end, end};

	back_blanks(&back);
	return back_number(&back, pid) && back_char(&back, '-');
}

bool trace_parse_switch(struct span s, struct trace_event *event)
{
	skip_blanks(&s);
	if (!parse_u32(&s, &event->cpu) || !eat(&s, ")"))
		return false;
	/* Which may be in the name of a task, too. */
	for (const char *arrow = s.at;
	     (arrow = memmem(arrow, (size_t)(s.end - arrow), " => ", 4)) != NULL; arrow += 4)
		if (parse_centred_task(s.at, arrow, &event->was_pid) &&
		    parse_centred_task(arrow, s.end, &event->pid))
			return true;
	return false;
}
