# The GPU plugins. What is shared is compiled into each of them, beside its own driver.

GPU_SHARED =
GPU_SHARED += backends/gpu/copy.c
GPU_SHARED += backends/gpu/driver.h
GPU_SHARED += backends/gpu/entries.def
GPU_SHARED += backends/gpu/gpu.c
GPU_SHARED += backends/gpu/gpu.h
GPU_SHARED += backends/gpu/operand.c
GPU_SHARED += backends/gpu/unary.c

# Each GPU_SOURCE line of kernels.def, and what they include.
GPU_KERNEL_TEXTS =
GPU_KERNEL_TEXTS += backends/gpu/kernels/copy.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/unary.cl

GPU_KERNEL_INCLUDES =
GPU_KERNEL_INCLUDES += backends/gpu/kernels/activation.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/copy.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/dialect.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/kernels.def
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

# ---- CUDA ----

# nvcc compiles the kernels, all in one text, to a file that fatbin.c has in it; C and the linker see
# neither nvcc nor a library of CUDA's.
if BACKEND_CUDA
noinst_LTLIBRARIES += backends/gpu/cuda/libcuda.la
plugin_LTLIBRARIES += plugins/cuda.la
endif

CUDA_GROUP = 256
CUDA_DEFINES = -DCUDA_GROUP=$(CUDA_GROUP) -DCUDA_LEAST_ARCHITECTURE=$(CUDA_LEAST) \
	-DCUDA_FATBIN_FILE='"backends/gpu/cuda/kernels.fatbin"'
NVCCFLAGS = --threads 2 -Xfatbin=-compress-all

backends_gpu_cuda_libcuda_la_CPPFLAGS = $(AM_CPPFLAGS) $(CUDA_CPPFLAGS) $(CUDA_DEFINES)
backends_gpu_cuda_libcuda_la_SOURCES = plugins/cuda.c $(GPU_SHARED)
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/blas.c
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/device.h
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/driver.c
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/functions.def
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/libraries.c
nodist_backends_gpu_cuda_libcuda_la_SOURCES = backends/gpu/cuda/embedded.c
CLEANFILES += backends/gpu/cuda/arguments.h backends/gpu/cuda/embedded.c \
	backends/gpu/cuda/kernels.cu backends/gpu/cuda/kernels.fatbin
EXTRA_DIST += backends/gpu/cuda/combine.awk backends/gpu/cuda/fatbin.c

$(backends_gpu_cuda_libcuda_la_OBJECTS): backends/gpu/cuda/arguments.h

backends/gpu/cuda/arguments.h: backends/gpu/cuda/combine.awk backends/gpu/local.mk
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(AWK) -v root='$(srcdir)' -v what=arguments \
		-f '$(srcdir)/backends/gpu/cuda/combine.awk' $(GPU_KERNEL_INCLUDES) >$@.new && mv $@.new $@

backends/gpu/cuda/kernels.cu: $(GPU_KERNEL_TEXTS) $(GPU_KERNEL_INCLUDES) backends/gpu/cuda/combine.awk backends/gpu/local.mk
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(AWK) -v root='$(srcdir)' -v what=kernels \
		-f '$(srcdir)/backends/gpu/cuda/combine.awk' $(GPU_KERNEL_TEXTS) >$@.new && mv $@.new $@

AM_V_NVCC = $(am__v_NVCC_@AM_V@)
am__v_NVCC_ = $(am__v_NVCC_@AM_DEFAULT_V@)
am__v_NVCC_0 = @echo "  NVCC    " $@;
am__v_NVCC_1 =

backends/gpu/cuda/kernels.fatbin: backends/gpu/cuda/kernels.cu
	$(AM_V_NVCC)$(NVCC) -fatbin $(NVCCFLAGS) $(CUDA_CODES) -DGROUP=$(CUDA_GROUP) -I'$(srcdir)' -I. \
		backends/gpu/cuda/kernels.cu -o $@.new && mv $@.new $@

# A copy, so that its object is made anew when the kernels are.
backends/gpu/cuda/embedded.c: backends/gpu/cuda/fatbin.c backends/gpu/cuda/kernels.fatbin
	$(AM_V_GEN)cp '$(srcdir)/backends/gpu/cuda/fatbin.c' $@

plugins_cuda_la_SOURCES =
plugins_cuda_la_LDFLAGS = $(PLUGIN_LDFLAGS) $(CUDA_RUNPATH) -export-symbols-regex '^sf_plugin_cuda$$'
plugins_cuda_la_LIBADD = backends/gpu/cuda/libcuda.la backends/ref/libreference.la -lm
