/* SPDX-License-Identifier: MIT */
/* A QEMU command line: finds the options that determine what a device can access. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/qemu_line.h"

/* ---- options ---- */

/* Options without an argument; all others have one. */
static const char alone[] =
	" S alt-grab async-teardown audio-help ctrl-grab curses daemonize enable-fips enable-hax "
	"enable-kvm enable-sync-profile full-screen h help mem-prealloc no-acpi no-fd-bootchk "
	"no-frame no-hpet no-kvm no-kvm-irqchip no-kvm-pit no-kvm-pit-reinjection no-quit "
	"no-reboot "
	"no-shutdown no-user-config nodefaults nodefconfig nographic nouserconfig old-param "
	"one-insn-per-tb only-migratable portrait preconfig rtc-td-hack s sdl semihosting "
	"show-cursor singlestep snapshot tdf usb version win2k-hack xen-attach "
	"xen-domid-restrict ";

/* And those that have one, for messages. */
static const char with_argument[] =
	" D L M accel acpitable action add-fd append audio audiodev bios blockdev boot cdrom "
	"chardev chroot compat cpu d device dfilter display drive dtb dump-vmstate echr fda fdb "
	"fsdev fw_cfg g gdb global hda hdb hdc hdd icount incoming initrd iscsi k kernel loadvm m "
	"machine mem-path mon monitor msg mtdblock name net netdev nic numa object option-rom "
	"overcommit p parallel pflash pidfile plugin prom-env qmp qmp-pretty qtest qtest-log "
	"readconfig rotate rtc run-with runas sandbox sd seed semihosting-config serial set shim "
	"smbios smp soundhw spice tb-size tpmdev trace usbdevice uuid vga virtfs vnc watchdog "
	"watchdog-action xen-domid ";

static bool is_in(const char *list, const char *name)
{
	char word[64];

	snprintf(word, sizeof(word), " %s ", name);
	return strstr(list, word) != NULL;
}

static void add_option(struct qemu_line *line, const char *name, const char *value)
{
	line->options = guest_grow(line->guest, line->options, line->nr, sizeof(*line->options));
	line->options[line->nr++] = (struct qemu_option){name, value};
}

void qemu_line_add(struct qemu_line *line, const char **word, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const char *name = word[i];

		if (name[0] != '-' || !name[1])
			continue; /* a disk */
		name += name[1] == '-' ? 2 : 1;
		if (is_in(alone, name)) {
			add_option(line, name, "");
			continue;
		}
		if (i + 1 == nr && !is_in(with_argument, name))
			die("%s: -%.60s: unknown option", line->guest->option, name);
		if (i + 1 == nr)
			die("%s: -%s: its argument is missing", line->guest->option, name);
		add_option(line, name, word[++i]);
	}
}

const char *qemu_line_where(const struct qemu_line *line, const char *name)
{
	return guest_print(line->guest, "%s -%s", line->guest->option, name);
}

/* ---- the command in the words ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

#define EMULATOR "qemu-system-"

static bool is_emulator(const char *word, bool first)
{
	const char *name = base_name(word);

	if (strpbrk(name, " \t\n"))
		return false; /* a command in one word */
	return !strncmp(name, EMULATOR, strlen(EMULATOR)) || !strcmp(name, "qemu-kvm") ||
	       (first && (!strcmp(name, "kvm") || !strcmp(name, "qemu")));
}

/* A variable that a shell sets for the command behind it. */
static bool is_assignment(const char *word)
{
	size_t length = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789_");

	return length && word[length] == '=';
}

/* QEMU's long options begin with one dash; what runs another command has -u or --user. */
static bool has_value_behind(const char *word)
{
	return word[0] == '-' && word[1] != '-' && strlen(word) > 3;
}

/*
 * The emulator among the @nr words of a command, or @nr: the first word, or one behind
 * what runs it, such as sudo(8). It is never the value of an option of QEMU.
 */
static size_t find_emulator(const char **word, size_t nr)
{
	size_t i = 0, first;

	while (i < nr && is_assignment(word[i]))
		i++;
	if (i < nr && word[i][0] == '-')
		return nr;
	for (first = i; i < nr && !is_emulator(word[i], i == first); i++)
		if (has_value_behind(word[i]))
			i++;
	return i < nr ? i : nr;
}

/* What an emulator's name says that it emulates, "x86_64", or NULL. */
static const char *arch_of(struct guest *guest, const char *word)
{
	const char *name = base_name(word), *arch = name + strlen(EMULATOR);

	if (strncmp(name, EMULATOR, strlen(EMULATOR)))
		return NULL;
	return guest_print(guest, "%.*s",
			   (int)strspn(arch, "abcdefghijklmnopqrstuvwxyz0123456789_"), arch);
}

static size_t command_length(const struct words *words, size_t start)
{
	size_t end = start;

	while (end < words->nr && words->word[end])
		end++;
	return end - start;
}

