/* Element types and the 16-bit float conversions, against their definition in double arithmetic. */
#include <check.h>
#include <fenv.h>
#include <math.h>

#include "core/half.h"
#include "core/tensor.h"
#include "tests/support/support.h"

Suite *suite_core_dtype(void);

/* IEEE 754: value of a 16-bit float with that many exponent and fraction bits. */
static double define_value(uint16_t bits, int exponent_bits, int fraction_bits) {
    int bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;
    int exponent = bits >> fraction_bits & top, fraction = bits & ((1 << fraction_bits) - 1);
    double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == top)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - bias - fraction_bits);
    return sign * ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

/*
 * Round to nearest even by definition: scale so that the last kept bit is worth 1, let nearbyint()
 * round, scale back; past the largest finite value by half a unit or more is infinity.
 */
static double define_rounded(double value, int fraction_bits, int min_exponent, double overflow) {
    int exponent;
    if (isnan(value) || isinf(value) || value == 0)
        return value;
    if (fabs(value) >= overflow)
        return copysign((double)INFINITY, value);
    frexp(value, &exponent); /* value = 0.5..1 * 2^exponent */
    exponent = exponent - 1 < min_exponent ? min_exponent : exponent - 1;
    return ldexp(nearbyint(ldexp(value, fraction_bits - exponent)), exponent - fraction_bits);
}

static void assert_same(double found, double wanted, uint32_t bits) {
    ck_assert_msg((isnan(found) && isnan(wanted)) ||
                      (found == wanted && signbit(found) == signbit(wanted)),
                  "bits %08x: %g, not %g", bits, found, wanted);
}

START_TEST(every_half_has_its_value_and_comes_back) {
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = sf_f16_to_f32((uint16_t)bits);
        assert_same((double)value, define_value((uint16_t)bits, 5, 10), bits);
        ck_assert_uint_eq(sf_f32_to_f16(value), bits);
    }
}
END_TEST

START_TEST(every_bfloat_has_its_value_and_comes_back) {
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = sf_bf16_to_f32((uint16_t)bits);
        assert_same((double)value, define_value((uint16_t)bits, 8, 7), bits);
        ck_assert_uint_eq(sf_f32_to_bf16(value), bits);
    }
}
END_TEST

static void check_rounding(uint32_t bits) {
    double value = (double)sf_float_from_bits(bits);
    /* The largest finite numbers are 65504 (2^16 - 2^5) and 2^128 - 2^120; half a unit further. */
    double half = define_rounded(value, 10, -14, 65520);
    double bfloat = define_rounded(value, 7, -126, 0x1.ffp127);
    assert_same((double)sf_f16_to_f32(sf_f32_to_f16((float)value)), half, bits);
    assert_same((double)sf_bf16_to_f32(sf_f32_to_bf16((float)value)), bfloat, bits);
}

START_TEST(floats_round_to_nearest_even) {
    /* A step that is odd and no multiple of a power of two reaches all exponents and endings. */
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += 16411)
        check_rounding((uint32_t)bits);
}
END_TEST

START_TEST(ties_and_their_neighbours_round_right) {
    for (uint32_t half = 0; half < 0x7c00; half++) { /* between each finite half and the next */
        uint32_t low = sf_float_bits(sf_half_widen((uint16_t)half));
        float high = half == 0x7bff ? 65536.0f : sf_half_widen((uint16_t)(half + 1));
        float middle = (sf_float_from_bits(low) + high) / 2;
        for (int sign = 0; sign < 2; sign++)
            for (int d = -1; d <= 1; d++)
                check_rounding((sf_float_bits(middle) + (uint32_t)d) | (uint32_t)sign << 31);
    }
    for (uint32_t upper = 0; upper < 0x7f80; upper++)
        for (uint32_t lower = 0x7fff; lower <= 0x8001; lower++)
            check_rounding(upper << 16 | lower);
}
END_TEST

START_TEST(nan_stays_nan) {
    static const uint32_t nans[] = {0x7f800001, 0x7fc00000, 0x7fffffff, 0xff800001,
                                    0xffffe000, 0x7f801fff, 0x7f80ffff};
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
        uint16_t half = sf_f32_to_f16(sf_float_from_bits(nans[i]));
        uint16_t bfloat = sf_f32_to_bf16(sf_float_from_bits(nans[i]));
        ck_assert_msg((half & 0x7fff) > 0x7c00, "%08x: half %04x", nans[i], half);
        ck_assert_msg((bfloat & 0x7fff) > 0x7f80, "%08x: bfloat %04x", nans[i], bfloat);
        ck_assert_uint_eq(half >> 15, nans[i] >> 31);
        ck_assert_uint_eq(bfloat >> 15, nans[i] >> 31);
    }
}
END_TEST

START_TEST(types_are_known_by_value_and_name) {
    ck_assert_str_eq(sf_dtype_name(SF_BF16), "bf16");
    ck_assert_str_eq(sf_dtype_name(SF_NONE), "none");
    ck_assert_str_eq(sf_dtype_name((sf_dtype)1000), "none");
    ck_assert_str_eq(sf_dtype_name((sf_dtype)-1), "none");
    ck_assert_int_eq(sf_dtype_from_file_name("I64"), SF_I64);
    ck_assert_int_eq(sf_dtype_from_file_name("i64"), SF_NONE);
    ck_assert_int_eq(sf_dtype_from_file_name(""), SF_NONE);
    ck_assert_int_eq(sf_dtype_get(SF_F16)->block_bytes, 2);
    ck_assert_int_eq(sf_dtype_get((sf_dtype)1000)->block_bytes, 0);
    for (int i = 0; i < 8; i++) {
        const sf_dtype_info *info = sf_dtype_get((sf_dtype)i);
        if (info->name)
            ck_assert_int_eq(sf_dtype_from_file_name(info->file_name), i);
    }
    ck_assert(sf_dtype_is_float(SF_BF16) && !sf_dtype_is_float(SF_U8));
}
END_TEST

Suite *suite_core_dtype(void) {
    Suite *suite = suite_create("core/dtype");
    TCase *tcase = tcase_create("dtype");
    tcase_set_timeout(tcase, 60); /* a quarter of a million roundings, much slower under valgrind */
    tcase_add_test(tcase, every_half_has_its_value_and_comes_back);
    tcase_add_test(tcase, every_bfloat_has_its_value_and_comes_back);
    tcase_add_test(tcase, floats_round_to_nearest_even);
    tcase_add_test(tcase, ties_and_their_neighbours_round_right);
    tcase_add_test(tcase, nan_stays_nan);
    tcase_add_test(tcase, types_are_known_by_value_and_name);
    suite_add_tcase(suite, tcase);
    return suite;
}
