/* SPDX-License-Identifier: MIT */
/* A QEMU command line that is being read. */
#ifndef CMD_QEMU_LINE_H
#define CMD_QEMU_LINE_H

#include "cmd/qemu.h"

struct qemu_line {
	struct guest *guest;
	const char *arch; /* of the emulator, or NULL */
	struct qemu_option {
		const char *name, *value; /* "device" */
	} * options;
	size_t nr;

	/* what single options say */
	struct qemu_opts machine; /* all of them */
	struct qemu_opts globals; /* a driver without a value, then its property, and so on */
	const char *cpu, *vga, *bios, *mem_path;
	bool kvm, nodefaults, flash;
	bool net, nic; /* networks are given; one that makes a device itself */

	/* what objects there are */
	struct qemu_memory *memories;
	size_t nr_memories;
	const char **iommufds;
	size_t nr_iommufds;
};

/* qemu.c: a line without options; take some from words. */
void qemu_line_init(struct qemu_line *line, struct guest *guest);
void qemu_line_add(struct qemu_line *line, const char **word, size_t nr);

/* "--qemu -device" */
const char *qemu_line_where(const struct qemu_line *line, const char *name);

/* Make a guest of the options. */
void qemu_line_read(struct qemu_line *line);

/* qemu_machine.c: the machine, its CPU and firmware; the RAM, after the objects. */
void qemu_line_machine(struct qemu_line *line);
void qemu_line_memory(struct qemu_line *line);

/* qemu_device.c: the objects; the devices, after all else. */
void qemu_line_objects(struct qemu_line *line);
void qemu_line_devices(struct qemu_line *line);

/* Add what -global says of a driver. */
void qemu_line_globals(const struct qemu_line *line, const char *driver, struct qemu_opts *opts);
const struct qemu_memory *qemu_line_find_memory(const struct qemu_line *line, const char *id);

#endif
