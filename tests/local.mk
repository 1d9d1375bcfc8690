# The test suite: one program, tests/check_sfumato [SUITE...]. It finds plugins in the build tree,
# models and data in the source tree, so it can be run from anywhere.

if TESTS_WANTED
check_PROGRAMS += tests/check_sfumato
TESTS = tests/check_sfumato
endif

tests_check_sfumato_CPPFLAGS = $(AM_CPPFLAGS) $(CPU_DEFINES) $(CUDA_TEST_DEFINES) \
	-DSF_TEST_CC='"$(CC)"' -DSF_TEST_CFLAGS='"$(CFLAGS) $(SANITIZER_FLAGS)"' \
	-DSF_TEST_SOURCE_DIR='"$(abs_top_srcdir)"' \
	-DSF_TEST_BUILD_DIR='"$(abs_top_builddir)"' \
	-DSF_TEST_DATA_DIR='"$(abs_top_srcdir)/tests/data"' \
	-DSF_TEST_MODEL_DIR='"$(abs_top_srcdir)/data/models/emoji"'
tests_check_sfumato_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS) $(PNG_CFLAGS)
tests_check_sfumato_LDADD = libsfumato_internal.la backends/cpu/libcpu.la backends/ref/libreference.la $(CHECK_LIBS) $(JANSSON_LIBS) $(PNG_LIBS) -lz -lm $(SYSTEM_LIBS)

# Kernels that the tests had compiled.
clean-local:
	rm -rf tests/cache

# A program of its own: tools/check-aarch64.
EXTRA_DIST += tests/backends/cpu/portable.c
EXTRA_DIST += tests/data tests/oracle

# Plugins of the tests alone are modules that are never installed: tests/plugins/.libs/NAME.so.
TEST_PLUGIN_LINK = $(PLUGIN_LDFLAGS) -rpath /nowhere

if TESTS_WANTED
check_LTLIBRARIES += tests/backends/gpu/opencl_shim.la
check_LTLIBRARIES += tests/plugins/fake.la tests/plugins/hostile.la
endif

tests_backends_gpu_opencl_shim_la_LDFLAGS = $(TEST_PLUGIN_LINK)
tests_backends_gpu_opencl_shim_la_LIBADD = $(SYSTEM_LIBS)
tests_backends_gpu_opencl_shim_la_SOURCES = tests/backends/gpu/opencl_shim.c
tests_plugins_fake_la_LDFLAGS = $(TEST_PLUGIN_LINK)
tests_plugins_fake_la_LIBADD = -lm
tests_plugins_fake_la_SOURCES = tests/plugins/fake.c tests/plugins/fake.h
tests_plugins_hostile_la_LDFLAGS = $(TEST_PLUGIN_LINK)
tests_plugins_hostile_la_SOURCES = \
	tests/plugins/hostile/descriptors.c \
	tests/plugins/hostile/devices.c \
	tests/plugins/hostile/entries.c \
	tests/plugins/hostile/hostile.h

# ---- CUDA without a GPU: a stand-in for its libraries, tests/backends/gpu/standin/standin.h ----

if TESTS_WANTED
if BACKEND_CUDA
check_PROGRAMS += tests/backends/gpu/cuda_driver
CUDA_TEST_DEFINES = -DTEST_CUDA=1 $(CUDA_CPPFLAGS)
if BACKEND_OPENCL
check_LTLIBRARIES += tests/backends/gpu/standin/cuda.la tests/backends/gpu/standin/cublaslt.la
check_PROGRAMS += tests/backends/gpu/standin/misuse
CUDA_TEST_DEFINES += -DTEST_STANDIN=1
endif
endif
endif

