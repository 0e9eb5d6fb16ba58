// SPDX-License-Identifier: MIT
/*
 * s390: the zPCI model of QEMU, with a virtio-blk device behind it. A program on
 * its CPU (s390_cpu.S) executes the instructions that the host makes lists of.
 *
 * The device's rings are reached through the tables too. Their item in the top
 * table is there only while RPCIT looks at them: from then on the model's own
 * cache has them. They lie above the width of the tables, which the model cuts
 * off for the walk and not for the cache, and so do the addresses of all probes:
 * the first 4 GiB are none of a device's otherwise.
 *
 * A read is a request whose header lies at the address, a write is the answer to
 * a GET_ID request. Leaves point to where there is nothing, so that QEMU logs each
 * access with the physical address at which it arrived. An access that is refused
 * puts the device out of service: it is set up again at once.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/oracle/guest.h"
#include "tests/oracle/s390_cpu.h"

/* The host's part of the guest's memory, addresses as the guest has them. */
#define CLP_BLOCK     0x10000
#define FIB           0x13000
#define RINGS         0x40000
#define RINGS_BYTES   0x10000
#define COMMANDS_MOST (UINT64_C(0x80000) / COMMAND_BYTES)
#define OUR_SEGMENTS  0x100000
#define OUR_PAGES     0x104000

/* What the device is told. */
#define PROBES_AT (UINT64_C(1) << 42)
#define RINGS_AT  (UINT64_C(1) << 43)
#define LAST_DMA  (2 * RINGS_AT - 1)
#define PAGE      UINT64_C(4096)

/*
 * Within the rings. Their parts are placed so that no element of the used ring
 * lies over the end of a page, which the model gets wrong.
 */
#define QUEUE_SIZE  1024
#define DESCRIPTORS 0
#define AVAILABLE   0x4000
#define USED        0x5004
#define HEADER      0x8000 /* of a GET_ID request */
#define STATUSES    0x9000
#define SCRATCH     0xa000 /* for the data of requests that have none */
#define SERIAL      "uiommu-oracle-serial"
#define ID_BYTES    20

#define BATCH        128 /* probes; each has its own 32 bytes of a page */
#define SLOT         32
#define NR_CACHED    1024
#define NOTHING_FROM (UINT64_C(3) << 45)
#define NOWHERE      (~UINT64_C(0))

static struct {
	struct qemu qemu;
	uint32_t handle;
	size_t commands;
	uint64_t root;
	uint64_t cached[NR_CACHED]; /* pages that the model has, + 1; 0 for none */
	size_t next_cached;
} s390;

/* ---- memory ---- */

static void put64(uint64_t paddr, uint64_t value)
{
	value = htobe64(value);
	memcpy(oracle_ram + paddr, &value, 8);
}

static void put32(uint64_t paddr, uint32_t value)
{
	value = htobe32(value);
	memcpy(oracle_ram + paddr, &value, 4);
}

static void put16(uint64_t paddr, uint16_t value)
{
	value = htobe16(value);
	memcpy(oracle_ram + paddr, &value, 2);
}

static uint32_t get32(uint64_t paddr)
{
	uint32_t value;

	memcpy(&value, oracle_ram + paddr, 4);
	return be32toh(value);
}

/* ---- commands ---- */

static void command(uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t at = LIST + s390.commands++ * COMMAND_BYTES;

	if (s390.commands > COMMANDS_MOST)
		die("too many commands for the guest");
	put32(at + COMMAND_NUMBER, number);
	put32(at + COMMAND_CONDITION, 0);
	put64(at + COMMAND_A, a);
	put64(at + COMMAND_B, b);
	put64(at + COMMAND_C, c);
}

static void run_commands(void)
{
	if (s390.commands)
		guest_run(&s390.qemu, (volatile uint64_t *)(oracle_ram + MAILBOX),
			  htobe64(s390.commands));
	s390.commands = 0;
}

/* The condition code of the @index-th command of the list that was run last. */
static uint32_t condition(size_t index)
{
	return get32(LIST + index * COMMAND_BYTES + COMMAND_CONDITION);
}

static uint64_t function(void)
{
	return (uint64_t)s390.handle << 32;
}

