/*
 * Work dealt out to items for cpu_parallel(). How many there are depends on sizes alone, never on the
 * number of threads, so that results do not either.
 */
#ifndef SF_BACKENDS_CPU_ITEMS_H
#define SF_BACKENDS_CPU_ITEMS_H

#include "backends/cpu/cpu.h"

/* The least that is worth a thread's while: some microseconds. */
#define CPU_ITEM_ELEMENTS (INT64_C(1) << 14)

/* Where work may be cut that is only a number of elements: whole cache lines. */
#define CPU_ELEMENTS_UNIT INT64_C(64)

typedef struct cpu_range {
    int64_t first, end;
} cpu_range;

/* Items for n_units of unit_elements elements each, at least 1. */
static inline int64_t cpu_n_items(int64_t n_units, int64_t unit_elements) {
    int64_t units_per_item =
        cpu_divide_up(CPU_ITEM_ELEMENTS, unit_elements > 1 ? unit_elements : 1);
    int64_t n_items = n_units / units_per_item;
    return n_items > 1 ? n_items : 1;
}

/* The units of an item. */
static inline cpu_range cpu_item_units(int64_t n_units, int64_t item, int64_t n_items) {
    return (cpu_range){cpu_share(n_units, item, n_items), cpu_share(n_units, item + 1, n_items)};
}

/* The same for n elements, cut at multiples of CPU_ELEMENTS_UNIT. */
static inline int64_t cpu_n_element_items(int64_t n) {
    return cpu_n_items(cpu_divide_up(n, CPU_ELEMENTS_UNIT), CPU_ELEMENTS_UNIT);
}

static inline cpu_range cpu_item_elements(int64_t n, int64_t item, int64_t n_items) {
    cpu_range units = cpu_item_units(cpu_divide_up(n, CPU_ELEMENTS_UNIT), item, n_items);
    return (cpu_range){cpu_smaller(units.first * CPU_ELEMENTS_UNIT, n),
                       cpu_smaller(units.end * CPU_ELEMENTS_UNIT, n)};
}

#endif