STANDIN_CPPFLAGS = $(AM_CPPFLAGS) $(CUDA_CPPFLAGS) -DCUDA_GROUP=$(CUDA_GROUP)
STANDIN_CFLAGS = $(AM_CFLAGS) $(OPENCL_CFLAGS) -ftree-vectorize
tests_backends_gpu_standin_cuda_la_CPPFLAGS = $(STANDIN_CPPFLAGS)
tests_backends_gpu_standin_cuda_la_CFLAGS = $(STANDIN_CFLAGS)
tests_backends_gpu_standin_cuda_la_LDFLAGS = $(TEST_PLUGIN_LINK)
tests_backends_gpu_standin_cuda_la_LIBADD = $(OPENCL_LIBS)
tests_backends_gpu_standin_cuda_la_SOURCES = tests/backends/gpu/standin/standin.h
tests_backends_gpu_standin_cuda_la_SOURCES += tests/backends/gpu/standin/event.c
tests_backends_gpu_standin_cuda_la_SOURCES += tests/backends/gpu/standin/fatbin.c
tests_backends_gpu_standin_cuda_la_SOURCES += tests/backends/gpu/standin/launch.c
tests_backends_gpu_standin_cuda_la_SOURCES += tests/backends/gpu/standin/memory.c
tests_backends_gpu_standin_cuda_la_SOURCES += tests/backends/gpu/standin/state.c
tests_backends_gpu_standin_cuda_la_SOURCES += tests/backends/gpu/standin/stream.c
nodist_tests_backends_gpu_standin_cuda_la_SOURCES = backends/gpu/opencl/texts.c
$(tests_backends_gpu_standin_cuda_la_OBJECTS): backends/gpu/cuda/arguments.h
$(tests_backends_gpu_standin_misuse_OBJECTS): backends/gpu/cuda/arguments.h

tests_backends_gpu_standin_cublaslt_la_CPPFLAGS = $(STANDIN_CPPFLAGS)
tests_backends_gpu_standin_cublaslt_la_CFLAGS = $(STANDIN_CFLAGS)
tests_backends_gpu_standin_cublaslt_la_LDFLAGS = $(TEST_PLUGIN_LINK)
tests_backends_gpu_standin_cublaslt_la_LIBADD = $(SYSTEM_LIBS)
tests_backends_gpu_standin_cublaslt_la_SOURCES = tests/backends/gpu/standin/blas.c
tests_backends_gpu_standin_cublaslt_la_SOURCES += tests/backends/gpu/standin/blas.h
tests_backends_gpu_standin_cublaslt_la_SOURCES += tests/backends/gpu/standin/products.c

tests_backends_gpu_standin_misuse_CPPFLAGS = $(STANDIN_CPPFLAGS)
tests_backends_gpu_standin_misuse_SOURCES = tests/backends/gpu/standin/misuse.c
tests_backends_gpu_standin_misuse_LDADD = backends/gpu/cuda/libcuda.la \
	backends/ref/libreference.la -lm $(SYSTEM_LIBS)

tests_backends_gpu_cuda_driver_SOURCES = tests/backends/gpu/cuda_driver.c
tests_backends_gpu_cuda_driver_CPPFLAGS = $(AM_CPPFLAGS)
tests_backends_gpu_cuda_driver_LDADD = backends/gpu/cuda/libcuda.la \
	backends/ref/libreference.la -lm $(SYSTEM_LIBS)

