/* SPDX-License-Identifier: MIT */
/*
 * A device's accesses to memory. Each goes the way that it goes in a machine: iova,
 * IOTLB, tables, physical address, memory. What the tables do not map is a fault; what
 * a translation leads to is read and written, whether the program meant it or not.
 *
 * An access is one or more pieces that lie in one page each. A piece is in a section,
 * under the device's lock for reading. A flush takes that lock for writing after it has
 * invalidated the IOTLB, and so ends behind every access that used an old translation:
 * a program's unmap returns when the device can reach the memory no more.
 *
 * To find the memory behind a translation the context's lock is needed, which the
 * thread that flushes holds. So it is only tried in a section; where that fails, the
 * section is left, the lock is waited for, and the piece begins again with it held.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include <uiommu/device.h>
#include <uiommu/dirty.h>
#include <uiommu/format.h>

#include "hw/iotlb.h"
#include "iommufd/iommufd.h"
#include "iommufd/lookup.h"
#include "mm/page.h"
#include "plat/compiler.h"
#include "vfio/dma.h"
#include "vfio/pci.h"

#define PAGE      4096u
#define PAGE_MASK (PAGE - 1u)

/* Memory that was found lately, by the page of iova. */
#define FOUND_SLOTS 1024

struct found_page {
	uint64_t iova, paddr;
	struct iommufd_memory memory; /* pages is NULL for nothing */
};

struct vfio_dma {
	struct vfio_pci *pci;
	pthread_rwlock_t section;
	/* Below: changed under section for writing. */
	struct iommufd_ctx *ctx;
	struct vfio_dma_domain *domain;
	struct io_pagetable *space;
	struct vfio_dma *next; /* device of the same domain */
	atomic_uint waiting;   /* threads that wait for ctx->lock */
	pthread_mutex_t found_lock;
	struct found_page found[FOUND_SLOTS];
};

/* A domain that devices are attached to, for the IOTLB. */
struct vfio_dma_domain {
	struct iommu_domain *domain;
	unsigned int id;
	struct hw_tables tables; /* but for the root of tables that grow */
	bool grows;
	const struct iommu_iotlb_ops *ops; /* that it had before */
	void *ops_context;
	struct vfio_dma *devices;
	struct vfio_dma_domain *next;
};

static pthread_mutex_t domains_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vfio_dma_domain *domains;

/* ---- the IOTLB of all devices ---- */

static struct hw_iotlb *iotlb;

static const struct hw_iotlb_shape shape = {
	.sets = 1024,
	.ways = 4,
	.table_sets = 256,
	.table_ways = 4,
};

/* Physical memory that holds tables is what is backed of the arena. */
static bool read_table(void *context, uint64_t paddr, void *to, size_t bytes)
{
	if (!phys_to_page(paddr) || (paddr & PAGE_MASK) + bytes > PAGE)
		return false;
	if (bytes == sizeof(uint64_t)) {
		uint64_t item = __atomic_load_n((uint64_t *)phys_to_virt(paddr), __ATOMIC_ACQUIRE);

		memcpy(to, &item, bytes);
		return true;
	}
	memcpy(to, phys_to_virt(paddr), bytes);
	return true;
}

static const struct hw_memory table_memory = {.read = read_table};

/* ---- domains ---- */

static void forget_found(struct vfio_dma *dma, uint64_t first, uint64_t last)
{
	uint64_t page = first / PAGE, end = last / PAGE;

	if (end - page >= FOUND_SLOTS) {
		memset(dma->found, 0, sizeof(dma->found));
		return;
	}
	for (; page <= end; page++) {
		struct found_page *found = &dma->found[page % FOUND_SLOTS];

		if (found->iova == page * PAGE)
			found->memory.pages = NULL;
	}
}

static void flush(void *context, struct iommu_domain *domain, dma_addr_t first, dma_addr_t last,
		  bool tables)
{
	struct vfio_dma_domain *of = context;

	if (of->ops)
		of->ops->flush(of->ops_context, domain, first, last, tables);
	hw_iotlb_invalidate(iotlb, of->id, first, last, tables);
	for (struct vfio_dma *dma = of->devices; dma; dma = dma->next) {
		pthread_rwlock_wrlock(&dma->section);
		forget_found(dma, first, last);
		pthread_rwlock_unlock(&dma->section);
	}
}

