/* SPDX-License-Identifier: MIT */
/* The models, for the table of them. */
#ifndef HW_MODELS_H
#define HW_MODELS_H

#include "hw/device.h"

extern const struct hw_model hw_nvme_model;
extern const struct hw_model hw_ioat_model;
extern const struct hw_model hw_pci_model;

#endif
