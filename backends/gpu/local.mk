# The GPU plugins. What is shared is compiled into each of them, beside its own driver.

GPU_SHARED =
GPU_SHARED += backends/gpu/attention.c
GPU_SHARED += backends/gpu/binary.c
GPU_SHARED += backends/gpu/cast.c
GPU_SHARED += backends/gpu/conv2d.c
GPU_SHARED += backends/gpu/convolution.h
GPU_SHARED += backends/gpu/convolution_halves.c
GPU_SHARED += backends/gpu/copy.c
GPU_SHARED += backends/gpu/driver.h
GPU_SHARED += backends/gpu/embedding.c
GPU_SHARED += backends/gpu/entries.def
GPU_SHARED += backends/gpu/geglu.c
GPU_SHARED += backends/gpu/gpu.c
GPU_SHARED += backends/gpu/gpu.h
GPU_SHARED += backends/gpu/linear.c
GPU_SHARED += backends/gpu/linear_combination.c
GPU_SHARED += backends/gpu/linear_geglu.c
GPU_SHARED += backends/gpu/matmul.c
GPU_SHARED += backends/gpu/norm.c
GPU_SHARED += backends/gpu/operand.c
GPU_SHARED += backends/gpu/product.c
GPU_SHARED += backends/gpu/product.h
GPU_SHARED += backends/gpu/product_halves.c
GPU_SHARED += backends/gpu/random_normal.c
GPU_SHARED += backends/gpu/resize.c
GPU_SHARED += backends/gpu/rows.h
GPU_SHARED += backends/gpu/softmax.c
GPU_SHARED += backends/gpu/sums.c
GPU_SHARED += backends/gpu/unary.c
GPU_SHARED += backends/gpu/unfold.c
GPU_SHARED += backends/gpu/winograd.c
GPU_SHARED += backends/gpu/winograd.h

# Each GPU_SOURCE line of kernels.def, and what they include.
GPU_KERNEL_TEXTS =
GPU_KERNEL_TEXTS += backends/gpu/kernels/attention.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/attention_bf16.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/attention_f16.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/binary.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/cast.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/convolution.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/convolution_halves.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/copy.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/direct.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/embedding.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/few_rows.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/finish.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/geglu.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/linear_combination.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/norm.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/product.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/product_halves.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/random_normal.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/resize.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/softmax.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/sums.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/unary.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/unfold.cl
GPU_KERNEL_TEXTS += backends/gpu/kernels/winograd.cl

GPU_KERNEL_INCLUDES =
GPU_KERNEL_INCLUDES += backends/gpu/kernels/activation.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/attention.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/attention_halves.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/binary.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/cast.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/convolution.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/convolution_halves.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/copy.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/dialect.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/embedding.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/epilogue.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/few_rows.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/finish.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/fragment.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/geglu.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/kernels.def
GPU_KERNEL_INCLUDES += backends/gpu/kernels/linear_combination.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/norm.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/product.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/product_halves.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/random_normal.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/reduce.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/resize.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/softmax.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/sums.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/tile.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/unary.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/unfold.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/view.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/warp_tile.h
GPU_KERNEL_INCLUDES += backends/gpu/kernels/winograd.h
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
	$(OPENCL_LIBS) -lm $(SYSTEM_LIBS)

# ---- CUDA ----

# nvcc compiles the kernels, all in one text, to a file that fatbin.c has in it; C and the linker see
# neither nvcc nor a library of CUDA's.
if BACKEND_CUDA
noinst_LTLIBRARIES += backends/gpu/cuda/libcuda.la
plugin_LTLIBRARIES += plugins/cuda.la
endif

CUDA_GROUP = 256
CUDA_DEFINES = -DCUDA_GROUP=$(CUDA_GROUP) -DCUDA_LEAST_ARCHITECTURE=$(CUDA_LEAST) \
	-DCUDA_NEWEST_ARCHITECTURE=$(CUDA_NEWEST) \
	-DCUDA_FATBIN_FILE='"backends/gpu/cuda/kernels.fatbin"'
NVCCFLAGS = --threads 2 -Xfatbin=-compress-all

backends_gpu_cuda_libcuda_la_CPPFLAGS = $(AM_CPPFLAGS) $(CUDA_CPPFLAGS) $(CUDA_DEFINES)
backends_gpu_cuda_libcuda_la_SOURCES = plugins/cuda.c $(GPU_SHARED)
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/blas.c
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/device.h
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/driver.c
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/functions.def
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/libraries.c
backends_gpu_cuda_libcuda_la_SOURCES += backends/gpu/cuda/uploads.c
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
