/*
 * The processor's peak at fused multiply-adds in f32, per thread: what shares in doc/cpu.md are shares of.
 *
 *     make bench/peak && bench/peak [THREADS]
 *
 * Twelve independent sums in registers, enough for two units of a latency of up to six cycles. Not a part
 * of the library.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N_SUMS   12
#define N_STEPS  30000000L
#define N_ROUNDS 5

#define PEAK(name, width, isa)                                                                     \
    typedef float vec_##name __attribute__((vector_size(4 * (width))));                            \
    __attribute__((target(isa))) static float name(void) {                                         \
        vec_##name sums[N_SUMS] = {{0}}, x = {0}, y = {0};                                         \
        __asm__ volatile("" : "+v"(x), "+v"(y));                                                   \
        _Pragma("GCC unroll 12") for (int j = 0; j < N_SUMS; j++) /* not known to be equal */      \
            __asm__ volatile("" : "+v"(sums[j]));                                                  \
        for (long i = 0; i < N_STEPS; i++)                                                         \
            _Pragma("GCC unroll 12") for (int j = 0; j < N_SUMS; j++) sums[j] = sums[j] * x + y;   \
        float total = 0;                                                                           \
        for (int j = 0; j < N_SUMS; j++)                                                           \
            total += sums[j][0];                                                                   \
        return total;                                                                              \
    }

PEAK(avx2, 8, "avx2,fma")
PEAK(avx512, 16, "avx512f,prefer-vector-width=512")

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct job {
    float (*run)(void);
    float result;
} job;

static void *work(void *user) {
    job *j = user;
    j->result = j->run();
    return NULL;
}

static void measure(const char *name, float (*run)(void), int width, int n_threads) {
    pthread_t threads[256];
    job jobs[256];
    double best = 0;
    for (int round = 0; round < N_ROUNDS; round++) {
        double begin = now();
        for (int i = 0; i < n_threads; i++) {
            jobs[i].run = run;
            if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0)
                exit(1);
        }
        for (int i = 0; i < n_threads; i++)
            pthread_join(threads[i], NULL);
        double speed = 2e-9 * N_STEPS * N_SUMS * width * n_threads / (now() - begin);
        best = speed > best ? speed : best;
    }
    printf("%-8s %7.1f GFLOP/s on %d threads\n", name, best, n_threads);
}

int main(int argc, char **argv) {
    int n_threads = argc > 1 ? atoi(argv[1]) : 1;
    if (n_threads < 1 || n_threads > 256) {
        fprintf(stderr, "peak: 1 to 256 threads\n");
        return 2;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        measure("avx2", avx2, 8, n_threads);
    if (__builtin_cpu_supports("avx512f"))
        measure("avx512", avx512, 16, n_threads);
    return 0;
}
