/* SPDX-License-Identifier: MIT */
/*
 * A PCI device that programs reach through VFIO: its configuration space, regions and
 * interrupts, and the way of its accesses to memory through an IOMMU. What its
 * registers do is a model's (hw/device.h).
 *
 * Locks, in the order in which they are taken: an open file's (cdev.c), the model's, a
 * context's (iommufd/), those here that say so. irqs.lock and config_lock are taken last
 * and held for a few instructions.
 */
#ifndef VFIO_PCI_H
#define VFIO_PCI_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <uiommu/abi/vfio.h>

#include "hw/device.h"

#define VFIO_REGION_SHIFT     40
#define VFIO_REGION_OFFSET(i) ((uint64_t)(i) << VFIO_REGION_SHIFT)
#define VFIO_DEVICE_FILE_SIZE VFIO_REGION_OFFSET(VFIO_PCI_NUM_REGIONS)

#define VFIO_CONFIG_SIZE 4096u

struct vfio_config {
	pthread_mutex_t lock;
	uint8_t bytes[VFIO_CONFIG_SIZE];
	uint8_t initial[VFIO_CONFIG_SIZE];
	uint8_t writable[VFIO_CONFIG_SIZE]; /* bits that writes change */
	uint16_t pm, msi, express, msix;    /* where capabilities are, or 0 */
};

/* An eventfd of the program's, or -1. */
struct vfio_irqs {
	pthread_mutex_t lock;
	unsigned int type; /* VFIO_PCI_INTX_IRQ_INDEX, _MSI_ or _MSIX_; VFIO_PCI_NUM_IRQS: none */
	int *triggers;
	unsigned int nr;
	int error, request, unmask;
	bool asserted; /* the interrupt pin, by the device */
	bool masked;   /* it was signalled, or the program said so */
	bool disabled; /* by the command register */
};

struct vfio_dma;

struct vfio_pci {
	char name[16];             /* "0000:00:04.0" */
	unsigned int index, group; /* vfioN, and the IOMMU group */
	unsigned int domain, bus, slot, function;
	const struct hw_model *model;
	struct hw_device *dev;
	const struct hw_identity *id;
	pthread_mutex_t model_lock;   /* calls of the model but read and write */
	void *memory[HW_NR_BARS];     /* of mappable BARs */
	uint64_t address[HW_NR_BARS]; /* of BARs, to the machine */
	atomic_bool bound;            /* to vfio-pci: else it cannot be opened */
	_Atomic(pid_t) user;          /* the process that has it, or 0 */
	struct vfio_config config;
	struct vfio_irqs irqs;
	struct vfio_dma *dma;
};

/* ---- pci.c ---- */

/*
 * Make a device: @spec is "MODEL[,addr=BDF][,key=value...]". 0, or -1 with one line in
 * @error. Before there are threads.
 */
int vfio_pci_add(const char *spec, unsigned int index, char *error, size_t size);
/* The run is over: no device works any more, and models have written what they had. */
void vfio_pci_end(void);
unsigned int vfio_pci_count(void);
struct vfio_pci *vfio_pci_at(unsigned int n);
/* NULL when there is none. */
struct vfio_pci *vfio_pci_by_index(unsigned int index);
struct vfio_pci *vfio_pci_by_group(unsigned int group);
struct vfio_pci *vfio_pci_by_name(const char *name);
/*
 * A program begins to use it: @memory is the file whose regions are the memory of BARs
 * from now on; or it ends, with -1. The device is reset. -ENOMEM.
 */
int vfio_pci_use(struct vfio_pci *pci, int memory);
/* A function level reset. */
void vfio_pci_reset(struct vfio_pci *pci);

/* ---- config.c ---- */

/* @addresses: where BARs are to the machine. */
void vfio_config_init(struct vfio_config *config, const struct hw_identity *id,
		      const uint64_t *addresses, bool on_root_bus);
/* As a program finds it that opens the device, or as it is while nobody has. */
void vfio_config_start(struct vfio_config *config, bool in_use);
/* What is not there is not read: bytes, or -EINVAL. */
ssize_t vfio_config_read(struct vfio_pci *pci, uint64_t at, void *to, size_t length);
ssize_t vfio_config_write(struct vfio_pci *pci, uint64_t at, const void *from, size_t length);
uint16_t vfio_config_command(struct vfio_pci *pci);
/* By SET_IRQS: what the capability's enable bit reads. */
void vfio_config_set_msi(struct vfio_pci *pci, unsigned int type, unsigned int vectors);

/* ---- regions.c ---- */

int vfio_region_info(struct vfio_pci *pci, uint64_t arg);
/* At @at of the device's file; as the kernel's. */
ssize_t vfio_region_read(struct vfio_pci *pci, uint64_t at, uint64_t to, size_t length);
ssize_t vfio_region_write(struct vfio_pci *pci, uint64_t at, uint64_t from, size_t length);
/* Whether a mapping is allowed: 0 or -EINVAL. */
int vfio_region_may_map(struct vfio_pci *pci, uint64_t at, uint64_t length, bool shared);

/* ---- irqs.c ---- */

int vfio_irq_info(struct vfio_pci *pci, uint64_t arg);
int vfio_set_irqs(struct vfio_pci *pci, uint64_t arg);
void vfio_irqs_init(struct vfio_pci *pci);
/* All off, as at the last close. */
void vfio_irqs_release(struct vfio_pci *pci);
/* By the model. */
void vfio_irqs_signal(struct vfio_pci *pci, unsigned int vector);
void vfio_irqs_set_pin(struct vfio_pci *pci, bool asserted);
/* Ask the program to let go of the device. */
void vfio_irqs_request(struct vfio_pci *pci);
/* By the command register. */
void vfio_irqs_disable_pin(struct vfio_pci *pci, bool disabled);
bool vfio_irqs_pin_is_asserted(struct vfio_pci *pci);

/* ---- ioctl.c: ioctls of a device's file that are the same for all ways to open it ---- */

int vfio_pci_ioctl(struct vfio_pci *pci, unsigned int cmd, uint64_t arg);
/* Copy the part that every caller has; -EINVAL for an argsz below it, -EFAULT. */
int vfio_copy_in(void *to, uint64_t arg, size_t least);

/* ---- dma.c ---- */

struct iommu_domain;
struct iommufd_ctx;

/* -ENOMEM. */
struct vfio_dma *vfio_dma_create(struct vfio_pci *pci);
void vfio_dma_destroy(struct vfio_dma *dma);
/* The context that the device is bound to; before domains come, and after they went. */
void vfio_dma_bind(struct vfio_dma *dma, struct iommufd_ctx *ctx);
void vfio_dma_unbind(struct vfio_dma *dma);
/* What the IOMMU translates its accesses by, or NULL: it refuses all. */
int vfio_dma_attach(struct vfio_dma *dma, struct iommu_domain *domain);
void vfio_dma_detach(struct vfio_dma *dma);
extern const struct hw_device_host vfio_dma_host;

#endif
