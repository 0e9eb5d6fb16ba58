/* SPDX-License-Identifier: MIT */
/* The files of a memory cgroup. Their texts are those of cgroup v2. */
#include "mm/memcontrol.h"
#include "mm/shrinker.h"
#include "plat/compiler.h"

/* Text that may be longer than its buffer, as with snprintf(). */
struct text {
	char *buf;
	size_t size;
	size_t length; /* of all of it */
};

static void put_char(struct text *text, char c)
{
	if (text->length + 1 < text->size)
		text->buf[text->length] = c;
	text->length++;
}

static void put_string(struct text *text, const char *string)
{
	while (*string)
		put_char(text, *string++);
}

static void put_number(struct text *text, uint64_t number)
{
	char digits[20];
	unsigned int n = 0;

	do {
		digits[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (n)
		put_char(text, digits[--n]);
}

static void put_line(struct text *text, uint64_t number)
{
	put_number(text, number);
	put_char(text, '\n');
}

static void put_key(struct text *text, const char *key, uint64_t number)
{
	put_string(text, key);
	put_char(text, ' ');
	put_line(text, number);
}

static void put_limit(struct text *text, uint64_t limit)
{
	if (limit == MEMCG_UNLIMITED)
		put_string(text, "max\n");
	else
		put_line(text, limit);
}

static void finish(const struct text *text)
{
	if (text->size)
		text->buf[MIN(text->length, text->size - 1)] = '\0';
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static const char *skip_space(const char *text)
{
	while (is_space(*text))
		text++;
	return text;
}

static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	c |= 0x20;
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	return 16;
}

static uint64_t saturating_mul_add(uint64_t number, uint64_t factor, uint64_t add)
{
	if (__builtin_mul_overflow(number, factor, &number) ||
	    __builtin_add_overflow(number, add, &number))
		return UINT64_MAX;
	return number;
}

/* Parse digits in the base that their prefix names. Returns their end, or NULL. */
static const char *parse_number(const char *text, uint64_t *number)
{
	unsigned int base = 10;
	const char *digits;

	if (text[0] == '0') {
		base = 8;
		if ((text[1] | 0x20) == 'x' && digit_value(text[2]) < 16) {
			base = 16;
			text += 2;
		}
	}
	*number = 0;
	for (digits = text; digit_value(*text) < base; text++)
		*number = saturating_mul_add(*number, base, digit_value(*text));
	return text > digits ? text : NULL;
}

static const char *parse_suffix(const char *text, uint64_t *number)
{
	static const char suffixes[] = "kmgtpe";

	for (unsigned int i = 0; suffixes[i]; i++) {
		if ((*text | 0x20) == suffixes[i]) {
			*number = saturating_mul_add(*number, BIT_ULL(10 * (i + 1)), 0);
			return text + 1;
		}
	}
	return text;
}

/* Parse a limit as memory.max takes it: a number above the largest limit is "max". */
static int parse_limit(const char *text, uint64_t *limit)
{
	text = skip_space(text);
	if (text[0] == 'm' && text[1] == 'a' && text[2] == 'x') {
		*limit = MEMCG_UNLIMITED;
		text += 3;
	} else {
		text = parse_number(text, limit);
		if (!text)
			return -EINVAL;
		text = parse_suffix(text, limit);
		*limit = MIN(*limit / MEMCG_PAGE * MEMCG_PAGE, MEMCG_UNLIMITED);
	}
	return *skip_space(text) ? -EINVAL : 0;
}

/*
 * A limit was changed: run the shrinkers as long as they free something. Reading the
 * usage takes back the stocks, which may exceed the new limit.
 */
static void shrink_below(struct mem_cgroup *memcg, uint64_t limit)
{
	for (unsigned int round = 0; round < MEMCG_SHRINK_ROUNDS; round++) {
		if (mem_cgroup_usage(memcg) <= limit || !shrink_all(GFP_KERNEL))
			return;
	}
}

static int write_limit(struct mem_cgroup *memcg, _Atomic uint64_t *place, const char *text)
{
	uint64_t limit;
	int error = parse_limit(text, &limit);

	if (error)
		return error;
	atomic_store(place, limit);
	shrink_below(memcg, limit);
	return 0;
}

static int write_max(struct mem_cgroup *memcg, const char *text)
{
	return write_limit(memcg, &memcg->max, text);
}

static int write_high(struct mem_cgroup *memcg, const char *text)
{
	return write_limit(memcg, &memcg->high, text);
}

static int write_peak(struct mem_cgroup *memcg, const char *text)
{
	atomic_store(&memcg->peak, mem_cgroup_usage(memcg));
	return 0;
}

static void read_max(struct mem_cgroup *memcg, struct text *text)
{
	put_limit(text, atomic_load(&memcg->max));
}

static void read_high(struct mem_cgroup *memcg, struct text *text)
{
	put_limit(text, atomic_load(&memcg->high));
}

static void read_current(struct mem_cgroup *memcg, struct text *text)
{
	put_line(text, mem_cgroup_usage(memcg));
}

static void read_peak(struct mem_cgroup *memcg, struct text *text)
{
	memcg_drain_stocks(memcg, true);
	put_line(text, atomic_load(&memcg->peak));
}

static void read_events(struct mem_cgroup *memcg, struct text *text)
{
	put_key(text, "low", 0);
	put_key(text, "high", atomic_load(&memcg->events[MEMCG_HIGH]));
	put_key(text, "max", atomic_load(&memcg->events[MEMCG_MAX]));
	put_key(text, "oom", 0);
	put_key(text, "oom_kill", 0);
	put_key(text, "oom_group_kill", 0);
}

/* While calls are under way, an uncharge may be visible before its charge. */
static uint64_t stat_of(struct mem_cgroup *memcg, enum memcg_stat stat)
{
	int64_t bytes = atomic_load(&memcg->stat[stat]);

	return bytes > 0 ? (uint64_t)bytes : 0;
}

static void read_stat(struct mem_cgroup *memcg, struct text *text)
{
	uint64_t tables, slab;

	memcg_drain_stocks(memcg, true);
	tables = stat_of(memcg, MEMCG_SEC_PAGETABLES);
	slab = stat_of(memcg, MEMCG_SLAB);
	put_key(text, "kernel", tables + slab + stat_of(memcg, MEMCG_OTHER));
	put_key(text, "sec_pagetables", tables);
	put_key(text, "slab", slab);
}

static const struct memcg_file {
	const char *name;
	void (*read)(struct mem_cgroup *memcg, struct text *text);
	int (*write)(struct mem_cgroup *memcg, const char *text);
} files[] = {
	{"memory.current", read_current, NULL}, {"memory.events", read_events, NULL},
	{"memory.high", read_high, write_high}, {"memory.max", read_max, write_max},
	{"memory.peak", read_peak, write_peak}, {"memory.stat", read_stat, NULL},
};

static const struct memcg_file *find_file(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(files); i++) {
		if (same(files[i].name, name))
			return &files[i];
	}
	return NULL;
}

int mem_cgroup_read(struct mem_cgroup *memcg, const char *file, char *buf, size_t size)
{
	const struct memcg_file *found = find_file(file);
	struct text text = {buf, size, 0};

	if (found)
		found->read(memcg, &text);
	finish(&text);
	return found ? (int)text.length : -ENOENT;
}

int mem_cgroup_write(struct mem_cgroup *memcg, const char *file, const char *text)
{
	const struct memcg_file *found = find_file(file);

	if (!found)
		return -ENOENT;
	if (!found->write)
		return -EACCES;
	return found->write(memcg, text);
}

uint64_t mem_cgroup_usage(struct mem_cgroup *memcg)
{
	memcg_drain_stocks(memcg, true);
	return memcg_usage_now(memcg);
}
