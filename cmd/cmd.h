/* SPDX-License-Identifier: MIT */
/*
 * What the commands share: one-line errors, arguments, numbers for people.
 * A command's name for its errors is program_invocation_short_name, which
 * main.c sets to "uiommu COMMAND".
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <argp.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/format.h>

/* Exit statuses: something failed that is not the input's; input that cannot be used. */
#define CMD_FAILED    1
#define CMD_BAD_INPUT 2

/* As shells have them: a program that cannot be run, and one that is not there. */
#define CMD_CANNOT_RUN 126
#define CMD_NOT_FOUND  127

/* The commands: argv[0] is "uiommu COMMAND". Each returns the exit status. */
int cmd_size(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_walk(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_top(int argc, char **argv);

/* ---- message.c ---- */

/*
 * One line on stderr that begins with the command's name, whatever is in the arguments:
 * control characters are written as escapes.
 */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, and exit: with CMD_BAD_INPUT, with CMD_FAILED, with @status. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void leave(int status, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
void out_of_memory(void) __attribute__((noreturn));

/*
 * A file's name for people: as it is, or in the shell's $'...' where a character of it
 * cannot be printed. Up to four of them are valid at a time.
 */
const char *quoted(const char *name);

/* Text for JSON: as it is in UTF-8, else in the shell's $'...'. The caller frees it. */
char *quoted_utf8(const char *text);

/* ---- options.c ---- */

/*
 * Parse arguments. --help and --usage are added to the options and answered; an
 * unknown, ambiguous or incomplete option is one line and exit status 2. Positional
 * arguments and options may come in any order.
 */
void cmd_parse(const struct argp *argp, int argc, char **argv, void *input);

/* ---- cmd.c, format.c ---- */

/*
 * A number of bytes: decimal, with a fraction if it is whole bytes all the same
 * ("64.5G"), or hexadecimal after 0x, and a unit in either case: K to E, Ki to Ei
 * and KiB to EiB are powers of 1024, KB to EB powers of 1000, B or none is bytes.
 * Dies with a line that begins with @where ("--map iova") and names the text.
 */
uint64_t parse_bytes(const char *where, const char *text);

/* The same where a number without a unit counts @plain bytes, and parts of a byte are dropped. */
uint64_t parse_bytes_in(const char *where, const char *text, uint64_t plain);

/* A number without a suffix, from @min to @max. */
uint64_t parse_number(const char *where, const char *text, uint64_t min, uint64_t max);

/* The families of formats: "vtd, x86_64, ...". Returns @text. */
const char *cmd_format_names(char *text, size_t size);

/* What --iommu @name and --granule @granule (0: not given) ask for, or dies. */
const struct iommu_format *cmd_find_format(const char *name, uint64_t granule);

/*
 * The name of a `uiommu run`, which `uiommu top` finds it by: that of --name @option, or
 * else of the environment; NULL for none. Dies when it is not a name.
 */
const char *cmd_run_name(const char *option);

#define RUN_NAME_MAX 64

#define BYTES_TEXT 32

/* Bytes for people: "1.5 MiB". Returns @text. */
const char *format_bytes(uint64_t bytes, char text[BYTES_TEXT]);

#define COUNT_TEXT 32

/* "18,955". Returns @text. */
const char *format_count(uint64_t count, char text[COUNT_TEXT]);

/* Bytes as short as they can be written exactly: "4K", "3M", "4097". Returns @text. */
const char *exact_bytes(uint64_t bytes, char text[BYTES_TEXT]);

#endif
