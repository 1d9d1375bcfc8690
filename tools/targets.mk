# Targets for those who work on Sfumato. `make help` lists them.

EXTRA_DIST += plugins/template/Makefile
FUZZ_SECONDS = 60
VALGRIND = valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
	--trace-children=no
VALGRIND_SUITES =
OCLGRIND_OPS =

help:
	@echo 'make                    build library, plugins and command'
	@echo 'make check              run the test suite (tests/check_sfumato SUITE... runs parts of it)'
	@echo 'make build-tests        build the test suite and do not run it'
	@echo 'make check-asan         the suite with address and undefined-behaviour sanitizers'
	@echo 'make check-tsan         the suite with the thread sanitizer'
	@echo 'make check-compute-sanitizer  the cuda plugin on a GPU under the compute-sanitizer of CUDA'
	@echo 'make check-valgrind     the suite under valgrind; VALGRIND_SUITES="io_png ..." for parts'
	@echo 'make check-aarch64      build the cpu plugin for 64-bit ARM and check it under emulation'
	@echo 'make check-oclgrind     the opencl plugin under Oclgrind; OCLGRIND_OPS="concat ..." for parts'
	@echo 'make check-static       cppcheck, clang-tidy and gcc -fanalyzer'
	@echo 'make check-tree         rules of the house that no compiler checks'
	@echo 'make bench-instructions  instructions of ops and bytes of plans beside those recorded (valgrind)'
	@echo 'make fuzz               run each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) (clang)'
	@echo 'make format             format the C files; check-format only looks'
	@echo 'make install            also uninstall, dist, distcheck'

# The sanitizers' builds live beside this one; the second run builds only what changed.
check-asan check-tsan:
	@kind=`echo $@ | sed 's/check-asan/address,undefined/; s/check-tsan/thread/'`; \
	$(MKDIR_P) build-$@ && cd build-$@ && \
	{ test -e Makefile || $(abs_top_srcdir)/configure --enable-sanitizers=$$kind; } && \
	CK_TIMEOUT_MULTIPLIER=4 $(MAKE) check

build-tests: all $(check_PROGRAMS) $(check_LTLIBRARIES)

check-valgrind: build-tests
	CK_FORK=no $(LIBTOOL) --mode=execute $(VALGRIND) tests/check_sfumato $(VALGRIND_SUITES)

# Each tool on every op, and one on the products alone; wants a GPU.
COMPUTE_SANITIZER = compute-sanitizer --error-exitcode 9
.PHONY: check-compute-sanitizer
check-compute-sanitizer: build-tests
	for tool in memcheck racecheck initcheck synccheck; do \
		SFUMATO_PLUGIN_PATH=$(abs_top_builddir)/plugins/.libs \
		$(LIBTOOL) --mode=execute $(COMPUTE_SANITIZER) --tool $$tool \
			sfumato check-backend cuda || exit 1; \
	done
	$(LIBTOOL) --mode=execute $(COMPUTE_SANITIZER) tests/backends/gpu/cuda_driver products

check-aarch64:
	$(srcdir)/tools/check-aarch64

check-oclgrind: build-tests
	$(srcdir)/tools/check-oclgrind $(abs_top_builddir) $(OCLGRIND_OPS)

check-static:
	$(srcdir)/tools/check-static all

check-tree:
	$(srcdir)/tools/check-tree

bench-instructions: all
	$(srcdir)/bench/instructions $(abs_top_builddir)

format:
	$(srcdir)/tools/format

check-format:
	$(srcdir)/tools/format --check

fuzz:
	$(srcdir)/tools/fuzz $(FUZZ_SECONDS)

# Python leaves its caches where the oracle scripts are; they are no part of a release.
dist-hook:
	find $(distdir) -name __pycache__ -prune -exec rm -rf {} +

.PHONY: bench-instructions build-tests check-aarch64 check-asan check-format check-oclgrind check-static check-tree check-tsan check-valgrind format fuzz help
