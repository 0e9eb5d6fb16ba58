// SPDX-License-Identifier: MIT
/*
 * Firmware of Venus and of wireless chips at the addresses that it was made for:
 * what a device behind the domain finds there.
 */
#include "tests/clients_elf.h"
#include "tests/clients_ranges.h"
#include "tests/device.h"

#include "tests/clients/firmware.h"

#define SEED 0xf1a3ULL

/* Two segments, 0x3000 apart, the second larger than its bytes, and one of hashes. */
static const char source[] = ".section .text, \"ax\"\n"
			     ".long 0x11111111, 0x22222222\n"
			     ".section .data, \"aw\"\n"
			     ".long 0x33333333\n"
			     ".section .hash, \"a\"\n"
			     ".long 0x55555555\n"
			     ".section .note.GNU-stack, \"\"\n";

#define SCRIPT(flags)                                                      \
	"PHDRS { hash PT_LOAD FLAGS(0x2000000); text PT_LOAD FLAGS(" flags \
	"5); data PT_LOAD FLAGS(6); }\n"                                   \
	"SECTIONS {\n"                                                     \
	" .hash 0x80000000 : { *(.hash) } :hash\n"                         \
	" .text 0x86200000 : { *(.text) } :text\n"                         \
	" .data 0x86203000 : { *(.data); . += 0x100; } :data\n"            \
	" /DISCARD/ : { *(.note*) }\n"                                     \
	"}\n"

#define BASE 0x86200000u

static struct elf_file image, fixed; /* for any address, and for BASE alone */
static struct iommu_domain *domain;
static struct hardware hw;
static struct iommu_device *dev;
static struct fw_iommu fw;
static uint8_t memory[0x5000];

static const struct fw_memory venus = {memory, 0x8f800000, sizeof(memory)};
static const struct fw_memory msa = {NULL, 0x8c400000, 0x400000};
static const struct fw_memory ce = {NULL, 0x17a10000, 0x3000};

static int make_images(void **state)
{
	image = make_elf(source, SCRIPT("0x800000"), CC_64);
	fixed = make_elf(source, SCRIPT(""), CC_64);
	return 0;
}

static int free_images(void **state)
{
	free(image.data);
	free(fixed.data);
	return 0;
}

static void begin_on(const char *format)
{
	memset(&hw, 0, sizeof(hw));
	memset(memory, 0xee, sizeof(memory));
	domain = domain_of(format);
	dev = new_device(&hw, NULL);
}

static void end(void)
{
	assert_null(hw.uses);
	assert_nothing_mapped(domain);
	iommu_device_unregister(dev);
	iommu_domain_free(domain);
}

static uint32_t word(size_t offset)
{
	uint32_t value;

	memcpy(&value, memory + offset, sizeof(value));
	return value;
}

static void check_loaded(void)
{
	assert_int_equal(word(0), 0x11111111);
	assert_int_equal(word(4), 0x22222222);
	assert_int_equal(memory[8], 0xee);
	assert_int_equal(word(0x3000), 0x33333333);
	for (unsigned int i = 0; i < 0x100; i++)
		assert_int_equal(memory[0x3004 + i], 0);
	assert_int_equal(memory[0x3104], 0xee);
}

/* On Arm only privileged accesses may; other formats do not tell them apart. */
static void check_venus(const struct iommu_format *format)
{
	bool privileged = is_family(format, "arm64-s1");
	struct mapped_range range = {VENUS_FW_START_ADDR, venus.paddr, venus.size,
				     privileged ? 0 : HW_RW};
	struct hw_tables tables = hw_tables_of(domain);
	struct hw_translation got;
	uint64_t item;

	assert_ranges(domain, &range, 1);
	if (!privileged)
		return;
	hw_translate(&tables, VENUS_FW_START_ADDR, 0, &got);
	item = got.steps[got.nr_steps - 1].value;
	assert_int_equal(item >> 6 & 1, 0); /* AP[1]: no unprivileged access */
	assert_int_equal(item >> 7 & 1, 0); /* AP[2]: not read-only */
}

static void venus_is_mapped_at_its_start(void **state)
{
	const struct iommu_format *format = NULL;

	while ((format = next_walked(format, 4096))) {
		begin_on(format->name);
		record_begin();
		assert_int_equal(venus_boot(&fw, domain, dev, image.data, image.size, &venus), 0);
		assert_maps_recorded(1, GFP_KERNEL);
		assert_int_equal(recorded.map[0].prot, IOMMU_READ | IOMMU_WRITE | IOMMU_PRIV);
		assert_ptr_equal(hw.uses, domain);
		check_loaded();
		check_venus(format);
		fw_stop(&fw);
		end();
	}
}

static void ath_is_mapped_1_to_1(void **state)
{
	const struct mapped_range ranges[] = {{msa.paddr, msa.paddr, msa.size, HW_RW},
					      {ce.paddr, ce.paddr, ce.size, HW_RW}};
	const struct iommu_format *format = NULL;

	while ((format = next_walked(format, 4096))) {
		begin_on(format->name);
		record_begin();
		assert_int_equal(ath10k_fw_init(&fw, domain, dev, &msa), 0);
		assert_ptr_equal(hw.uses, domain);
		assert_ranges(domain, ranges, 1);
		fw_stop(&fw);
		assert_nothing_mapped(domain);
		assert_int_equal(ath11k_ahb_fw_resources_init(&fw, domain, dev, &msa, &ce), 0);
		assert_maps_recorded(3, GFP_KERNEL);
		assert_ptr_equal(hw.uses, domain);
		assert_ranges(domain, ranges, 2);
		fw_stop(&fw);
		end();
	}
}

