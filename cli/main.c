/*
 * The command `sfumato`: finds the command that is asked for. Everything it does, it does through
 * the public header.
 */
#include <stdio.h>
#include <string.h>

#include "cli/session.h"
#include "sfumato.h"

#define COMMAND(name) extern const cli_command command_##name;
#include "cli/commands.def"
#undef COMMAND

static const cli_command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "cli/commands.def"
#undef COMMAND
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void print_overview(FILE *to) {
    fprintf(to, "usage: sfumato COMMAND [OPTION ...]\n\n"
                "Pictures from diffusion models, on any device that has a plugin.\n\ncommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-14s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to,
            "\n  sfumato COMMAND --help   options and examples of a command\n"
            "  sfumato --version        the version\n"
            "\nenvironment:\n"
            "  SFUMATO_BACKEND          auto, a backend, name:device, or a list with ',' between\n"
            "  SFUMATO_PLUGIN_PATH      more folders with plugins, ':' between\n"
            "  SFUMATO_DATA_PATH        more folders with models/, ':' between\n"
            "\nexample:\n  sfumato generate \"a red apple\" --output apple.png\n");
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_overview(stdout);
        return finish_stdout();
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sfumato %s\n", sf_version());
        return finish_stdout();
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    fprintf(stderr, "sfumato: unknown command \"%s\"; see sfumato --help\n", argv[1]);
    return EXIT_USAGE;
}
