// SPDX-License-Identifier: MIT
/* Push buffers: where they are, that they can only be read, what is in them. */
#include "tests/clients_ranges.h"

#include "tests/clients/host1x.h"

#define BUFFERS 20
#define MASK    0xffffffffULL
#define WORDS   (512 * 2)

static struct iommu_domain *domain;
static struct host1x host;
static struct host1x_pushbuffer buffer;

static void begin_on(const char *format)
{
	domain = domain_of(format);
	assert_int_equal(host1x_init(&host, domain, MASK), 0);
}

static void end(void)
{
	assert_nothing_mapped(domain);
	host1x_exit(&host);
	iommu_domain_free(domain);
}

/* 512 commands of 8 bytes and a word, in pages. */
static uint64_t buffer_size(const struct iommu_format *format)
{
	uint64_t page = smallest_page(format);

	return (512 * 8 + 4 + page - 1) / page * page;
}

static void buffers_are_mapped_for_reading(void **state)
{
	const struct iommu_format *format = NULL;

	while ((format = next_walked(format, 65536))) {
		uint64_t size = buffer_size(format), page = smallest_page(format);
		uint64_t align = size / page > 1 ? 2 * page : page;
		struct host1x_pushbuffer pb[BUFFERS];
		struct mapped_range ranges[BUFFERS];

		begin_on(format->name);
		for (unsigned int i = 0; i < BUFFERS; i++) {
			record_begin();
			assert_int_equal(host1x_pushbuffer_init(&host, &pb[i]), 0);
			assert_maps_recorded(1, GFP_KERNEL);
			assert_int_equal(recorded.map[0].prot, IOMMU_READ);
			/* From the top of 32 bits down, or of what addresses there are. */
			assert_int_equal(pb[i].dma & (align - 1), 0);
			assert_true(pb[i].dma + size - 1 <= MASK);
			assert_int_equal(pb[i].dma, (domain_info(domain).aperture_last & MASK) + 1 -
							    (i + 1) * size);
			ranges[i] = (struct mapped_range){pb[i].dma, virt_to_phys(pb[i].mapped),
							  size, HW_READ};
			assert_int_equal(pb[i].phys, ranges[i].paddr);
			assert_ranges(domain, ranges, i + 1);
		}
		for (unsigned int i = BUFFERS; i--;) {
			host1x_pushbuffer_destroy(&host, &pb[i]);
			host1x_pushbuffer_destroy(&host, &pb[i]);
			assert_ranges(domain, ranges, i);
		}
		end();
	}
}

/* What the device fetches: through the walker, out of memory. */
static uint32_t fetch(uint64_t iova)
{
	struct hw_tables tables = hw_tables_of(domain);
	struct hw_translation got;
	uint32_t word = 0;

	assert_int_equal(hw_translate(&tables, iova, HW_READ, &got), HW_FAULT_NONE);
	assert_true(hw_read_arena(NULL, got.paddr, &word, sizeof(word)));
	return word;
}

static void commands_are_fetched_in_order(void **state)
{
	uint32_t put = 0, got = 0, at = 0;
	uint64_t random = 0x4057;
	struct hw_translation write;
	struct hw_tables tables;

	begin_on("arm64-s2");
	assert_int_equal(host1x_pushbuffer_init(&host, &buffer), 0);
	tables = hw_tables_of(domain);
	assert_int_equal(hw_translate(&tables, buffer.dma, HW_WRITE, &write), HW_FAULT_WRITE);
	for (unsigned int i = 0; i < SCALED(200); i++) {
		unsigned int fetched = (unsigned int)random_below(&random, 600);

		while (!host1x_pushbuffer_push(&buffer, 2 * put, 2 * put + 1))
			put++;
		assert_int_equal(put - got, 511);
		fetched = fetched > put - got ? put - got : fetched;
		for (unsigned int slot = 0; slot < fetched; slot++, got++, at = (at + 2) % WORDS) {
			assert_int_equal(fetch(buffer.dma + 4 * at), 2 * got);
			assert_int_equal(fetch(buffer.dma + 4 * at + 4), 2 * got + 1);
		}
		host1x_pushbuffer_pop(&buffer, fetched);
	}
	host1x_pushbuffer_destroy(&host, &buffer);
	end();
}

static void no_addresses(void **state)
{
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_IDENTITY};
	struct host1x_pushbuffer pb[2];

	domain = iommu_domain_alloc(&params, GFP_KERNEL);
	assert_int_equal(host1x_init(&host, domain, MASK), -EINVAL);
	iommu_domain_free(domain);
	domain = domain_of("vtd");
	assert_int_equal(host1x_init(&host, domain, 0xfff), -EINVAL);
	/* Pages 2 and 3 are one buffer; that of page 1 is too small. */
	assert_int_equal(host1x_init(&host, domain, 0x3fff), 0);
	assert_int_equal(host1x_pushbuffer_init(&host, &pb[0]), 0);
	assert_int_equal(pb[0].dma, 0x2000);
	assert_int_equal(host1x_pushbuffer_init(&host, &pb[1]), -ENOMEM);
	host1x_pushbuffer_destroy(&host, &pb[0]);
	/* Somebody else has it mapped. */
	assert_int_equal(iommu_map(domain, 0x3000, 0, 0x1000, RW, GFP_KERNEL), 0);
	assert_int_equal(host1x_pushbuffer_init(&host, &pb[0]), -EADDRINUSE);
	assert_int_equal(iommu_unmap(domain, 0x3000, 0x1000), 0x1000);
	assert_int_equal(host1x_pushbuffer_init(&host, &pb[0]), 0);
	host1x_pushbuffer_destroy(&host, &pb[0]);
	end();
}

static bool ready;

static void begin(void)
{
	begin_on("vtd");
}

static int act(void)
{
	int ret = host1x_pushbuffer_init(&host, &buffer);

	ready = !ret;
	return ret;
}

static void check(bool done)
{
	struct mapped_range range = {buffer.dma, buffer.phys, 8192, HW_READ};

	assert_ranges(domain, &range, done);
	assert_int_equal(ready, done);
}

static struct iommu_domain *the_domain(void)
{
	return domain;
}

static void end_with_buffer(void)
{
	host1x_pushbuffer_destroy(&host, &buffer);
	end();
}

static void begin_domain(void)
{
	domain = domain_of("vtd");
	ready = false;
}

static int act_init(void)
{
	int ret = host1x_init(&host, domain, MASK);

	ready = !ret;
	return ret;
}

static void check_init(bool done)
{
	assert_int_equal(ready, done);
}

static void every_failure(void **state)
{
	fail_each(&(struct failing){.name = "push buffer",
				    .error = -ENOMEM,
				    .begin = begin,
				    .act = act,
				    .check = check,
				    .domain = the_domain,
				    .end = end_with_buffer});
	fail_each(&(struct failing){.name = "host1x",
				    .error = -ENOMEM,
				    .begin = begin_domain,
				    .act = act_init,
				    .check = check_init,
				    .domain = the_domain,
				    .end = end});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_cgroup(buffers_are_mapped_for_reading),
		in_cgroup(commands_are_fetched_in_order),
		in_cgroup(no_addresses),
		cmocka_unit_test(every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
