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
#include <pthread.h>
#include <stdarg.h>
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
static unsigned int nr_nodes, space;
static char base[256];
static int base_fd = -1;

/* By path and by inode; made when all nodes are there. */
#define CHAINS 4096
static struct node *by_path[CHAINS], *by_inode[CHAINS], *by_native[CHAINS];

/* The machine's file systems that have some of our directories. */
static dev_t native_devices[16];
static unsigned int nr_native_devices;

/* Of what is shown, hidden or written again, which few calls do. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- making it ---- */

static struct node *find_added(const char *path)
{
	for (unsigned int i = nr_nodes; i-- > 0;)
		if (!strcmp(nodes[i].path, path))
			return &nodes[i];
	return NULL;
}

static struct node *add(enum node_kind kind, const char *path)
{
	struct node *node;

	if (nr_nodes == space) {
		unsigned int more = space ? space * 2 : 256;
		struct node *larger = realloc(nodes, more * sizeof(*nodes));

		if (!larger)
			return NULL;
		nodes = larger;
		space = more;
	}
	node = &nodes[nr_nodes];
	*node = (struct node){.kind = kind, .path = strdup(path)};
	if (!node->path)
		return NULL;
	nr_nodes++;
	return node;
}

/* With the directories that it is in. */
static struct node *add_below(enum node_kind kind, const char *path)
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%s", path);
	for (char *at = parent + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = '\0';
		if (!find_added(parent) && !add(NODE_DIRECTORY, parent))
			return NULL;
	}
	return add(kind, path);
}

int tree_add_directory(const char *path)
{
	return find_added(path) || add_below(NODE_DIRECTORY, path) ? 0 : -ENOMEM;
}

int tree_add_device(const char *path, enum file_kind file, unsigned int index)
{
	struct node *node = add_below(NODE_DEVICE, path);

	if (!node)
		return -ENOMEM;
	node->file = file;
	node->index = index;
	atomic_init(&node->mode, 0600);
	return 0;
}

static int add_with_text(enum node_kind kind, const char *path, const char *text, unsigned int mode)
{
	struct node *node = add_below(kind, path);

	if (!node)
		return -ENOMEM;
	atomic_init(&node->mode, mode);
	node->text = strdup(text);
	return node->text ? 0 : -ENOMEM;
}

int tree_add_text(const char *path, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return add_with_text(NODE_TEXT, path, text, 0444);
}

int tree_add_link(const char *path, const char *target)
{
	return add_with_text(NODE_LINK, path, target, 0777);
}

int tree_add_attribute(const char *path, enum file_kind file, unsigned int index,
		       unsigned int which, unsigned int mode, const char *text)
{
	int ret = add_with_text(NODE_ATTRIBUTE, path, text, mode);

	if (ret)
		return ret;
	nodes[nr_nodes - 1].file = file;
	nodes[nr_nodes - 1].index = index;
	nodes[nr_nodes - 1].which = which;
	return 0;
}

static int add_plain_vfio(unsigned int index)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", index);
	ret = tree_add_device(path, FILE_VFIO, index);
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/vfio%u/dev", index);
	return ret ? ret : tree_add_text(path, "%u:%u\n", VFIO_MAJOR, index);
}

static int add_nodes(void)
{
	int ret = tree_add_device("/dev/iommu", FILE_IOMMU, 0);

	if (!ret)
		ret = tree_add_text("/sys/class/misc/iommu/dev", "10:125\n");
	if (!ret)
		ret = tree_add_directory("/sys/class/iommu/iommu0");
	for (unsigned int i = 0; i < options->devices && !ret; i++)
		ret = add_plain_vfio(i);
	if (!ret && options->test_abi)
		ret = tree_add_directory("/sys/kernel/debug");
	return ret ? ret : sysfs_add();
}

/* ---- the real directory ---- */

static int make_text(const struct node *node, const char *relative)
{
	int fd = openat(base_fd, relative, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *text = node->text ? node->text : "";
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0 || fchmod(fd, node->mode & 0777))
		ret = -errno;
	close(fd);
	return ret;
}

static void note_native_device(dev_t dev)
{
	for (unsigned int i = 0; i < nr_native_devices; i++)
		if (native_devices[i] == dev)
			return;
	if (nr_native_devices < ARRAY_SIZE(native_devices))
		native_devices[nr_native_devices++] = dev;
}

