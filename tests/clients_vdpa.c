// SPDX-License-Identifier: MIT
/*
 * IOTLB messages of vhost-vdpa, made with the kernel's own header as a VMM makes
 * them, and what is mapped by them.
 */
#include <linux/vhost_types.h>

#include "tests/clients.h"

#include "tests/clients/vdpa.h"

#define IOVA  UINT64_C(0x100000000)
#define UADDR UINT64_C(0x7f0000000000)
#define SEED  0x7dbaULL
#define MOST  2048 /* pages of the VMM */

_Static_assert(sizeof(struct vdpa_msg) == sizeof(struct vhost_msg_v2), "size");
_Static_assert(sizeof(struct vdpa_msg) == sizeof(struct vhost_msg), "size, version 1");
_Static_assert(offsetof(struct vdpa_msg, iotlb) == offsetof(struct vhost_msg, iotlb), "iotlb");
#define SAME_PLACE(field, of)                                                                 \
	_Static_assert(offsetof(struct vdpa_msg, field) == offsetof(struct vhost_msg_v2, of), \
		       #field);                                                               \
	_Static_assert(sizeof(((struct vdpa_msg *)0)->field) ==                               \
			       sizeof(((struct vhost_msg_v2 *)0)->of),                        \
		       #field)
SAME_PLACE(type, type);
SAME_PLACE(asid, asid);
SAME_PLACE(iotlb, iotlb);
SAME_PLACE(iotlb.iova, iotlb.iova);
SAME_PLACE(iotlb.size, iotlb.size);
SAME_PLACE(iotlb.uaddr, iotlb.uaddr);
SAME_PLACE(iotlb.perm, iotlb.perm);
SAME_PLACE(iotlb.type, iotlb.type);
_Static_assert(VDPA_IOTLB_MSG == VHOST_IOTLB_MSG && VDPA_IOTLB_MSG_V2 == VHOST_IOTLB_MSG_V2,
	       "versions");
_Static_assert(VDPA_IOTLB_UPDATE == VHOST_IOTLB_UPDATE &&
		       VDPA_IOTLB_INVALIDATE == VHOST_IOTLB_INVALIDATE &&
		       VDPA_IOTLB_BATCH_BEGIN == VHOST_IOTLB_BATCH_BEGIN &&
		       VDPA_IOTLB_BATCH_END == VHOST_IOTLB_BATCH_END,
	       "types");
_Static_assert(VDPA_ACCESS_RO == VHOST_ACCESS_RO && VDPA_ACCESS_WO == VHOST_ACCESS_WO &&
		       VDPA_ACCESS_RW == VHOST_ACCESS_RW,
	       "accesses");

static struct iommu_domain *domain;
static struct vhost_vdpa *vdpa;
static struct page_model model;

/* The VMM's pages: runs of 1 to 16 that are contiguous. */
static uint64_t memory[MOST];
static unsigned int nr_asked, nr_asked_to_write;

static void fill_memory(void)
{
	uint64_t random = SEED, paddr = 0;

	for (unsigned int i = 0; i < MOST; i++) {
		if (!random_below(&random, 8) || !i)
			paddr = PAGES(random_below(&random, 1 << 26));
		memory[i] = paddr;
		paddr += PAGE_SIZE;
	}
}

static int phys(void *context, uint64_t address, bool writable, phys_addr_t *paddr)
{
	uint64_t page = (address - UADDR) >> PAGE_SHIFT;

	assert_ptr_equal(context, memory);
	assert_int_equal(address & (PAGE_SIZE - 1), 0);
	if (address < UADDR || page >= MOST)
		return -EFAULT; /* as pin_user_pages() where there is nothing */
	*paddr = memory[page];
	nr_asked++;
	nr_asked_to_write += writable;
	return 0;
}

static void begin_on(const char *format, bool has_asid)
{
	domain = domain_of(format);
	vdpa = vhost_vdpa_open(domain, has_asid, phys, memory);
	assert_false(IS_ERR(vdpa));
	model_begin(&model, IOVA);
	fill_memory();
	nr_asked = nr_asked_to_write = 0;
}

static void begin(void)
{
	begin_on("vtd", true);
}

static void end(void)
{
	vhost_vdpa_release(vdpa);
	assert_int_equal(count_tables(domain), 1);
	iommu_domain_free(domain);
}

/* What a VMM does: fill the structure, write() it. */
static ssize_t send_v2(uint8_t type, uint64_t iova, uint64_t size, uint64_t uaddr, uint8_t perm)
{
	struct vhost_msg_v2 msg = {.type = VHOST_IOTLB_MSG_V2};

	msg.iotlb.iova = iova;
	msg.iotlb.size = size;
	msg.iotlb.uaddr = uaddr;
	msg.iotlb.perm = perm;
	msg.iotlb.type = type;
	return vhost_vdpa_write(vdpa, &msg, sizeof(msg));
}

static ssize_t send_v1(uint8_t type, uint64_t iova, uint64_t size, uint64_t uaddr, uint8_t perm)
{
	struct vhost_msg msg;

	memset(&msg, 0xff, sizeof(msg)); /* also in the hole */
	msg.type = VHOST_IOTLB_MSG;
	msg.iotlb.iova = iova;
	msg.iotlb.size = size;
	msg.iotlb.uaddr = uaddr;
	msg.iotlb.perm = perm;
	msg.iotlb.type = type;
	return vhost_vdpa_write(vdpa, &msg, sizeof(msg));
}

static ssize_t update(uint64_t page, size_t count, uint64_t from, uint8_t perm)
{
	return send_v2(VHOST_IOTLB_UPDATE, IOVA + PAGES(page), PAGES(count), UADDR + PAGES(from),
		       perm);
}

static ssize_t invalidate(uint64_t page, size_t count)
{
	return send_v2(VHOST_IOTLB_INVALIDATE, IOVA + PAGES(page), PAGES(count), 0, 0);
}

static void expect(uint64_t page, size_t count, uint64_t from, unsigned int access)
{
	for (size_t i = 0; i < count; i++)
		model_set(&model, IOVA + PAGES(page + i), memory[from + i], 1, access);
}

static unsigned int count_runs(uint64_t from, size_t count)
{
	unsigned int runs = 1;

	for (size_t i = 1; i < count; i++)
		runs += memory[from + i] != memory[from + i - 1] + PAGE_SIZE;
	return runs;
}

/* As QEMU does it for a guest's memory, of which a part goes again. */
static void batch(void **state)
{
	begin();
	record_begin();
	assert_int_equal(send_v2(VHOST_IOTLB_BATCH_BEGIN, 0, 0, 0, 0), 72);
	assert_int_equal(update(0, 160, 0, VHOST_ACCESS_RW), 72);
	expect(0, 160, 0, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	assert_int_equal(nr_asked_to_write, 160);
	assert_int_equal(update(1000, 200, 300, VHOST_ACCESS_RO), 72);
	assert_int_equal(nr_asked_to_write, 160);
	assert_int_equal(update(160, 1, 1000, VHOST_ACCESS_WO), 72);
	assert_int_equal(nr_asked_to_write, 161);
	assert_int_equal(nr_asked, 361);
	expect(1000, 200, 300, HW_READ);
	expect(160, 1, 1000, HW_WRITE);
	assert_int_equal(send_v2(VHOST_IOTLB_BATCH_END, 0, 0, 0, 0), 72);
	assert_walker_finds(domain, &model);
	assert_maps_recorded(count_runs(0, 160) + count_runs(300, 200) + 1, GFP_KERNEL);
	assert_int_equal(recorded.map[0].prot, RW | IOMMU_CACHE);

	assert_int_equal(invalidate(0, 160), 72);
	expect(0, 160, 0, 0);
	assert_walker_finds(domain, &model);
	assert_int_equal(invalidate(500, 10), 72); /* nothing there */
	assert_int_equal(update(0, 5, 20, VHOST_ACCESS_RW), 72);
	expect(0, 5, 20, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	end();
}

static void version_1(void **state)
{
	begin();
	assert_int_equal(send_v1(VHOST_IOTLB_UPDATE, IOVA, PAGES(9), UADDR, VHOST_ACCESS_RW),
			 sizeof(struct vhost_msg));
	expect(0, 9, 0, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	assert_int_equal(send_v1(VHOST_IOTLB_INVALIDATE, IOVA, PAGES(9), 0, 0),
			 sizeof(struct vhost_msg));
	assert_int_equal(domain_info(domain).tables[0], 0);
	end();
}

/* Bytes and not pages: what they touch is mapped, and only once. */
static void odd_bytes(void **state)
{
	uint64_t iova = IOVA + 0x800;

	begin();
	assert_int_equal(send_v2(VHOST_IOTLB_UPDATE, iova, 0x800, UADDR + 0x800, VHOST_ACCESS_RO),
			 72);
	expect(0, 1, 0, HW_READ);
	assert_int_equal(
		send_v2(VHOST_IOTLB_UPDATE, iova + 0x1000, 0x801, UADDR + 0x1800, VHOST_ACCESS_RO),
		72);
	expect(1, 2, 1, HW_READ);
	assert_walker_finds(domain, &model);
	assert_int_equal(send_v2(VHOST_IOTLB_UPDATE, IOVA, 0x800, UADDR, VHOST_ACCESS_RO), -EFAULT);
	assert_int_equal(send_v2(VHOST_IOTLB_UPDATE, IOVA + 0x2fff, 1, UADDR, VHOST_ACCESS_RO),
			 -EFAULT);
	assert_walker_finds(domain, &model);
	end();
}

/* A run goes whole, whatever part of it is named. */
static void partial_invalidate(void **state)
{
	begin();
	for (unsigned int i = 0; i < 12; i++)
		memory[i] = PAGES(1000 + i + (i >= 8 ? 50 : 0));
	assert_int_equal(update(0, 12, 0, VHOST_ACCESS_RW), 72);
	assert_int_equal(invalidate(3, 1), 72);
	expect(8, 4, 8, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	assert_int_equal(invalidate(12, 1), 72);
	assert_int_equal(invalidate(7, 1), 72);
	assert_walker_finds(domain, &model);
	assert_int_equal(send_v2(VHOST_IOTLB_INVALIDATE, IOVA + PAGES(9), 0, 0, 0), 72);
	assert_walker_finds(domain, &model);
	assert_int_equal(send_v2(VHOST_IOTLB_INVALIDATE, 0, 0, 0, 0), 72); /* everything */
	assert_int_equal(domain_info(domain).tables[0], 0);
	end();
}

static void bad_bytes(void **state)
{
	struct vhost_msg_v2 msg = {.type = VHOST_IOTLB_MSG_V2};
	size_t least = offsetof(struct vhost_msg_v2, iotlb) + sizeof(msg.iotlb);
	unsigned char bytes[sizeof(msg) + 1];

	begin();
	msg.iotlb = (struct vhost_iotlb_msg){
		.iova = IOVA,
		.size = PAGE_SIZE,
		.uaddr = UADDR,
		.perm = VHOST_ACCESS_RW,
		.type = VHOST_IOTLB_UPDATE,
	};
	for (size_t length = 0; length < least; length++) {
		unsigned char *exact = malloc(length ? length : 1);

		memcpy(exact, &msg, length);
		assert_int_equal(vhost_vdpa_write(vdpa, exact, length), -EINVAL);
		free(exact);
	}
	for (unsigned int type = 0; type < 256; type++) {
		if (type == VHOST_IOTLB_MSG || type == VHOST_IOTLB_MSG_V2)
			continue;
		msg.type = type;
		assert_int_equal(vhost_vdpa_write(vdpa, &msg, sizeof(msg)), -EINVAL);
	}
	msg.type = VHOST_IOTLB_MSG_V2;
	msg.iotlb.size = 0;
	assert_int_equal(vhost_vdpa_write(vdpa, &msg, sizeof(msg)), -EINVAL);
	assert_walker_finds(domain, &model);

	/* Of any alignment, and as short as it may be. */
	msg.iotlb.size = PAGE_SIZE;
	memcpy(bytes + 1, &msg, sizeof(msg));
	assert_int_equal(vhost_vdpa_write(vdpa, bytes + 1, least), sizeof(msg));
	expect(0, 1, 0, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	end();
}

static void bad_fields(void **state)
{
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_IDENTITY};
	struct iommu_domain *identity = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	uint64_t last;

	assert_int_equal(PTR_ERR(vhost_vdpa_open(identity, true, phys, memory)), -EINVAL);
	iommu_domain_free(identity);
	begin();
	last = domain_info(domain).aperture_last;
	/* There is no address space before something asks for it. */
	assert_int_equal(invalidate(0, 1), -EFAULT);
	assert_int_equal(send_v2(VHOST_IOTLB_BATCH_END, 0, 0, 0, 0), -EFAULT);
	assert_int_equal(update(5, 3, 5, VHOST_ACCESS_RW), 72);
	expect(5, 3, 5, HW_READ | HW_WRITE);
	assert_int_equal(invalidate(0, 1), 72);
	for (unsigned int type = 0; type < 256; type++)
		if (type < 2 || type > 6 || type == 4)
			assert_int_equal(send_v2(type, IOVA, PAGE_SIZE, UADDR, VHOST_ACCESS_RW),
					 -EFAULT);
	for (unsigned int perm = 0; perm < 256; perm++)
		if (perm < 1 || perm > 3)
			assert_int_equal(update(0, 1, 0, perm), -EFAULT);
	/* Mapped in part; wrapping; too high; where the VMM has no memory. */
	assert_int_equal(update(0, 6, 0, VHOST_ACCESS_RW), -EFAULT);
	assert_int_equal(update(7, 1, 7, VHOST_ACCESS_RW), -EFAULT);
	assert_int_equal(update(0, 20, 0, VHOST_ACCESS_RW), -EFAULT);
	assert_int_equal(send_v2(VHOST_IOTLB_UPDATE, -PAGES(1), PAGES(2), UADDR, VHOST_ACCESS_RW),
			 -EFAULT);
	assert_int_equal(send_v2(VHOST_IOTLB_UPDATE, last, 2, UADDR, VHOST_ACCESS_RW), -EFAULT);
	assert_int_equal(update(100, 20, MOST - 19, VHOST_ACCESS_RW), -EFAULT);
	assert_int_equal(send_v2(VHOST_IOTLB_UPDATE, 0, last + 1, UADDR, VHOST_ACCESS_RW), -EFAULT);
	assert_int_equal(send_v2(VHOST_IOTLB_UPDATE, 1, UINT64_MAX, UADDR, VHOST_ACCESS_RW),
			 -EFAULT);
	assert_walker_finds(domain, &model);
	end();
}

/* Counts once the VMM has agreed to it, and then there is only address space 0. */
static void asid(void **state)
{
	struct vhost_msg_v2 msg = {
		.type = VHOST_IOTLB_MSG_V2,
		.asid = 1,
		.iotlb = {.iova = IOVA,
			  .size = PAGE_SIZE,
			  .uaddr = UADDR,
			  .perm = VHOST_ACCESS_RW,
			  .type = VHOST_IOTLB_UPDATE},
	};

	for (unsigned int has = 0; has < 2; has++) {
		begin_on("vtd", has);
		assert_int_equal(vhost_vdpa_write(vdpa, &msg, sizeof(msg)), has ? -EFAULT : 72);
		if (!has)
			expect(0, 1, 0, HW_READ | HW_WRITE);
		assert_walker_finds(domain, &model);
		end();
	}
}

/* IOMMU_CACHE reaches the tables: AttrIndx, bits 4:2, names the cacheable kind. */
static void coherent(void **state)
{
	begin_on("arm64-s1", true);
	assert_int_equal(update(0, 1, 0, VHOST_ACCESS_RO), 72);
	assert_int_equal(leaf_item(domain, IOVA) >> 2 & 7, 1);
	end();
}

/* Messages of any kind; the model keeps the runs. */
static void random_messages(void **state)
{
	uint64_t random = SEED;
	unsigned int updates = 0, refused = 0;
	static bool starts[MOST]; /* a run begins here */

	begin();
	memset(starts, 0, sizeof(starts));
	assert_int_equal(send_v2(VHOST_IOTLB_BATCH_BEGIN, 0, 0, 0, 0), 72);
	for (unsigned int round = 0; round < SCALED(4000); round++) {
		size_t count = 1 + random_below(&random, 40);
		uint64_t page = random_below(&random, MOST - 40);
		uint64_t from = random_below(&random, MOST - 40), first = page, last;
		unsigned int perm = 1 + random_below(&random, 3);
		bool is_free = true;

		for (size_t i = 0; i < count; i++)
			is_free &= !model.page[page + i].access;
		if (random_below(&random, 3)) {
			assert_int_equal(update(page, count, from, perm), is_free ? 72 : -EFAULT);
			updates += is_free;
			refused += !is_free;
			for (size_t i = 0; i < count && is_free; i++)
				starts[page + i] =
					!i || memory[from + i] != memory[from + i - 1] + PAGE_SIZE;
			if (is_free)
				expect(page, count, from, perm);
		} else {
			assert_int_equal(invalidate(page, count), 72);
			last = page + count - 1;
			while (model.page[first].access && !starts[first])
				first--;
			while (model.page[last].access && model.page[last + 1].access &&
			       !starts[last + 1])
				last++;
			expect(first, last - first + 1, 0, 0);
		}
		if (round % 16 == 0)
			assert_walker_finds(domain, &model);
	}
	assert_true(updates > SCALED(500) && refused > SCALED(500));
	end();
}

static int update_act(void)
{
	ssize_t ret = update(500, 200, 100, VHOST_ACCESS_RW);

	return ret == 72 ? 0 : (int)ret;
}

static void with_neighbours(void)
{
	begin();
	assert_int_equal(update(499, 1, 0, VHOST_ACCESS_RW), 72);
	assert_int_equal(update(700, 1, 1, VHOST_ACCESS_RW), 72);
}

static void update_check(bool done)
{
	model_begin(&model, IOVA);
	expect(499, 1, 0, HW_READ | HW_WRITE);
	expect(700, 1, 1, HW_READ | HW_WRITE);
	if (done)
		expect(500, 200, 100, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
}

static void open_begin(void)
{
	domain = domain_of("vtd");
}

static int open_act(void)
{
	vdpa = vhost_vdpa_open(domain, true, phys, memory);
	return IS_ERR(vdpa) ? (int)PTR_ERR(vdpa) : 0;
}

static void open_check(bool done)
{
	assert_int_equal(done, !IS_ERR(vdpa));
}

static struct iommu_domain *the_domain(void)
{
	return domain;
}

static void failures(void **state)
{
	static const struct failing all[] = {
		{"open", -ENOMEM, false, open_begin, open_act, open_check, the_domain, end},
		{"update", -EFAULT, false, with_neighbours, update_act, update_check, the_domain,
		 end},
	};
	struct mem_cgroup *memcg;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		fail_each(&all[i]);

	/* To take away needs nothing. */
	memcg = enter_cgroup(NULL);
	begin();
	assert_int_equal(update_act(), 0);
	uiommu_fail_nth(1, true);
	assert_int_equal(invalidate(0, MOST), 72);
	assert_false(uiommu_fail_nth(0, false));
	end();
	leave_cgroup(memcg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_cgroup(batch),
		in_cgroup(version_1),
		in_cgroup(odd_bytes),
		in_cgroup(partial_invalidate),
		in_cgroup(bad_bytes),
		in_cgroup(bad_fields),
		in_cgroup(asid),
		in_cgroup(coherent),
		in_cgroup(random_messages),
		cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
