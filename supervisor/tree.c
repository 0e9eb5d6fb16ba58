/* SPDX-License-Identifier: MIT */
/*
 * What programs find by its path. Each node stands in a directory of the supervisor's
 * own as well, with the same names below it, because a program that opens a directory
 * must be given a real one. What the machine has at the same paths stays beside it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

/* As the kernel writes it. */
struct entry {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static struct node *nodes;
static unsigned int nr_nodes, room;
static char base[256];
static int base_fd = -1;

/* ---- making it ---- */

static struct node *add(enum node_kind kind, const char *path)
{
	struct node *node;

	if (nr_nodes == room) {
		unsigned int more = room ? room * 2 : 64;
		struct node *larger = realloc(nodes, more * sizeof(*nodes));

		if (!larger)
			return NULL;
		nodes = larger;
		room = more;
	}
	node = &nodes[nr_nodes];
	*node = (struct node){.kind = kind, .path = strdup(path)};
	if (!node->path)
		return NULL;
	nr_nodes++;
	return node;
}

static int add_directories(const char *const *paths)
{
	for (; *paths; paths++)
		if (!add(NODE_DIRECTORY, *paths))
			return -ENOMEM;
	return 0;
}

static int add_device(const char *path, enum file_kind file, unsigned int index)
{
	struct node *node = add(NODE_DEVICE, path);

	if (!node)
		return -ENOMEM;
	node->file = file;
	node->index = index;
	atomic_init(&node->mode, 0600);
	return 0;
}

static int add_text(const char *path, const char *text)
{
	struct node *node = add(NODE_TEXT, path);

	if (!node)
		return -ENOMEM;
	snprintf(node->text, sizeof(node->text), "%s", text);
	return 0;
}

static int add_vfio(unsigned int index)
{
	char path[64], number[24];
	int ret;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", index);
	ret = add_device(path, FILE_VFIO, index);
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/vfio%u", index);
	if (!ret && !add(NODE_DIRECTORY, path))
		ret = -ENOMEM;
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/vfio%u/dev", index);
	snprintf(number, sizeof(number), "%u:%u\n", VFIO_MAJOR, index);
	return ret ? ret : add_text(path, number);
}

static int add_nodes(void)
{
	static const char *const common[] = {"/dev",
					     "/sys",
					     "/sys/class",
					     "/sys/class/misc",
					     "/sys/class/misc/iommu",
					     "/sys/class/iommu",
					     "/sys/class/iommu/iommu0",
					     NULL};
	static const char *const vfio[] = {"/dev/vfio", "/dev/vfio/devices", "/sys/class/vfio-dev",
					   NULL};
	static const char *const tests[] = {"/sys/kernel", "/sys/kernel/debug", NULL};
	int ret = add_directories(common);

	if (!ret)
		ret = add_device("/dev/iommu", FILE_IOMMU, 0);
	if (!ret)
		ret = add_text("/sys/class/misc/iommu/dev", "10:125\n");
	if (!ret && options->devices)
		ret = add_directories(vfio);
	for (unsigned int i = 0; i < options->devices && !ret; i++)
		ret = add_vfio(i);
	if (!ret && options->test_abi)
		ret = add_directories(tests);
	return ret;
}

/* ---- the real directory ---- */

static int make_text(const struct node *node, const char *relative)
{
	int fd = openat(base_fd, relative, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, node->text, strlen(node->text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int make_node(struct node *node)
{
	const char *relative = node->path + 1;
	struct stat st;
	int ret;

	if (node->kind == NODE_DIRECTORY)
		ret = mkdirat(base_fd, relative, 0755) ? -errno : 0;
	else
		ret = make_text(node, relative);
	if (ret)
		return ret;
	if (fstatat(base_fd, relative, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	node->dev = st.st_dev;
	node->ino = st.st_ino;
	if (!stat(node->path, &st) && S_ISDIR(st.st_mode) && node->kind == NODE_DIRECTORY) {
		node->native_dev = st.st_dev;
		node->native_ino = st.st_ino;
	}
	return 0;
}

/* Where there is room, and preferably not where a program would list it. */
static int make_base(void)
{
	const char *const places[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp",
				      "/dev/shm"};
	int ret = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (!places[i] || (size_t)snprintf(base, sizeof(base), "%s/uiommu-XXXXXX",
						   places[i]) >= sizeof(base))
			continue;
		if (mkdtemp(base))
			return 0;
		ret = -errno;
	}
	base[0] = '\0';
	return ret;
}

int tree_start(void)
{
	int ret = make_base();

	if (ret)
		return ret;
	base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base_fd < 0)
		return -errno;
	chmod(base, 0755);
	ret = add_nodes();
	for (unsigned int i = 0; i < nr_nodes && !ret; i++)
		ret = make_node(&nodes[i]);
	return ret;
}

void tree_end(void)
{
	/* Children come behind their parents. */
	for (unsigned int i = nr_nodes; i-- > 0 && base_fd >= 0;)
		unlinkat(base_fd, nodes[i].path + 1,
			 nodes[i].kind == NODE_DIRECTORY ? AT_REMOVEDIR : 0);
	if (base[0])
		rmdir(base);
}

/* ---- looking for one ---- */

const struct node *tree_find(const char *path)
{
	for (unsigned int i = 0; i < nr_nodes; i++)
		if (!strcmp(nodes[i].path, path))
			return &nodes[i];
	return NULL;
}

const struct node *tree_of_stat(const struct stat *st)
{
	for (unsigned int i = 0; i < nr_nodes; i++) {
		const struct node *node = &nodes[i];

		if ((node->ino == st->st_ino && node->dev == st->st_dev) ||
		    (node->native_ino && node->native_ino == st->st_ino &&
		     node->native_dev == st->st_dev))
			return node;
	}
	return NULL;
}

bool tree_may_have(dev_t dev, ino_t ino)
{
	for (unsigned int i = 0; i < nr_nodes; i++)
		if ((nodes[i].ino == ino && nodes[i].dev == dev) ||
		    (nodes[i].native_ino && nodes[i].native_dev == dev))
			return true;
	return false;
}

int tree_open(const struct node *node, int flags)
{
	/* One of O_PATH cannot be given away. */
	int fd = openat(base_fd, node->path + 1,
			(flags & ~(O_CREAT | O_TRUNC | O_PATH)) | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool tree_stat(const struct node *node, struct stat *st)
{
	return fstatat(base_fd, node->path + 1, st, AT_SYMLINK_NOFOLLOW);
}

void tree_chmod(const struct node *node, unsigned int mode)
{
	atomic_store(&nodes[node - nodes].mode, mode);
}

int tree_watch(const struct node *node, int watcher, uint32_t mask)
{
	char path[PATH_MAX];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d%s", base_fd, node->path);
	ret = inotify_add_watch(watcher, path, mask);
	return ret < 0 ? -errno : ret;
}

/* ---- listings ---- */

static unsigned char entry_type(const struct node *node)
{
	return node->kind == NODE_DIRECTORY ? DT_DIR : node->kind == NODE_DEVICE ? DT_CHR : DT_REG;
}

/* Its name when it is a child of @parent, or NULL. */
static const char *name_in(const struct node *node, const struct node *parent)
{
	size_t length = strlen(parent->path);

	if (strncmp(node->path, parent->path, length) != 0 || node->path[length] != '/' ||
	    strchr(node->path + length + 1, '/'))
		return NULL;
	return node->path + length + 1;
}

size_t tree_list(const struct node *parent, unsigned int *at, void *buf, size_t size, int64_t first)
{
	size_t used = 0;

	for (; *at < nr_nodes; (*at)++) {
		const struct node *node = &nodes[*at];
		const char *name = name_in(node, parent);
		struct entry *entry = (struct entry *)((char *)buf + used);
		size_t length;

		/* The machine's own directory has listed what it has. */
		if (!name || (parent->native_ino && !access(node->path, F_OK)))
			continue;
		length = (sizeof(*entry) + strlen(name) + 1 + 7) / 8 * 8;
		if (length > size - used)
			break;
		memset(entry, 0, length);
		entry->ino = node->ino;
		entry->off = first + *at + 1;
		entry->reclen = (unsigned short)length;
		entry->type = entry_type(node);
		memcpy(entry->name, name, strlen(name));
		used += length;
	}
	return used;
}

void tree_correct(const struct node *parent, void *buf, size_t size)
{
	char path[PATH_MAX];

	for (size_t at = 0; at + sizeof(struct entry) <= size;) {
		struct entry *entry = (struct entry *)((char *)buf + at);
		const struct node *node;

		snprintf(path, sizeof(path), "%s/%s", parent->path, entry->name);
		node = tree_find(path);
		if (node)
			entry->type = entry_type(node);
		at += entry->reclen;
	}
}
