// SPDX-License-Identifier: MIT
/*
 * Data through the model of an NVMe controller: random commands with buffers in random
 * pieces, by PRPs and by SGLs, against an array; and migration in the middle of them.
 */
#include <fcntl.h>
#include <unistd.h>

#include "tests/hw_nvme.h"

#define BLOCKS     4096u /* of 512 bytes: 2 MiB */
#define LISTS      0x100000000ull
#define LISTS_SIZE 0x100000
#define PAGE       4096u

/* What the device must hold, and where a command's data are. */
struct world {
	struct nvme_driver *driver;
	uint64_t seed;
	uint8_t *lists, disk[BLOCKS * 512];
	uint64_t pages[NVME_DATA_SIZE / PAGE]; /* shuffled: of NVME_DATA_IOVA */
	unsigned int nr_pages;
	uint64_t next_list;
	struct {
		uint64_t iova;
		uint32_t length;
		bool discard;
	} piece[600];
	unsigned int nr_pieces;
};

static void add_piece(struct world *world, uint64_t iova, uint32_t length, bool discard)
{
	world->piece[world->nr_pieces].iova = iova;
	world->piece[world->nr_pieces].length = length;
	world->piece[world->nr_pieces++].discard = discard;
}

static uint64_t take_page(struct world *world)
{
	unsigned int at = (unsigned int)random_below(&world->seed, world->nr_pages);
	uint64_t page = world->pages[at];

	world->pages[at] = world->pages[--world->nr_pages];
	return page;
}

static void begin_command(struct world *world)
{
	world->nr_pages = 0;
	for (uint64_t at = 0; at < NVME_DATA_SIZE; at += PAGE)
		world->pages[world->nr_pages++] = NVME_DATA_IOVA + at;
	world->nr_pieces = 0;
	world->next_list = LISTS;
	memset(world->lists, 0xee, LISTS_SIZE);
}

static void put_list(struct world *world, uint64_t at, uint64_t value)
{
	value = htole64(value);
	host_put(world->driver->host, at, &value, sizeof(value));
}

/* A list of PRPs that begins anywhere in a page and goes on in others. */
static uint64_t make_prp_list(struct world *world, uint32_t length)
{
	uint64_t at = world->next_list + 8 * random_below(&world->seed, PAGE / 8), first = at;

	if (random_below(&world->seed, 2))
		at = first = world->next_list + PAGE - 8 * (1 + random_below(&world->seed, 3));
	world->next_list += PAGE;
	while (length) {
		uint32_t now = length < PAGE ? length : PAGE;
		uint64_t page;

		if (at % PAGE == PAGE - 8 && length > PAGE) {
			put_list(world, at, world->next_list);
			at = world->next_list;
			world->next_list += PAGE;
			continue;
		}
		page = take_page(world);
		put_list(world, at, page);
		add_piece(world, page, now, false);
		at += 8;
		length -= now;
	}
	return first;
}

static void make_prps(struct world *world, struct command *command, uint32_t length)
{
	uint64_t page = take_page(world);
	uint32_t offset = (uint32_t)random_below(&world->seed, PAGE / 4) * 4;
	uint32_t first = PAGE - offset < length ? PAGE - offset : length;

	command->dptr[0] = page + offset;
	add_piece(world, page + offset, first, false);
	length -= first;
	command->dptr[1] = random_next(&world->seed); /* reserved where it is not needed */
	if (length > PAGE) {
		command->dptr[1] = make_prp_list(world, length);
	} else if (length) {
		command->dptr[1] = take_page(world);
		add_piece(world, command->dptr[1], length, false);
	}
}

static void put_sgl(struct world *world, uint64_t at, uint64_t iova, uint32_t length, uint8_t type)
{
	put_list(world, at, iova);
	put_list(world, at + 8, length | (uint64_t)type << 60);
}

