/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 CPU's layout, by a CPU of QEMU that never runs: its control registers
 * are set through the gdbstub, then the monitor lists all mappings ("info tlb") and
 * translates single addresses ("gva2gpa"), which are two walks of their own.
 *
 * The listing has one line for each leaf, with the rights of the leaf's item:
 * "iova: paddr XGPDACTUW", a letter or a dash each; P is a large leaf, of 2 MiB or
 * of 1 GiB. It shows 50 bits of physical address.
 */
#include "tests/oracle/qemu.h"
#include "tests/oracle/x86_64.h"

#include <stdlib.h>
#include <string.h>

/* The gdbstub's numbers of registers. */
#define GDB_CR0  27
#define GDB_CR3  29
#define GDB_CR4  30
#define GDB_EFER 32

#define CR0_PAGING UINT64_C(0x80010011) /* PG, WP, ET, PE */
#define CR4_PAE    UINT64_C(0x20)
#define CR4_LA57   UINT64_C(0x1000)
#define EFER_LME   UINT64_C(0x900) /* and NXE, without which bit 63 is reserved */

#define G1 (UINT64_C(1) << 30)

/* One line of the listing. */
struct line {
	uint64_t iova, paddr;
	bool large, user, write;
	unsigned int size_lg2; /* of a large leaf; 0 while it is not known */
};

static struct qemu qemu;

/* What the peer says of the tables as they are; until the next change. */
static struct {
	struct line *lines;
	size_t count, room;
} listing;

static void set_register(unsigned int number, uint64_t value)
{
	const char *answer = gdb_command(&qemu, "P%x=%016llx", number,
					 (unsigned long long)__builtin_bswap64(value));

	if (strcmp(answer, "OK"))
		die("QEMU's gdbstub does not set register %u: %s", number, answer);
}

static void start(struct peer *peer, const struct oracle_case *test)
{
	static const char *const arguments[] = {
		"-machine", "q35,accel=tcg,hpet=off,memory-backend=ram0",
		"-cpu",     "max,la57=on",
		"-S",       NULL,
	};

	qemu_start(&qemu, peer, QEMU_GDB | QEMU_QMP, arguments);
	/* Registers are set one by one only for who has asked for their description. */
	gdb_command(&qemu, "qXfer:features:read:target.xml:0,ff");
	set_register(GDB_CR4, CR4_PAE | (test->width == 57 ? CR4_LA57 : 0));
	set_register(GDB_EFER, EFER_LME);
	set_register(GDB_CR0, CR0_PAGING);
}

static void set_tables(struct peer *peer, const struct oracle_tables *tables)
{
	set_register(GDB_CR3, tables->root);
}

/* ---- the listing ---- */

static void add_line(const char *text)
{
	struct line *line;
	unsigned long long iova, paddr;
	char flags[16];

	if (sscanf(text, "%llx: %llx %15s", &iova, &paddr, flags) != 3 || strlen(flags) != 9)
		die("QEMU's listing has the line: %.60s", text);
	if (listing.count == listing.room) {
		listing.room = listing.room ? 2 * listing.room : 4096;
		listing.lines = realloc(listing.lines, listing.room * sizeof(*listing.lines));
		if (!listing.lines)
			die("no memory for QEMU's listing");
	}
	line = &listing.lines[listing.count++];
	*line = (struct line){
		.iova = iova,
		.paddr = paddr,
		.large = flags[2] == 'P',
		.user = flags[7] == 'U',
		.write = flags[8] == 'W',
	};
}

static void read_listing(void)
{
	char *text, *rest, *line;

	monitor_command(&qemu, "info tlb");
	text = monitor_answer(&qemu);
	listing.count = 0;
	for (rest = text; (line = strsep(&rest, "\r\n"));)
		if (*line)
			add_line(line);
	free(text);
}

/* ---- single addresses ---- */

static void ask(uint64_t iova)
{
	monitor_command(&qemu, "gva2gpa %#llx", (unsigned long long)iova);
}

/* "gpa: 0x..." or "Unmapped". */
static bool hear(uint64_t *paddr)
{
	char *text = monitor_answer(&qemu);
	bool mapped = !strncmp(text, "gpa: ", 5);

	if (!mapped && strncmp(text, "Unmapped", 8))
		die("QEMU's monitor translates an address to: %s", text);
	*paddr = mapped ? strtoull(text + 5, NULL, 16) : 0;
	free(text);
	return mapped;
}

/*
 * A large leaf is of 1 GiB if nothing else is listed in it and its last byte is
 * mapped.
 */
static unsigned int line_size_lg2(struct line *line)
{
	const struct line *next = line + 1 < listing.lines + listing.count ? line + 1 : NULL;
	uint64_t paddr;

	if (!line->large)
		return 12;
	if (((line->iova | line->paddr) & (G1 - 1)) || (next && next->iova - line->iova < G1))
		return 21;
	if (!line->size_lg2) {
		ask(line->iova + (G1 - 1));
		line->size_lg2 = hear(&paddr) ? 30 : 21;
	}
	return line->size_lg2;
}