static const struct iommu_iotlb_ops iotlb_ops = {.flush = flush};

static void describe_tables(struct vfio_dma_domain *of)
{
	const struct iommu_format *format;
	struct iommu_domain_info info;

	iommu_domain_get_info(of->domain, &info);
	format = iommu_format_find(info.format);
	of->grows = !strcmp(format->family, "amdv1");
	of->tables = (struct hw_tables){
		.format = hw_format_find(format->family),
		.memory = &table_memory,
		.root = info.root,
		.address_width = info.address_width,
		.levels = of->grows ? info.levels : 0,
		.granule_lg2 = (unsigned int)__builtin_ctzll(format->granule),
	};
}

static struct vfio_dma_domain *domain_new(struct iommu_domain *domain)
{
	static unsigned int last_id;
	struct vfio_dma_domain *of = calloc(1, sizeof(*of));

	if (!of)
		return NULL;
	of->domain = domain;
	of->id = ++last_id;
	of->ops = domain->iotlb_ops;
	of->ops_context = domain->iotlb_context;
	describe_tables(of);
	iommu_domain_set_iotlb_ops(domain, &iotlb_ops, of);
	of->next = domains;
	domains = of;
	return of;
}

static void domain_free(struct vfio_dma_domain *of)
{
	struct vfio_dma_domain **at = &domains;

	while (*at != of)
		at = &(*at)->next;
	*at = of->next;
	iommu_domain_set_iotlb_ops(of->domain, of->ops, of->ops_context);
	hw_iotlb_invalidate_domain(iotlb, of->id);
	free(of);
}

static struct vfio_dma_domain *domain_of(struct iommu_domain *domain)
{
	struct vfio_dma_domain *of = domains;

	while (of && of->domain != domain)
		of = of->next;
	return of ? of : domain_new(domain);
}

/* From one domain to another, either of which may be none. */
static void move(struct vfio_dma *dma, struct vfio_dma_domain *to)
{
	struct vfio_dma_domain *from = dma->domain;
	struct vfio_dma **at;

	pthread_rwlock_wrlock(&dma->section);
	if (from) {
		at = &from->devices;
		while (*at != dma)
			at = &(*at)->next;
		*at = dma->next;
	}
	dma->domain = to;
	dma->space = to ? iommufd_space_of(dma->ctx, to->domain) : NULL;
	if (to) {
		dma->next = to->devices;
		to->devices = dma;
	}
	forget_found(dma, 0, UINT64_MAX);
	pthread_rwlock_unlock(&dma->section);
	if (from && !from->devices)
		domain_free(from);
}

int vfio_dma_attach(struct vfio_dma *dma, struct iommu_domain *domain)
{
	struct vfio_dma_domain *of;

	pthread_mutex_lock(&domains_lock);
	of = domain_of(domain);
	if (of)
		move(dma, of);
	pthread_mutex_unlock(&domains_lock);
	return of ? 0 : -ENOMEM;
}

void vfio_dma_detach(struct vfio_dma *dma)
{
	pthread_mutex_lock(&domains_lock);
	move(dma, NULL);
	pthread_mutex_unlock(&domains_lock);
}

void vfio_dma_bind(struct vfio_dma *dma, struct iommufd_ctx *ctx)
{
	pthread_rwlock_wrlock(&dma->section);
	dma->ctx = ctx;
	pthread_rwlock_unlock(&dma->section);
}

void vfio_dma_unbind(struct vfio_dma *dma)
{
	const struct timespec soon = {.tv_nsec = 100000};

	pthread_rwlock_wrlock(&dma->section);
	dma->ctx = NULL;
	pthread_rwlock_unlock(&dma->section);
	/* They find no context when they have the lock of this one. */
	while (atomic_load(&dma->waiting))
		nanosleep(&soon, NULL);
}

/* ---- one piece ---- */