/* One command that must succeed. */
static void run_one(uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
	command(number, a, b, c);
	run_commands();
	if (condition(0))
		die("zPCI: command %u has condition code %u", number, condition(0));
}

/* ---- the function: CLP and MPCIFC ---- */

#define CLP_LIST   2
#define CLP_SET    5
#define CLP_OK     0x10
#define CLP_ANSWER (CLP_BLOCK + 32)

static void clp(uint16_t code, uint16_t answer_bytes)
{
	put16(CLP_BLOCK, 32);
	put16(CLP_BLOCK + 2, code);
	put16(CLP_ANSWER, answer_bytes);
	run_one(COMMAND_CLP, 0, CLP_BLOCK, 0);
	if (get32(CLP_ANSWER) != ((uint32_t)answer_bytes << 16 | CLP_OK))
		die("zPCI: CLP %u answers %#x", code, get32(CLP_ANSWER));
}

/* There is one function in the list; its handle changes when it is enabled. */
static void enable_function(void)
{
	memset(oracle_ram + CLP_BLOCK, 0, 2 * PAGE);
	clp(CLP_LIST, 32 + 16);
	s390.handle = get32(CLP_ANSWER + 32 + 12);
	memset(oracle_ram + CLP_BLOCK, 0, 2 * PAGE);
	put32(CLP_BLOCK + 16, s390.handle);
	oracle_ram[CLP_BLOCK + 23] = 1; /* one space of DMA addresses */
	clp(CLP_SET, 32);
	s390.handle = get32(CLP_ANSWER + 16);
}

#define MPCIFC_REGISTER    4
#define MPCIFC_DEREGISTER  5
#define MPCIFC_RESET_ERROR 7

#define IOTA_ENABLED      0x800
#define IOTA_REGION_THIRD (1 << 2)

static void register_tables(uint64_t root)
{
	memset(oracle_ram + FIB, 0, 128);
	if (s390.root)
		run_one(COMMAND_MPCIFC, function() | MPCIFC_DEREGISTER, FIB, 0);
	put64(FIB + 16, PROBES_AT);
	put64(FIB + 24, LAST_DMA);
	put64(FIB + 32, root | IOTA_ENABLED | IOTA_REGION_THIRD);
	run_one(COMMAND_MPCIFC, function() | MPCIFC_REGISTER, FIB, 0);
	s390.root = root;
}

/* ---- the device: PCISTG ---- */

#define SPACE_CONFIG 15
#define SPACE_VIRTIO 4

#define CONFIG_COMMAND               4
#define COMMON_DRIVER_FEATURE_SELECT 8
#define COMMON_DRIVER_FEATURE        12
#define COMMON_STATUS                20
#define COMMON_QUEUE_SIZE            24
#define COMMON_QUEUE_ENABLE          28
#define COMMON_QUEUE_DESC            32
#define COMMON_QUEUE_DRIVER          40
#define COMMON_QUEUE_DEVICE          48
#define NOTIFY                       0x3000

#define STATUS_DRIVER      3 /* acknowledged */
#define STATUS_FEATURES_OK 8
#define STATUS_DRIVER_OK   4
#define FEATURES_HIGH      3 /* VERSION_1, ACCESS_PLATFORM */

/* Registers are little-endian, operands are not. */
static void store(unsigned int space, unsigned int offset, unsigned int bytes, uint32_t value)
{
	uint64_t operand = value;

	if (bytes == 2)
		operand = __builtin_bswap16((uint16_t)value);
	else if (bytes == 4)
		operand = __builtin_bswap32(value);
	command(COMMAND_PCISTG, operand, function() | space << 16 | bytes, offset);
}

static void store_address(unsigned int offset, uint64_t address)
{
	store(SPACE_VIRTIO, offset, 4, (uint32_t)address);
	store(SPACE_VIRTIO, offset + 4, 4, (uint32_t)(address >> 32));
}

