/* SPDX-License-Identifier: MIT */
/*
 * The part of the kernel's interface that its table code uses, in user space, written
 * for this benchmark. It is included before the first line of that code; build.py puts
 * an empty file in place of each other kernel header.
 *
 * Operations cost what they cost on x86-64 in a kernel without debugging options: wmb()
 * is a fence, a compare-and-exchange is locked unless it is the local one, an
 * uncontended spinlock is one exchange and one store. Statistics and accounting cost
 * nothing.
 */
#ifndef BENCH_PEERS_SHIM_H
#define BENCH_PEERS_SHIM_H

#include <errno.h>
#include <limits.h>
#include <linux/const.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "bench/peers/pages.h"

/* ---- configuration ---- */

#define CONFIG_64BIT     1
#define CONFIG_SMP       1
#define CONFIG_X86       1
#define CONFIG_X86_64    1
#define CONFIG_MMU       1
#define CONFIG_IOMMU_API 1
#define CONFIG_IOMMU_PT  1

/* ---- types ---- */

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef unsigned __int128 u128;
typedef u64 phys_addr_t, dma_addr_t;
typedef u32 ioasid_t;
typedef unsigned int gfp_t;
typedef unsigned long pgoff_t;
typedef int irqreturn_t;
typedef struct {
	int counter;
} atomic_t;

#define U32_MAX UINT32_MAX
#define U64_MAX (~0ULL)

/* ---- the compiler ---- */

#define __init
#define __initdata
#define __initconst
#define __iomem
#define __user
#define __force
#define __must_check
#undef __CONCAT /* the C library's, for its own headers */
#undef __always_inline
#define __always_inline             inline __attribute__((always_inline))
#define noinline                    __attribute__((noinline))
#define __maybe_unused              __attribute__((unused))
#define __packed                    __attribute__((packed))
#define __compiletime_error(text)   __attribute__((error(text)))
#define __compiletime_warning(text) __attribute__((warning(text)))

#define likely(x)         __builtin_expect(!!(x), 1)
#define unlikely(x)       __builtin_expect(!!(x), 0)
#define barrier()         __asm__ volatile("" : : : "memory")
#define __same_type(a, b) __builtin_types_compatible_p(__typeof__(a), __typeof__(b))
#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define typecheck(t, x)   1

#define container_of(member, type, name) ((type *)((uintptr_t)(member)-offsetof(type, name)))
#define container_of_const               container_of
#define offsetofend(type, name)          (offsetof(type, name) + sizeof(((type *)NULL)->name))

/* With or without a text. */
#undef static_assert
#define static_assert(condition, ...) _Static_assert(condition, "" __VA_ARGS__)

#define __stringify(...)       __stringify_again(__VA_ARGS__)
#define __stringify_again(...) #__VA_ARGS__

/* A call that must be gone when the optimiser is through. */
#define BUILD_BUG_ON_MSG(condition, text)   BUILD_BUG_CALL(condition, text, __COUNTER__)
#define BUILD_BUG_CALL(condition, text, nr) BUILD_BUG_NAMED(condition, text, nr)
#define BUILD_BUG_NAMED(condition, text, nr)                                   \
	do {                                                                   \
		__attribute__((error(text))) extern void build_bug_##nr(void); \
		if (condition)                                                 \
			build_bug_##nr();                                      \
	} while (0)
#define compiletime_assert(condition, text) BUILD_BUG_ON_MSG(!(condition), text)
#define BUILD_BUG_ON(condition)             BUILD_BUG_ON_MSG(condition, "BUILD_BUG_ON: " #condition)
#define BUILD_BUG()                         BUILD_BUG_ON_MSG(1, "BUILD_BUG")
#define BUILD_BUG_ON_NOT_POWER_OF_2(n)      BUILD_BUG_ON(!is_power_of_2(n))
#define __BUILD_BUG_ON_NOT_POWER_OF_2(n)    BUILD_BUG_ON((n) & ((n)-1))
#define BUILD_BUG_ON_ZERO(condition)        (0 * sizeof(char[(condition) ? -1 : 1]))

