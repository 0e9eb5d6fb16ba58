/* SPDX-License-Identifier: MIT */
/* The program around the library: its files, its device, its access. */
#include <pthread.h>

#include <uiommu/dirty.h>

#include "tests/fuzz/harness.h"

/* ---- files ---- */

static int install_file(void *context, enum iommufd_file_kind kind, void *file)
{
	struct fuzz *fuzz = context;
	int fd = -EMFILE;

	pthread_mutex_lock(&fuzz->lock);
	for (int i = 0; i < FUZZ_FILES && fd < 0; i++)
		if (!fuzz->files[i].users)
			fd = i;
	if (fd >= 0) {
		fuzz->files[fd].file = file;
		fuzz->files[fd].kind = kind;
		fuzz->files[fd].users = 1;
		fuzz->files[fd].closed = false;
	}
	pthread_mutex_unlock(&fuzz->lock);
	return fd;
}

/* The last one releases it; others may have guessed the number of a new one. */
static void put_file(struct fuzz *fuzz, unsigned int fd, bool release)
{
	enum iommufd_file_kind kind;
	void *file;
	bool last;

	pthread_mutex_lock(&fuzz->lock);
	file = fuzz->files[fd].file;
	kind = fuzz->files[fd].kind;
	last = !--fuzz->files[fd].users;
	pthread_mutex_unlock(&fuzz->lock);
	if (last && release)
		iommufd_file_release(file, kind);
}

/* A descriptor's file for a call; with @close the descriptor's own share. */
static bool get_file(struct fuzz *fuzz, unsigned int fd, bool close)
{
	bool got;

	pthread_mutex_lock(&fuzz->lock);
	got = fuzz->files[fd].users && !fuzz->files[fd].closed;
	if (got && close)
		fuzz->files[fd].closed = true;
	else if (got)
		fuzz->files[fd].users++;
	pthread_mutex_unlock(&fuzz->lock);
	return got;
}

static void remove_file(void *context, int fd)
{
	if (get_file(context, (unsigned int)fd, true))
		put_file(context, (unsigned int)fd, false);
}

static int with_file(void *context, enum iommufd_file_kind kind, int fd,
		     int (*call)(void *file, void *arg), void *arg)
{
	struct fuzz *fuzz = context;
	int rc = -EBADFD;

	if (fd < 0 || fd >= FUZZ_FILES || !get_file(fuzz, (unsigned int)fd, false))
		return rc;
	if (fuzz->files[fd].kind == kind)
		rc = call(fuzz->files[fd].file, arg);
	put_file(fuzz, (unsigned int)fd, true);
	return rc;
}

static char shared[RIG_SHARED];

static void *share_memory(void *context, uint64_t offset, size_t length)
{
	return offset + length > RIG_SHARED ? NULL : shared + offset;
}

static void unshare_memory(void *context, uint64_t offset, size_t length)
{
	memset(shared + offset, 0, length);
}

static bool is_mapped(void *context, uint64_t offset, size_t length)
{
	return offset / PAGE % 2;
}

const struct iommufd_host fuzz_host = {
	.install_file = install_file,
	.remove_file = remove_file,
	.with_file = with_file,
	.share_memory = share_memory,
	.unshare_memory = unshare_memory,
	.is_mapped = is_mapped,
};

void fuzz_close_files(struct fuzz *fuzz, bool all)
{
	for (unsigned int fd = 0; fd < FUZZ_FILES; fd++)
		if ((all || fuzz->files[fd].kind == IOMMUFD_FILE_ACCESS) &&
		    get_file(fuzz, fd, true))
			put_file(fuzz, fd, true);
}

void fuzz_call_file(struct fuzz_caller *caller)
{
	struct fuzz *fuzz = caller->fuzz;
	unsigned int what = fuzz_u8(caller), fd = fuzz_u8(caller) % 4;
	void *buf = (void *)(uintptr_t)fuzz_data(caller);
	size_t len = fuzz_u8(caller);

	if (!get_file(fuzz, fd, what % 8 == 7))
		return;
	len = len >= 240   ? SIZE_MAX / (len - 239)
	      : len >= 200 ? len
			   : len % 8 * (what & 8 ? 8 : 40);
	switch (what % 8) {
	case 0:
		fuzz_check(iommufd_file_poll(fuzz->files[fd].file, fuzz->files[fd].kind, -1));
		break;
	case 1:
	case 2:
	case 3:
		fuzz_check(iommufd_file_read(fuzz->files[fd].file, fuzz->files[fd].kind, buf, len,
					     what & 16));
		break;
	case 4:
	case 5:
	case 6:
		fuzz_check(
			iommufd_file_write(fuzz->files[fd].file, fuzz->files[fd].kind, buf, len));
		break;
	default:
		break;
	}
	put_file(fuzz, fd, true);
}

