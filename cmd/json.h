/* SPDX-License-Identifier: MIT */
/* Building JSON with json-c. */
#ifndef CMD_JSON_H
#define CMD_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/cmd.h"

/* json-c returns NULL without memory, and adding NULL would say "null". */
static inline struct json_object *made(struct json_object *object)
{
	if (!object)
		out_of_memory();
	return object;
}

static inline void add(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value))
		out_of_memory();
}

static inline void append(struct json_object *array, struct json_object *value)
{
	if (json_object_array_add(array, value))
		out_of_memory();
}

static inline void add_number(struct json_object *object, const char *key, uint64_t number)
{
	add(object, key, made(json_object_new_uint64(number)));
}

static inline void add_limit(struct json_object *object, const char *key, uint64_t limit)
{
	if (limit == UINT64_MAX)
		add(object, key, NULL);
	else
		add_number(object, key, limit);
}

/* JSON is UTF-8, and names of processes and files need not be. */
static inline struct json_object *make_text(const char *text)
{
	char *utf8 = quoted_utf8(text);
	struct json_object *object = made(json_object_new_string(utf8));

	free(utf8);
	return object;
}

static inline void add_text(struct json_object *object, const char *key, const char *text)
{
	add(object, key, make_text(text));
}

static inline void add_bool(struct json_object *object, const char *key, bool value)
{
	add(object, key, made(json_object_new_boolean(value)));
}

static inline struct json_object *add_object(struct json_object *object, const char *key)
{
	struct json_object *child = made(json_object_new_object());

	add(object, key, child);
	return child;
}

static inline struct json_object *add_array(struct json_object *object, const char *key)
{
	struct json_object *child = made(json_object_new_array());

	add(object, key, child);
	return child;
}

static inline struct json_object *append_object(struct json_object *array)
{
	struct json_object *child = made(json_object_new_object());

	append(array, child);
	return child;
}

/* Print it on one line or more, and free it. */
static inline void print_json(FILE *out, struct json_object *object, int flags)
{
	const char *text = json_object_to_json_string_ext(object, flags);

	if (!text)
		out_of_memory();
	fprintf(out, "%s\n", text);
	json_object_put(object);
}

#endif