/* ---- order of memory accesses ---- */

#define READ_ONCE(x)         (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))

/* PEERS_NO_FENCE: what a kernel gains whose wmb() is no instruction. */
#ifdef PEERS_NO_FENCE
#define wmb() barrier()
#else
#define wmb() __asm__ volatile("sfence" : : : "memory")
#endif
#define mb()      __asm__ volatile("mfence" : : : "memory")
#define smp_mb()  __asm__ volatile("lock orq $0, -8(%%rsp)" : : : "memory", "cc")
#define smp_wmb() barrier()
#define smp_rmb() barrier()
#define dma_wmb() barrier()
#define dma_rmb() barrier()

#define smp_store_release(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)
#define smp_load_acquire(p)         __atomic_load_n(p, __ATOMIC_ACQUIRE)

#define try_cmpxchg64(p, old, new) \
	__atomic_compare_exchange_n(p, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define try_cmpxchg64_release try_cmpxchg64
#define try_cmpxchg_release   try_cmpxchg64
#define cmpxchg64(p, old, new)                       \
	({                                           \
		__typeof__(*(p)) seen_ = (old);      \
		(void)try_cmpxchg64(p, &seen_, new); \
		seen_;                               \
	})
#define cmpxchg64_relaxed cmpxchg64

/* Against interrupts on this processor only: no lock prefix. */
static inline bool try_cmpxchg64_local(u64 *p, u64 *old, u64 new)
{
	bool swapped;

	__asm__ volatile("cmpxchgq %3, %1"
			 : "=@ccz"(swapped), "+m"(*p), "+a"(*old)
			 : "r"(new)
			 : "memory");
	return swapped;
}
#define try_cmpxchg64_local(p, old, new) try_cmpxchg64_local((u64 *)(p), (u64 *)(old), new)

/* ---- numbers and bits ---- */

#define BITS_PER_LONG      64
#define BITS_PER_LONG_LONG 64

#define UL(x)      _AC(x, UL)
#define ULL(x)     _AC(x, ULL)
#define BIT(n)     (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
/* Bits @low to @high, both included. */
#define GENMASK(high, low)     ((~0UL >> (63 - (high))) & (~0UL << (low)))
#define GENMASK_ULL(high, low) ((~0ULL >> (63 - (high))) & (~0ULL << (low)))

#define __ffs(x)   ((unsigned long)__builtin_ctzl(x))
#define __ffs64(x) ((unsigned int)__builtin_ctzll(x))
#define __fls(x)   (63 - (unsigned long)__builtin_clzl(x))
#define ffz(x)     __ffs(~(unsigned long)(x))
#define fls(x)     ((u32)(x) ? 32 - __builtin_clz(x) : 0)
#define fls64(x)   ((u64)(x) ? 64 - __builtin_clzll(x) : 0)
#define ilog2(x)   (63 - __builtin_clzll(x))

#define is_power_of_2(n) (__builtin_popcountll(n) == 1)

#define bit_word(nr, words) ((unsigned long *)(words) + (nr) / BITS_PER_LONG)
#define BIT_MASK(nr)        BIT((nr) % BITS_PER_LONG)
#define test_bit(nr, words) (!!(*bit_word(nr, words) & BIT_MASK(nr)))
#define set_bit(nr, words)  __atomic_fetch_or(bit_word(nr, words), BIT_MASK(nr), __ATOMIC_SEQ_CST)
#define test_and_clear_bit(nr, words)                                                  \
	(!!(__atomic_fetch_and(bit_word(nr, words), ~BIT_MASK(nr), __ATOMIC_SEQ_CST) & \
	    BIT_MASK(nr)))
#define for_each_set_bit(nr, words, size)     \
	for ((nr) = 0; (nr) < (size); (nr)++) \
		if (test_bit(nr, words))

#define lesser_or_greater(compare, a, b) \
	({                               \
		__auto_type a_ = (a);    \
		__auto_type b_ = (b);    \
		a_ compare b_ ? a_ : b_; \
	})
#define min(a, b)         lesser_or_greater(<, a, b)
#define max(a, b)         lesser_or_greater(>, a, b)
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))

