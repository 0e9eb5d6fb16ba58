/* SPDX-License-Identifier: MIT */
/* The parts of reading a libvirt domain. */
#ifndef CMD_LIBVIRT_H
#define CMD_LIBVIRT_H

#include "cmd/qemu_line.h"
#include "cmd/xml.h"

struct libvirt {
	struct guest *guest;
	struct xml *top; /* <domain> */
	struct qemu_line line;
};

/* libvirt.c: give QEMU one more option. */
void libvirt_option(struct libvirt *domain, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* One line that names the file, the line and the element; exit status 2. */
void libvirt_refuse(const struct libvirt *domain, const struct xml *at, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

/* A number with libvirt's unit, or without one: then in @plain bytes. */
uint64_t libvirt_bytes_of(const struct libvirt *domain, const struct xml *at, const char *value,
			  const char *unit, uint64_t plain);

/* The amount in an element, in KiB if it has no unit. */
uint64_t libvirt_bytes(const struct libvirt *domain, const struct xml *at, uint64_t otherwise);

bool libvirt_is(const struct xml *at, const char *name, const char *value);

/* libvirt_memory.c: RAM, NUMA cells and memory devices. */
void libvirt_memory(struct libvirt *domain);

/* libvirt_device.c: the other devices. */
void libvirt_devices(struct libvirt *domain);

#endif
