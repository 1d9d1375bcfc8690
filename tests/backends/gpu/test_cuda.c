#include "tests/support/support.h"
Suite *suite_backends_gpu_cuda(void);
Suite *suite_backends_gpu_cuda(void) {
    return suite_create("backends_gpu_cuda");
}