/* Data blocks, and for reads bit buckets, in one segment or in several. */
static void make_sgl(struct world *world, struct command *command, uint32_t length, bool read)
{
	unsigned int count = 1 + (unsigned int)random_below(&world->seed, 40);
	uint32_t left = length, lengths[41];
	uint64_t at = LISTS + 16 * random_below(&world->seed, 8);
	unsigned int in_segment;

	command->flags = 0x40;
	for (unsigned int i = 0; i < count; i++) {
		bool discard = read && !random_below(&world->seed, 5);

		lengths[i] = i + 1 < count ? (uint32_t)random_below(&world->seed, left + 1) : left;
		if (lengths[i] > PAGE && i + 1 < count)
			lengths[i] = PAGE;
		left -= lengths[i];
		if (lengths[i] <= PAGE) {
			uint64_t offset = random_below(&world->seed, PAGE - lengths[i] + 1);

			add_piece(world, take_page(world) + offset, lengths[i], discard);
		} else {
			/* Few pieces are that long: the last pages of the data are kept for it. */
			add_piece(world, NVME_DATA_IOVA + NVME_DATA_SIZE, lengths[i], discard);
		}
	}
	if (count == 1) {
		command->dptr[0] = world->piece[0].iova;
		command->dptr[1] = lengths[0] | (uint64_t)world->piece[0].discard << 60;
		return;
	}
	in_segment = 2 + (unsigned int)random_below(&world->seed, count);
	command->dptr[0] = at;
	command->dptr[1] = 16 * (count < in_segment ? count : in_segment) |
			   (uint64_t)(count <= in_segment ? 3 : 2) << 60;
	for (unsigned int i = 0, slot = 0; i < count; i++, slot++) {
		unsigned int rest = count - i;

		if (slot == in_segment - 1 && rest > 1) {
			/* The last of a segment leads to the next. */
			unsigned int next = rest < in_segment ? rest : in_segment;

			put_sgl(world, at + 16 * slot, at + 16 * slot + 48, 16 * next,
				rest <= in_segment ? 3 : 2);
			at += 16 * slot + 48;
			slot = 0;
		}
		put_sgl(world, at + 16 * slot, world->piece[i].iova, lengths[i],
			world->piece[i].discard);
	}
}

/* The data of a command as one run of bytes. */
static void copy_pieces(struct world *world, uint8_t *linear, bool put)
{
	for (unsigned int i = 0; i < world->nr_pieces; i++) {
		if (put)
			host_put(world->driver->host, world->piece[i].iova, linear,
				 world->piece[i].length);
		else if (world->piece[i].discard)
			memset(linear, 0, world->piece[i].length);
		else
			host_get(world->driver->host, world->piece[i].iova, linear,
				 world->piece[i].length);
		linear += world->piece[i].length;
	}
}

static void fill(struct world *world, uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += 8) {
		uint64_t word = random_next(&world->seed);

		memcpy(bytes + i, &word, length - i < 8 ? length - i : 8);
	}
}

static void compare_read(struct world *world, const uint8_t *expected, uint8_t *linear)
{
	copy_pieces(world, linear, false);
	for (unsigned int i = 0; i < world->nr_pieces; i++) {
		if (!world->piece[i].discard)
			assert_memory_equal(linear, expected, world->piece[i].length);
		linear += world->piece[i].length;
		expected += world->piece[i].length;
	}
}

static void one_transfer(struct world *world, uint8_t opcode, unsigned int qid)
{
	static uint8_t linear[1 << 20];
	uint32_t max = random_below(&world->seed, 3) ? 32 : 1024;
	uint32_t blocks = 1 + (uint32_t)random_below(&world->seed, max);
	uint32_t block = (uint32_t)random_below(&world->seed, BLOCKS - blocks + 1);
	uint8_t *disk = world->disk + 512 * block;
	struct command command = {.opcode = opcode, .nsid = 1, .dw = {block, 0, blocks - 1}};
	bool differs = opcode == 5 && random_below(&world->seed, 2);

	begin_command(world);
	if (random_below(&world->seed, 2))
		make_prps(world, &command, blocks * 512);
	else
		make_sgl(world, &command, blocks * 512, opcode == 2);
	if (opcode == 1) {
		fill(world, linear, blocks * 512);
		memcpy(disk, linear, blocks * 512);
	} else if (opcode == 5) {
		memcpy(linear, disk, blocks * 512);
		linear[random_below(&world->seed, blocks * 512)] ^= differs;
	}
	if (opcode != 2)
		copy_pieces(world, linear, true);
	assert_int_equal(nvme_run(world->driver, qid, &command, NULL), differs ? 0x285 : 0);
	if (opcode == 2)
		compare_read(world, disk, linear);
}