#define below(x, to)        ((__typeof__(x))(to)-1)
#define round_down(x, to)   ((x) & ~below(x, to))
#define round_up(x, to)     (((x) + below(x, to)) & ~below(x, to))
#define ALIGN               round_up
#define IS_ALIGNED(x, to)   (!((x)&below(x, to)))
#define DIV_ROUND_UP(n, by) (((n) + (by)-1) / (by))
#define check_add_overflow  __builtin_add_overflow
#define memset_after(p, c, m)                                     \
	memset((char *)(p) + offsetofend(__typeof__(*(p)), m), c, \
	       sizeof(*(p)) - offsetofend(__typeof__(*(p)), m))

static inline void *memset64(u64 *words, u64 value, size_t nr)
{
	u64 *to = words;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(nr) : "a"(value) : "memory");
	return words;
}

#define cpu_to_le16(x) (x)
#define cpu_to_le32(x) (x)
#define cpu_to_le64(x) (x)
#define le16_to_cpu(x) (x)
#define le32_to_cpu(x) (x)
#define le64_to_cpu(x) (x)
#define cpu_to_be16    __builtin_bswap16
#define cpu_to_be32    __builtin_bswap32
#define cpu_to_be64    __builtin_bswap64
#define be16_to_cpu    __builtin_bswap16
#define be32_to_cpu    __builtin_bswap32
#define be64_to_cpu    __builtin_bswap64

/* ---- errors and messages ---- */

#ifndef ENOTSUPP
#define ENOTSUPP 524
#endif
#define ERR_PTR(error) ((void *)(long)(error))
#define PTR_ERR(p)     ((long)(p))
#define IS_ERR(p)      ((uintptr_t)(p) > (uintptr_t)-4096)

#define WARN_ON(condition)                              \
	({                                              \
		bool warned_ = (condition);             \
		if (unlikely(warned_))                  \
			pages_warn(__FILE__, __LINE__); \
		unlikely(warned_);                      \
	})
#define WARN_ON_ONCE(condition)   WARN_ON(condition)
#define WARN(condition, ...)      WARN_ON(condition)
#define WARN_ONCE(condition, ...) WARN_ON(condition)
#define BUG()                     abort()
#define BUG_ON(condition)         (unlikely(condition) ? abort() : (void)0)
#define VM_BUG_ON(condition)      ((void)0)

#define pr_err(...)        fprintf(stderr, __VA_ARGS__)
#define pr_warn            pr_err
#define pr_info            pr_err
#define pr_crit            pr_err
#define pr_err_ratelimited pr_err
#define dev_err(dev, ...)  pr_err(__VA_ARGS__)
#define EXPORT_SYMBOL_GPL(name)
#define EXPORT_SYMBOL_NS_GPL(name, space)
#define MODULE_LICENSE(text)
#define MODULE_DESCRIPTION(text)
#define MODULE_IMPORT_NS(name)

/* ---- lists ---- */

struct list_head {
	struct list_head *next, *prev;
};
struct llist_head {
	void *first;
};
struct llist_node {
	void *next;
};

#define LIST_HEAD_INIT(list)     \
	{                        \
		&(list), &(list) \
	}
#define LIST_HEAD(list)           struct list_head list = LIST_HEAD_INIT(list)
#define list_entry                container_of
#define list_first_entry(l, t, m) container_of((l)->next, t, m)
#define list_next_entry(entry, m) container_of((entry)->m.next, __typeof__(*(entry)), m)
#define list_for_each_entry(entry, list, m)                                              \
	for (entry = list_first_entry(list, __typeof__(*entry), m); &entry->m != (list); \
	     entry = list_next_entry(entry, m))
