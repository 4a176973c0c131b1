// xnord: serves binarized neural networks to the processes of this machine.
// Command line and configuration; everything else is in server.h.
#include "config.h"
#include "kernels/kernels.h"
#include "log.h"
#include "paths.h"
#include "server.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What main returns.
enum { EXIT_OK = 0, EXIT_START = 1, EXIT_USAGE = 2 };

struct options {
    const char *config_path;
    const char *socket_url;
    const char *models_directory;
    const char *threads;
    bool check_config;
};

enum { OPTION_CHECK = 256, OPTION_SOCKET, OPTION_MODELS, OPTION_THREADS, OPTION_FOREGROUND };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"models", required_argument, NULL, OPTION_MODELS},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void print_help(void) {
    puts("usage: xnord [--config FILE] [--socket URL] [--models DIR] [--threads N]\n"
         "Serves binarized neural networks to the processes of this machine.\n\n"
         "  -c, --config FILE   read settings from FILE (default " CONFIG_PATH ", if it exists)\n"
         "      --check-config  read the settings, say what is wrong, and end\n"
         "      --socket URL    listen there instead of at 'listen': ipc:///PATH or\n"
         "                      tcp://127.0.0.1:PORT; may be given several times\n"
         "      --models DIR    serve the models in DIR instead of 'models.directory'\n"
         "      --threads N     run networks on N threads instead of 'workers.count'\n"
         "      --foreground    stay in the foreground, as it always does\n"
         "  -V, --version       print the version\n"
         "  -h, --help          print this\n\n"
         "Signals: SIGTERM, SIGINT finish what is in flight and end; SIGHUP reloads the models.\n"
         "Exit codes: 0 stopped as asked, 1 cannot start, 2 wrong usage or configuration.\n\n"
         "Settings with their defaults:");
    config_print_keys(stdout);
}

static const struct config_key *find_key(const char *path) {
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].path, path) == 0) return &config_keys[i];
    abort();
}

static xnor_status override(struct config *config, const char *path, const char *option,
                            const char *text, struct reason *why) {
    struct reason inner;
    if (text == NULL || config_set(config, find_key(path), text, &inner) == XNOR_OK) return XNOR_OK;
    return reason_set(why, XNOR_E_ARGUMENT, "%s: %.200s", option, inner.text);
}

// Defaults, then the file, then the command line.
static xnor_status read_settings(const struct options *options, const struct config_urls *sockets,
                                 struct config *config, struct reason *why) {
    const char *path = options->config_path != NULL ? options->config_path : CONFIG_PATH;
    config_defaults(config);
    xnor_status status = config_read(config, path, why);
    if (status == XNOR_E_NOT_FOUND && options->config_path == NULL) status = XNOR_OK;
    if (status == XNOR_OK)
        status = override(config, "models.directory", "--models", options->models_directory, why);
    if (status == XNOR_OK)
        status = override(config, "workers.count", "--threads", options->threads, why);
    if (status == XNOR_OK && sockets->count > 0) config->listen = *sockets;
    return status;
}

// A kernel set that this CPU does not have is a mistake in the settings, not in every model.
static xnor_status check_isa(const struct config *config, struct reason *why) {
    xnor_kernels kernels;
    bool named = config->isa[0] != '\0';
    xnor_status status = xnor_kernels_select(&kernels, named ? config->isa : NULL);
    if (status == XNOR_OK) return XNOR_OK;
    return reason_set(why, status, "%s: %s", named ? "models.isa" : "XNOR_ISA", xnor_last_error());
}

static xnor_status serve(struct config *config, struct reason *why) {
    xnor_status status = XNOR_OK;
    if (config->listen.count == 0) {
        status = paths_default_url(config->listen.url[0], CONFIG_URL_BYTES, why);
        config->listen.count = 1;
    }
    const char *urls[CONFIG_MAX_LISTEN];
    for (uint32_t i = 0; status == XNOR_OK && i < config->listen.count; i++) {
        urls[i] = config->listen.url[i];
        status = paths_prepare(urls[i], why);
    }
    if (status == XNOR_OK) status = server_run(config, urls, config->listen.count, why);
    return status;
}

static int usage_error(const char *text) {
    if (text[0] != '\0') fprintf(stderr, "xnord: %s\n", text);
    fprintf(stderr, "Try 'xnord --help'.\n");
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    static struct config config;
    struct options options = {0};
    struct config_urls sockets = {0};
    struct reason why = {""};
    for (int option; (option = getopt_long(argc, argv, "c:Vh", long_options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            options.config_path = optarg;
            break;
        case OPTION_CHECK:
            options.check_config = true;
            break;
        case OPTION_SOCKET:
            if (config_add_url(&sockets, optarg, &why) != XNOR_OK) return usage_error(why.text);
            break;
        case OPTION_MODELS:
            options.models_directory = optarg;
            break;
        case OPTION_THREADS:
            options.threads = optarg;
            break;
        case OPTION_FOREGROUND:
            break;
        case 'V':
            puts("xnord " SERVER_VERSION);
            return EXIT_OK;
        case 'h':
            print_help();
            return EXIT_OK;
        default:
            return usage_error("");
        }
    }
    if (optind < argc) return usage_error("unexpected argument");
    if (read_settings(&options, &sockets, &config, &why) != XNOR_OK ||
        check_isa(&config, &why) != XNOR_OK) {
        fprintf(stderr, "xnord: %s\n", why.text);
        return EXIT_USAGE;
    }
    if (options.check_config) return EXIT_OK;
    log_init((enum log_level)config.log_level);
    if (serve(&config, &why) != XNOR_OK) {
        log_error("cannot start", LOG_STRING("reason", why.text));
        return EXIT_START;
    }
    return EXIT_OK;
}