struct piece {
	struct vfio_dma *dma;
	uint64_t iova;
	void *data;
	size_t length;
	bool write;
	struct iommufd_ctx *locked; /* the context whose lock this thread holds, or NULL */
};

enum outcome {
	DONE,
	REFUSED, /* in the fault */
	AGAIN,   /* with the context's lock */
};

static bool find_lately(struct vfio_dma *dma, uint64_t iova, uint64_t paddr,
			struct iommufd_memory *memory)
{
	struct found_page *found = &dma->found[iova / PAGE % FOUND_SLOTS];
	bool hit;

	pthread_mutex_lock(&dma->found_lock);
	hit = found->memory.pages && found->iova == iova && found->paddr == paddr;
	if (hit)
		*memory = found->memory;
	pthread_mutex_unlock(&dma->found_lock);
	return hit;
}

static void keep(struct vfio_dma *dma, uint64_t iova, uint64_t paddr,
		 const struct iommufd_memory *memory)
{
	pthread_mutex_lock(&dma->found_lock);
	dma->found[iova / PAGE % FOUND_SLOTS] = (struct found_page){iova, paddr, *memory};
	pthread_mutex_unlock(&dma->found_lock);
}

static enum outcome refuse(struct vfio_fault *fault, enum vfio_fault_kind kind)
{
	fault->kind = kind;
	return REFUSED;
}

/* The memory of a translation. */
static enum outcome find(struct piece *piece, uint64_t paddr, struct iommufd_memory *memory,
			 struct vfio_fault *fault)
{
	struct vfio_dma *dma = piece->dma;
	uint64_t iova = piece->iova & ~(uint64_t)PAGE_MASK;
	int ret;

	paddr &= ~(uint64_t)PAGE_MASK;
	if (find_lately(dma, iova, paddr, memory))
		return DONE;
	if (piece->locked != dma->ctx && pthread_mutex_trylock(&dma->ctx->lock))
		return AGAIN;
	ret = iommufd_memory_find(dma->space, iova, paddr, memory);
	if (!ret)
		keep(dma, iova, paddr, memory);
	if (piece->locked != dma->ctx)
		pthread_mutex_unlock(&dma->ctx->lock);
	return ret ? refuse(fault, VFIO_FAULT_STALE) : DONE;
}

static enum outcome translate(const struct piece *piece, struct hw_translation *to,
			      struct vfio_fault *fault)
{
	const struct vfio_dma_domain *of = piece->dma->domain;
	struct hw_tables tables = of->tables;

	if (of->grows) {
		uint64_t top = atomic_load(&of->domain->pt.top);

		tables.root = virt_to_phys((void *)(uintptr_t)(top & ~(uint64_t)PAGE_MASK));
		tables.levels = (unsigned int)(top & PAGE_MASK);
	}
	fault->why = hw_iotlb_translate(iotlb, of->id, &tables, piece->iova,
					piece->write ? HW_WRITE : HW_READ, to);
	if (fault->why == HW_FAULT_NONE)
		return DONE;
	report_iommu_fault(of->domain, NULL, piece->iova,
			   piece->write ? IOMMU_FAULT_WRITE : IOMMU_FAULT_READ);
	return refuse(fault, VFIO_FAULT_TABLES);
}

static enum outcome access_in_section(struct piece *piece, struct vfio_fault *fault)
{
	struct vfio_dma *dma = piece->dma;
	struct hw_translation translation;
	struct iommufd_memory memory;
	enum outcome outcome;

	fault->space = dma->space;
	if (!dma->domain || !dma->ctx || !dma->space)
		return refuse(fault, VFIO_FAULT_BLOCKED);
	outcome = translate(piece, &translation, fault);
	if (outcome == DONE)
		outcome = find(piece, translation.paddr, &memory, fault);
	if (outcome != DONE)
		return outcome;
	/* Before the write: a page that is read as clean has no write under way. */
	if (piece->write && atomic_load(&dma->domain->domain->pt.track_dirty) && !translation.dirty)
		iommu_mark_dirty(dma->domain->domain, piece->iova);
	if (iommufd_memory_rw(&memory, translation.paddr & PAGE_MASK, piece->data, piece->length,
			      piece->write))
		return refuse(fault, VFIO_FAULT_GONE);
	return DONE;
}

