/*
 * Element types: their facts, and the conversions of the 16-bit floats as functions (core/half.h).
 */
#include <string.h>

#include "core/half.h"
#include "core/tensor.h"

static const sf_dtype_info dtypes[] = {
#define DTYPE_INFO(id, value, text, in_file, elements, bytes)                                      \
    [SF_##id] = {.name = (text),                                                                   \
                 .file_name = (in_file),                                                           \
                 .block_elements = (elements),                                                     \
                 .block_bytes = (bytes)},
    SF_DTYPE_LIST(DTYPE_INFO)
#undef DTYPE_INFO
};

#define N_DTYPES (sizeof dtypes / sizeof *dtypes)

const sf_dtype_info *sf_dtype_get(sf_dtype dtype) {
    return (size_t)dtype < N_DTYPES ? &dtypes[dtype] : &dtypes[SF_NONE];
}

const char *sf_dtype_name(sf_dtype dtype) {
    const char *name = sf_dtype_get(dtype)->name;
    return name ? name : "none";
}

sf_dtype sf_dtype_from_file_name(const char *name) {
    for (size_t i = 0; i < N_DTYPES; i++)
        if (dtypes[i].file_name && strcmp(dtypes[i].file_name, name) == 0)
            return (sf_dtype)i;
    return SF_NONE;
}

bool sf_dtype_is_float(sf_dtype dtype) {
    return dtype == SF_F32 || dtype == SF_F16 || dtype == SF_BF16;
}

float sf_f16_to_f32(uint16_t half) {
    return sf_half_widen(half);
}

uint16_t sf_f32_to_f16(float value) {
    return sf_half_narrow(value);
}

float sf_bf16_to_f32(uint16_t bf16) {
    return sf_bfloat_widen(bf16);
}

uint16_t sf_f32_to_bf16(float value) {
    return sf_bfloat_narrow(value);
}
