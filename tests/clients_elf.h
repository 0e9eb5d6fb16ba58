/* SPDX-License-Identifier: MIT */
/*
 * Firmware for the tests: assembled and linked by the system's tools, now.
 */
#ifndef TESTS_CLIENTS_ELF_H
#define TESTS_CLIENTS_ELF_H

#include <unistd.h>

#include "tests/common.h"

/* What makes this compiler's assembler write files of 32 bits, if it can, and of 64. */
#if defined(__x86_64__)
#define CC_32 "-m32"
#define CC_64 "-m64"
#elif defined(__s390x__)
#define CC_32 "-m31"
#define CC_64 "-m64"
#else
#define CC_32 ""
#define CC_64 ""
#endif

struct elf_file {
	uint8_t *data; /* malloc(size), so that what is read behind it is found */
	size_t size;
};

static inline void write_text(const char *directory, const char *name, const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static inline struct elf_file read_elf(const char *directory)
{
	struct elf_file elf;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/fw.elf", directory);
	file = fopen(path, "r");
	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	elf.size = (size_t)ftell(file);
	rewind(file);
	elf.data = malloc(elf.size);
	assert_non_null(elf.data);
	assert_int_equal(fread(elf.data, 1, elf.size, file), elf.size);
	fclose(file);
	return elf;
}

/* Assemble @source and link it by @script; @mode: CC_32 or CC_64. */
static inline struct elf_file make_elf(const char *source, const char *script, const char *mode)
{
	const char *cc = getenv("TEST_CC");
	char directory[] = "/tmp/uiommu-elf-XXXXXX", command[512];
	struct elf_file elf;

	assert_non_null(mkdtemp(directory));
	write_text(directory, "fw.S", source);
	write_text(directory, "fw.ld", script);
	snprintf(command, sizeof(command),
		 "cd %s && %s %s -nostdlib -static -no-pie -Wl,--build-id=none "
		 "-Wl,-z,max-page-size=16,-s,-T,fw.ld -o fw.elf fw.S",
		 directory, cc ? cc : "cc", mode);
	if (system(command))
		fail_msg("%s", command);
	elf = read_elf(directory);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
	return elf;
}

#endif