/* Wait for the lock of the context that the device is bound to. */
static void lock_context(struct piece *piece)
{
	struct vfio_dma *dma = piece->dma;
	struct iommufd_ctx *ctx;

	pthread_rwlock_rdlock(&dma->section);
	ctx = dma->ctx;
	if (ctx)
		atomic_fetch_add(&dma->waiting, 1);
	pthread_rwlock_unlock(&dma->section);
	if (ctx)
		pthread_mutex_lock(&ctx->lock);
	piece->locked = ctx;
}

static void unlock_context(struct piece *piece)
{
	if (!piece->locked)
		return;
	pthread_mutex_unlock(&piece->locked->lock);
	atomic_fetch_sub(&piece->dma->waiting, 1);
	piece->locked = NULL;
}

static enum outcome access_piece(struct piece *piece, struct vfio_fault *fault)
{
	enum outcome outcome;

	pthread_rwlock_rdlock(&piece->dma->section);
	outcome = access_in_section(piece, fault);
	pthread_rwlock_unlock(&piece->dma->section);
	while (outcome == AGAIN) {
		lock_context(piece);
		pthread_rwlock_rdlock(&piece->dma->section);
		outcome = access_in_section(piece, fault);
		pthread_rwlock_unlock(&piece->dma->section);
		unlock_context(piece);
	}
	return outcome;
}

/* ---- what a model calls ---- */

static int access_memory(void *host, uint32_t pasid, uint64_t iova, void *data, size_t length,
			 bool write)
{
	struct vfio_pci *pci = host;
	struct vfio_fault fault = {.iova = iova, .length = length, .write = write, .pasid = pasid};
	struct piece piece = {.dma = pci->dma, .write = write};
	enum outcome outcome = DONE;

	if (!(vfio_config_command(pci) & PCI_COMMAND_MASTER))
		outcome = refuse(&fault, VFIO_FAULT_NO_MASTER);
	else if (pasid != HW_NO_PASID)
		outcome = refuse(&fault, VFIO_FAULT_BLOCKED);
	for (size_t done = 0; outcome == DONE && done < length; done += piece.length) {
		piece.iova = fault.at = iova + done;
		piece.data = (char *)data + done;
		piece.length = MIN(length - done, PAGE - (piece.iova & PAGE_MASK));
		outcome = access_piece(&piece, &fault);
	}
	if (outcome == DONE)
		return 0;
	vfio_fault(pci, &fault);
	return -EFAULT;
}

static int host_read(void *host, uint32_t pasid, uint64_t iova, void *to, size_t length)
{
	return access_memory(host, pasid, iova, to, length, false);
}

static int host_write(void *host, uint32_t pasid, uint64_t iova, const void *from, size_t length)
{
	return access_memory(host, pasid, iova, (void *)(uintptr_t)from, length, true);
}

static void host_signal(void *host, unsigned int vector)
{
	vfio_irqs_signal(host, vector);
}

static void host_set_intx(void *host, bool asserted)
{
	vfio_irqs_set_pin(host, asserted);
}

const struct hw_device_host vfio_dma_host = {
	.read = host_read,
	.write = host_write,
	.signal = host_signal,
	.set_intx = host_set_intx,
};

/* ---- a device's ---- */

struct vfio_dma *vfio_dma_create(struct vfio_pci *pci)
{
	struct vfio_dma *dma = calloc(1, sizeof(*dma));
	pthread_rwlockattr_t attr;

	if (!iotlb)
		iotlb = hw_iotlb_create(&shape);
	if (!dma || !iotlb) {
		free(dma);
		return NULL;
	}
	dma->pci = pci;
	/* Else a device that polls could keep a flush waiting. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&dma->section, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&dma->found_lock, NULL);
	return dma;
}

void vfio_dma_destroy(struct vfio_dma *dma)
{
	pthread_rwlock_destroy(&dma->section);
	pthread_mutex_destroy(&dma->found_lock);
	free(dma);
}