/* From whatever state to one with empty rings. Returns how many commands it takes. */
static size_t setup_device(void)
{
	size_t before = s390.commands;

	command(COMMAND_MPCIFC, function() | MPCIFC_RESET_ERROR, FIB, 0);
	command(COMMAND_STORE, 0, RINGS + AVAILABLE, 0);
	store(SPACE_VIRTIO, COMMON_STATUS, 1, 0);
	store(SPACE_VIRTIO, COMMON_STATUS, 1, STATUS_DRIVER);
	store(SPACE_VIRTIO, COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	store(SPACE_VIRTIO, COMMON_DRIVER_FEATURE, 4, FEATURES_HIGH);
	store(SPACE_VIRTIO, COMMON_STATUS, 1, STATUS_DRIVER | STATUS_FEATURES_OK);
	store(SPACE_VIRTIO, COMMON_QUEUE_SIZE, 2, QUEUE_SIZE);
	store_address(COMMON_QUEUE_DESC, RINGS_AT + DESCRIPTORS);
	store_address(COMMON_QUEUE_DRIVER, RINGS_AT + AVAILABLE);
	store_address(COMMON_QUEUE_DEVICE, RINGS_AT + USED);
	store(SPACE_VIRTIO, COMMON_QUEUE_ENABLE, 2, 1);
	store(SPACE_VIRTIO, COMMON_STATUS, 1,
	      STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	return s390.commands - before;
}

/* ---- requests ---- */

#define REQUEST_GET_ID 8

#define DESCRIPTOR_NEXT  1
#define DESCRIPTOR_WRITE 2

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct header {
	uint32_t type, priority;
	uint64_t sector;
};

static void make_chain(size_t index, uint64_t header, uint64_t data)
{
	struct descriptor *ring = (void *)(oracle_ram + RINGS + DESCRIPTORS);
	uint16_t head = (uint16_t)(3 * index);

	ring[head] = (struct descriptor){htole64(header), htole32(sizeof(struct header)),
					 htole16(DESCRIPTOR_NEXT), htole16(head + 1)};
	ring[head + 1] =
		(struct descriptor){htole64(data), htole32(ID_BYTES),
				    htole16(DESCRIPTOR_NEXT | DESCRIPTOR_WRITE), htole16(head + 2)};
	ring[head + 2] = (struct descriptor){htole64(RINGS_AT + STATUSES + index), htole32(1),
					     htole16(DESCRIPTOR_WRITE), 0};
}

/* A status byte that no request leaves behind: the device did not come to it. */
#define NO_STATUS 0xff

/* Hand a chain to the device, and put it into service again if it was refused. */
static void submit(size_t index)
{
	size_t skip;

	oracle_ram[RINGS + STATUSES + index] = (char)NO_STATUS;
	command(COMMAND_SUBMIT, 3 * index, RINGS + AVAILABLE, QUEUE_SIZE - 1);
	store(SPACE_VIRTIO, NOTIFY, 2, 0);
	skip = s390.commands;
	command(COMMAND_SKIP, NO_STATUS, RINGS + STATUSES + index, 0);
	put64(LIST + skip * COMMAND_BYTES + COMMAND_C, setup_device());
}

static bool was_refused(size_t index)
{
	return (unsigned char)oracle_ram[RINGS + STATUSES + index] == NO_STATUS;
}

static uint64_t slot_address(const struct probe *probe, size_t index)
{
	return PROBES_AT | (probe->iova & -PAGE) | index * SLOT;
}

/* ---- the model's cache of translations ---- */

static bool is_cached(uint64_t iova)
{
	for (size_t i = 0; i < NR_CACHED; i++)
		if (s390.cached[i] == (iova & -PAGE) + 1)
			return true;
	return false;
}

/* It walks the tables for RPCIT and at no other time. */
static void refresh(uint64_t iova)
{
	command(COMMAND_RPCIT, function(), PROBES_AT | (iova & -PAGE), PAGE);
	s390.cached[s390.next_cached++ % NR_CACHED] = (iova & -PAGE) + 1;
}

static void forget(uint64_t iova, uint64_t last)
{
	for (size_t i = 0; i < NR_CACHED; i++)
		if (s390.cached[i] && s390.cached[i] - 1 <= last && s390.cached[i] - 1 >= iova)
			s390.cached[i] = 0;
}

static void invalidate(struct peer *peer, uint64_t iova, uint64_t last, bool tables)
{
	forget(iova & -PAGE, last);
}

static void invalidate_all(struct peer *peer)
{
	memset(s390.cached, 0, sizeof(s390.cached));
}

/* ---- probes ---- */

/*
 * Where the accesses arrived: the first line of each. What was refused, and the
 * device's own accesses after that, stand there with lower addresses.
 */
static void read_log(int access, uint64_t *arrived)
{
	uint64_t paddr;

	for (size_t i = 0; i < BATCH; i++)
		arrived[i] = NOWHERE;
	while ((paddr = guest_logged(&s390.qemu, access)) != GUEST_NOT_LOGGED) {
		size_t index = (paddr & (PAGE - 1)) / SLOT;

		if (paddr >= NOTHING_FROM && arrived[index] == NOWHERE)
			arrived[index] = paddr - index * SLOT;
	}
}

/* What RPCIT refuses is a fault for all probes of that page. */
static void check_refresh(size_t command, struct probe *probes, size_t count, uint64_t iova)
{
	if (!condition(command))
		return;
	for (size_t i = 0; i < count; i++)
		if ((probes[i].iova ^ iova) < PAGE)
			probes[i].fault = true;
}

static void read_all(struct probe *probes, size_t count)
{
	size_t refreshed[BATCH];
	uint64_t arrived[BATCH];

	for (size_t i = 0; i < count; i++) {
		refreshed[i] = is_cached(probes[i].iova) ? COMMANDS_MOST : s390.commands;
		if (refreshed[i] != COMMANDS_MOST)
			refresh(probes[i].iova);
		make_chain(i, slot_address(&probes[i], i), RINGS_AT + SCRATCH);
		submit(i);
	}
	run_commands();
	read_log(IOMMU_READ, arrived);
	for (size_t i = 0; i < count; i++) {
		probes[i].fault = was_refused(i);
		probes[i].paddr = arrived[i];
	}
	for (size_t i = 0; i < count; i++)
		if (refreshed[i] != COMMANDS_MOST)
			check_refresh(refreshed[i], probes, count, probes[i].iova);
	for (size_t i = 0; i < count; i++) /* what is absent is not cached */
		if (probes[i].fault)
			forget(probes[i].iova & -PAGE, probes[i].iova);
}

/*
 * A write follows a read that was seen to arrive, so that it does no harm
 * whatever the tables say. Nothing may be written and not read.
 */
static bool may_write(const struct probe *probe)
{
	return probe->access == IOMMU_WRITE && !probe->fault && probe->paddr != NOWHERE;
}

static void write_all(struct probe *probes, size_t count)
{
	uint64_t arrived[BATCH];

	for (size_t i = 0; i < count; i++) {
		if (!may_write(&probes[i]))
			continue;
		make_chain(i, RINGS_AT + HEADER, slot_address(&probes[i], i));
		submit(i);
	}
	run_commands();
	read_log(IOMMU_WRITE, arrived);
	for (size_t i = 0; i < count; i++) {
		if (!may_write(&probes[i]))
			continue;
		probes[i].fault = was_refused(i);
		probes[i].paddr = arrived[i];
	}
}

static void probe(struct peer *peer, struct probe *probes, size_t count)
{
	while (count) {
		size_t now = count < BATCH ? count : BATCH;

		read_all(probes, now);
		write_all(probes, now);
		for (size_t i = 0; i < now; i++)
			if (probes[i].paddr != NOWHERE)
				probes[i].paddr += probes[i].iova & (PAGE - 1);
		probes += now;
		count -= now;
	}
}

/* ---- tables ---- */

/* Items of ours, which the model looks at once. */
#define SEGMENT_TABLE (1 << 2 | 3) /* of a region-third table, full length */

static void set_tables(struct peer *peer, const struct oracle_tables *tables)
{
	uint64_t slot = tables->root + (RINGS_AT >> 31 & 0x7ff) * 8, theirs;

	register_tables(tables->root);
	memcpy(&theirs, oracle_ram + slot, 8);
	put64(slot, OUR_SEGMENTS | SEGMENT_TABLE);
	put64(OUR_SEGMENTS, OUR_PAGES);
	for (uint64_t at = 0; at < RINGS_BYTES; at += PAGE)
		put64(OUR_PAGES + at / PAGE * 8, RINGS + at);
	run_one(COMMAND_RPCIT, function(), RINGS_AT, RINGS_BYTES);
	memcpy(oracle_ram + slot, &theirs, 8);
	invalidate_all(peer);
	setup_device();
	run_commands();
}

#define BLOCK_DEVICE                                                       \
	"virtio-blk-pci,id=blk,drive=disk,serial=" SERIAL                  \
	",disable-legacy=on,iommu_platform=on,ioeventfd=off,num-queues=1," \
	"queue-size=1024"
/*
 * QEMU counts the bytes of buffers that stand in for memory which is not there, and
 * does not uncount those of a request that it gives up, as after a refused access.
 */
#define BOUNCE_LIMIT "x-max-bounce-buffer-size"

static void start(struct peer *peer, const struct oracle_case *test)
{
	static char image[PAGE];
	char path[64];
	int kernel = memfd_create("oracle-kernel", 0);
	bool has_limit = qemu_lists(peer, "-device virtio-blk-pci,help", BOUNCE_LIMIT);
	const char *const arguments[] = {
		"-machine",  "s390-ccw-virtio,accel=tcg,memory-backend=ram0",
		"-kernel",   path,
		"-d",        qemu_log_items(peer),
		"-device",   "zpci,uid=1,fid=1,target=blk",
		"-blockdev", "null-co,node-name=disk,size=512",
		"-device",   has_limit ? BLOCK_DEVICE "," BOUNCE_LIMIT "=4294967295" : BLOCK_DEVICE,
		NULL,
	};
	size_t bytes = guest_program("s390", image, sizeof(image));

	if (kernel < 0 || write(kernel, image, bytes) != (ssize_t)bytes)
		die("no file for the guest's program: %s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", kernel);
	qemu_start(&s390.qemu, peer, 0, arguments);
	enable_function();
	close(kernel);
	store(SPACE_CONFIG, CONFIG_COMMAND, 2, 6); /* memory, bus master */
	run_commands();
	oracle_ram[RINGS + HEADER] = REQUEST_GET_ID;
}

static void stop(struct peer *peer)
{
	qemu_stop(&s390.qemu);
}

/* ---- what it cannot notice ---- */

static const char *page_ignores(unsigned int bit)
{
	return bit < 9 || bit == 11 ? "bits 8:0 and 11 of a page's entry: not looked at" : NULL;
}

/* A segment's entry has the same of a table and of a leaf, but for the address. */
static const char *segment_ignores(unsigned int bit, bool leaf)
{
	if (leaf && bit >= 11 && bit < 20)
		return "address bits below the alignment";
	if (bit < 2 || bit == 4 || (bit >= 6 && bit < 9))
		return "bits 8:6, 4 and 1:0 of a segment's entry: not looked at";
	return NULL;
}

static const char *region_ignores(unsigned int bit)
{
	if (bit == 12 || bit == 13)
		return "address bits below the alignment";
	if (bit == 4 || bit == 8 || bit == 10 || bit == 11)
		return "bits 11:10, 8 and 4 of a region's entry: not looked at";
	return NULL;
}

static const char *ignores(const struct oracle_item *item, unsigned int bit)
{
	if (item->level == 0)
		return page_ignores(bit);
	return item->level == 1 ? segment_ignores(bit, item->leaf) : region_ignores(bit);
}

struct peer peer_s390 = {
	.name = "QEMU zPCI",
	.program = "qemu-system-s390x",
	.ram_bytes = UINT64_C(512) << 20,
	.arena_offset = UINT64_C(16) << 20,
	.arena_paddr = UINT64_C(16) << 20,
	.paddr_first = NOTHING_FROM,
	.paddr_last = ~UINT64_C(0),
	.probe_bits = 42,
	.flags = IOMMU_CACHE | IOMMU_NOEXEC | IOMMU_MMIO,
	.start = start,
	.set_tables = set_tables,
	.probe = probe,
	.invalidate = invalidate,
	.invalidate_all = invalidate_all,
	.stop = stop,
	.ignores = ignores,
};
