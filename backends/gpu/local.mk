# The GPU plugins. What is shared is compiled into each of them, beside its own driver.

GPU_SHARED =
GPU_SHARED += backends/gpu/attention.c
GPU_SHARED += backends/gpu/copy.c
GPU_SHARED += backends/gpu/driver.h
GPU_SHARED += backends/gpu/entries.def
GPU_SHARED += backends/gpu/gpu.c
GPU_SHARED += backends/gpu/gpu.h
GPU_SHARED += backends/gpu/norm.c
GPU_SHARED += backends/gpu/operand.c
GPU_SHARED += backends/gpu/rows.h
GPU_SHARED += backends/gpu/softmax.c
GPU_SHARED += backends/gpu/sums.c
GPU_SHARED += backends/gpu/unary.c

# Each GPU_SOURCE line of kernels.def, and what they include.
GPU_KERNEL_TEXTS =
GPU_KERNEL_TEXTS += backends/gpu/kernels/attention.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/copy.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/norm.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/softmax.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/sums.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/unary.cl

GPU_KERNEL_INCLUDES =
GPU_KERNEL_INCLUDES += backends/gpu/kernels/activation.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/attention.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/copy.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/dialect.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/kernels.def
GPU_KERNEL_INCLUDES += backends/gpu/kernels/norm.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/reduce.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/softmax.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/sums.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/unary.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/view.h
EXTRA_DIST += $(GPU_KERNEL_TEXTS) $(GPU_KERNEL_INCLUDES) backends/gpu/opencl/embed.awk

# ---- OpenCL ----

if BACKEND_OPENCL
noinst_LTLIBRARIES += backends/gpu/opencl/libopencl.la
plugin_LTLIBRARIES += plugins/opencl.la
endif

backends_gpu_opencl_libopencl_la_CFLAGS = $(AM_CFLAGS) $(OPENCL_CFLAGS)
backends_gpu_opencl_libopencl_la_SOURCES = plugins/opencl.c $(GPU_SHARED)
backends_gpu_opencl_libopencl_la_SOURCES += backends/gpu/opencl/blas.c
backends_gpu_opencl_libopencl_la_SOURCES += backends/gpu/opencl/cache.c
backends_gpu_opencl_libopencl_la_SOURCES += backends/gpu/opencl/driver.c
backends_gpu_opencl_libopencl_la_SOURCES += backends/gpu/opencl/opencl.h
backends_gpu_opencl_libopencl_la_SOURCES += backends/gpu/opencl/program.c
nodist_backends_gpu_opencl_libopencl_la_SOURCES = backends/gpu/opencl/texts.c
CLEANFILES += backends/gpu/opencl/texts.c

backends/gpu/opencl/texts.c: $(GPU_KERNEL_TEXTS) $(GPU_KERNEL_INCLUDES) backends/gpu/opencl/embed.awk
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(AWK) -v root='$(srcdir)' \
		-f '$(srcdir)/backends/gpu/opencl/embed.awk' $(GPU_KERNEL_TEXTS) >$@.new && mv $@.new $@

plugins_opencl_la_SOURCES =
plugins_opencl_la_LDFLAGS = $(PLUGIN_LDFLAGS) -export-symbols-regex '^sf_plugin_opencl$$'
plugins_opencl_la_LIBADD = backends/gpu/opencl/libopencl.la backends/ref/libreference.la \
	$(OPENCL_LIBS) -lm
