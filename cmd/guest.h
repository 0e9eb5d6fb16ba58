/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine, as far as its devices' I/O page tables depend on it: which of its
 * addresses are RAM or ROM, what memory backs them, and how many address spaces its
 * devices have. It is read from a QEMU command line or a libvirt domain.
 *
 * QEMU maps for VFIO what its memory map has as RAM or ROM in whole pages:
 * hw/vfio/listener.c. It maps neither flash nor registers.
 */
#ifndef CMD_GUEST_H
#define CMD_GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/format.h>

#define KIB 1024ULL
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/* The placement of RAM, ROM and PCI memory in a machine. */
enum guest_board {
	BOARD_PLAIN, /* --guest: RAM as q35 has it, and nothing else */
	BOARD_Q35,
	BOARD_PC,
	BOARD_MICROVM,
	BOARD_ARM,
	BOARD_RISCV,
};

/* Pages of the host's default huge page size. */
#define GUEST_HUGE 1

/* A part of RAM that is backed by pages of one size; 0 is ordinary memory. */
struct guest_part {
	uint64_t bytes;
	uint64_t page;
};

/* A memory device: a DIMM, virtio-mem and so on. */
struct guest_plug {
	const char *kind; /* "pc-dimm" */
	uint64_t bytes;
	uint64_t page;
	uint64_t align; /* of its address */
	uint64_t at;    /* its address, if one is given */
	bool placed;
	uint64_t now;   /* bytes that are plugged from the start */
	uint64_t block; /* the size of the parts that are plugged one by one; 0: all of it */
};

/* When something is mapped. */
enum guest_when {
	WHEN_STARTED = 1,  /* from the start */
	WHEN_FIRMWARE = 2, /* while the firmware reads it */
	WHEN_FULL = 4,     /* when all memory is plugged */
};

/* Memory behind a BAR, which the firmware places; @span is the size of the BAR. */
struct guest_bar {
	const char *name;
	uint64_t bytes, span;
	uint64_t page;
	bool prefetch; /* it is prefetchable; such BARs lie together */
	bool wide;     /* it may lie above 4 GiB */
	enum guest_when when;
};

/* A device that is passed through; its container is an iommufd object or NULL. */
struct guest_device {
	const char *name;
	const char *iommufd;
};

enum guest_vendor {
	VENDOR_HOST, /* the guest's CPU is of the host's vendor */
	VENDOR_AMD,
	VENDOR_OTHER,
};

struct guest {
	const char *option; /* "--qemu", for messages */
	const char *source; /* "qemu", for JSON */
	enum guest_board board;
	const char *machine;   /* its name */
	bool old_split;        /* a PC of a QEMU before 2.0 */
	bool keeps_below_1t;   /* a PC of a QEMU before 7.1 */
	uint64_t max_below_4g; /* 0: not given */
	uint64_t pci_hole64;   /* 0: not given */
	enum guest_vendor vendor;
	uint64_t ram, max_ram; /* @max_ram at least @ram */
	uint64_t slots;
	uint64_t rom;       /* bytes of firmware that are mapped as ROM below 4 GiB */
	bool vga;           /* there is a hole for it at 0xa0000 */
	bool option_rom;    /* firmware reads at least one from a BAR */
	uint64_t ordinary;  /* size of contiguous pieces in ordinary memory; 0: the smallest page */
	const char *viommu; /* the virtual IOMMU, or NULL */
	bool own_spaces;    /* with it each device has an address space of its own */
	bool bypass;        /* no device is behind it */
	struct guest_part *parts;
	size_t nr_parts;
	struct guest_plug *plugs;
	size_t nr_plugs;
	struct guest_bar *bars;
	size_t nr_bars;
	struct guest_device *devices;
	size_t nr_devices;
	const char **notes; /* what was assumed, and what was not read */
	size_t nr_notes;
	struct guest_block *blocks; /* all that was allocated for it */
};

struct guest_range {
	const char *what;
	uint64_t iova, bytes;
	uint64_t backing; /* size of the contiguous pieces, and their alignment */
	enum guest_when when;
};

struct guest_ranges {
	struct guest_range *ranges; /* ascending */
	size_t nr;
	bool above_1t; /* the machine has memory moved there */
};

/*
 * guest_memory.c: memory that exists as long as the guest. guest_alloc() returns zeroed
 * memory; guest_grow() returns @list with space for one more than @nr elements of @size
 * bytes.
 */
void *guest_alloc(struct guest *guest, size_t bytes);
char *guest_copy(struct guest *guest, const char *text);
char *guest_print(struct guest *guest, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
char *guest_vprint(struct guest *guest, const char *format, va_list args);
void *guest_grow(struct guest *guest, void *list, size_t nr, size_t size);
void guest_free(struct guest *guest);

/* guest.c: one more element of a list. */
struct guest_part *guest_add_part(struct guest *guest);
struct guest_plug *guest_add_plug(struct guest *guest);
struct guest_bar *guest_add_bar(struct guest *guest);
struct guest_device *guest_add_device(struct guest *guest);

/* Note what was assumed or not read. A note is added only once. */
void guest_note(struct guest *guest, const char *format, ...) __attribute__((format(printf, 2, 3)));

void guest_set_viommu(struct guest *guest, const char *name, bool own_spaces);

/* Does the machine have an address for memory devices? */
bool guest_can_plug(const struct guest *guest);

/* Exits with a message if the guest is not possible. */
void guest_check(struct guest *guest);

/* How many domains its devices have: at least 1. */
uint64_t guest_domains(const struct guest *guest);

/*
 * guest_machine.c: find the board by the machine's name, or exit with a message; @arch
 * may be NULL.
 */
void guest_set_machine(struct guest *guest, const char *name, const char *arch);

/* guest_layout.c: the size of contiguous pieces in memory with pages of @page bytes. */
uint64_t guest_page_bytes(const struct guest *guest, const struct iommu_format *format,
			  uint64_t page);

/* Where a guest's memory lies, in whole pages of @format. */
struct guest_ranges guest_layout(const struct guest *guest, const struct iommu_format *format);
void guest_ranges_free(struct guest_ranges *ranges);

/* qemu.c, libvirt.c: readers; each exits with a line that names what it cannot use. */
void guest_read_qemu(struct guest *guest, const char *text);
void guest_read_libvirt(struct guest *guest, const char *path);

#endif
