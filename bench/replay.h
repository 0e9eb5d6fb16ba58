/* SPDX-License-Identifier: MIT */
/* How fast `uiommu replay` reads a trace. */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

/* Used in place of a format's name. */
#define REPLAY_ROWS "replay"

/* scale: of the number of events. */
void bench_replay(double scale);
/* Print how far the figures are from the aims. */
void check_replay_aims(void);

#endif
