/* SPDX-License-Identifier: MIT */
/* The command `uiommu`: finds the command in the first argument and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *title;
} commands[] = {
	{"run", cmd_run, "run a program that finds /dev/iommu; report what it was charged"},
	{"top", cmd_top, "show a running 'uiommu run' live"},
	{"size", cmd_size, "tell how many I/O page tables a set of mappings or a guest needs"},
	{"replay", cmd_replay, "replay a kernel trace of iommu or dma events"},
	{"image", cmd_image, "write I/O page tables as a memory image"},
	{"walk", cmd_walk, "read I/O page tables in an image or a dump as hardware does"},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void show_help(void)
{
	puts("Usage: uiommu COMMAND [OPTION...]\n"
	     "The Linux IOMMU stack in user space: I/O page tables, charged and counted.\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].title);
	puts("  help       show this help, or that of a COMMAND: uiommu help [COMMAND]\n\n"
	     "  -?, --help     show this help; 'uiommu COMMAND --help' for a command's\n"
	     "  -V, --version  show the version\n\n"
	     "Exit status: 0 on success, 1 when something failed, 2 for bad input; 'run' ends\n"
	     "as its program does, with 126 or 127 when that cannot be started.\n\n"
	     "Examples:\n"
	     "  uiommu size --iommu vtd --guest 64G\n"
	     "  uiommu help replay");
}

/* "'run', 'size' or 'replay'" */
static const char *command_names(void)
{
	static char names[160];

	for (size_t i = 0; i < NR_COMMANDS; i++) {
		size_t length = strlen(names);

		snprintf(names + length, sizeof(names) - length, "'%s', ", commands[i].name);
	}
	strcpy(names + strlen(names) - 2, " or 'help'");
	return names;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* From here on argp and die() speak as "uiommu COMMAND". */
static int run_command(const struct command *command, int argc, char **argv)
{
	static char name[32];

	snprintf(name, sizeof(name), "uiommu %s", command->name);
	argv[0] = name;
	program_invocation_name = name;
	program_invocation_short_name = name;
	return command->run(argc, argv);
}

/* ---- standard input and output ---- */

/*
 * A descriptor that is closed would be the next file's, which would get what is printed.
 * In its place comes one on which that fails, and which no other program sees.
 */
static void open_closed(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", (fd ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
}

static void do_nothing(int sig)
{
}

/*
 * A write that fails is told by the write. By a handler, since other programs that are
 * started begin with the default then; what was ignored stays ignored.
 */
static void outlive(int sig)
{
	struct sigaction act = {.sa_handler = do_nothing, .sa_flags = SA_RESTART}, old;

	if (!sigaction(sig, NULL, &old) && old.sa_handler == SIG_DFL)
		sigaction(sig, &act, NULL);
}

static void finish_output(void)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (!fclose(stdout) && !failed)
		return;
	fprintf(stderr, "%s: cannot write the output: %s\n", program_invocation_short_name,
		errno ? strerror(errno) : "write error");
	_Exit(CMD_FAILED);
}

/* ---- the first argument ---- */

static int run_help(int argc, char **argv)
{
	static char help[] = "--help";
	char *command[] = {argv[0], help, NULL};
	const struct command *found;

	if (argc == 1 || !strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
	    !strcmp(argv[1], "-?")) {
		show_help();
		return 0;
	}
	found = find_command(argv[1]);
	if (!found)
		die("%s: unknown command: expected %s", argv[1], command_names());
	if (argc > 2)
		die("%s: not expected: one command only", argv[2]);
	return run_command(found, 2, command);
}

static int run(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2)
		die("no command given: expected %s (see 'uiommu --help')", command_names());
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?") || !strcmp(argv[1], "-h")) {
		show_help();
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("uiommu " UIOMMU_VERSION);
		return 0;
	}
	if (!strcmp(argv[1], "help"))
		return run_help(argc - 1, argv + 1);
	if (argv[1][0] == '-')
		die("%s: unknown option (see 'uiommu --help')", argv[1]);
	command = find_command(argv[1]);
	if (!command)
		die("%s: unknown command: expected %s (see 'uiommu --help')", argv[1],
		    command_names());
	return run_command(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	static char name[] = "uiommu";

	open_closed();
	setlocale(LC_CTYPE, "");
	outlive(SIGPIPE);
	outlive(SIGXFSZ);
	program_invocation_short_name = name;
	atexit(finish_output);
	return run(argc, argv);
}