static void second_region_fails(void **state)
{
	const struct fw_memory odd = {NULL, 0x17a10000, 0x800}, wide = {NULL, 1ULL << 60, 0x1000};
	const struct fw_memory over = {NULL, msa.paddr + 0x3ff000, 0x2000};

	begin_on("vtd");
	assert_int_equal(ath11k_ahb_fw_resources_init(&fw, domain, dev, &msa, &odd), -EINVAL);
	assert_int_equal(ath11k_ahb_fw_resources_init(&fw, domain, dev, &msa, &wide), -ERANGE);
	assert_int_equal(ath11k_ahb_fw_resources_init(&fw, domain, dev, &msa, &over), -EADDRINUSE);
	assert_int_equal(ath11k_ahb_fw_resources_init(&fw, domain, dev, &odd, &ce), -EINVAL);
	assert_int_equal(ath10k_fw_init(&fw, domain, dev, &odd), -EINVAL);
	assert_int_equal(count_tables(domain), 1);
	end();
}

static void device_is_in_use(void **state)
{
	struct iommu_domain *other = domain_of("vtd");

	begin_on("vtd");
	assert_int_equal(iommu_attach_device(other, dev), 0);
	assert_int_equal(ath10k_fw_init(&fw, domain, dev, &msa), -EBUSY);
	assert_int_equal(venus_boot(&fw, domain, dev, image.data, image.size, &venus), -EBUSY);
	assert_ptr_equal(hw.uses, other);
	iommu_detach_device(other, dev);
	hw.refuses = domain;
	hw.attach_error = -EIO;
	assert_int_equal(ath11k_ahb_fw_resources_init(&fw, domain, dev, &msa, &ce), -EIO);
	end();
	iommu_domain_free(other);
}

static void image_must_fit(void **state)
{
	struct fw_memory at = {memory, BASE, sizeof(memory)}, small = {memory, BASE, 0x3103};

	memset(memory, 0xee, sizeof(memory));
	assert_int_equal(qcom_mdt_load(fixed.data, fixed.size, &at), 0);
	check_loaded();
	at.paddr = BASE - 0x1000;
	at.size = 0x4104;
	assert_int_equal(qcom_mdt_load(fixed.data, fixed.size, &at), 0);
	assert_int_equal(word(0x4000), 0x33333333);
	at.paddr = BASE + 0x1000;
	assert_int_equal(qcom_mdt_load(fixed.data, fixed.size, &at), -EINVAL);
	at.paddr = 0;
	assert_int_equal(qcom_mdt_load(fixed.data, fixed.size, &at), -EINVAL);
	assert_int_equal(qcom_mdt_load(image.data, image.size, &small), -EINVAL);
	small.size++;
	assert_int_equal(qcom_mdt_load(image.data, image.size, &small), 0);
	assert_int_equal(qcom_mdt_load("\177ELF", 4, &at), -EINVAL);
}

/* Whatever its bytes, an image writes nothing outside its memory and reads none outside itself. */
static void hostile_images(void **state)
{
	uint64_t random = SEED;
	unsigned int loaded = 0;

	print_message("# seed 0x%llx\n", SEED);
	for (unsigned int i = 0; i < SCALED(20000); i++) {
		size_t size = i % 4 ? image.size : random_below(&random, image.size + 1);
		uint8_t *copy = malloc(size ? size : 1);
		struct fw_memory room = {malloc(0x4000), 0x8f800000, 0x4000};

		memcpy(copy, image.data, size);
		for (unsigned int n = 0; size && n < 1 + i % 3; n++)
			copy[random_below(&random, size < 300 ? size : 300)] =
				(uint8_t)random_next(&random);
		loaded += !qcom_mdt_load(copy, size, &room);
		free(room.va);
		free(copy);
	}
	assert_true(loaded && loaded < SCALED(20000));
}

enum chip {
	VENUS,
	ATH10K,
	ATH11K
};
static enum chip chip;
static bool running;

static void begin(void)
{
	begin_on("vtd");
	running = false;
}

static int start(void)
{
	if (chip == VENUS)
		return venus_boot(&fw, domain, dev, image.data, image.size, &venus);
	if (chip == ATH10K)
		return ath10k_fw_init(&fw, domain, dev, &msa);
	return ath11k_ahb_fw_resources_init(&fw, domain, dev, &msa, &ce);
}

static int act(void)
{
	int ret = start();

	running = !ret;
	return ret;
}

static void check(bool done)
{
	assert_int_equal(running, done);
	assert_ptr_equal(hw.uses, done ? domain : NULL);
	if (!done)
		assert_nothing_mapped(domain);
}

static struct iommu_domain *the_domain(void)
{
	return domain;
}

static void stop(void)
{
	fw_stop(&fw);
	end();
}

static void every_failure(void **state)
{
	for (chip = VENUS; chip <= ATH11K; chip++)
		fail_each(&(struct failing){.name = "start",
					    .error = -ENOMEM,
					    .begin = begin,
					    .act = act,
					    .check = check,
					    .domain = the_domain,
					    .end = stop});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_cgroup(venus_is_mapped_at_its_start), in_cgroup(ath_is_mapped_1_to_1),
		in_cgroup(second_region_fails),          in_cgroup(device_is_in_use),
		cmocka_unit_test(image_must_fit),        cmocka_unit_test(hostile_images),
		cmocka_unit_test(every_failure),
	};

	return cmocka_run_group_tests(tests, make_images, free_images);
}
