/* SPDX-License-Identifier: MIT */
/* Time, processors, series of samples, and the memory fill that everything is compared with. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Samples of one quantity, in ns. */
struct series {
	double *ns;
	size_t nr, room;
};

void series_add(struct series *series, double ns);
/* Sorts the samples. 0 for none. */
double series_min(struct series *series);
double series_median(struct series *series);

void clock_calibrate(void);
uint64_t clock_now(void);
/* Nanoseconds from @start to now, shared by @nr calls or items. */
double clock_since(uint64_t start, double nr);
/* Nanoseconds of processor time that the calling thread has had. */
double thread_ns(void);

/* Stay on the n-th of the processors that this process may use, modulo their number. */
int pin_to(unsigned int nth);
unsigned int processors(void);

/* Reproducible random numbers. */
uint64_t random_next(void);

/* Write items like the leaves of a table: an address that grows by one page, and flags. */
void fill_items(uint64_t *items, uint64_t first, size_t nr);

/*
 * The number of items that an operation writes, in memory that is in the cache if that
 * is possible.
 */
enum memory {
	MEMORY_1,      /* one item at a time, along one table */
	MEMORY_256,    /* half a table, the same one again and again */
	MEMORY_512,    /* a whole table, likewise */
	MEMORY_262144, /* 2 MiB, per item */
	MEMORY_4M,     /* 32 MiB of items, which no cache holds, per item */
	MEMORY_16M,    /* 128 MiB of items, likewise */
	MEMORY_READ,   /* one random item of 2 MiB */
	MEMORY_NONE,
};

void memory_measure(void);
double memory_min(enum memory which);

/* Print one line on stderr and exit with status 1. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
