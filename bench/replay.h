/* SPDX-License-Identifier: MIT */
/* How fast `uiommu replay` reads a trace. */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

/* The rows' name in the place of a format's. */
#define REPLAY_ROWS "replay"

/* scale: of the number of events. */
void bench_replay(double scale);
/* Print how far from the aims. */
void check_replay_aims(void);

#endif
