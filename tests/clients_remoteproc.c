// SPDX-License-Identifier: MIT
/*
 * Processors that are booted from ELF files with a resource table, sound and
 * hostile ones.
 */
#include <elf.h>

#include "tests/clients_elf.h"
#include "tests/clients_ranges.h"

#include "tests/clients/remoteproc.h"

#define SEED 0x4e40ULL

/* Where the parts of the table are, so that tests can change them. */
#define TABLE_NUM 8
#define OFFSETS   16
#define TEXT      (OFFSETS + 4 * TABLE_NUM) /* a carveout; so is each of the next two */
#define DATA      (TEXT + 56)
#define ANY       (DATA + 56)
#define DEVMEM    (ANY + 56)
#define TRACE     (DEVMEM + 56)
#define VDEV      (TRACE + 48)
#define VENDOR    (VDEV + 28 + 40 + 4)
#define UNKNOWN   (VENDOR + 8)
#define TABLE     (UNKNOWN + 4)

/* Fields of entries, from their header's start. */
#define DA       4
#define PA       8
#define LEN      12
#define FLAGS    16
#define RESERVED 20
#define NAME     24

static const char source[] = ".macro name text, room\n"
			     "1: .ascii \"\\text\"\n"
			     ".zero \\room - (. - 1b)\n"
			     ".endm\n"
			     ".section .text, \"ax\"\n"
			     ".long 0x11111111, 0x22222222, 0x33333333\n"
			     ".section .data, \"aw\"\n"
			     ".long 0x44444444\n"
			     ".section .bss, \"aw\", %nobits\n"
			     ".zero 0x120\n"
			     ".section .note.GNU-stack, \"\", %progbits\n"
			     ".section .resource_table, \"aw\", %progbits\n"
			     "table: .long 1, 8, 0, 0\n"
			     ".long text - table, data - table, any - table, devmem - table\n"
			     ".long trace - table, vdev - table, vendor - table, unknown - table\n"
			     "text: .long 0, 0x10000000, 0, 0x4000, 1, 0\n"
			     "name text, 32\n"
			     "data: .long 0, 0x20000000, 0, 0x11000, 3, 0\n"
			     "name data, 32\n"
			     "any: .long 0, 0xffffffff, 0, 0x1234, 3, 0\n"
			     "name anywhere, 32\n"
			     "devmem: .long 1, 0x48000000, 0x4a000000, 0x201000, 0x13, 0\n"
			     "name peripherals, 32\n"
			     "trace: .long 2, 0x20001000, 0x1000, 0\n"
			     "name trace, 32\n"
			     "vdev: .long 3, 7, 0, 1, 0, 4\n"
			     ".byte 0, 2, 0, 0\n"
			     ".long 0xffffffff, 16, 32, 0, 0, 0xffffffff, 16, 32, 1, 0\n"
			     ".long 0\n"
			     "vendor: .long 130, 0xdeadbeef\n"
			     "unknown: .long 77\n";

/* The processor sees .text elsewhere than where it is loaded to. */
static const char script[] = "PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); }\n"
			     "SECTIONS {\n"
			     " .text 0x80000000 : AT(0x10000000) { *(.text) } :text\n"
			     " .data 0x20000010 : AT(0x20000010) { *(.data) } :data\n"
			     " .resource_table : { *(.resource_table) } :data\n"
			     " .bss : { *(.bss) } :data\n"
			     " /DISCARD/ : { *(.note*) }\n"
			     "}\n";

static struct elf_file sound;
static struct iommu_domain *domain;

/* ---- memory for carveouts: filled with what must not stay, at addresses that are made up ---- */

#define MOST_MEMORIES 8
#define MEMORY_MOST   0x40000

static struct memory {
	void *va;
	size_t size;
	phys_addr_t paddr;
} memories[MOST_MEMORIES];
static unsigned int nr_memories, live_memories;

