/* SPDX-License-Identifier: MIT */
/*
 * Memory that a program points to. The pointer may be bad, and may become bad
 * meanwhile: a copy then fails with -EFAULT.
 *
 * Without further ado each copy is a system call, process_vm_readv() or
 * process_vm_writev(). After iommufd_user_guard() it is a plain copy, with
 * handlers for SIGSEGV and SIGBUS to catch what goes wrong; a thread that has
 * these signals blocked is killed by a bad pointer then, so the preload keeps
 * programs from blocking them.
 */
#ifndef IOMMUFD_USER_H
#define IOMMUFD_USER_H

#include <signal.h>

typedef int (*sigaction_fn)(int sig, const struct sigaction *act, struct sigaction *old);

/*
 * Install the handlers, once per process, by @real. What was installed before
 * is called for every fault that is not a copy's. 0 or a negative errno.
 */
int iommufd_user_guard(sigaction_fn real);

/*
 * sigaction() for SIGSEGV and SIGBUS of a program that does not know of our
 * handlers: its own are called by them. Any other signal, or with no guard
 * installed, goes to @real. Returns as sigaction() does.
 */
int iommufd_user_sigaction(int sig, const struct sigaction *act, struct sigaction *old,
			   sigaction_fn real);

#endif