static int make_node(struct node *node)
{
	const char *relative = node->path + 1;
	struct stat st;
	int ret;

	if (node->kind == NODE_DIRECTORY)
		ret = mkdirat(base_fd, relative, 0755) ? -errno : 0;
	else if (node->kind == NODE_LINK)
		ret = symlinkat(node->text, base_fd, relative) ? -errno : 0;
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
		note_native_device(st.st_dev);
	}
	return 0;
}

static struct node **path_chain(const char *path)
{
	uint32_t hash = 2166136261u;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 16777619u;
	return &by_path[hash % CHAINS];
}

static void add_to_chain(struct node **chain, struct node *node, unsigned int which)
{
	node->next[which] = *chain;
	*chain = node;
}

static void make_chains(void)
{
	for (unsigned int i = 0; i < nr_nodes; i++) {
		struct node *node = &nodes[i];

		add_to_chain(path_chain(node->path), node, NEXT_BY_PATH);
		add_to_chain(&by_inode[node->ino % CHAINS], node, NEXT_BY_INODE);
		if (node->native_ino)
			add_to_chain(&by_native[node->native_ino % CHAINS], node, NEXT_BY_NATIVE);
	}
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
	if (!ret)
		make_chains();
	return ret;
}

void tree_end(void)
{
	/* Children come behind their parents. */
	for (unsigned int i = nr_nodes; i-- > 0 && base_fd >= 0;) {
		if (atomic_load(&nodes[i].hidden))
			tree_show(nodes[i].path, true);
		unlinkat(base_fd, nodes[i].path + 1,
			 nodes[i].kind == NODE_DIRECTORY ? AT_REMOVEDIR : 0);
	}
	if (base[0])
		rmdir(base);
}

/* ---- looking for one ---- */

const struct node *tree_find(const char *path)
{
	struct node *node = *path_chain(path);

	while (node && (strcmp(node->path, path) != 0 || atomic_load(&node->hidden)))
		node = node->next[NEXT_BY_PATH];
	return node;
}

const struct node *tree_of_stat(const struct stat *st)
{
	struct node *node = by_inode[st->st_ino % CHAINS];

	while (node && (node->ino != st->st_ino || node->dev != st->st_dev))
		node = node->next[NEXT_BY_INODE];
	if (node)
		return node;
	node = by_native[st->st_ino % CHAINS];
	while (node && (node->native_ino != st->st_ino || node->native_dev != st->st_dev))
		node = node->next[NEXT_BY_NATIVE];
	return node;
}

bool tree_may_have(dev_t dev, ino_t ino)
{
	const struct stat st = {.st_dev = dev, .st_ino = ino};

	for (unsigned int i = 0; i < nr_native_devices; i++)
		if (native_devices[i] == dev)
			return true;
	return tree_of_stat(&st);
}

/* ---- changing it ---- */

void tree_set_text(const struct node *constant, const char *text)
{
	struct node *node = &nodes[constant - nodes];
	int fd;

	pthread_mutex_lock(&lock);
	fd = openat(base_fd, node->path + 1, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0)
			notice("%s: %s", node->path, strerror(errno));
		close(fd);
	}
	pthread_mutex_unlock(&lock);
}

void tree_show(const char *path, bool show)
{
	struct node *node = *path_chain(path);

	while (node && strcmp(node->path, path) != 0)
		node = node->next[NEXT_BY_PATH];
	if (!node)
		return;
	pthread_mutex_lock(&lock);
	if (atomic_load(&node->hidden) == show) {
		/* It stands for the node under another name while it is not to be seen. */
		char aside[64];

		snprintf(aside, sizeof(aside), ".hidden-%u", (unsigned int)(node - nodes));
		if (show)
			renameat(base_fd, aside, base_fd, node->path + 1);
		else
			renameat(base_fd, node->path + 1, base_fd, aside);
		atomic_store(&node->hidden, !show);
	}
	pthread_mutex_unlock(&lock);
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
	switch (node->kind) {
	case NODE_DIRECTORY:
		return DT_DIR;
	case NODE_DEVICE:
		return DT_CHR;
	case NODE_LINK:
		return DT_LNK;
	default:
		return DT_REG;
	}
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
		if (!name || atomic_load(&node->hidden) ||
		    (parent->native_ino && !access(node->path, F_OK)))
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
