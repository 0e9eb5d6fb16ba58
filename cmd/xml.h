/* SPDX-License-Identifier: MIT */
/* An XML file as a tree. */
#ifndef CMD_XML_H
#define CMD_XML_H

struct xml {
	const char *name;        /* "qemu:arg" in QEMU's namespace, whatever prefix it has */
	const char **attributes; /* names and values in turn, then NULL */
	char *text;              /* between the tags, without blanks around it; "" if none */
	unsigned long line;
	struct xml *parent, *next, *first, *last;
};

struct guest;

/* Read a file ("-" is standard input), which lasts as long as the guest; dies if it cannot. */
struct xml *xml_read(struct guest *guest, const char *path);

/* The element @name in what is below @at, or @at itself: the first there is, or NULL. */
struct xml *xml_find(struct xml *at, const char *name);

/* The first child of that name, or the next after @after; NULL if there is none. */
struct xml *xml_child(const struct xml *at, const char *name);
struct xml *xml_next(const struct xml *after);

/* The child of a child, "os/type"; NULL if there is none. */
struct xml *xml_path(const struct xml *at, const char *path);

/* NULL if there is none, or if there is no element. */
const char *xml_attribute(const struct xml *at, const char *name);

#endif