/* The line of the leaf that an address lies in, or NULL. */
static const struct line *find_line(uint64_t iova)
{
	size_t low = 0, high = listing.count;
	struct line *line;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (listing.lines[middle].iova <= iova)
			low = middle + 1;
		else
			high = middle;
	}
	line = low ? &listing.lines[low - 1] : NULL;
	if (!line || iova - line->iova >= (line->large ? G1 : 4096) ||
	    iova - line->iova >= UINT64_C(1) << line_size_lg2(line))
		return NULL;
	return line;
}

/* The listing is the cheaper by far; some addresses are translated one by one too. */
static bool is_asked(uint64_t iova)
{
	return (iova * UINT64_C(0x9e3779b97f4a7c15)) >> 60 == 0;
}

static void answer(struct probe *probe)
{
	const struct line *line = find_line(probe->iova);

	probe->paddr = line ? line->paddr + (probe->iova - line->iova) : 0;
	probe->size_lg2 = line && line->large ? line->size_lg2 : 0;
	probe->fault = !line || !line->user || (probe->access == IOMMU_WRITE && !line->write);
}

/* Where the two walks differ the answer is made one that is never right. */
static void compare(struct probe *probe)
{
	const struct line *line = find_line(probe->iova);
	uint64_t paddr;
	bool mapped = hear(&paddr);

	if (mapped == (line != NULL) && (!mapped || paddr == probe->paddr))
		return;
	probe->fault = false;
	probe->paddr = ~UINT64_C(0);
}

static void probe(struct peer *peer, struct probe *probes, size_t count)
{
	read_listing();
	for (size_t i = 0; i < count; i++)
		answer(&probes[i]);
	for (size_t i = 0; i < count; i++)
		if (is_asked(probes[i].iova))
			ask(probes[i].iova);
	for (size_t i = 0; i < count; i++)
		if (is_asked(probes[i].iova))
			compare(&probes[i]);
}

static void list(struct peer *peer, void (*each)(void *context, const struct listed *listed),
		 void *context)
{
	read_listing();
	for (size_t i = 0; i < listing.count; i++) {
		struct line *line = &listing.lines[i];
		struct listed listed = {
			.iova = line->iova,
			.paddr = line->paddr,
			.size_lg2 = line_size_lg2(line),
			.access = (line->user ? IOMMU_READ : 0) | (line->write ? IOMMU_WRITE : 0),
		};

		each(context, &listed);
	}
}

/* ---- the rest ---- */

/* It caches nothing. */
static void invalidate(struct peer *peer, uint64_t iova, uint64_t last, bool tables)
{
}

static void invalidate_all(struct peer *peer)
{
}

static void stop(struct peer *peer)
{
	qemu_stop(&qemu);
}

/* What the monitor leaves out; the CPU's own walker does not (peer_x86_cpu.c). */
static const char *is_left_out(const struct oracle_item *item, unsigned int bit)
{
	if (bit == 50 || bit == 51)
		return "addresses beyond 50 bits, which the listing cuts off";
	if (item->leaf && bit >= 13 && bit < item->size_lg2)
		return "address below the size of a leaf, which the listing cuts off";
	if (!item->leaf && (bit == 1 || bit == 2))
		return "rights of a table, where the listing has the leaf's";
	if (!item->leaf && bit == 7)
		return "page size where it is reserved, which the listing takes";
	return NULL;
}

/* Intel's Software Developer's Manual, volume 3, 4.5. */
const char *x86_64_ignores(const struct oracle_item *item, unsigned int bit)
{
	if (bit == 5 || bit == 6)
		return "accessed, dirty: written by hardware, never a reason to refuse";
	if (bit == 3 || bit == 4 || (item->leaf && bit == (item->level ? 12 : 7)))
		return "PWT, PCD, PAT: memory types";
	if ((bit >= 8 && bit <= 11) || (bit >= 52 && bit <= 62))
		return "ignored";
	if (bit == 63)
		return "XD: forbids execution, and no more";
	return NULL;
}

static const char *ignores(const struct oracle_item *item, unsigned int bit)
{
	const char *reason = x86_64_ignores(item, bit);

	return reason ? reason : is_left_out(item, bit);
}

struct peer peer_x86_64 = {
	.name = "the monitor of QEMU's x86-64 CPU",
	.program = "qemu-system-x86_64",
	/* The gdbstub takes 32 bits of cr3 from outside 64-bit code. */
	.ram_bytes = UINT64_C(2) << 30,
	.arena_offset = UINT64_C(1) << 30,
	.arena_paddr = UINT64_C(1) << 30,
	.paddr_last = (UINT64_C(1) << 50) - 1,
	.flags = IOMMU_NOEXEC | IOMMU_CACHE,
	.start = start,
	.set_tables = set_tables,
	.probe = probe,
	.list = list,
	.invalidate = invalidate,
	.invalidate_all = invalidate_all,
	.stop = stop,
	.ignores = ignores,
};
