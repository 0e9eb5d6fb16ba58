// SPDX-License-Identifier: MIT
/* The model of a device of any shape, and the options that all models share. */
#include "tests/hw_host.h"

static void assert_error(const char *model, const char *options, const char *expected)
{
	struct host host = {.model = hw_model_find(model)};
	char error[256] = "";

	host.dev = host.model->create(options, &host_ops, &host, error, sizeof(error));
	assert_null(host.dev);
	assert_null(strchr(error, '\n'));
	if (!strstr(error, expected))
		fail_msg("'%s' gives '%s', not '%s'", options, error, expected);
}

static void shapes(void **state)
{
	struct host *host =
		host_begin("pci",
			   "vendor=0x10de,device=0x20b0,class=0x030200,revision=161,"
			   "subsystem-vendor=1,subsystem-device=65535,"
			   "bar0=16M,bar2=32M:64:prefetch,bar4=4K:trap,msix=32,msi=4,intx=on",
			   true);
	const struct hw_identity *identity = host->model->identity(host->dev);

	assert_int_equal(identity->vendor, 0x10de);
	assert_int_equal(identity->device, 0x20b0);
	assert_int_equal(identity->subsystem_vendor, 1);
	assert_int_equal(identity->subsystem_device, 0xffff);
	assert_int_equal(identity->class_code, 0x030200);
	assert_int_equal(identity->revision, 161);
	assert_int_equal(identity->bar[0].size, 16 << 20);
	assert_true(identity->bar[0].mappable && !identity->bar[0].is_64bit);
	assert_int_equal(identity->bar[2].size, 32 << 20);
	assert_true(identity->bar[2].is_64bit && identity->bar[2].prefetchable);
	assert_int_equal(identity->bar[3].size, 0);
	assert_false(identity->bar[4].mappable);
	assert_int_equal(identity->msix, 32);
	/* Its table is in the BAR that was left, and fits. */
	assert_int_equal(identity->msix_bar, 1);
	assert_true(identity->msix_pending >= 32 * 16);
	assert_true(identity->msix_pending + 8 <= identity->bar[1].size);
	assert_int_equal(identity->msi, 4);
	assert_true(identity->intx);
	host_end(host);
}

static void a_huge_bar_costs_nothing(void **state)
{
	const struct hw_model *model = hw_model_find("pci");
	char error[256];
	struct hw_device *dev =
		model->create("bar0=64G:64:prefetch:trap", &host_ops, NULL, error, sizeof(error));

	assert_non_null(dev);
	model->write(dev, 0, (64ull << 30) - 8, 8, 0x1122334455667788);
	assert_int_equal(model->read(dev, 0, (64ull << 30) - 8, 8), 0x1122334455667788);
	assert_int_equal(model->read(dev, 0, (64ull << 30) - 4, 4), 0x11223344);
	assert_int_equal(model->read(dev, 0, (64ull << 30) - 8, 1), 0x88);
	assert_int_equal(model->read(dev, 0, 32ull << 30, 8), 0);
	model->destroy(dev);
}

static void bars_are_memory(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		struct host *host = host_begin("pci", "bar0=64K", mapped);

		for (unsigned int size = 1; size <= 8; size *= 2) {
			reg_write(host, 64 * size, size, 0xfedcba9876543210 >> (64 - 8 * size));
			assert_int_equal(reg_read(host, 64 * size, size),
					 0xfedcba9876543210 >> (64 - 8 * size));
		}
		host->model->stop(host->dev);
		host->model->reset(host->dev);
		host->model->start(host->dev);
		host_end(host);
	}
}