static void one_discard(struct world *world, unsigned int qid)
{
	struct command command = {.opcode = 9, .nsid = 1, .dw = {2, 1 << 2}};

	begin_command(world);
	make_prps(world, &command, 3 * 16);
	for (int i = 0; i < 3; i++) {
		uint32_t blocks = (uint32_t)random_below(&world->seed, 100);
		uint32_t first = (uint32_t)random_below(&world->seed, BLOCKS - blocks);
		uint64_t range[2] = {htole64((uint64_t)blocks << 32), htole64(first)};
		uint8_t linear[48];

		copy_pieces(world, linear, false);
		memcpy(linear + 16 * i, range, 16);
		copy_pieces(world, linear, true);
		memset(world->disk + 512 * first, 0, 512 * blocks);
	}
	assert_int_equal(nvme_run(world->driver, qid, &command, NULL), 0);
}

static void one_zeroing(struct world *world, unsigned int qid)
{
	uint32_t blocks = 1 + (uint32_t)random_below(&world->seed, 300);
	uint32_t first = (uint32_t)random_below(&world->seed, BLOCKS - blocks);
	struct command command = {.opcode = 8, .nsid = 1, .dw = {first, 0, blocks - 1}};

	memset(world->disk + 512 * first, 0, 512 * blocks);
	assert_int_equal(nvme_run(world->driver, qid, &command, NULL), 0);
}

static struct world *begin_world(const char *options, bool mapped, uint64_t seed)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->seed = seed;
	world->driver = nvme_begin(options, mapped);
	world->lists = host_map(world->driver->host, LISTS, LISTS_SIZE);
	/* Long pieces of SGLs, beside the shuffled pages. */
	host_map(world->driver->host, NVME_DATA_IOVA + NVME_DATA_SIZE, 1 << 20);
	return world;
}

static void random_commands(struct world *world, int rounds)
{
	static const uint8_t opcodes[] = {1, 1, 1, 2, 2, 2, 5};

	nvme_open_queue(world->driver, 1, 2);
	nvme_open_queue(world->driver, 2, 5);
	nvme_open_queue(world->driver, 3, 64);
	for (int i = 0; i < rounds; i++) {
		unsigned int qid = 1 + (unsigned int)random_below(&world->seed, 3);
		unsigned int what = (unsigned int)random_below(&world->seed, 10);

		if (what < sizeof(opcodes))
			one_transfer(world, opcodes[what], qid);
		else if (what == 7)
			one_discard(world, qid);
		else if (what == 8)
			one_zeroing(world, qid);
		else
			assert_int_equal(nvme_run(world->driver, qid,
						  &(struct command){.nsid = 1 + world->seed % 2 *
											UINT32_MAX},
						  NULL),
					 world->seed % 2 ? 0x400b : 0);
	}
	assert_int_equal(world->driver->host->nr_faults, 0);
}

static void end_world(struct world *world)
{
	nvme_end(world->driver);
	free(world);
}

static void in_memory(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		struct world *world = begin_world("size=2M", mapped, 11);

		random_commands(world, SCALED(1500));
		end_world(world);
	}
}

static void in_a_file(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		char path[] = "/tmp/hw-nvme-XXXXXX", options[64];
		int fd = mkstemp(path);
		struct world *world;
		uint8_t *contents;

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, BLOCKS * 512), 0);
		snprintf(options, sizeof(options), "file=%s", path);
		world = begin_world(options, mapped, 12);
		random_commands(world, SCALED(1000));
		/* What the file holds is what was written. */
		contents = malloc(BLOCKS * 512);
		assert_int_equal(pread(fd, contents, BLOCKS * 512, 0), BLOCKS * 512);
		assert_memory_equal(contents, world->disk, BLOCKS * 512);
		/* A file that is cut short is an error of the command. */
		assert_int_equal(ftruncate(fd, 512 * 8), 0);
		assert_int_equal(nvme_run(world->driver, 1,
					  &(struct command){.opcode = 2,
							    .nsid = 1,
							    .dptr = {NVME_DATA_IOVA},
							    .dw = {8, 0, 0}},
					  NULL),
				 0x281);
		free(contents);
		end_world(world);
		close(fd);
		unlink(path);
	}
}

