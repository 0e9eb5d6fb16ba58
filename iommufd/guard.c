/* SPDX-License-Identifier: MIT */
/*
 * Handlers for SIGSEGV and SIGBUS that belong to two: a copy of ours that met a
 * bad pointer, and the program, which must not notice that it does not own
 * them. What the program asks for is kept here and done for it.
 */
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "iommufd/guard.h"
#include "iommufd/user.h"
#include "plat/compiler.h"

__thread struct user_guard *user_guard_current __attribute__((tls_model("initial-exec")));

/* Handlers are a process's own, also when it shares all else with its children. */
struct user_guard_state user_guard_state PROCESS_PRIVATE = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.program = {{.sig = SIGSEGV}, {.sig = SIGBUS}},
};

#define program (user_guard_state.program)

static sigaction_fn real_sigaction;

/* By the system call: the preload's sigprocmask() blocks no faults. */
static void set_mask(int how, const sigset_t *set, sigset_t *old)
{
	syscall(SYS_rt_sigprocmask, how, set, old, _NSIG / 8);
}

static struct sigaction *program_action(int sig)
{
	for (size_t n = 0; n < ARRAY_SIZE(program); n++)
		if (program[n].sig == sig)
			return &program[n].action;
	return NULL;
}

/* A fault, not a signal that somebody sent, at an address that is being copied. */
static bool is_ours(const struct user_guard *guard, const siginfo_t *info)
{
	uint64_t address = (uintptr_t)info->si_addr;

	if (!guard || info->si_code <= 0)
		return false;
	/* Of a non-canonical address the processor does not tell. */
	return info->si_code == SI_KERNEL || (address >= guard->start && address <= guard->last);
}

/* Let the signal do what it does without a handler. */
static void die(int sig, const siginfo_t *info)
{
	struct sigaction act = {.sa_handler = SIG_DFL};

	real_sigaction(sig, &act, NULL);
	/* A fault happens again when we return. */
	if (info->si_code <= 0)
		raise(sig);
}

/* Call the program's handler in the state that it asked for. */
static void call_program(const struct sigaction *act, int sig, siginfo_t *info, void *context)
{
	sigset_t block = act->sa_mask, before;

	if (!(act->sa_flags & SA_NODEFER))
		sigaddset(&block, sig);
	set_mask(SIG_BLOCK, &block, &before);
	if (act->sa_flags & SA_SIGINFO)
		act->sa_sigaction(sig, info, context);
	else
		act->sa_handler(sig);
	set_mask(SIG_SETMASK, &before, NULL);
}

/* To the copy, with the signals blocked that were so then. */
static void leave(const ucontext_t *context)
{
	set_mask(SIG_SETMASK, &context->uc_sigmask, NULL);
	longjmp(user_guard_current->env, 1);
}

static void handle_fault(int sig, siginfo_t *info, void *context)
{
	struct sigaction act = *program_action(sig);
	int saved = errno;

	if (is_ours(user_guard_current, info))
		leave(context);
	if (act.sa_flags & SA_RESETHAND)
		program_action(sig)->sa_handler = SIG_DFL;
	if ((act.sa_flags & SA_SIGINFO) || (act.sa_handler != SIG_DFL && act.sa_handler != SIG_IGN))
		call_program(&act, sig, info, context);
	else if (act.sa_handler == SIG_DFL || info->si_code > 0)
		die(sig, info);
	errno = saved;
}

int iommufd_user_guard(sigaction_fn real)
{
	struct sigaction act = {.sa_sigaction = handle_fault,
				.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
	sigset_t faults;
	int rc = 0;

	/* Who started the program may have blocked them. */
	sigemptyset(&faults);
	sigaddset(&faults, SIGSEGV);
	sigaddset(&faults, SIGBUS);
	set_mask(SIG_UNBLOCK, &faults, NULL);
	pthread_mutex_lock(&user_guard_state.lock);
	real_sigaction = real;
	for (size_t n = 0; n < ARRAY_SIZE(program) && !user_guard_installed(); n++)
		if (!rc && (real(program[n].sig, NULL, &program[n].action) ||
			    real(program[n].sig, &act, NULL)))
			rc = -errno;
	if (!rc)
		atomic_store_explicit(&user_guard_state.ready, true, memory_order_release);
	pthread_mutex_unlock(&user_guard_state.lock);
	return rc;
}

int iommufd_user_sigaction(int sig, const struct sigaction *act, struct sigaction *old,
			   sigaction_fn real)
{
	struct sigaction *kept = program_action(sig), before;

	if (!kept || !user_guard_installed())
		return real(sig, act, old);
	/* No lock: a signal handler may be calling. */
	before = *kept;
	if (act)
		*kept = *act;
	if (old)
		*old = before;
	return 0;
}
