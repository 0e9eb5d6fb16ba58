/* SPDX-License-Identifier: MIT */
/* Included before the engine, of which every access to shared state is then a step. */
#ifndef TESTS_SCHEDULE_STEP_H
#define TESTS_SCHEDULE_STEP_H

void schedule_step(void);

#define PT_STEP() schedule_step()

#endif
