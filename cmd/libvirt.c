/* SPDX-License-Identifier: MIT */
/*
 * A libvirt domain. It is converted to the options that libvirt would start QEMU with,
 * as far as they matter here, which are then read.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/libvirt.h"

void libvirt_option(struct libvirt *domain, const char *name, const char *format, ...)
{
	const char *words[2] = {guest_print(domain->guest, "-%s", name)};
	va_list args;

	va_start(args, format);
	words[1] = guest_vprint(domain->guest, format, args);
	va_end(args);
	qemu_line_add(&domain->line, words, 2);
}

void libvirt_refuse(const struct libvirt *domain, const struct xml *at, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = guest_vprint(domain->guest, format, args);
	va_end(args);
	die("%s:%lu: <%s>: %s", domain->guest->option, at->line, at->name, text);
}

/* libvirt's units: KB is 1000 bytes, k and KiB are 1024, and so on; no unit is KiB. */
uint64_t libvirt_bytes_of(const struct libvirt *domain, const struct xml *at, const char *value,
			  const char *unit, uint64_t plain)
{
	const char *where = guest_print(domain->guest, "%s:%lu: <%s>", domain->guest->option,
					at->line, at->name);

	if (!unit)
		return parse_bytes_in(where, value, plain);
	if (value[strspn(value, "0123456789")] || !*value)
		libvirt_refuse(domain, at, "'%.40s' is not a whole number", value);
	if (!strcmp(unit, "bytes") || !strcmp(unit, "byte"))
		unit = "b";
	return parse_bytes(where, guest_print(domain->guest, "%s%s", value, unit));
}

uint64_t libvirt_bytes(const struct libvirt *domain, const struct xml *at, uint64_t otherwise)
{
	if (!at)
		return otherwise;
	return libvirt_bytes_of(domain, at, at->text, xml_attribute(at, "unit"), KIB);
}

bool libvirt_is(const struct xml *at, const char *name, const char *value)
{
	const char *found = xml_attribute(at, name);

	return found && !strcmp(found, value);
}

/* ---- the machine ---- */

/* A loader without a type is flash if it has variables beside it. */
static bool is_flash(const struct xml *os)
{
	const struct xml *loader = xml_child(os, "loader");
	const char *type = xml_attribute(loader, "type");

	if (libvirt_is(os, "firmware", "efi"))
		return true;
	if (!loader)
		return false;
	return type ? !strcmp(type, "pflash") : xml_child(os, "nvram") != NULL;
}

static void read_machine(struct libvirt *domain)
{
	const struct xml *os = xml_child(domain->top, "os"), *type = xml_child(os, "type");
	const struct xml *loader = xml_child(os, "loader");
	const char *arch = xml_attribute(type, "arch"), *machine = xml_attribute(type, "machine");

	if (!type)
		libvirt_refuse(domain, os ? os : domain->top, "expected <os> with a <type> in it");
	domain->line.arch = arch ? arch : "x86_64";
	if (!machine)
		machine = !strcmp(domain->line.arch, "x86_64") ? "pc" : "virt";
	libvirt_option(domain, "machine", "%s%s", machine, is_flash(os) ? ",pflash0=firmware" : "");
	if (loader && *loader->text && !is_flash(os))
		libvirt_option(domain, "bios", "%s", loader->text);
	if (xml_child(domain->top, "launchSecurity"))
		guest_note(domain->guest, "launchSecurity: memory is counted as if it were not "
					  "private");
}

static void read_cpu(struct libvirt *domain)
{
	const struct xml *cpu = xml_child(domain->top, "cpu"), *model = xml_child(cpu, "model");
	const struct xml *vendor = xml_child(cpu, "vendor");
	const char *name = model && *model->text ? model->text : "host";

	domain->line.kvm = libvirt_is(domain->top, "type", "kvm");
	if (cpu && vendor && *vendor->text)
		libvirt_option(domain, "cpu", "%s,vendor=%s", name,
			       strcmp(vendor->text, "AMD") ? "other" : "AuthenticAMD");
	else if (cpu && (model || domain->line.kvm))
		libvirt_option(domain, "cpu", "%s", name);
}

/* ---- what changes the results of libvirt or QEMU ---- */

static void read_tuning(struct libvirt *domain)
{
	const struct xml *limit = xml_path(domain->top, "memtune/hard_limit");
	char text[BYTES_TEXT];

	if (limit)
		guest_note(domain->guest,
			   "memtune/hard_limit: libvirt sets the memlock limit to that, %s",
			   exact_bytes(libvirt_bytes(domain, limit, 0), text));
	if (xml_child(domain->top, "qemu:override"))
		guest_note(domain->guest, "qemu:override: not read, what it changes is not "
					  "counted");
}

/* Options that the domain passes to QEMU unchanged. */
static void read_arguments(struct libvirt *domain)
{
	const struct xml *line = xml_child(domain->top, "qemu:commandline");
	const struct xml *arg = xml_child(line, "qemu:arg");
	const char **words = NULL;
	size_t nr = 0;

	for (; arg; arg = xml_next(arg)) {
		const char *value = xml_attribute(arg, "value");

		if (!value)
			libvirt_refuse(domain, arg, "value= is missing");
		words = guest_grow(domain->guest, words, nr, sizeof(*words));
		words[nr++] = value;
	}
	qemu_line_add(&domain->line, words, nr);
}

void guest_read_libvirt(struct guest *guest, const char *path)
{
	struct libvirt domain = {.guest = guest};
	const char *type;

	guest->source = "libvirt";
	guest->option = guest_print(guest, "%s %s", guest->option, path);
	domain.top = xml_find(xml_read(guest, path), "domain");
	if (!domain.top)
		die("%s: no <domain> in it: expected what 'virsh dumpxml' prints", guest->option);
	type = xml_attribute(domain.top, "type");
	if (!type || (strcmp(type, "kvm") && strcmp(type, "qemu")))
		libvirt_refuse(&domain, domain.top, "type='%.40s': expected kvm or qemu",
			       type ? type : "");
	qemu_line_init(&domain.line, guest);
	domain.line.nodefaults = true;
	read_machine(&domain);
	read_cpu(&domain);
	libvirt_memory(&domain);
	libvirt_devices(&domain);
	read_tuning(&domain);
	read_arguments(&domain);
	qemu_line_read(&domain.line);
	guest_check(guest);
}
