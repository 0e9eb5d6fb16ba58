// SPDX-License-Identifier: MIT
/* A program of ours on the CPU of a QEMU. */
#include "tests/oracle/guest.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM_MOST (256u << 10)
#define LOOKS        2000  /* at the bell before the first sleep */
#define SLEEP_NS     20000 /* between two looks from then on */
#define MOST_SECONDS 60    /* of QEMU's processors for one answer */

/* ---- programs ---- */

static size_t read_program(const char *name, char *file)
{
	char path[512];
	FILE *stream;
	size_t bytes;

	snprintf(path, sizeof(path), "%s/%s_cpu.elf", ORACLE_PROGRAMS, name);
	stream = fopen(path, "r");
	if (!stream)
		die("%s: %s", path, strerror(errno));
	bytes = fread(file, 1, PROGRAM_MOST, stream);
	fclose(stream);
	if (bytes < sizeof(Elf64_Ehdr) || memcmp(file, ELFMAG, SELFMAG))
		die("%s: not a program", path);
	return bytes;
}

/* In the byte order of the program's machine. */
#define FIELD(big, field)                                            \
	((big) ? (sizeof(field) == 8   ? be64toh(field)              \
		  : sizeof(field) == 4 ? be32toh((uint32_t)(field))  \
				       : be16toh((uint16_t)(field))) \
	       : (uint64_t)(field))

size_t guest_program(const char *name, void *to, size_t room)
{
	static _Alignas(16) char file[PROGRAM_MOST];
	size_t bytes = read_program(name, file);
	const Elf64_Ehdr *header = (const void *)file;
	bool big = header->e_ident[EI_DATA] == ELFDATA2MSB;
	const Elf64_Shdr *sections = (const void *)(file + FIELD(big, header->e_shoff));
	const char *names = file + FIELD(big, sections[FIELD(big, header->e_shstrndx)].sh_offset);

	for (unsigned int i = 0; i < FIELD(big, header->e_shnum); i++) {
		size_t size = FIELD(big, sections[i].sh_size);
		size_t offset = FIELD(big, sections[i].sh_offset);

		if (strcmp(names + FIELD(big, sections[i].sh_name), ".text"))
			continue;
		if (size > room || offset > bytes || size > bytes - offset)
			break;
		memcpy(to, file + offset, size);
		return size;
	}
	die("the program %s is no good", name);
}

/* ---- a QEMU that runs one ---- */

/* If it ended, say so, and what it said itself. */
static void check_alive(struct qemu *qemu)
{
	char said[512] = "";

	if (waitpid(qemu->pid, NULL, WNOHANG) != qemu->pid)
		return;
	if (pread(qemu->said_fd, said, sizeof(said) - 1, 0) < 0)
		said[0] = '\0';
	die("QEMU ended: %.*s", (int)strcspn(said, "\n"), said);
}

/* The time that its processors had: other work on this machine does not count. */
static time_t seconds_of(const struct qemu *qemu)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(qemu->pid, &clock) || clock_gettime(clock, &used))
		return 0;
	return used.tv_sec;
}

/* Between two looks at the bell, the @count-th time. */
static void wait_a_little(struct qemu *qemu, unsigned int count, time_t start)
{
	struct timespec pause = {.tv_nsec = SLEEP_NS};

	if (count < LOOKS) {
		sched_yield();
		return;
	}
	check_alive(qemu);
	if (seconds_of(qemu) - start > MOST_SECONDS)
		die("the program on QEMU's CPU does not answer");
	nanosleep(&pause, NULL);
}

void guest_run(struct qemu *qemu, volatile uint64_t *bell, uint64_t work)
{
	time_t start = seconds_of(qemu);
	unsigned int count = 0;

	__atomic_store_n(bell, work, __ATOMIC_RELEASE);
	kill(qemu->pid, SIGCONT);
	while (__atomic_load_n(bell, __ATOMIC_ACQUIRE))
		wait_a_little(qemu, count++, start);
	kill(qemu->pid, SIGSTOP);
}

/* "Invalid read at addr 0x..., size 1, region '(null)', reason: rejected" */
uint64_t guest_logged(struct qemu *qemu, int access)
{
	const char *prefix =
		access == IOMMU_WRITE ? "Invalid write at addr " : "Invalid read at addr ";
	char *line;

	while ((line = qemu_log_line(qemu)))
		if (!strncmp(line, prefix, strlen(prefix)))
			return strtoull(line + strlen(prefix), NULL, 16);
	return GUEST_NOT_LOGGED;
}
