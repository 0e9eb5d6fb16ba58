/* SPDX-License-Identifier: MIT */
/* An XML file as a tree, by expat. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "cmd/cmd.h"
#include "cmd/guest.h"
#include "cmd/xml.h"

#define BYTES_MAX (16 << 20)
#define DEPTH_MAX 200 /* elements in each other */
#define TEXT_MAX  4096
#define SEPARATOR ' ' /* in expat's names: no namespace may have it */
#define QEMU_URI  "http://libvirt.org/schemas/domain/qemu/1.0"

struct reader {
	struct guest *guest;
	XML_Parser parser;
	struct xml *root, *at;
	unsigned int depth;
	size_t length; /* of the text of @at */
};

static unsigned long line_of(const struct reader *reader)
{
#ifdef HAVE_XML_GET_CURRENT_LINE_NUMBER64
	return (unsigned long)XML_GetCurrentLineNumber64(reader->parser);
#else
	return XML_GetCurrentLineNumber(reader->parser);
#endif
}

static const char **copy_attributes(struct guest *guest, const char **from)
{
	size_t nr = 0;
	const char **copy;

	while (from[nr])
		nr++;
	copy = guest_alloc(guest, (nr + 1) * sizeof(*copy));
	for (size_t i = 0; i < nr; i++)
		copy[i] = guest_copy(guest, from[i]);
	return copy;
}

/*
 * "qemu:arg" of QEMU's namespace, whatever its prefix is, and the bare name of an element
 * without prefix. Others stay as expat has them, "URI NAME PREFIX", which is no known name.
 */
static const char *name_of(struct guest *guest, const char *name)
{
	const char *local = strchr(name, SEPARATOR), *prefix;

	if (!local)
		return guest_copy(guest, name);
	local++;
	prefix = strchrnul(local, SEPARATOR);
	if (!strncmp(name, QEMU_URI, strlen(QEMU_URI)) && name[strlen(QEMU_URI)] == SEPARATOR)
		return guest_print(guest, "qemu:%.*s", (int)(prefix - local), local);
	return guest_copy(guest, *prefix ? name : local);
}

static void XMLCALL on_start(void *data, const char *name, const char **attributes)
{
	struct reader *reader = data;
	struct xml *parent = reader->at, *xml = guest_alloc(reader->guest, sizeof(*xml));

	if (++reader->depth > DEPTH_MAX)
		die("%s:%lu: more than %d elements in each other", reader->guest->option,
		    line_of(reader), DEPTH_MAX);
	xml->name = name_of(reader->guest, name);
	xml->attributes = copy_attributes(reader->guest, attributes);
	xml->text = guest_alloc(reader->guest, 1);
	xml->line = line_of(reader);
	xml->parent = parent;
	if (!parent)
		reader->root = xml;
	else if (parent->last)
		parent->last->next = xml;
	else
		parent->first = xml;
	if (parent)
		parent->last = xml;
	reader->at = xml;
	reader->length = 0;
}

/* Text is wanted of elements that have nothing else in them, and not without end. */
static void XMLCALL on_text(void *data, const char *text, int length)
{
	struct reader *reader = data;
	struct xml *xml = reader->at;

	if (!xml || xml->first)
		return;
	for (int i = 0; i < length && reader->length < TEXT_MAX; i++) {
		/* With a NUL behind it, which the memory has. */
		xml->text = guest_grow(reader->guest, xml->text, reader->length + 1, 1);
		xml->text[reader->length++] = text[i];
		xml->text[reader->length] = '\0';
	}
}

static void XMLCALL on_end(void *data, const char *name)
{
	struct reader *reader = data;
	char *text = reader->at->text, *start = text + strspn(text, " \t\r\n");
	size_t length = strlen(start);

	(void)name;
	while (length && isspace((unsigned char)start[length - 1]))
		length--;
	memmove(text, start, length);
	text[length] = '\0';
	reader->at = reader->at->parent;
	reader->depth--;
}

/* No domain has entities of its own; those that stand for much text are an attack. */
static void XMLCALL on_entity(void *data, const char *name, int parameter, const char *value,
			      int length, const char *base, const char *system, const char *public,
			      const char *notation)
{
	struct reader *reader = data;

	die("%s:%lu: entity '%s' is declared: expected none", reader->guest->option,
	    line_of(reader), name);
}

static void parse_stream(struct reader *reader, FILE *file)
{
	static char buffer[65536];
	size_t total = 0, got;

	do {
		got = fread(buffer, 1, sizeof(buffer), file);
		if (ferror(file))
			die("%s: %s", reader->guest->option, strerror(errno));
		total += got;
		if (total > BYTES_MAX)
			die("%s: more than 16M", reader->guest->option);
		if (XML_Parse(reader->parser, buffer, (int)got, got == 0) != XML_STATUS_OK)
			die("%s:%lu: not XML: %s", reader->guest->option, line_of(reader),
			    XML_ErrorString(XML_GetErrorCode(reader->parser)));
	} while (got);
}

struct xml *xml_read(struct guest *guest, const char *path)
{
	struct reader reader = {.guest = guest};
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;

	if (!file)
		die("%s: %s", guest->option, strerror(errno));
	reader.parser = XML_ParserCreateNS(NULL, SEPARATOR);
	if (!reader.parser)
		out_of_memory();
	XML_SetReturnNSTriplet(reader.parser, 1);
	XML_SetUserData(reader.parser, &reader);
	XML_SetElementHandler(reader.parser, on_start, on_end);
	XML_SetCharacterDataHandler(reader.parser, on_text);
	XML_SetEntityDeclHandler(reader.parser, on_entity);
	parse_stream(&reader, file);
	XML_ParserFree(reader.parser);
	if (file != stdin)
		fclose(file);
	return reader.root;
}

/* ---- looking things up ---- */

/* The element after @at when all are read from top to bottom, below @top. */
static struct xml *after(struct xml *at, const struct xml *top)
{
	if (at->first)
		return at->first;
	while (at != top && !at->next)
		at = at->parent;
	return at == top ? NULL : at->next;
}

struct xml *xml_find(struct xml *at, const char *name)
{
	for (struct xml *xml = at; xml; xml = after(xml, at))
		if (!strcmp(xml->name, name))
			return xml;
	return NULL;
}

static struct xml *same_name(struct xml *from, const char *name)
{
	while (from && strcmp(from->name, name))
		from = from->next;
	return from;
}

struct xml *xml_child(const struct xml *at, const char *name)
{
	return at ? same_name(at->first, name) : NULL;
}

struct xml *xml_next(const struct xml *after)
{
	return same_name(after->next, after->name);
}

struct xml *xml_path(const struct xml *at, const char *path)
{
	const char *slash = strchr(path, '/');
	char name[64];

	snprintf(name, sizeof(name), "%.*s", slash ? (int)(slash - path) : 63, path);
	at = xml_child(at, name);
	return slash ? xml_path(at, slash + 1) : (struct xml *)at;
}

const char *xml_attribute(const struct xml *at, const char *name)
{
	for (size_t i = 0; at && at->attributes[i]; i += 2)
		if (!strcmp(at->attributes[i], name))
			return at->attributes[i + 1];
	return NULL;
}
