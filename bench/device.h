/* SPDX-License-Identifier: MIT */
/* How fast models of devices are, with a program that polls, and what they cost when idle. */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

/* The rows' name in the place of a format's. */
#define DEVICE_ROWS "devices"

/* On the cpu-th processor and the next; scale: of the number of rounds. */
void bench_device(double scale, unsigned int cpu);
/* Print how far from what is due. */
void check_device_aims(void);

#endif
