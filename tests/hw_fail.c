// SPDX-License-Identifier: MIT
/*
 * Each allocation of a model made to fail, the n-th for every n: a model that cannot be
 * made says why in one line and leaves nothing behind.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/hw_host.h"

/* Calls until one fails; 0: none does. */
static int countdown;
static int failures;

static bool fails(void)
{
	if (!countdown || --countdown)
		return false;
	failures++;
	return true;
}

/* Names that the linker makes. mmap() has two, by the size of offsets. */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void *__real_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset);
void *__real_mmap64(void *at, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t length, int prot, int flags, int fd, off_t offset);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
			  void *arg);

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

void *__wrap_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (!fails())
		return __real_mmap(at, length, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

void *__wrap_mmap64(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (!fails())
		return __real_mmap64(at, length, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
			  void *arg)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attr, start, arg);
}

/* The next descriptor: the same as before if none was left open. */
static int next_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY);

	close(fd);
	return fd;
}

/* Returns how many allocations there are. */
static int fail_each(const char *model, const char *options)
{
	for (int nth = 1;; nth++) {
		struct host host = {.model = hw_model_find(model)};
		int before = next_descriptor();
		char error[256] = "";

		countdown = nth;
		failures = 0;
		host.dev = host.model->create(options, &host_ops, &host, error, sizeof(error));
		countdown = 0;
		if (host.dev)
			host.model->destroy(host.dev);
		assert_int_equal(next_descriptor(), before);
		if (!failures) {
			assert_non_null(host.dev);
			return nth - 1;
		}
		assert_null(host.dev);
		assert_true(*error);
		assert_null(strchr(error, '\n'));
	}
}

static void creation(void **state)
{
	char path[] = "/tmp/hw-fail-XXXXXX", options[64];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	snprintf(options, sizeof(options), "file=%s,size=1M,ns=3", path);
	assert_int_equal(fail_each("nvme", ""), 4);
	/* The device, its options, the name of a file, two namespaces in memory, a thread. */
	assert_int_equal(fail_each("nvme", options), 6);
	assert_int_equal(fail_each("ioat", "channels=16"), 3);
	assert_int_equal(fail_each("pci", "bar0=1M:trap,bar1=1M:trap"), 4);
	close(fd);
	unlink(path);
}

/* Only taking a state over allocates, and changes nothing when it fails. */
static void loading(void **state)
{
	static const char *const models[] = {"nvme", "ioat", "pci"};

	for (int m = 0; m < 3; m++) {
		struct host *host = host_begin(models[m], "", true);
		size_t size;
		uint8_t *saved;

		host->model->stop(host->dev);
		size = host->model->save(host->dev, NULL, 0);
		saved = malloc(size);
		assert_int_equal(host->model->save(host->dev, saved, size), size);
		for (int nth = 1;; nth++) {
			int ret;

			countdown = nth;
			failures = 0;
			ret = host->model->load(host->dev, saved, size);
			countdown = 0;
			assert_int_equal(ret, failures ? -ENOMEM : 0);
			if (!failures)
				break;
		}
		free(saved);
		host_end(host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creation),
		cmocka_unit_test(loading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
