/* SPDX-License-Identifier: MIT */
/*
 * A model of a PCI device: what its registers do, and what it reads and writes in
 * memory. A model knows neither VFIO nor the program: it has registers in BARs, it
 * accesses memory by IOVA and signals interrupts through struct hw_device_host.
 *
 * A BAR that a program may map is plain memory, which the model watches: a store by
 * the program is seen only where it changes the value. A model therefore either
 * compares that memory with what it has seen last (doorbells), or is built so that a
 * store of the same value need not be seen. docs/writing-a-device.md says for each
 * model which.
 */
#ifndef HW_DEVICE_H
#define HW_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HW_NR_BARS 6

/* No PASID: accesses of the device itself. */
#define HW_NO_PASID UINT32_MAX

struct hw_bar {
	uint64_t size; /* bytes, a power of two; 0: there is none */
	bool is_64bit;
	bool prefetchable;
	bool mappable; /* its memory may be mapped by the program */
};

/* What configuration space says of a device. */
struct hw_identity {
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint32_t class_code; /* 24 bits: class, subclass, programming interface */
	uint8_t revision;
	struct hw_bar bar[HW_NR_BARS];
	bool intx;                         /* has an interrupt pin */
	unsigned int msi;                  /* vectors: 0, or a power of two up to 32 */
	unsigned int msix;                 /* vectors: 0 to 2048 */
	unsigned int msix_bar;             /* where the vectors' table and pending bits lie */
	uint32_t msix_table, msix_pending; /* offsets in it, multiples of 8 */
};

/* What a model asks of the machine. All may be called from any of its threads. */
struct hw_device_host {
	/*
	 * Read or write @length bytes of memory at @iova, of any alignment, across pages
	 * and mappings. 0; -EFAULT where the IOMMU refuses the access (the host reports
	 * it; what lay before may have been accessed) or bus mastering is off.
	 */
	int (*read)(void *host, uint32_t pasid, uint64_t iova, void *to, size_t length);
	int (*write)(void *host, uint32_t pasid, uint64_t iova, const void *from, size_t length);
	/* Signal vector @vector of MSI-X or MSI, whichever is enabled. */
	void (*signal)(void *host, unsigned int vector);
	/* Drive the interrupt pin, which counts while neither MSI nor MSI-X is enabled. */
	void (*set_intx)(void *host, bool asserted);
};

struct hw_device;

/*
 * A kind of device. Calls for one device come one at a time, except that read() and
 * write() may come from several threads at once.
 */
struct hw_model {
	const char *name;
	const char *summary; /* for --help: one line */
	/*
	 * A device as @options say ("key=value,...", or ""): running, reset, with no
	 * access to memory yet. NULL with one line in @error that names the bad option,
	 * what was expected or what failed.
	 */
	struct hw_device *(*create)(const char *options, const struct hw_device_host *ops,
				    void *host, char *error, size_t error_size);
	/* Ends its threads; no call of the host comes after. */
	void (*destroy)(struct hw_device *dev);
	const struct hw_identity *(*identity)(const struct hw_device *dev);
	/*
	 * The memory of BAR @bar, zeros, of its size, which the program maps too. Called
	 * once for each mappable BAR before anything else; the model keeps its registers
	 * there. The host owns the memory.
	 */
	void (*set_memory)(struct hw_device *dev, unsigned int bar, void *memory);
	/* Registers: @size 1, 2, 4 or 8, aligned, inside the BAR. */
	uint64_t (*read)(struct hw_device *dev, unsigned int bar, uint64_t offset,
			 unsigned int size);
	void (*write)(struct hw_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		      uint64_t value);
	/* As by a function level reset. No access to memory comes after it returns. */
	void (*reset)(struct hw_device *dev);
	/* Bring the device to rest: no access to memory and no interrupt after it returns. */
	void (*stop)(struct hw_device *dev);
	/* Go on from there. */
	void (*start)(struct hw_device *dev);
	/*
	 * The state of a device that is at rest, for migration: returns its bytes, of which
	 * the first @size are in @state.
	 */
	size_t (*save)(struct hw_device *dev, void *state, size_t size);
	/* Take a state over, at rest. 0, or -EINVAL for one that no save() gave. */
	int (*load)(struct hw_device *dev, const void *state, size_t size);
};

/* By name, or NULL. */
const struct hw_model *hw_model_find(const char *name);
/* By number from 0; NULL after the last. */
const struct hw_model *hw_model_at(unsigned int index);

#endif
