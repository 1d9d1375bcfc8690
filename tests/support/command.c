#include "tests/support/command.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_SECONDS 60

struct capture {
    char *text;
    size_t length, capacity;
};

static int64_t milliseconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A file without a name that holds text, read from its start. */
static int input_file(const char *text) {
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    if (text)
        ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fflush(file), 0);
    int fd = dup(fileno(file));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    fclose(file);
    return fd;
}

static void set_variable(const char *setting) {
    const char *equals = strchr(setting, '=');
    if (!equals) {
        unsetenv(setting);
        return;
    }
    char *name = strndup(setting, (size_t)(equals - setting));
    setenv(name, equals + 1, 1);
    free(name);
}

/* In the child; does not return. */
static void execute(const struct command *command, int in, int out, int err) {
    if (command->output)
        out = open(command->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    for (const char *const *setting = command->environment; setting && *setting; setting++)
        set_variable(*setting);
    if (command->folder && chdir(command->folder) != 0)
        _exit(126);
    signal(SIGINT, SIG_DFL);
    execvp(command->arguments[0], (char *const *)(uintptr_t)command->arguments);
    fprintf(stderr, "%s: %s\n", command->arguments[0], strerror(errno));
    _exit(127);
}

/* Reads what is there; false at the end of the stream. */
static int read_some(int fd, struct capture *capture) {
    if (capture->capacity - capture->length < 4096) {
        capture->capacity = capture->capacity * 2 + 8192;
        capture->text = realloc(capture->text, capture->capacity);
        ck_assert_ptr_nonnull(capture->text);
    }
    ssize_t n_read =
        read(fd, capture->text + capture->length, capture->capacity - capture->length - 1);
    if (n_read < 0 && (errno == EINTR || errno == EAGAIN))
        return 1;
    if (n_read <= 0)
        return 0;
    capture->length += (size_t)n_read;
    return 1;
}

/* Reads both streams to their ends; interrupts or kills the program when it is time to. */
static int read_streams(pid_t child, const struct command *command, const int fds[2],
                        struct capture captures[2]) {
    int64_t start = milliseconds_now();
    int seconds = command->timeout_seconds ? command->timeout_seconds : DEFAULT_TIMEOUT_SECONDS;
    int open_streams = 2, timed_out = 0, interrupted = 0;
    struct pollfd polls[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
    while (open_streams > 0) {
        poll(polls, 2, 10);
        for (int i = 0; i < 2; i++)
            if (polls[i].fd >= 0 && polls[i].revents && !read_some(polls[i].fd, &captures[i])) {
                polls[i].fd = -1;
                open_streams--;
            }
        int64_t elapsed = milliseconds_now() - start;
        if (command->interrupt_after_ms && !interrupted && elapsed >= command->interrupt_after_ms) {
            kill(-child, SIGINT);
            interrupted = 1;
        }
        if (!timed_out && elapsed > (int64_t)seconds * 1000) {
            kill(-child, SIGKILL);
            timed_out = 1;
        }
    }
    return timed_out;
}

static char *finish(struct capture *capture) {
    char *text = realloc(capture->text, capture->length + 1);
    ck_assert_ptr_nonnull(text);
    text[capture->length] = '\0';
    return text;
}

void command_run(struct command_result *result, struct command command) {
    int out[2], err[2], wait_status;
    int in = input_file(command.input);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setpgid(0, 0);
        execute(&command, in, out[1], err[1]);
    }
    setpgid(child, child); /* whoever is first: a signal then reaches the whole group */
    close(in);
    close(out[1]);
    close(err[1]);
    struct capture captures[2] = {{0}, {0}};
    int timed_out = read_streams(child, &command, (int[]){out[0], err[0]}, captures);
    close(out[0]);
    close(err[0]);
    while (waitpid(child, &wait_status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    *result = (struct command_result){
        .status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status),
        .timed_out = timed_out,
        .out_bytes = captures[0].length,
        .err_bytes = captures[1].length,
        .out = finish(&captures[0]),
        .err = finish(&captures[1]),
    };
    ck_assert_msg(!timed_out, "%s ran out of time; stderr: %s", command.arguments[0], result->err);
    ck_assert_msg(result->status != 127 && result->status != 126, "%s can't be run: %s",
                  command.arguments[0], result->err);
}

void command_result_free(struct command_result *result) {
    free(result->out);
    free(result->err);
    *result = (struct command_result){0};
}
