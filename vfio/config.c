/* SPDX-License-Identifier: MIT */
/*
 * Configuration space, as a program finds it through vfio-pci: BARs that only say how
 * large they are and hold what is written, a command register, interrupts that are set
 * up by SET_IRQS whatever is written here, and capabilities whose other bits a program
 * may change or not.
 *
 * The numbers are those of the PCI Express Base Specification 5.0, chapter 7.5 to 7.7.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "plat/compiler.h"
#include "vfio/pci.h"

/* Where capabilities are, if there are any. */
#define PM_AT      0x40
#define MSI_AT     0x50
#define EXPRESS_AT 0x70
#define MSIX_AT    0xb0

#define TYPE_ENDPOINT      0x0
#define TYPE_RC_INTEGRATED 0x9
#define EXPRESS_VERSION    2

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value & 0xffff);
	put16(at + 2, value >> 16);
}

/* ---- what it has at the start ---- */

/* Where the next capability is linked from. */
static uint8_t *add_capability(struct vfio_config *config, uint8_t *link, uint8_t at, uint8_t id)
{
	*link = at;
	config->bytes[at] = id;
	return &config->bytes[at + PCI_CAP_LIST_NEXT];
}

static void add_bars(struct vfio_config *config, const struct hw_identity *id,
		     const uint64_t *addresses)
{
	for (unsigned int i = 0; i < HW_NR_BARS; i++) {
		const struct hw_bar *bar = &id->bar[i];
		unsigned int at = PCI_BASE_ADDRESS_0 + 4 * i;

		if (!bar->size)
			continue;
		put32(&config->bytes[at],
		      (uint32_t)addresses[i] | (bar->is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
			      (bar->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0));
		put32(&config->writable[at], (uint32_t)-bar->size);
		if (bar->is_64bit) {
			put32(&config->bytes[at + 4], (uint32_t)(addresses[i] >> 32));
			put32(&config->writable[at + 4], (uint32_t)(-bar->size >> 32));
			i++;
		}
	}
}

static uint8_t *add_power(struct vfio_config *config, uint8_t *link)
{
	config->pm = PM_AT;
	put16(&config->bytes[PM_AT + PCI_PM_PMC], 3); /* version 1.2 */
	put16(&config->bytes[PM_AT + PCI_PM_CTRL], PCI_PM_CTRL_NO_SOFT_RESET);
	put16(&config->writable[PM_AT + PCI_PM_CTRL], PCI_PM_CTRL_STATE_MASK);
	return add_capability(config, link, PM_AT, PCI_CAP_ID_PM);
}

static uint8_t *add_msi(struct vfio_config *config, uint8_t *link, unsigned int vectors)
{
	unsigned int log2 = (unsigned int)__builtin_ctz(vectors);

	config->msi = MSI_AT;
	put16(&config->bytes[MSI_AT + PCI_MSI_FLAGS], PCI_MSI_FLAGS_64BIT | log2 << 1);
	put16(&config->writable[MSI_AT + PCI_MSI_FLAGS],
	      PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	put32(&config->writable[MSI_AT + PCI_MSI_ADDRESS_LO], ~3u);
	put32(&config->writable[MSI_AT + PCI_MSI_ADDRESS_HI], ~0u);
	put16(&config->writable[MSI_AT + PCI_MSI_DATA_64], 0xffff);
	return add_capability(config, link, MSI_AT, PCI_CAP_ID_MSI);
}

static uint8_t *add_express(struct vfio_config *config, uint8_t *link, bool on_root_bus)
{
	unsigned int type = on_root_bus ? TYPE_RC_INTEGRATED : TYPE_ENDPOINT;
	uint8_t *at = &config->bytes[EXPRESS_AT], *writable = &config->writable[EXPRESS_AT];

	config->express = EXPRESS_AT;
	put16(at + PCI_EXP_FLAGS, EXPRESS_VERSION | type << 4);
	put32(at + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR | 1);
	put16(at + PCI_EXP_DEVCTL, 2u << 12); /* read requests of 512 bytes */
	put16(writable + PCI_EXP_DEVCTL, 0xffff & ~PCI_EXP_DEVCTL_PHANTOM);
	put16(writable + PCI_EXP_DEVCTL2, 0xffff & ~PCI_EXP_DEVCTL2_ARI);
	put32(at + PCI_EXP_DEVCAP2, PCI_EXP_DEVCAP2_COMP_TMOUT_DIS);
	if (!on_root_bus) {
		put32(at + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_8_0GB | 4u << 4);
		put16(at + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_CLS_8_0GB | 4u << 4);
	}
	return add_capability(config, link, EXPRESS_AT, PCI_CAP_ID_EXP);
}

static uint8_t *add_msix(struct vfio_config *config, uint8_t *link, const struct hw_identity *id)
{
	uint8_t *at = &config->bytes[MSIX_AT];

	config->msix = MSIX_AT;
	put16(at + PCI_MSIX_FLAGS, id->msix - 1);
	put32(at + PCI_MSIX_TABLE, id->msix_table | id->msix_bar);
	put32(at + PCI_MSIX_PBA, id->msix_pending | id->msix_bar);
	return add_capability(config, link, MSIX_AT, PCI_CAP_ID_MSIX);
}

void vfio_config_init(struct vfio_config *config, const struct hw_identity *id,
		      const uint64_t *addresses, bool on_root_bus)
{
	uint8_t *b = config->bytes, *w = config->writable, *link = &b[PCI_CAPABILITY_LIST];

	pthread_mutex_init(&config->lock, NULL);
	put16(b + PCI_VENDOR_ID, id->vendor);
	put16(b + PCI_DEVICE_ID, id->device);
	put16(w + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
				       PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	put16(b + PCI_STATUS, PCI_STATUS_CAP_LIST);
	put32(b + PCI_CLASS_REVISION, id->class_code << 8 | id->revision);
	put16(b + PCI_SUBSYSTEM_VENDOR_ID, id->subsystem_vendor);
	put16(b + PCI_SUBSYSTEM_ID, id->subsystem_device);
	w[PCI_CACHE_LINE_SIZE] = w[PCI_INTERRUPT_LINE] = 0xff;
	b[PCI_INTERRUPT_PIN] = id->intx;
	add_bars(config, id, addresses);
	link = add_power(config, link);
	if (id->msi)
		link = add_msi(config, link, id->msi);
	link = add_express(config, link, on_root_bus);
	if (id->msix)
		add_msix(config, link, id);
	/* An error is never reported: only the registers are there. */
	put32(b + PCI_CFG_SPACE_SIZE, PCI_EXT_CAP_ID_ERR | 2u << 16);
	memcpy(config->initial, b, sizeof(config->initial));
}

/* A reset restores it, so what a program has set lasts until the device is closed. */
void vfio_config_start(struct vfio_config *config, bool in_use)
{
	pthread_mutex_lock(&config->lock);
	memcpy(config->bytes, config->initial, sizeof(config->bytes));
	put16(config->bytes + PCI_COMMAND, in_use ? PCI_COMMAND_MEMORY : 0);
	pthread_mutex_unlock(&config->lock);
}

/* ---- interrupts ---- */

void vfio_config_set_msi(struct vfio_pci *pci, unsigned int type, unsigned int vectors)
{
	struct vfio_config *config = &pci->config;
	uint8_t *msi = &config->bytes[config->msi + PCI_MSI_FLAGS];
	uint8_t *msix = &config->bytes[config->msix + PCI_MSIX_FLAGS + 1];

	pthread_mutex_lock(&config->lock);
	if (config->msi && type != VFIO_PCI_MSI_IRQ_INDEX)
		*msi &= (uint8_t)~PCI_MSI_FLAGS_ENABLE;
	/* What is there on the hardware, and a program cannot change. */
	if (config->msix)
		*msix = (uint8_t)((*msix & ~(PCI_MSIX_FLAGS_ENABLE >> 8)) |
				  (type == VFIO_PCI_MSIX_IRQ_INDEX ? PCI_MSIX_FLAGS_ENABLE >> 8
								   : 0));
	pthread_mutex_unlock(&config->lock);
}

/* MSI cannot be enabled here without SET_IRQS, nor with more vectors than there are. */
static void limit_msi(struct vfio_pci *pci)
{
	uint8_t *flags = &pci->config.bytes[pci->config.msi + PCI_MSI_FLAGS];
	unsigned int most = *flags >> 1 & 7, size = *flags >> 4 & 7;

	if (!pci->config.msi)
		return;
	if (__atomic_load_n(&pci->irqs.type, __ATOMIC_RELAXED) != VFIO_PCI_MSI_IRQ_INDEX)
		*flags &= (uint8_t)~PCI_MSI_FLAGS_ENABLE;
	if (size > most)
		*flags = (uint8_t)((*flags & ~PCI_MSI_FLAGS_QSIZE) | most << 4);
}

/* ---- reading and writing ---- */

uint16_t vfio_config_command(struct vfio_pci *pci)
{
	const uint8_t *at = &pci->config.bytes[PCI_COMMAND];

	/* Accesses to memory look at it without the lock. */
	return (uint16_t)(__atomic_load_n(at, __ATOMIC_ACQUIRE) |
			  __atomic_load_n(at + 1, __ATOMIC_ACQUIRE) << 8);
}

ssize_t vfio_config_read(struct vfio_pci *pci, uint64_t at, void *to, size_t length)
{
	struct vfio_config *config = &pci->config;
	bool pending;

	if (at >= VFIO_CONFIG_SIZE || length > VFIO_CONFIG_SIZE - at)
		return -EINVAL;
	pending = vfio_irqs_pin_is_asserted(pci);
	pthread_mutex_lock(&config->lock);
	config->bytes[PCI_STATUS] = (uint8_t)((config->bytes[PCI_STATUS] & ~PCI_STATUS_INTERRUPT) |
					      (pending ? PCI_STATUS_INTERRUPT : 0));
	memcpy(to, config->bytes + at, length);
	pthread_mutex_unlock(&config->lock);
	return (ssize_t)length;
}

static void change(struct vfio_config *config, uint64_t at, const uint8_t *from, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		uint8_t *byte = &config->bytes[at + i], mask = config->writable[at + i];
		uint8_t value = (uint8_t)((*byte & ~mask) | (from[i] & mask));

		__atomic_store_n(byte, value, __ATOMIC_RELEASE);
	}
}

/* What is set to ask for a reset, and always reads 0. */
static bool take_reset(struct vfio_config *config)
{
	uint8_t *control = &config->bytes[config->express + PCI_EXP_DEVCTL + 1];
	bool set = *control & PCI_EXP_DEVCTL_BCR_FLR >> 8;

	*control &= (uint8_t) ~(PCI_EXP_DEVCTL_BCR_FLR >> 8);
	return set;
}

ssize_t vfio_config_write(struct vfio_pci *pci, uint64_t at, const void *from, size_t length)
{
	struct vfio_config *config = &pci->config;
	bool reset;

	if (at >= VFIO_CONFIG_SIZE || length > VFIO_CONFIG_SIZE - at)
		return -EINVAL;
	pthread_mutex_lock(&config->lock);
	change(config, at, from, length);
	limit_msi(pci);
	reset = take_reset(config);
	pthread_mutex_unlock(&config->lock);
	if (reset)
		vfio_pci_reset(pci);
	vfio_irqs_disable_pin(pci, vfio_config_command(pci) & PCI_COMMAND_INTX_DISABLE);
	return (ssize_t)length;
}
