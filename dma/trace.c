/* SPDX-License-Identifier: MIT */
#include "dma/dma.h"

_Atomic(const struct dma_trace_ops *) dma_trace_set;

void dma_set_trace(const struct dma_trace_ops *ops)
{
	atomic_store_explicit(&dma_trace_set, ops, memory_order_release);
}