static void contents_migrate(void **state)
{
	struct host *host = host_begin("pci", "bar0=256K,bar2=64K:trap", true), *to;
	uint8_t *saved;
	size_t size;

	for (uint64_t at = 0; at < 256 << 10; at += 4096)
		reg_write(host, at + at % 40, 1, at >> 15 & 1 ? at >> 12 : 0);
	host->model->write(host->dev, 2, 0x1230, 4, 77);
	size = host->model->save(host->dev, NULL, 0);
	saved = malloc(size + 1);
	assert_int_equal(host->model->save(host->dev, saved, size), size);

	to = host_begin("pci", "bar0=256K,bar2=64K:trap", true);
	reg_write(to, 0x5008, 8, ~0ull);
	/* What is not whole changes nothing. */
	for (size_t less = 0; less < size; less += less < 100 ? 1 : 997)
		assert_int_equal(to->model->load(to->dev, saved, less), -EINVAL);
	assert_int_equal(to->model->load(to->dev, saved, size + 1), -EINVAL);
	assert_int_equal(reg_read(to, 0x5008, 8), ~0ull);
	assert_int_equal(to->model->load(to->dev, saved, size), 0);
	assert_memory_equal(to->bar[0], host->bar[0], 256 << 10);
	assert_int_equal(to->model->read(to->dev, 2, 0x1230, 4), 77);
	host_end(to);

	to = host_begin("pci", "bar0=128K,bar2=64K:trap", true);
	assert_int_equal(to->model->load(to->dev, saved, size), -EINVAL);
	host_end(to);
	host_end(host);
	free(saved);
}

static void bad_options(void **state)
{
	assert_error("pci", "vendor=0x10000", "bad option 'vendor=0x10000', expected");
	assert_error("pci", "vendor=", "bad option 'vendor='");
	assert_error("pci", "vendor", "bad option 'vendor', expected");
	assert_error("pci", "vendor=-1", "bad option");
	assert_error("pci", "vendor=1x", "bad option");
	assert_error("pci", "revision=1,vendor=99999999999999999999", "bad option");
	assert_error("pci", "colour=red", "unknown option 'colour', expected one of vendor device");
	assert_error("pci", "bar0=3M", "power of two");
	assert_error("pci", "bar0=16", "power of two");
	assert_error("pci", "bar0=4G", "bad option"); /* not without :64 */
	assert_error("pci", "bar5=4G:64", "bad option");
	assert_error("pci", "bar0=4K:128", "bad option");
	assert_error("pci", "bar0=99999T:64", "bad option");
	assert_error("pci",
		     "bar0=1M:64:64:64:64:64:64:64:64:64:64:64:64:64:64:64:64:64:64:64:64:64",
		     "bad option");
	assert_error("pci", "bar0=1M:64,bar1=1M", "upper half of bar0");
	assert_error("pci", "bar0=4K,msix=2048,msix-bar=0", "too small");
	assert_error("pci", "bar0=4K:64,bar2=4K:64,bar4=4K:64,msix=1", "no BAR is left");
	assert_error("pci", "msi=3", "power of two");
	assert_error("pci", "intx=maybe", "on or off");
	assert_error("ioat", "channels=0", "from 1 to 16");
	assert_error("ioat", "transfer=5000", "power of two");
	assert_error("nvme", "size=0", "bad option 'size=0', expected bytes");
	assert_error("nvme", "size=100", "smaller than a block");
	assert_error("nvme", "ns=65", "from 1 to 64");
	assert_error("nvme", "block=1K", "512 or 4096");
	assert_error("nvme", "queues=0", "from 1 to 64");
	assert_error("nvme", "serial=", "printable");
	assert_error("nvme", "file=/nonexistent/image", "'/nonexistent/image': No such file");
	/* Two commas are one of the value. */
	assert_error("nvme", "file=/nonexistent/a,,b,ns=1", "'/nonexistent/a,b'");
	assert_error("nvme", "file=/nonexistent/a,,,ns=1", "'/nonexistent/a,'");
	assert_error("nvme", "size=1M,,", "bad option 'size=1M,'");
	assert_error("nvme", ",", "unknown option ''");
}

static void the_list_of_models(void **state)
{
	unsigned int count = 0;
	const struct hw_model *model;

	for (; (model = hw_model_at(count)); count++) {
		assert_ptr_equal(hw_model_find(model->name), model);
		assert_non_null(model->summary);
		assert_null(strchr(model->summary, '\n'));
	}
	assert_int_equal(count, 3);
	assert_null(hw_model_find("floppy"));
	assert_null(hw_model_find(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),          cmocka_unit_test(a_huge_bar_costs_nothing),
		cmocka_unit_test(bars_are_memory), cmocka_unit_test(contents_migrate),
		cmocka_unit_test(bad_options),     cmocka_unit_test(the_list_of_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