static void *alloc_memory(void *context, size_t size, phys_addr_t *paddr)
{
	struct memory *memory = &memories[nr_memories % MOST_MEMORIES];

	assert_ptr_equal(context, memories);
	assert_int_equal(size % 4096, 0);
	if (size > MEMORY_MOST)
		return NULL;
	*memory = (struct memory){malloc(size), size,
				  0x90000000 + (phys_addr_t)nr_memories * 0x100000};
	memset(memory->va, 0xee, size);
	*paddr = memory->paddr;
	nr_memories++;
	live_memories++;
	return memory->va;
}

static void free_memory(void *context, void *va, size_t size)
{
	assert_ptr_equal(context, memories);
	assert_int_equal(size % 4096, 0);
	free(va);
	live_memories--;
}

static const struct rproc_ops ops = {alloc_memory, free_memory};

static struct rproc *boot(const struct elf_file *elf)
{
	nr_memories = 0;
	return rproc_boot(domain, elf->data, elf->size, &ops, memories);
}

static void begin_on(const char *format)
{
	domain = domain_of(format);
}

static void end(void)
{
	assert_nothing_mapped(domain);
	assert_int_equal(live_memories, 0);
	iommu_domain_free(domain);
}

/* ---- the firmware at its addresses ---- */

/* What the processor reads: through the walker, out of what was allocated. */
static uint32_t fetch(uint32_t da)
{
	struct hw_tables tables = hw_tables_of(domain);
	struct hw_translation got;
	uint32_t word;

	assert_int_equal(hw_translate(&tables, da, HW_READ, &got), HW_FAULT_NONE);
	for (unsigned int i = 0; i < nr_memories; i++) {
		if (got.paddr - memories[i].paddr >= memories[i].size)
			continue;
		memcpy(&word, (char *)memories[i].va + (got.paddr - memories[i].paddr),
		       sizeof(word));
		return word;
	}
	fail_msg("0x%x is nowhere", da);
	return 0;
}

static void check_mappings(void)
{
	const struct mapped_range ranges[] = {
		{0x10000000, 0x90000000, 0x4000, HW_READ},
		{0x20000000, 0x90100000, 0x11000, HW_RW},
		{0x48000000, 0x4a000000, 0x201000, HW_RW},
	};

	assert_ranges(domain, ranges, 3);
}

static void check_firmware(void)
{
	const uint32_t table = 0x20000014, bss = table + TABLE;

	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(fetch(0x10000000 + 4 * i), 0x11111111 * (i + 1));
	assert_int_equal(fetch(0x20000010), 0x44444444);
	assert_int_equal(fetch(table), 1);
	assert_int_equal(fetch(table + 4), TABLE_NUM);
	/* The table says where carveouts are. */
	assert_int_equal(fetch(table + TEXT + PA), 0x90000000);
	assert_int_equal(fetch(table + DATA + PA), 0x90100000);
	assert_int_equal(fetch(table + ANY + PA), 0x90200000);
	assert_int_equal(fetch(table + ANY + DA), 0x90200000);
	assert_int_equal(fetch(table + ANY + LEN), 0x1234);
	assert_int_equal(fetch(table + DEVMEM + PA), 0x4a000000);
	for (uint32_t i = 0; i < 0x120; i += 4)
		assert_int_equal(fetch(bss + i), 0);
	assert_int_equal(fetch(bss + 0x120), 0xeeeeeeee);
}

static void firmware_is_loaded(void **state)
{
	const struct iommu_format *format = NULL;
	struct rproc *rproc;

	while ((format = next_walked(format, 4096))) {
		begin_on(format->name);
		record_begin();
		rproc = boot(&sound);
		assert_false(IS_ERR(rproc));
		assert_maps_recorded(3, GFP_KERNEL);
		assert_int_equal(recorded.map[0].prot, IOMMU_READ | IOMMU_WRITE | IOMMU_MMIO);
		check_mappings();
		check_firmware();
		assert_ptr_equal(rproc_da_to_va(rproc, 0x20000004, 0x10ffc),
				 (char *)memories[1].va + 4);
		assert_null(rproc_da_to_va(rproc, 0x20000004, 0x10ffd));
		assert_null(rproc_da_to_va(rproc, 0x48000000, 1));
		assert_ptr_equal(rproc_da_to_va(rproc, 0x90200000, 0x1234), memories[2].va);
		assert_null(rproc_da_to_va(rproc, 0x90200000, ~0ULL));
		rproc_shutdown(rproc);
		end();
	}
}

