/* SPDX-License-Identifier: MIT */
/*
 * Every schedule of a few threads: which of them runs is decided at each step that
 * one of them takes, and all ways to decide with at most so many preemptions are
 * gone through. The threads are coroutines with a state of the library each, so a
 * schedule is a list of decisions, and the same list is the same run.
 */
#ifndef TESTS_SCHEDULE_H
#define TESTS_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "mm/thread.h"
#include "tests/schedule_step.h"

#define SCHEDULE_THREADS   3
#define SCHEDULE_STEPS     20000 /* of one run; more are taken for a hang */
#define SCHEDULE_DECISIONS 16
#define SCHEDULE_STACK     (256 << 10)

/* From this step on, this thread runs. */
struct decision {
	unsigned int step, thread;
};

/* What there was to decide at a step. */
struct choice {
	uint8_t others; /* bit for each thread that could have run instead */
	bool preempts;  /* and the one that ran could, too */
};

struct schedule_thread {
	ucontext_t context;
	struct mm_thread *state; /* NULL: none yet */
	bool done;
	bool waits; /* until another one has taken a step */
	char *stack;
};

static struct schedule {
	/* Set by who explores. */
	unsigned int threads, most_preemptions;
	bool late; /* all threads but the first register with their first call */
	void (*begin)(void);
	void (*run)(unsigned int thread);
	bool (*end)(void); /* was it right? */

	struct schedule_thread thread[SCHEDULE_THREADS];
	ucontext_t main;
	struct mm_thread *main_state;
	int running; /* -1: main */
	unsigned int step, next, nr_decisions;
	struct decision decisions[SCHEDULE_DECISIONS];
	struct choice choices[SCHEDULE_STEPS];
	bool hung, wrong;
	unsigned long long runs;
} schedule = {.running = -1};

/* Go on with another thread, or with main for -1. */
static void schedule_switch(int to)
{
	int from = schedule.running;
	ucontext_t *old = from < 0 ? &schedule.main : &schedule.thread[from].context;

	if (to == from)
		return;
	if (from < 0)
		schedule.main_state = plat_self;
	else
		schedule.thread[from].state = plat_self;
	schedule.running = to;
	plat_self = to < 0 ? schedule.main_state : schedule.thread[to].state;
	swapcontext(old, to < 0 ? &schedule.main : &schedule.thread[to].context);
}

static bool schedule_is_over(void)
{
	for (unsigned int i = 0; i < schedule.threads; i++)
		if (!schedule.thread[i].done)
			return false;
	return true;
}

/* A step of the running thread, which goes on if it can and nothing else was decided. */
static void schedule_point(bool can_go_on)
{
	unsigned int step = schedule.step++, others = 0;
	bool waits = schedule.running >= 0 && schedule.thread[schedule.running].waits;
	int to = can_go_on ? schedule.running : -1;

	for (unsigned int i = 0; i < schedule.threads; i++) {
		struct schedule_thread *thread = &schedule.thread[i];

		thread->waits &= waits;
		if (!thread->done && !thread->waits && (int)i != schedule.running)
			others |= 1u << i;
	}
	if (to < 0 && others)
		to = __builtin_ctz(others);
	if (schedule.next < schedule.nr_decisions &&
	    schedule.decisions[schedule.next].step == step) {
		to = (int)schedule.decisions[schedule.next++].thread;
		if (!(others >> to & 1)) {
			fprintf(stderr, "step %u was another one the last time\n", step);
			abort();
		}
	} else if (to >= 0) {
		others &= ~(1u << to);
	}
	if (step + 1 == SCHEDULE_STEPS || (to < 0 && !schedule_is_over())) {
		schedule.hung = true;
		to = -1;
	}
	schedule.choices[step] = (struct choice){(uint8_t)others, can_go_on};
	schedule_switch(to);
}

void schedule_step(void)
{
	if (schedule.running >= 0)
		schedule_point(true);
}

/* In the place of plat_yield(): the thread waits for another one. */
void __wrap_plat_yield(void);
void __real_plat_yield(void);
void __wrap_plat_yield(void)
{
	if (schedule.running < 0) {
		__real_plat_yield();
		return;
	}
	schedule.thread[schedule.running].waits = true;
	schedule_point(false);
}

/* All threads are one of the system's. */
bool __wrap_plat_barrier_all(void);
bool __wrap_plat_barrier_all(void)
{
	return true;
}

static void schedule_thread_main(void)
{
	unsigned int self = (unsigned int)schedule.running;

	schedule.run(self);
	if (schedule.late && self) {
		mm_thread_exit(plat_self);
		plat_self = NULL;
	}
	schedule.thread[self].done = true;
	schedule_point(false);
	abort();
}

/* One run, by the decisions that are there. */
static void schedule_run(void)
{
	schedule.begin();
	schedule.hung = false;
	schedule.step = schedule.next = 0;
	for (unsigned int i = 0; i < schedule.threads; i++) {
		struct schedule_thread *thread = &schedule.thread[i];

		thread->done = thread->waits = false;
		getcontext(&thread->context);
		thread->context.uc_link = NULL;
		thread->context.uc_stack.ss_sp = thread->stack;
		thread->context.uc_stack.ss_size = SCHEDULE_STACK;
		makecontext(&thread->context, schedule_thread_main, 0);
	}
	schedule_point(false);
	schedule.runs++;
	schedule.wrong = schedule.hung || schedule.next < schedule.nr_decisions || !schedule.end();
}

/* All runs that begin with the decisions that are there. */
static void schedule_explore(unsigned int preemptions)
{
	unsigned int nr = schedule.nr_decisions, steps;
	unsigned int first = nr ? schedule.decisions[nr - 1].step + 1 : 0;
	struct choice *choices;

	schedule_run();
	if (schedule.wrong)
		return;
	if (nr == SCHEDULE_DECISIONS) {
		fprintf(stderr, "a schedule of more than %u decisions\n", nr);
		abort();
	}
	steps = schedule.step;
	choices = malloc(steps * sizeof(*choices));
	memcpy(choices, schedule.choices, steps * sizeof(*choices));
	schedule.nr_decisions++;
	for (unsigned int step = first; step < steps; step++) {
		unsigned int cost = preemptions + choices[step].preempts;

		for (unsigned int others = choices[step].others;
		     others && cost <= schedule.most_preemptions; others &= others - 1) {
			schedule.decisions[nr] =
				(struct decision){step, (unsigned int)__builtin_ctz(others)};
			schedule_explore(cost);
			if (schedule.wrong) /* its decisions stay, to be shown */
				goto out;
		}
	}
	schedule.nr_decisions--;
out:
	free(choices);
}

/*
 * The first thread is the caller's, as far as the library knows. The others have their
 * states before they begin, or come to the library with their first call.
 */
static void schedule_prepare(bool late)
{
	struct mm_thread *self = mm_thread_self();

	schedule.late = late;
	for (unsigned int i = 0; i < SCHEDULE_THREADS; i++) {
		schedule.thread[i].stack = malloc(SCHEDULE_STACK);
		schedule.thread[i].state = i ? NULL : self;
		if (!i || late)
			continue;
		plat_self = NULL;
		schedule.thread[i].state = mm_thread_register();
	}
	plat_self = self;
}

static void schedule_finish(void)
{
	for (unsigned int i = 0; i < SCHEDULE_THREADS; i++) {
		free(schedule.thread[i].stack);
		if (i && schedule.thread[i].state)
			mm_thread_exit(schedule.thread[i].state);
	}
}

#endif