/* The last command in the words that runs QEMU, as in a log; or only options. */
static void find_command(struct qemu_line *line, const struct words *words)
{
	size_t start, nr, best = words->nr, best_nr = 0;

	for (start = 0; start < words->nr; start += nr + 1) {
		size_t emulator;

		nr = command_length(words, start);
		emulator = find_emulator(words->word + start, nr);
		if (emulator < nr) {
			best = start + emulator;
			best_nr = nr - emulator;
			line->arch = arch_of(line->guest, words->word[best]);
			line->kvm = strstr(base_name(words->word[best]), "kvm") != NULL;
		} else if (best == words->nr && nr && words->word[start][0] == '-') {
			best = start;
			best_nr = nr;
		}
	}
	if (!best_nr)
		die("%s: no QEMU command line: expected qemu-system-... and options, or options "
		    "alone%s%.60s",
		    line->guest->option, words->nr ? ", not " : "",
		    words->nr ? words->word[0] : "");
	qemu_line_add(line, words->word + best, best_nr);
}

/* ---- one option after the other ---- */

static void read_machine(struct qemu_line *line, const char *name, const char *value)
{
	struct qemu_opts opts;

	qemu_opts_read(&opts, line->guest, qemu_line_where(line, name), value, "type");
	for (size_t i = 0; i < opts.nr; i++)
		qemu_opts_add(&line->machine, opts.opts[i].key, opts.opts[i].value);
}

static void read_global(struct qemu_line *line, const char *value)
{
	struct qemu_opts opts;
	char *dot, *equals, *copy = guest_copy(line->guest, value);

	qemu_opts_read(&opts, line->guest, qemu_line_where(line, "global"), value, NULL);
	dot = strchr(copy, '.');
	equals = strchr(copy, '=');
	if (qemu_opt(&opts, "driver") && qemu_opt(&opts, "property") && qemu_opt(&opts, "value")) {
		qemu_opts_add(&line->globals, qemu_opt(&opts, "driver"), "");
		qemu_opts_add(&line->globals, qemu_opt(&opts, "property"),
			      qemu_opt(&opts, "value"));
	} else if (dot && equals > dot) {
		*dot = *equals = '\0';
		qemu_opts_add(&line->globals, copy, "");
		qemu_opts_add(&line->globals, dot + 1, equals + 1);
	}
}

static void read_drive(struct qemu_line *line, const char *name, const char *value)
{
	struct qemu_opts opts;
	const char *kind;

	qemu_opts_read(&opts, line->guest, qemu_line_where(line, name), value, "driver");
	kind = qemu_opt(&opts, "if");
	if (kind && !strcmp(kind, "pflash"))
		line->flash = true;
	if ((kind = qemu_opt(&opts, "driver")) && !strcmp(kind, "nvme"))
		guest_note(line->guest,
			   "-%s with the nvme driver: the tables of that disk are "
			   "not counted",
			   name);
}

static void read_net(struct qemu_line *line, const char *name, const char *value)
{
	line->net = true;
	if (strstr(value, "vhost-vdpa"))
		guest_note(line->guest, "vhost-vdpa: the tables of that device are not counted");
	if (!strcmp(name, "netdev") || !strncmp(value, "none", 4))
		return;
	if (!strcmp(name, "nic") || !strncmp(value, "nic", 3))
		line->nic = true;
}

static void read_option(struct qemu_line *line, const struct qemu_option *option)
{
	const char *name = option->name, *value = option->value;

	if (!strcmp(name, "M") || !strcmp(name, "machine"))
		read_machine(line, name, value);
	else if (!strcmp(name, "accel") || !strcmp(name, "enable-kvm"))
		line->kvm = *value ? !strncmp(value, "kvm", 3) || strstr(value, "accel=kvm") : true;
	else if (!strcmp(name, "nodefaults"))
		line->nodefaults = true;
	else if (!strcmp(name, "cpu"))
		line->cpu = value;
	else if (!strcmp(name, "vga"))
		line->vga = value;
	else if (!strcmp(name, "bios"))
		line->bios = value;
	else if (!strcmp(name, "mem-path"))
		line->mem_path = value;
	else if (!strcmp(name, "pflash"))
		line->flash = true;
	else if (!strcmp(name, "drive") || !strcmp(name, "blockdev"))
		read_drive(line, name, value);
	else if (!strcmp(name, "net") || !strcmp(name, "nic") || !strcmp(name, "netdev"))
		read_net(line, name, value);
	else if (!strcmp(name, "global"))
		read_global(line, value);
	else if (!strcmp(name, "readconfig") || !strcmp(name, "set"))
		guest_note(line->guest, "-%s %s: not read, what it changes is not counted", name,
			   value);
}

void qemu_line_read(struct qemu_line *line)
{
	for (size_t i = 0; i < line->nr; i++)
		read_option(line, &line->options[i]);
	qemu_line_machine(line);
	qemu_line_objects(line);
	qemu_line_memory(line);
	qemu_line_devices(line);
}

void qemu_line_init(struct qemu_line *line, struct guest *guest)
{
	*line = (struct qemu_line){.guest = guest};
	line->machine.guest = line->globals.guest = guest;
	line->machine.where = qemu_line_where(line, "machine");
}

void guest_read_qemu(struct guest *guest, const char *text)
{
	struct qemu_line line;
	struct words words = {0};

	guest->source = "qemu";
	qemu_line_init(&line, guest);
	words_split(&words, guest, strcmp(text, "-") ? text : "@-");
	find_command(&line, &words);
	qemu_line_read(&line);
	guest_check(guest);
}