/* ---- the rest of iommufd.h ---- */

void fuzz_call_device(struct fuzz_caller *caller)
{
	struct iommu_hwpt_pgfault requests[3] = {{.flags = fuzz_u8(caller), .grpid = 1}};
	struct iommufd_device *idev = caller->fuzz->rig.idev;
	uint8_t what = fuzz_u8(caller);
	uint32_t id = fuzz_id(caller, 'Q');

	switch (what % 8) {
	case 0:
	case 1:
		fuzz_check(iommufd_device_attach(idev, &id));
		break;
	case 2:
	case 3:
		fuzz_check(iommufd_device_replace(idev, &id));
		break;
	case 4:
		iommufd_device_detach(idev);
		break;
	default:
		fuzz_check(iommufd_device_report_iopf(idev, requests, what / 8 % 4));
	}
}

void fuzz_call_pasid(struct fuzz_caller *caller)
{
	struct iommufd_device *idev = caller->fuzz->rig.idev;
	uint8_t what = fuzz_u8(caller);
	uint32_t id = fuzz_id(caller, 'Q'), pasid = what / 4 % RIG_PASID_SLOTS;

	switch (what % 4) {
	case 0:
		fuzz_check(iommufd_device_attach_pasid(idev, pasid, id));
		break;
	case 1:
		fuzz_check(iommufd_device_replace_pasid(idev, pasid, id));
		break;
	case 2:
		iommufd_device_detach_pasid(idev, pasid);
		break;
	default:
		fuzz_check(iommufd_mmap(caller->fuzz->rig.ctx, fuzz_u8(caller) * (PAGE / 2),
					fuzz_u8(caller) * (PAGE / 2)));
	}
}

static void let_go(void *data, uint64_t start, uint64_t size)
{
}

static const struct iommufd_access_ops access_ops = {.unmap = let_go};

/* What is written is what was there. */
static int access_rw(struct fuzz_caller *caller, struct iommufd_access *access)
{
	uint64_t iova = fuzz_iova(caller);
	char data[3 * PAGE];
	size_t size = fuzz_raw(caller, 2) % sizeof(data);
	int rc = iommufd_access_rw(access, iova, data, size, 0);

	return rc ? rc : iommufd_access_rw(access, iova, data, size, IOMMUFD_ACCESS_RW_WRITE);
}

/* The access is made by begin(), or by the first who calls this alone. */
void fuzz_call_access(struct fuzz_caller *caller)
{
	struct rig *rig = &caller->fuzz->rig;
	uint8_t what = fuzz_u8(caller);
	uint32_t id = fuzz_id(caller, 'I');

	if (!rig->access) {
		struct iommufd_access *made =
			iommufd_access_create(rig->ctx, &access_ops, rig, &rig->access_id);

		rig->access = IS_ERR(made) ? NULL : made;
	}
	if (!rig->access)
		return;
	switch (what % 8) {
	case 0:
	case 1:
		fuzz_check(iommufd_access_attach(rig->access, id));
		break;
	case 2:
		fuzz_check(iommufd_access_replace(rig->access, id));
		break;
	case 3:
		iommufd_access_detach(rig->access);
		break;
	default:
		fuzz_check(access_rw(caller, rig->access));
	}
}

static void mark_dirty(void *arg, const struct iommufd_object_info *info)
{
	if (info->domain)
		iommu_mark_dirty(info->domain, *(uint64_t *)arg);
}

void fuzz_call_dirty(struct fuzz_caller *caller)
{
	uint64_t iova = fuzz_iova(caller);

	iommufd_for_each_object(caller->fuzz->rig.ctx, mark_dirty, &iova);
}
