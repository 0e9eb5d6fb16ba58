/* SPDX-License-Identifier: MIT */
/* The events iommu:map and iommu:unmap. */
#ifndef TRACE_IOMMU_LINE_H
#define TRACE_IOMMU_LINE_H

#include "trace/line.h"

/* As trace_parse_line(); TRACE_OTHER when there is no such event in the line. */
enum trace_kind trace_parse_iommu_line(const char *text, size_t length, struct trace_event *event,
				       char *why);

#endif