/* The processor owns its table, and may write into it what it likes. */
static void table_is_not_believed_later(void **state)
{
	struct rproc *rproc;

	begin_on("vtd");
	rproc = boot(&sound);
	memset(memories[1].va, 0xff, memories[1].size);
	rproc_shutdown(rproc);
	end();
}

/* ---- files that are wrong ---- */

static struct elf_file copy_of(const struct elf_file *elf, size_t size)
{
	struct elf_file copy = {malloc(size ? size : 1), size};

	memcpy(copy.data, elf->data, size);
	return copy;
}

static size_t find_table(void)
{
	const uint32_t head[] = {1, TABLE_NUM, 0, 0};
	uint8_t *at = memmem(sound.data, sound.size, head, sizeof(head));

	assert_non_null(at);
	return (size_t)(at - sound.data);
}

/* Returns what booting says; it leaves nothing. */
static int boot_and_shut_down(const struct elf_file *elf)
{
	struct rproc *rproc = boot(elf);
	int ret = IS_ERR(rproc) ? (int)PTR_ERR(rproc) : 0;

	if (!ret)
		rproc_shutdown(rproc);
	assert_int_equal(live_memories, 0);
	assert_int_equal(count_tables(domain), 1);
	return ret;
}

static int boot_changed(size_t offset, const void *bytes, size_t size)
{
	struct elf_file elf = copy_of(&sound, sound.size);
	int ret;

	memcpy(elf.data + offset, bytes, size);
	ret = boot_and_shut_down(&elf);
	free(elf.data);
	return ret;
}

static const struct {
	size_t offset; /* in the table */
	uint32_t value;
	int error;
} wrong_words[] = {
	{0, 2, -EINVAL},
	{4, 0x40000000, -EINVAL},
	{4, (TABLE - 16) / 4 + 1, -EINVAL},
	{8, 1, -EINVAL},
	{12, 1, -EINVAL},
	{OFFSETS, TABLE - 3, -EINVAL},
	{OFFSETS + 8, TABLE - 4, 0}, /* of an unknown type */
	{OFFSETS, 0x80000000, -EINVAL},
	{OFFSETS, 0xffffffff, -EINVAL},
	{TEXT + RESERVED, 1, -EINVAL},
	{TEXT + LEN, 0x4001, -ENOMEM},
	{TEXT + LEN, 0x80000000, -ENOMEM},
	{TEXT + LEN, 0, -ENOMEM},
	{TEXT + LEN, 0xffffffff, -ENOMEM},
	{TEXT + FLAGS, 0, -ENOMEM},
	{TEXT + DA, 0x10000800, -ENOMEM},
	{TEXT + DA, 0x48000000, -ENOMEM},   /* where device memory is */
	{TEXT + DA, 0x30000000, -EINVAL},   /* not where the segment is */
	{TEXT + NAME, 0x61746164, -ENOMEM}, /* "data" */
	{ANY + RESERVED, 1, -EINVAL},
	{ANY + FLAGS, 0, 0},
	{DEVMEM + RESERVED, 1, -EINVAL},
	{DEVMEM + DA, 0x800, -EINVAL},
	{DEVMEM + PA, 0x800, -EINVAL},
	{DEVMEM + LEN, 0, -EINVAL},
	{DEVMEM + LEN, 0x800, -EINVAL},
	{DEVMEM + FLAGS, 0, -EINVAL},
	{TRACE + 12, 1, -EINVAL},
	{VDEV + 20, 5 + (TABLE - VENDOR), -EINVAL},
	{VDEV + 20, 0xffffffff, -EINVAL},
	{VENDOR, RSC_TRACE, -EINVAL}, /* cut off */
	{VENDOR, RSC_VDEV, -EINVAL},
	{VENDOR, RSC_CARVEOUT, -EINVAL},
	{VENDOR, RSC_DEVMEM, -EINVAL},
	{VENDOR, 4, 0},
};