tests_check_sfumato_SOURCES = tests/main.c tests/suites.def
tests_check_sfumato_SOURCES += tests/backends/cpu/cpu_test.c
tests_check_sfumato_SOURCES += tests/backends/cpu/cpu_test.h
tests_check_sfumato_SOURCES += tests/backends/cpu/test_attention.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_bf16.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_conformance.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_conv2d.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_elementwise.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_isa.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_linear.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_matmul.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_moving.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_norms.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_sums.c
tests_check_sfumato_SOURCES += tests/backends/cpu/test_threads.c
tests_check_sfumato_SOURCES += tests/backends/gpu/opencl_test.c
tests_check_sfumato_SOURCES += tests/backends/gpu/opencl_test.h
tests_check_sfumato_SOURCES += tests/backends/gpu/test_cuda.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_fragment.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_opencl_attention.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_opencl_cache.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_opencl_conformance.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_opencl_counters.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_opencl_errors.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_opencl_moving.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_opencl_noise.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_opencl_pictures.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_products.c
tests_check_sfumato_SOURCES += tests/backends/gpu/test_units.c
tests_check_sfumato_SOURCES += tests/bench/test_bench.c
tests_check_sfumato_SOURCES += tests/build/test_install.c
tests_check_sfumato_SOURCES += tests/build/test_library.c
tests_check_sfumato_SOURCES += tests/cli/test_backends.c
tests_check_sfumato_SOURCES += tests/cli/test_bad_input.c
tests_check_sfumato_SOURCES += tests/cli/test_bench.c
tests_check_sfumato_SOURCES += tests/cli/test_compare.c
tests_check_sfumato_SOURCES += tests/cli/test_examples.c
tests_check_sfumato_SOURCES += tests/cli/test_generate.c
tests_check_sfumato_SOURCES += tests/cli/test_inspect.c
tests_check_sfumato_SOURCES += tests/cli/test_roofline.c
tests_check_sfumato_SOURCES += tests/cli/test_run.c
tests_check_sfumato_SOURCES += tests/cli/test_usage.c
tests_check_sfumato_SOURCES += tests/core/test_context.c
tests_check_sfumato_SOURCES += tests/core/test_dtype.c
tests_check_sfumato_SOURCES += tests/core/test_eager.c
tests_check_sfumato_SOURCES += tests/core/test_graph.c
tests_check_sfumato_SOURCES += tests/core/test_memory.c
tests_check_sfumato_SOURCES += tests/core/test_plan.c
tests_check_sfumato_SOURCES += tests/core/test_plan_constants.c
tests_check_sfumato_SOURCES += tests/core/test_plan_cost.c
tests_check_sfumato_SOURCES += tests/core/test_plan_fallback.c
tests_check_sfumato_SOURCES += tests/core/test_plan_fusion.c
tests_check_sfumato_SOURCES += tests/core/test_plan_in_place.c
tests_check_sfumato_SOURCES += tests/core/test_plan_memory.c
tests_check_sfumato_SOURCES += tests/core/test_plan_merge.c
tests_check_sfumato_SOURCES += tests/core/test_plan_observer.c
tests_check_sfumato_SOURCES += tests/core/test_plan_offload.c
tests_check_sfumato_SOURCES += tests/core/test_plan_random.c
tests_check_sfumato_SOURCES += tests/core/test_plan_settle.c
tests_check_sfumato_SOURCES += tests/core/test_plan_stream.c
tests_check_sfumato_SOURCES += tests/core/test_rng.c
tests_check_sfumato_SOURCES += tests/core/test_seed_sequence.c
tests_check_sfumato_SOURCES += tests/core/test_tensor.c
tests_check_sfumato_SOURCES += tests/core/test_text.c
tests_check_sfumato_SOURCES += tests/io/test_file.c
tests_check_sfumato_SOURCES += tests/io/test_json.c
tests_check_sfumato_SOURCES += tests/io/test_parameters.c
tests_check_sfumato_SOURCES += tests/io/test_png.c
tests_check_sfumato_SOURCES += tests/io/test_safetensors.c
tests_check_sfumato_SOURCES += tests/models/golden.c
tests_check_sfumato_SOURCES += tests/models/golden.h
tests_check_sfumato_SOURCES += tests/models/test_component.c
tests_check_sfumato_SOURCES += tests/models/test_config.c
tests_check_sfumato_SOURCES += tests/models/test_goldens.c
tests_check_sfumato_SOURCES += tests/models/test_model.c
tests_check_sfumato_SOURCES += tests/models/test_tokenizer.c
tests_check_sfumato_SOURCES += tests/models/test_tokenizer_files.c
tests_check_sfumato_SOURCES += tests/ops/op_call.c
tests_check_sfumato_SOURCES += tests/ops/op_call.h
tests_check_sfumato_SOURCES += tests/ops/test_flops.c
tests_check_sfumato_SOURCES += tests/ops/test_goldens.c
tests_check_sfumato_SOURCES += tests/ops/test_list.c
tests_check_sfumato_SOURCES += tests/ops/test_lower.c
tests_check_sfumato_SOURCES += tests/ops/test_properties.c
tests_check_sfumato_SOURCES += tests/ops/test_rules.c
tests_check_sfumato_SOURCES += tests/pipelines/test_callbacks.c
tests_check_sfumato_SOURCES += tests/pipelines/test_distilled.c
tests_check_sfumato_SOURCES += tests/pipelines/test_memory.c
tests_check_sfumato_SOURCES += tests/pipelines/test_memory_failure.c
tests_check_sfumato_SOURCES += tests/pipelines/test_nonfinite.c
tests_check_sfumato_SOURCES += tests/pipelines/test_options.c
tests_check_sfumato_SOURCES += tests/pipelines/test_text2img.c
tests_check_sfumato_SOURCES += tests/pipelines/test_threads.c
tests_check_sfumato_SOURCES += tests/plugins/plugins.c
tests_check_sfumato_SOURCES += tests/plugins/plugins.h
tests_check_sfumato_SOURCES += tests/plugins/test_choose.c
tests_check_sfumato_SOURCES += tests/plugins/test_conformance.c
tests_check_sfumato_SOURCES += tests/plugins/test_loader.c
tests_check_sfumato_SOURCES += tests/plugins/test_template.c
tests_check_sfumato_SOURCES += tests/samplers/test_adaptive.c
tests_check_sfumato_SOURCES += tests/samplers/test_brownian.c
tests_check_sfumato_SOURCES += tests/samplers/test_config.c
tests_check_sfumato_SOURCES += tests/samplers/test_literature.c
tests_check_sfumato_SOURCES += tests/samplers/test_replay.c
tests_check_sfumato_SOURCES += tests/samplers/test_run.c
tests_check_sfumato_SOURCES += tests/samplers/test_schedule.c
tests_check_sfumato_SOURCES += tests/samplers/test_sigma.c
tests_check_sfumato_SOURCES += tests/samplers/test_solvers.c
tests_check_sfumato_SOURCES += tests/support/backends.c
tests_check_sfumato_SOURCES += tests/support/backends.h
tests_check_sfumato_SOURCES += tests/support/cli.c
tests_check_sfumato_SOURCES += tests/support/cli.h
tests_check_sfumato_SOURCES += tests/support/command.c
tests_check_sfumato_SOURCES += tests/support/command.h
tests_check_sfumato_SOURCES += tests/support/failing.c
tests_check_sfumato_SOURCES += tests/support/failing.h
tests_check_sfumato_SOURCES += tests/support/model_folder.c
tests_check_sfumato_SOURCES += tests/support/model_folder.h
tests_check_sfumato_SOURCES += tests/support/pictures.c
tests_check_sfumato_SOURCES += tests/support/pictures.h
tests_check_sfumato_SOURCES += tests/support/plans.c
tests_check_sfumato_SOURCES += tests/support/plans.h
tests_check_sfumato_SOURCES += tests/support/random_graph.c
tests_check_sfumato_SOURCES += tests/support/random_graph.h
tests_check_sfumato_SOURCES += tests/support/recorder.c
tests_check_sfumato_SOURCES += tests/support/recorder.h
tests_check_sfumato_SOURCES += tests/support/sampling.c
tests_check_sfumato_SOURCES += tests/support/sampling.h
tests_check_sfumato_SOURCES += tests/support/scratch.c
tests_check_sfumato_SOURCES += tests/support/scratch.h
tests_check_sfumato_SOURCES += tests/support/support.c
tests_check_sfumato_SOURCES += tests/support/support.h
