# The reference plugin: plain loops, one file an op. Its objects are a library of their own, because
# the tests of the ops call them without the loader.

noinst_LTLIBRARIES += backends/ref/libreference.la
backends_ref_libreference_la_CFLAGS = $(AM_CFLAGS) $(KERNEL_FLAGS)
backends_ref_libreference_la_SOURCES = plugins/reference.c
backends_ref_libreference_la_SOURCES += backends/ref/attention.c
backends_ref_libreference_la_SOURCES += backends/ref/binary.c
backends_ref_libreference_la_SOURCES += backends/ref/cast.c
backends_ref_libreference_la_SOURCES += backends/ref/conv2d.c
backends_ref_libreference_la_SOURCES += backends/ref/copy.c
backends_ref_libreference_la_SOURCES += backends/ref/geglu.c
backends_ref_libreference_la_SOURCES += backends/ref/linear.c
backends_ref_libreference_la_SOURCES += backends/ref/linear_combination.c
backends_ref_libreference_la_SOURCES += backends/ref/linear_geglu.c
backends_ref_libreference_la_SOURCES += backends/ref/matmul.c
backends_ref_libreference_la_SOURCES += backends/ref/norm.c
backends_ref_libreference_la_SOURCES += backends/ref/product.c
backends_ref_libreference_la_SOURCES += backends/ref/random_normal.c
backends_ref_libreference_la_SOURCES += backends/ref/reduce.c
backends_ref_libreference_la_SOURCES += backends/ref/ref.c
backends_ref_libreference_la_SOURCES += backends/ref/ref.h
backends_ref_libreference_la_SOURCES += backends/ref/resize.c
backends_ref_libreference_la_SOURCES += backends/ref/softmax.c
backends_ref_libreference_la_SOURCES += backends/ref/unary.c

plugins_reference_la_SOURCES =
plugins_reference_la_LDFLAGS = $(PLUGIN_LDFLAGS) -export-symbols-regex '^sf_plugin_reference$$'
plugins_reference_la_LIBADD = backends/ref/libreference.la -lm

if BACKEND_REFERENCE
plugin_LTLIBRARIES += plugins/reference.la
endif