static void wrong_tables(void **state)
{
	const uint8_t rings[] = {0, 3, 0, 0}, reserved[] = {0, 2, 1, 0};
	size_t table = find_table();

	begin_on("vtd");
	for (size_t i = 0; i < sizeof(wrong_words) / sizeof(wrong_words[0]); i++) {
		uint32_t value = wrong_words[i].value;

		/* Names are bytes. */
		if (wrong_words[i].offset == TEXT + NAME)
			memcpy(&value, "data", 4);
		if (boot_changed(table + wrong_words[i].offset, &value, 4) != wrong_words[i].error)
			fail_msg("0x%x at %zu", value, wrong_words[i].offset);
	}
	assert_int_equal(boot_changed(table + VDEV + 24, rings, 4), -EINVAL);
	assert_int_equal(boot_changed(table + VDEV + 24, reserved, 4), -EINVAL);
	end();
}

#define CHANGE(type, field, number)                                                               \
	do {                                                                                      \
		__typeof__(((type *)0)->field) value = (__typeof__(value))(number);               \
		assert_int_equal(boot_changed(at + offsetof(type, field), &value, sizeof(value)), \
				 -EINVAL);                                                        \
	} while (0)

#define CHANGE_ALL(bits)                                             \
	do {                                                         \
		size_t at = 0;                                       \
		Elf##bits##_Ehdr header;                             \
		memcpy(&header, sound.data, sizeof(header));         \
		CHANGE(Elf##bits##_Ehdr, e_phnum, 0);                \
		CHANGE(Elf##bits##_Ehdr, e_phnum, 0xffff);           \
		CHANGE(Elf##bits##_Ehdr, e_phoff, sound.size + 1);   \
		CHANGE(Elf##bits##_Ehdr, e_phoff, sound.size - 1);   \
		CHANGE(Elf##bits##_Ehdr, e_shoff, sound.size);       \
		CHANGE(Elf##bits##_Ehdr, e_shoff, ~0ULL);            \
		CHANGE(Elf##bits##_Ehdr, e_shnum, 0);                \
		CHANGE(Elf##bits##_Ehdr, e_shstrndx, 0xffff);        \
		at = header.e_phoff;                                 \
		CHANGE(Elf##bits##_Phdr, p_paddr, 0x10003ff8);       \
		CHANGE(Elf##bits##_Phdr, p_paddr, 0x48000000);       \
		CHANGE(Elf##bits##_Phdr, p_paddr, ~0ULL);            \
		CHANGE(Elf##bits##_Phdr, p_filesz, 13);              \
		CHANGE(Elf##bits##_Phdr, p_memsz, 11);               \
		CHANGE(Elf##bits##_Phdr, p_memsz, ~0ULL);            \
		CHANGE(Elf##bits##_Phdr, p_offset, sound.size - 11); \
		CHANGE(Elf##bits##_Phdr, p_offset, ~0ULL);           \
	} while (0)

static void wrong_files(void **state)
{
	begin_on("vtd");
	for (size_t at = 0; at < EI_VERSION; at++)
		assert_int_equal(boot_changed(at, "\0", 1), -EINVAL);
	if (sound.data[EI_CLASS] == ELFCLASS32)
		CHANGE_ALL(32);
	else
		CHANGE_ALL(64);
	assert_int_equal(boot_and_shut_down(&sound), 0);
	end();
}

/* What is after the end of a shorter file is not read, which sanitizers see. */
static void cut_files(void **state)
{
	begin_on("vtd");
	for (size_t size = 0; size < sound.size; size++) {
		struct elf_file elf = copy_of(&sound, size);

		assert_int_equal(boot_and_shut_down(&elf), -EINVAL);
		free(elf.data);
	}
	end();
}

/* Every byte changed, then several; whatever comes of it, nothing is left. */
static void changed_files(void **state)
{
	static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x10};
	uint64_t random = SEED;
	unsigned int booted = 0;

	print_message("# seed 0x%llx\n", SEED);
	begin_on("vtd");
	for (size_t i = 0; i < sound.size; i++)
		for (size_t j = 0; j < SCALED(sizeof(flips)); j++) {
			uint8_t byte = sound.data[i] ^ flips[j];
			int ret = boot_changed(i, &byte, 1);

			assert_true(!ret || ret == -EINVAL || ret == -ENOMEM || ret == -EADDRINUSE);
			booted += !ret;
		}
	for (unsigned int i = 0; i < SCALED(10000); i++) {
		struct elf_file elf = copy_of(&sound, sound.size);

		for (unsigned int n = 0; n < 2 + i % 6; n++)
			elf.data[random_below(&random, elf.size)] = (uint8_t)random_next(&random);
		booted += !boot_and_shut_down(&elf);
		free(elf.data);
	}
	print_message("# %u booted of %zu bytes\n", booted, sound.size);
	assert_true(booted);
	end();
}

/* ---- memory that runs out ---- */

static struct rproc *running;

static void begin(void)
{
	running = NULL;
	begin_on("vtd");
}

static int act(void)
{
	struct rproc *rproc = boot(&sound);

	if (IS_ERR(rproc))
		return (int)PTR_ERR(rproc);
	running = rproc;
	return 0;
}

static void check(bool done)
{
	assert_int_equal(running != NULL, done);
	assert_int_equal(live_memories, done ? 3 : 0);
	if (done)
		check_mappings();
	else
		assert_nothing_mapped(domain);
}

static struct iommu_domain *the_domain(void)
{
	return domain;
}

static void shut_down(void)
{
	rproc_shutdown(running);
	end();
}

static void every_failure(void **state)
{
	fail_each(&(struct failing){.name = "boot",
				    .error = -ENOMEM,
				    .begin = begin,
				    .act = act,
				    .check = check,
				    .domain = the_domain,
				    .end = shut_down});
}

static void not_for_others(void **state)
{
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_IDENTITY};

	domain = iommu_domain_alloc(&params, GFP_KERNEL);
	assert_int_equal(PTR_ERR(boot(&sound)), -EINVAL);
	iommu_domain_free(domain);
	/* 16 KiB pages, which the second carveout is no multiple of. */
	begin_on("arm64-s1-16k");
	assert_true(IS_ERR(boot(&sound)));
	end();
}

static struct elf_file files[2];

static int make_files(void **state)
{
	files[0] = make_elf(source, script, CC_64);
	files[1] = make_elf(source, script, CC_32);
	return 0;
}

static int free_files(void **state)
{
	free(files[0].data);
	free(files[1].data);
	return 0;
}

static int enter_64(void **state)
{
	sound = files[0];
	return enter_test(state);
}

static int enter_32(void **state)
{
	sound = files[1];
	return enter_test(state);
}

#define IN_BOTH(test)                                              \
	{#test " (ELF64)", test, enter_64, leave_test, NULL},      \
	{                                                          \
#test " (ELF32)", test, enter_32, leave_test, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BOTH(firmware_is_loaded), IN_BOTH(table_is_not_believed_later),
		IN_BOTH(wrong_tables),       IN_BOTH(wrong_files),
		IN_BOTH(cut_files),          IN_BOTH(changed_files),
		IN_BOTH(not_for_others),     IN_BOTH(every_failure),
	};

	return cmocka_run_group_tests(tests, make_files, free_files);
}
