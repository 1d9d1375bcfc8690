# The cpu plugin: what is the same for all instruction sets, and isa/ compiled once for each. Its
# objects are libraries of their own, because the tests call them without the loader.

noinst_LTLIBRARIES += backends/cpu/libcpu.la backends/cpu/libcpu_generic.la
backends_cpu_libcpu_la_CFLAGS = $(AM_CFLAGS) $(KERNEL_FLAGS) $(CPU_DEFINES)
backends_cpu_libcpu_la_SOURCES = plugins/cpu.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/attention.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/binary.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/cast.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/conv2d.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/convolution.h
backends_cpu_libcpu_la_SOURCES += backends/cpu/copy.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/cpu.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/cpu.h
backends_cpu_libcpu_la_SOURCES += backends/cpu/embedding.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/entries.def
backends_cpu_libcpu_la_SOURCES += backends/cpu/gathered.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/geglu.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/group_norm.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/items.h
backends_cpu_libcpu_la_SOURCES += backends/cpu/layer_norm.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/linear.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/linear.h
backends_cpu_libcpu_la_SOURCES += backends/cpu/linear_combination.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/linear_geglu.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/matmul.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/pool.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/pool.h
backends_cpu_libcpu_la_SOURCES += backends/cpu/product.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/product.h
backends_cpu_libcpu_la_SOURCES += backends/cpu/reduce.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/resize.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/softmax.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/strided.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/strided.h
backends_cpu_libcpu_la_SOURCES += backends/cpu/threads.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/threads.h
backends_cpu_libcpu_la_SOURCES += backends/cpu/unary.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/winograd.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/isa/choose.c
backends_cpu_libcpu_la_SOURCES += backends/cpu/isa/isa.def
backends_cpu_libcpu_la_SOURCES += backends/cpu/isa/kernels.def
backends_cpu_libcpu_la_SOURCES += backends/cpu/isa/kernels.h
backends_cpu_libcpu_la_LIBADD = backends/cpu/libcpu_generic.la

# ---- what is compiled once for each instruction set ----

CPU_ISA_SOURCES = backends/cpu/isa/attention.c
CPU_ISA_SOURCES += backends/cpu/isa/attention.h
CPU_ISA_SOURCES += backends/cpu/isa/elementwise.c
CPU_ISA_SOURCES += backends/cpu/isa/functions.h
CPU_ISA_SOURCES += backends/cpu/isa/isa.h
CPU_ISA_SOURCES += backends/cpu/isa/move.c
CPU_ISA_SOURCES += backends/cpu/isa/norm.c
CPU_ISA_SOURCES += backends/cpu/isa/product.c
CPU_ISA_SOURCES += backends/cpu/isa/product.h
CPU_ISA_SOURCES += backends/cpu/isa/rows.c
CPU_ISA_SOURCES += backends/cpu/isa/softmax.c
CPU_ISA_SOURCES += backends/cpu/isa/sums.c
CPU_ISA_SOURCES += backends/cpu/isa/table.c
CPU_ISA_SOURCES += backends/cpu/isa/transpose.h
CPU_ISA_SOURCES += backends/cpu/isa/vector.h
CPU_ISA_SOURCES += backends/cpu/isa/winograd.c
CPU_ISA_SOURCES += backends/cpu/isa/winograd_lines.h


CPU_ISA_CFLAGS = $(AM_CFLAGS) $(ISA_FLAGS)

backends_cpu_libcpu_generic_la_CFLAGS = $(CPU_ISA_CFLAGS) -DCPU_ISA=generic
backends_cpu_libcpu_generic_la_SOURCES = $(CPU_ISA_SOURCES)

if CPU_X86
noinst_LTLIBRARIES += backends/cpu/libcpu_avx2.la
backends_cpu_libcpu_avx2_la_CFLAGS = $(CPU_ISA_CFLAGS) -mavx2 -mfma -mf16c -DCPU_ISA=avx2
backends_cpu_libcpu_avx2_la_SOURCES = $(CPU_ISA_SOURCES)

CPU_AVX512 = -mavx2 -mfma -mf16c -mavx512f -mavx512vl -mavx512bw -mavx512dq \
	-mprefer-vector-width=512
noinst_LTLIBRARIES += backends/cpu/libcpu_avx512.la
backends_cpu_libcpu_avx512_la_CFLAGS = $(CPU_ISA_CFLAGS) $(CPU_AVX512) -DCPU_ISA=avx512
backends_cpu_libcpu_avx512_la_SOURCES = $(CPU_ISA_SOURCES)

noinst_LTLIBRARIES += backends/cpu/libcpu_avx512bf16.la
backends_cpu_libcpu_avx512bf16_la_CFLAGS = $(CPU_ISA_CFLAGS) $(CPU_AVX512) -mavx512bf16 \
	-DCPU_ISA=avx512bf16
backends_cpu_libcpu_avx512bf16_la_SOURCES = $(CPU_ISA_SOURCES)

backends_cpu_libcpu_la_LIBADD += backends/cpu/libcpu_avx2.la backends/cpu/libcpu_avx512.la \
	backends/cpu/libcpu_avx512bf16.la
endif

plugins_cpu_la_SOURCES =
plugins_cpu_la_LDFLAGS = $(PLUGIN_LDFLAGS) -export-symbols-regex '^sf_plugin_cpu$$'
plugins_cpu_la_LIBADD = backends/cpu/libcpu.la backends/ref/libreference.la -lm $(SYSTEM_LIBS)

if BACKEND_CPU
plugin_LTLIBRARIES += plugins/cpu.la
endif