/* Many commands under way: each writes a page of its own number. */
#define DEEP  64
#define TOTAL 4000u

static void submit_numbered(struct world *world, unsigned int number)
{
	uint64_t at = NVME_DATA_IOVA + PAGE * (number % (NVME_DATA_SIZE / PAGE));
	struct command command = nvme_rw(1, 1, 8 * (number % (BLOCKS / 8)), 8, at);

	for (unsigned int i = 0; i < PAGE; i += 4) {
		uint32_t value = htole32(number ^ i << 16);

		host_put(world->driver->host, at + i, &value, 4);
		memcpy(world->disk + PAGE * (number % (BLOCKS / 8)) + i, &value, 4);
	}
	nvme_submit(world->driver, 1, &command);
}

/* At rest nothing is accessed; then another device goes on with what this one left. */
static void migrate(struct world *world)
{
	struct host *host = world->driver->host;
	uint8_t *saved;
	size_t size;

	host->model->stop(host->dev);
	host_set_rest(host, true);
	size = host->model->save(host->dev, NULL, 0);
	saved = malloc(size);
	assert_int_equal(host->model->save(host->dev, saved, size), size);
	host_pause();
	host_destroy(host);
	host_create(host, "size=2M");
	host->model->stop(host->dev);
	assert_int_equal(host->model->load(host->dev, saved, size - 1), -EINVAL);
	assert_int_equal(host->model->load(host->dev, saved, size), 0);
	free(saved);
	host_set_rest(host, false);
	host->model->start(host->dev);
}

static void migration(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		struct world *world = begin_world("size=2M", mapped, 13);
		unsigned int submitted = 0, completed = 0;
		struct completion completion;

		nvme_open_queue(world->driver, 1, DEEP);
		while (completed < TOTAL) {
			/* No two at once on the same page. */
			while (submitted < TOTAL && submitted - completed < DEEP - 1)
				submit_numbered(world, submitted++);
			if (!random_below(&world->seed, 40))
				migrate(world);
			completion = nvme_wait(world->driver, 1);
			assert_int_equal(completion.status, 0);
			completed++;
		}
		for (unsigned int block = 0; block < BLOCKS; block += 8) {
			struct command command = nvme_rw(2, 1, block, 8, NVME_DATA_IOVA);

			assert_int_equal(nvme_run(world->driver, 1, &command, NULL), 0);
			assert_memory_equal(world->driver->data, world->disk + 512 * block, PAGE);
		}
		end_world(world);
	}
}

/* Whatever bytes a state is made of, it is taken whole or refused, and nothing breaks. */
static void states_that_no_one_saved(void **state)
{
	struct world *world = begin_world("size=2M", true, 14);
	struct host *host = world->driver->host;
	uint8_t *saved, *changed;
	size_t size;

	nvme_open_queue(world->driver, 1, 16);
	submit_numbered(world, 5);
	nvme_wait(world->driver, 1);
	host->model->stop(host->dev);
	size = host->model->save(host->dev, NULL, 0);
	saved = malloc(size);
	changed = malloc(size);
	host->model->save(host->dev, saved, size);
	for (int i = 0; i < SCALED(3000); i++) {
		memcpy(changed, saved, size);
		for (uint64_t n = 1 + random_below(&world->seed, 3); n; n--) {
			/* Most of it is registers and blocks: what lies between is what counts. */
			size_t at = random_below(&world->seed, 2)
					    ? random_below(&world->seed, size)
					    : 28 + 0x4000 + random_below(&world->seed, 400);

			changed[at] = (uint8_t)random_next(&world->seed);
		}
		host->model->load(host->dev, changed, size);
		host->model->start(host->dev);
		host->model->stop(host->dev);
	}
	/* A good one makes it good again, where the others had no completions written. */
	host->model->reset(host->dev);
	memset(host_find(host, world->driver->queue[1].cq)->memory + 16, 0, 15 * 16);
	assert_int_equal(host->model->load(host->dev, saved, size), 0);
	host->model->start(host->dev);
	assert_int_equal(nvme_run(world->driver, 1, &(struct command){.nsid = 1}, NULL), 0);
	free(saved);
	free(changed);
	end_world(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_memory),
		cmocka_unit_test(in_a_file),
		cmocka_unit_test(migration),
		cmocka_unit_test(states_that_no_one_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
