// SPDX-License-Identifier: MIT
/* The models that there are. */
#include <string.h>

#include "hw/models.h"

static const struct hw_model *const models[] = {&hw_nvme_model, &hw_ioat_model, &hw_pci_model};

const struct hw_model *hw_model_at(unsigned int index)
{
	return index < sizeof(models) / sizeof(*models) ? models[index] : NULL;
}

const struct hw_model *hw_model_find(const char *name)
{
	const struct hw_model *model;

	for (unsigned int i = 0; (model = hw_model_at(i)); i++)
		if (!strcmp(model->name, name))
			return model;
	return NULL;
}
