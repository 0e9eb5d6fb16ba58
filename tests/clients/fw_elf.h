/* SPDX-License-Identifier: MIT */
/*
 * ELF files as firmware: what a processor that is not ours is to run. Nothing
 * that such a file says is believed before it was held against the file's size.
 */
#ifndef CLIENTS_FW_ELF_H
#define CLIENTS_FW_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_image {
	const uint8_t *data;
	size_t size;
	bool is_64;
	uint64_t phoff, shoff;
	unsigned int phnum, shnum, shstrndx;
};

/**
 * elf_open() - Look at a file's header.
 * @elf: what the other calls take
 * @data: the file, of any alignment; must outlive @elf
 * @size: bytes
 *
 * Context: Any.
 * Return: 0; -EINVAL for what is no ELF file of 32 or 64 bits in this processor's
 * byte order, has no segments, or whose tables begin behind its end.
 */
int elf_open(struct elf_image *elf, const void *data, size_t size);

/**
 * struct elf_segment - What is to be loaded to one place.
 * @flags: p_flags
 * @paddr: the place
 * @memsz: bytes there, not 0
 * @data: the first of them
 * @filesz: how many of them @data has, at most @memsz; the rest is 0
 */
struct elf_segment {
	uint32_t flags;
	uint64_t paddr, memsz;
	const uint8_t *data;
	uint64_t filesz;
};

/**
 * elf_next_load() - Find the next segment that is to be loaded.
 * @elf: the file
 * @index: where to go on; 0 for the first, then left alone
 * @segment: where it goes
 *
 * Context: Any.
 * Return: 1; 0 after the last; -EINVAL for one that has more in the file than in
 * memory, or that the file ends in.
 */
int elf_next_load(const struct elf_image *elf, unsigned int *index, struct elf_segment *segment);

/**
 * elf_load_segment() - Put a segment's bytes into memory.
 * @segment: the segment
 * @to: room for @segment->memsz bytes
 *
 * Context: Any.
 */
void elf_load_segment(const struct elf_segment *segment, void *to);

/**
 * struct elf_section - One section.
 * @addr: where it is when it is loaded
 * @offset: where it is in the file
 * @size: bytes
 */
struct elf_section {
	uint64_t addr, offset, size;
};

/**
 * elf_find_section() - Find a section by its name.
 * @elf: the file
 * @name: the name
 * @section: where it goes
 *
 * Context: Any.
 * Return: 0; -EINVAL when there is none of that name, or the file ends in it or
 * before it.
 */
int elf_find_section(const struct elf_image *elf, const char *name, struct elf_section *section);

#endif