#define list_for_each_entry_safe(entry, after, list, m)             \
	for (entry = list_first_entry(list, __typeof__(*entry), m); \
	     &entry->m != (list) && (after = list_next_entry(entry, m), true); entry = after)

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list->prev = list;
}

static inline bool list_empty(const struct list_head *list)
{
	return READ_ONCE(list->next) == list;
}

static inline void list_join(struct list_head *a, struct list_head *b)
{
	a->next = b;
	b->prev = a;
}

static inline void list_add(struct list_head *entry, struct list_head *list)
{
	list_join(entry, list->next);
	list_join(list, entry);
}

static inline void list_add_tail(struct list_head *entry, struct list_head *list)
{
	list_add(entry, list->prev);
}

static inline void list_del(struct list_head *entry)
{
	list_join(entry->prev, entry->next);
	entry->next = entry->prev = NULL;
}

/* All entries of @from before those of @to. */
static inline void list_splice(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	list_join(from->prev, to->next);
	list_join(to, from->next);
}

/* ---- locks ---- */

typedef struct {
	unsigned char taken;
} spinlock_t;
typedef spinlock_t raw_spinlock_t;
typedef struct {
	unsigned int sequence;
} seqcount_t;

#define spin_lock_init(lock) ((lock)->taken = 0)

static inline void spin_lock(spinlock_t *lock)
{
	while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE))
		;
}

