/*
 * Rows of a table by number. Work-item i moves element i of the output. Where an id has no row, all
 * bits are set: NaN in a table of floats, -1 in one of signed integers.
 */
#include "backends/gpu/kernels/embedding.h"

KERNEL(embedding)(INPUT(table), INPUT(ids), OUTPUT(y), gpu_embedding_arguments a) {
    LOCATE(table);
    LOCATE(ids);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= a.n)
        return;
    gpu_uint number = i / a.row_elements;
    gpu_uint at = element_at(a.id_dims, a.ids, number);
    gpu_long id = a.id_bytes == 8 ? ((GLOBAL const gpu_long *)ids)[at]
                                  : (gpu_long)((GLOBAL const gpu_int *)ids)[at];
    gpu_uint is_there = id >= 0 && id < (gpu_long)a.n_rows;
    gpu_uint from = is_there ? (gpu_uint)id * a.row_stride +
                                   element_at(a.row_dims, a.row, i - number * a.row_elements)
                             : 0;
    if (a.unit_bytes == 4)
        ((GLOBAL gpu_uint *)y)[i] = is_there ? ((GLOBAL const gpu_uint *)table)[from] : ~0u;
    else if (a.unit_bytes == 2)
        ((GLOBAL unsigned short *)y)[i] =
            is_there ? ((GLOBAL const unsigned short *)table)[from] : (unsigned short)0xffff;
    else if (a.unit_bytes == 8)
        ((GLOBAL gpu_ulong *)y)[i] =
            is_there ? ((GLOBAL const gpu_ulong *)table)[from] : ~(gpu_ulong)0;
    else
        y[i] = is_there ? table[from] : (gpu_byte)0xff;
}
