/*
 * The conformance grid on the cpu plugin, as a program of its own that needs no library but the C
 * library: tools/check-aarch64 builds it for another processor. Exit status 1 where a case differs from
 * the reference or is left to it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sfumato.h"

typedef struct tally {
    int outcomes[3];
} tally;

static void count(void *user, const sf_check_result *result) {
    tally *t = user;
    t->outcomes[result->outcome]++;
    if (result->outcome != 0)
        printf("%s (%s): %s, worst %g\n", result->op, result->test_case, result->message,
               result->worst);
}

int main(void) {
    sf_context_options options;
    sf_context *ctx = NULL;
    const sf_backend_info *backends;
    tally t = {{0}};
    int n_failed = 0, n_backends = 0;
    sf_context_options_init(&options);
    options.backend = "cpu";
    options.strict = 1;
    sf_status status = sf_context_new(&options, &ctx);
    if (status == SF_OK)
        status = sf_context_open_backend(ctx);
    if (status == SF_OK)
        status = sf_backend_list(ctx, &backends, &n_backends);
    for (int i = 0; i < n_backends; i++)
        if (backends[i].selected)
            printf("%s: %s\n", backends[i].name, backends[i].device);
    if (status == SF_OK)
        status = sf_backend_check(ctx, NULL, count, &t, &n_failed);
    if (status != SF_OK)
        printf("%s\n", sf_error_message(ctx));
    printf("%d agree, %d differ, %d not supported\n", t.outcomes[0], t.outcomes[1], t.outcomes[2]);
    sf_context_free(ctx);
    return status == SF_OK && t.outcomes[0] > 0 && t.outcomes[1] + t.outcomes[2] == 0
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}