static inline void spin_unlock(spinlock_t *lock)
{
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

#define spin_lock_irqsave(lock, flags)      ((flags) = 0, spin_lock(lock))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), spin_unlock(lock))
#define seqcount_init(count)                ((count)->sequence = 0)

static inline unsigned int read_seqcount_begin(const seqcount_t *count)
{
	unsigned int sequence;

	while ((sequence = __atomic_load_n(&count->sequence, __ATOMIC_ACQUIRE)) & 1)
		;
	return sequence;
}

static inline bool read_seqcount_retry(const seqcount_t *count, unsigned int sequence)
{
	barrier();
	return unlikely(READ_ONCE(count->sequence) != sequence);
}

static inline void write_seqcount_step(seqcount_t *count)
{
	__atomic_store_n(&count->sequence, count->sequence + 1, __ATOMIC_RELEASE);
	barrier();
}
#define write_seqcount_begin write_seqcount_step
#define write_seqcount_end   write_seqcount_step

/* ---- memory: pages.h with the kernel's words ---- */

#define PAGE_SHIFT    PAGES_SHIFT
#define PAGE_SIZE     (1UL << PAGE_SHIFT)
#define PAGE_MASK     (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x) round_up(x, PAGE_SIZE)
#define NUMA_NO_NODE  (-1)
#define numa_mem_id() 0

#define GFP_KERNEL    0u
#define GFP_ATOMIC    1u
#define __GFP_HIGHMEM 2u
#define __GFP_ZERO    4u

/* A table's "physical" address is where it is. */
#define virt_to_phys(p) ((phys_addr_t)(uintptr_t)(p))
#define phys_to_virt(a) ((void *)(uintptr_t)(a))
#define __pa            virt_to_phys
#define __va            phys_to_virt

/* The size, and at which offsets newer kernels lay their own struct over it. */
struct page {
	unsigned long flags;
	struct list_head lru;
	void *mapping;
	unsigned long index;
	unsigned long private;
	unsigned int page_type;
	atomic_t _refcount;
	unsigned long order; /* ours: as it was allocated */
};
_Static_assert(sizeof(struct page) == 64, "64 bytes, as the kernel's");
struct folio {
	struct page page;
};

#define virt_to_page(p) (&pages_structs[((char *)(p)-pages_memory) >> PAGE_SHIFT])
#define page_address(page) \
	((void *)(pages_memory + ((unsigned long)((page)-pages_structs) << PAGE_SHIFT)))
#define page_to_pfn(page) ((uintptr_t)page_address(page) >> PAGE_SHIFT)
#define pfn_to_page(pfn)  virt_to_page((pfn) << PAGE_SHIFT)
#define get_order(size)   ((size) > PAGE_SIZE ? fls64(((u64)(size)-1) >> PAGE_SHIFT) : 0)

static inline struct page *alloc_pages_node(int node, gfp_t gfp, unsigned int order)
{
	void *memory = pages_alloc(order);
	struct page *page;

	if (!memory)
		return NULL;
	page = virt_to_page(memory);
	page->_refcount.counter = 1;
	page->order = order;
	return page;
}
#define alloc_pages(gfp, order)   alloc_pages_node(0, gfp, order)
#define __free_pages(page, order) pages_free(page_address(page), order)

static inline void put_page(struct page *page)
{
	if (!--page->_refcount.counter)
		pages_free(page_address(page), page->order);
}

#define virt_to_folio(p)                     ((struct folio *)virt_to_page(p))
#define folio_order(folio)                   ((folio)->page.order)
#define folio_nr_pages(folio)                (1UL << (folio)->page.order)
#define folio_address(folio)                 page_address(&(folio)->page)
#define folio_put(folio)                     put_page(&(folio)->page)
#define __folio_alloc_node(gfp, order, node) ((struct folio *)alloc_pages_node(node, gfp, order))

#define page_pgdat(page)                       NULL
#define folio_pgdat(folio)                     NULL
#define mod_node_page_state(node, what, nr)    ((void)(nr))
#define mod_lruvec_page_state(page, what, nr)  ((void)(nr))
#define lruvec_stat_mod_folio(folio, what, nr) ((void)(nr))

#define kmalloc(size, gfp)       malloc(size)
#define kmalloc_obj(object, ...) ((__typeof__(object) *)malloc(sizeof(object)))
#define kfree(p)                 free(p)

/* No memory encryption. */
#define __sme_set(x) (x)
#define __sme_clr(x) (x)

static inline void clflush_cache_range(void *memory, unsigned int size)
{
	const uintptr_t end = (uintptr_t)memory + size;

	for (uintptr_t line = (uintptr_t)memory & ~63UL; line < end; line += 64)
		__asm__ volatile("clflushopt %0" : "+m"(*(char *)line));
}

/* ---- devices and DMA: walks are coherent, so none of it is reached ---- */

struct device {
	int node;
};
#define dev_to_node(dev)                       ((dev)->node)
#define set_dev_node(dev, to)                  ((dev)->node = (to))
#define dev_to_iommu_device(dev)               ((struct iommu_device *)NULL)
#define DMA_TO_DEVICE                          1
#define dma_map_single(d, p, s, t)             virt_to_phys(p)
#define dma_unmap_single(...)                  ((void)0)
#define dma_mapping_error(...)                 0
#define dma_sync_single_for_device(d, a, s, t) ((void)(a), (void)(s))

/* What only declarations name. */
struct iommu_domain;
struct iommu_page_response;
struct iommu_user_data_array;
struct iopf_fault;
struct iopf_group;

/* Fields of drivers' structs. */
struct mutex {
	int unused;
};
struct xarray {
	int unused;
};
struct mmu_notifier {
	int unused;
};
struct ratelimit_state {
	int unused;
};
struct iommu_device {
	int unused;
};
struct msi_msg {
	u32 unused[3];
};
struct iommu_hwpt_vtd_s1 {
	u64 unused[3];
};
struct pci_bus {
	int number;
};
struct pci_dev {
	u16 vendor, device;
	struct pci_bus *bus;
	unsigned int devfn;
	struct device dev;
};
#define PCI_VENDOR_ID_ATI                    0x1002
#define PCI_DEVICE_ID_RD890_IOMMU            0x5a23
#define pci_domain_nr(bus)                   0
#define pci_dev_id(dev)                      ((u16)(dev)->devfn)
#define iommu_get_iommu_dev(dev, type, name) ((type *)NULL)
#define iova_bitmap_set(bitmap, iova, size)  ((void)(bitmap))

#endif
