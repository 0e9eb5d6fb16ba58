/* SPDX-License-Identifier: MIT */
/* The arguments of QEMU's options: "key=value,...", where ",," is a comma, or JSON. */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "cmd/cmd.h"
#include "cmd/qemu.h"

void qemu_opts_add(struct qemu_opts *opts, const char *key, const char *value)
{
	opts->opts = guest_grow(opts->guest, opts->opts, opts->nr, sizeof(*opts->opts));
	opts->opts[opts->nr++] =
		(struct qemu_opt){guest_copy(opts->guest, key), guest_copy(opts->guest, value)};
}

/* What is between commas is put into @field; the text behind it, or NULL at the end. */
static const char *next_field(const char *text, char *field)
{
	while (*text) {
		if (*text == ',' && *++text != ',') {
			*field = '\0';
			return text;
		}
		*field++ = *text++;
	}
	*field = '\0';
	return NULL;
}

/* A key without a value is switched on. */
static void read_keys(struct qemu_opts *opts, const char *text, const char *implied)
{
	char *field = guest_alloc(opts->guest, strlen(text) + 1);

	while (text && *text) {
		char *equals;

		text = next_field(text, field);
		equals = strchr(field, '=');
		if (equals)
			*equals = '\0';
		if (equals)
			qemu_opts_add(opts, field, equals + 1);
		else if (implied)
			qemu_opts_add(opts, implied, field);
		else if (*field)
			qemu_opts_add(opts, field, "on");
		implied = NULL;
	}
}

/* Values in objects in it are not needed. */
static void read_json(struct qemu_opts *opts, const char *text)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object;
	enum json_tokener_error error;

	if (!tokener)
		out_of_memory();
	object = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
	error = json_tokener_get_error(tokener);
	json_tokener_free(tokener);
	if (error != json_tokener_success || !json_object_is_type(object, json_type_object)) {
		json_object_put(object);
		die("%s: %.40s: not a JSON object: %s", opts->where, text,
		    json_tokener_error_desc(error));
	}
	json_object_object_foreach(object, key, value)
	{
		if (json_object_is_type(value, json_type_boolean))
			qemu_opts_add(opts, key, json_object_get_boolean(value) ? "on" : "off");
		else if (value && !json_object_is_type(value, json_type_array) &&
			 !json_object_is_type(value, json_type_object))
			qemu_opts_add(opts, key, json_object_get_string(value));
	}
	json_object_put(object);
}

void qemu_opts_read(struct qemu_opts *opts, struct guest *guest, const char *where,
		    const char *text, const char *implied)
{
	*opts = (struct qemu_opts){.guest = guest, .where = guest_copy(guest, where)};
	if (*text == '{')
		read_json(opts, text);
	else
		read_keys(opts, text, implied);
}

const char *qemu_opt(const struct qemu_opts *opts, const char *key)
{
	for (size_t i = opts->nr; i-- > 0;)
		if (!strcmp(opts->opts[i].key, key))
			return opts->opts[i].value;
	return NULL;
}

bool qemu_opt_bool(const struct qemu_opts *opts, const char *key, bool otherwise)
{
	static const char on[] = " on yes true y ", off[] = " off no false n ";
	const char *value = qemu_opt(opts, key);
	char word[16];

	if (!value)
		return otherwise;
	snprintf(word, sizeof(word), " %s ", value);
	if (strstr(on, word))
		return true;
	if (!strstr(off, word))
		die("%s: %s=%s: expected on or off", opts->where, key, value);
	return false;
}

uint64_t qemu_opt_bytes(const struct qemu_opts *opts, const char *key, uint64_t plain,
			uint64_t otherwise)
{
	const char *value = qemu_opt(opts, key);
	char where[256];

	if (!value)
		return otherwise;
	snprintf(where, sizeof(where), "%s: %s", opts->where, key);
	return parse_bytes_in(where, value, plain);
}
