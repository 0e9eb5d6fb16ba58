// SPDX-License-Identifier: MIT
#include "tests/clients/fw_elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ELFDATA_HERE ELFDATA2LSB
#else
#define ELFDATA_HERE ELFDATA2MSB
#endif

static bool in_file(const struct elf_image *elf, uint64_t offset, uint64_t size)
{
	return offset <= elf->size && size <= elf->size - offset;
}

static bool read_file(const struct elf_image *elf, uint64_t offset, void *to, size_t size)
{
	if (!in_file(elf, offset, size))
		return false;
	memcpy(to, elf->data + offset, size);
	return true;
}

/* Item @index of a table, which begins in the file, so that the sum does not wrap. */
static bool read_item(const struct elf_image *elf, uint64_t table, unsigned int index, void *to,
		      size_t size)
{
	return read_file(elf, table + (uint64_t)index * size, to, size);
}

static bool read_header(struct elf_image *elf)
{
	Elf32_Ehdr low;
	Elf64_Ehdr high;

	if (!elf->is_64) {
		if (!read_file(elf, 0, &low, sizeof(low)))
			return false;
		elf->phoff = low.e_phoff;
		elf->shoff = low.e_shoff;
		elf->phnum = low.e_phnum;
		elf->shnum = low.e_shnum;
		elf->shstrndx = low.e_shstrndx;
		return true;
	}
	if (!read_file(elf, 0, &high, sizeof(high)))
		return false;
	elf->phoff = high.e_phoff;
	elf->shoff = high.e_shoff;
	elf->phnum = high.e_phnum;
	elf->shnum = high.e_shnum;
	elf->shstrndx = high.e_shstrndx;
	return true;
}

int elf_open(struct elf_image *elf, const void *data, size_t size)
{
	unsigned char ident[EI_NIDENT];

	*elf = (struct elf_image){.data = data, .size = size};
	if (!read_file(elf, 0, ident, sizeof(ident)) || memcmp(ident, ELFMAG, SELFMAG))
		return -EINVAL;
	if (ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64)
		return -EINVAL;
	if (ident[EI_DATA] != ELFDATA_HERE)
		return -EINVAL;
	elf->is_64 = ident[EI_CLASS] == ELFCLASS64;
	if (!read_header(elf) || !elf->phnum || elf->phoff > size)
		return -EINVAL;
	if (!in_file(elf, elf->shoff, elf->is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
		return -EINVAL;
	return 0;
}

static bool read_program_header(const struct elf_image *elf, unsigned int index, Elf64_Phdr *phdr)
{
	Elf32_Phdr low;

	if (elf->is_64)
		return read_item(elf, elf->phoff, index, phdr, sizeof(*phdr));
	if (!read_item(elf, elf->phoff, index, &low, sizeof(low)))
		return false;
	*phdr = (Elf64_Phdr){
		.p_type = low.p_type,
		.p_flags = low.p_flags,
		.p_offset = low.p_offset,
		.p_paddr = low.p_paddr,
		.p_filesz = low.p_filesz,
		.p_memsz = low.p_memsz,
	};
	return true;
}

int elf_next_load(const struct elf_image *elf, unsigned int *index, struct elf_segment *segment)
{
	Elf64_Phdr phdr;

	do {
		if (*index == elf->phnum)
			return 0;
		if (!read_program_header(elf, (*index)++, &phdr))
			return -EINVAL;
	} while (phdr.p_type != PT_LOAD || !phdr.p_memsz);
	if (phdr.p_filesz > phdr.p_memsz || !in_file(elf, phdr.p_offset, phdr.p_filesz))
		return -EINVAL;
	*segment = (struct elf_segment){
		.flags = phdr.p_flags,
		.paddr = phdr.p_paddr,
		.memsz = phdr.p_memsz,
		.data = elf->data + phdr.p_offset,
		.filesz = phdr.p_filesz,
	};
	return 1;
}

void elf_load_segment(const struct elf_segment *segment, void *to)
{
	memcpy(to, segment->data, segment->filesz);
	memset((char *)to + segment->filesz, 0, segment->memsz - segment->filesz);
}

static bool read_section(const struct elf_image *elf, unsigned int index,
			 struct elf_section *section, uint32_t *name)
{
	Elf32_Shdr low;
	Elf64_Shdr high;

	if (!elf->is_64) {
		if (!read_item(elf, elf->shoff, index, &low, sizeof(low)))
			return false;
		*section = (struct elf_section){low.sh_addr, low.sh_offset, low.sh_size};
		*name = low.sh_name;
		return true;
	}
	if (!read_item(elf, elf->shoff, index, &high, sizeof(high)))
		return false;
	*section = (struct elf_section){high.sh_addr, high.sh_offset, high.sh_size};
	*name = high.sh_name;
	return true;
}

/* The NUL at its end is compared, too: a name that the file ends in is none. */
static bool is_named(const struct elf_image *elf, const struct elf_section *names, uint32_t at,
		     const char *name)
{
	size_t size = strlen(name) + 1;

	return in_file(elf, names->offset, (uint64_t)at + size) &&
	       !memcmp(elf->data + names->offset + at, name, size);
}

int elf_find_section(const struct elf_image *elf, const char *name, struct elf_section *section)
{
	struct elf_section names;
	uint32_t at;

	if (!read_section(elf, elf->shstrndx, &names, &at))
		return -EINVAL;
	for (unsigned int i = 0; i < elf->shnum; i++) {
		if (!read_section(elf, i, section, &at))
			return -EINVAL;
		if (is_named(elf, &names, at, name))
			return in_file(elf, section->offset, section->size) ? 0 : -EINVAL;
	}
	return -EINVAL;
}
