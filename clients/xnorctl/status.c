// xnorctl status: who the daemon is, how long it has been up, and what its models have done.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/xnorctl/commands.h"
#include "clients/xnorctl/connect.h"
#include "clients/xnorctl/json.h"
#include "clients/xnorctl/table.h"

typedef struct daemon_view {
    xnord_client *client;
    xnord_server_info *server;
    xnord_readiness *readiness;
    xnord_model_list *index;
    xnord_stats *stats;
} daemon_view;

static int fetch(daemon_view *view) {
    xnord_status status = xnord_server_metadata(view->client, &view->server);
    if (status == XNORD_OK) status = xnord_ready(view->client, NULL, NULL, &view->readiness);
    if (status == XNORD_OK) status = xnord_model_index(view->client, false, &view->index);
    if (status == XNORD_OK) status = xnord_model_stats(view->client, NULL, false, &view->stats);
    return status == XNORD_OK ? XNORCTL_OK : daemon_report(xnord_client_url(view->client), status);
}

static const xnord_model_counters *find_counters(const daemon_view *view,
                                                 const xnord_model_entry *model) {
    for (uint32_t i = 0; i < view->stats->model_count; i++) {
        const xnord_model_counters *counters = &view->stats->models[i];
        if (strcmp(counters->name, model->name) == 0 &&
            strcmp(counters->version, model->version) == 0)
            return counters;
    }
    return NULL;
}

static uint64_t count_refused(const xnord_model_counters *counters) {
    uint64_t refused = 0;
    for (size_t i = 0; counters && i < XNORD_STATUS_COUNT; i++)
        if (i != XNORD_OK) refused += counters->statuses[i];
    return refused;
}

static void print_text(const daemon_view *view) {
    static const char *const titles[] = {"MODEL",    "VERSION", "STATE",   ">ANSWERED",
                                         ">REFUSED", ">P50 ms", ">P99 ms", ">MAX ms"};
    const xnord_server_info *server = view->server;
    const xnord_readiness *ready = view->readiness;
    printf("%s %s at %s\n", server->name, server->version, xnord_client_url(view->client));
    printf("%s%s%s, up %s\n", ready->state, *ready->reason ? ": " : "", ready->reason,
           daemon_format_age(daemon_age_s(server->since_ns)).text);
    printf("kernels %s, %u cores, %u workers\n", server->isa, server->cores, server->workers);
    if (view->index->model_count == 0) {
        printf("no models\n");
        return;
    }
    table rows = table_start(titles, sizeof titles / sizeof *titles);
    for (uint32_t i = 0; i < view->index->model_count; i++) {
        const xnord_model_entry *model = &view->index->models[i];
        const xnord_model_counters *counters = find_counters(view, model);
        table_cell(&rows, "%s", model->name);
        table_cell(&rows, "%s", *model->version ? model->version : "-");
        table_cell(&rows, "%s", model->state);
        table_cell(&rows, "%" PRIu64, counters ? counters->statuses[XNORD_OK] : 0);
        table_cell(&rows, "%" PRIu64, count_refused(counters));
        if (!counters || counters->total.count == 0) {
            for (int c = 0; c < 3; c++) table_cell(&rows, "-");
            continue;
        }
        const xnord_stage *total = &counters->total;
        const double p50 = (double)xnord_stage_percentile_us(view->stats, total, 0.50);
        const double p99 = (double)xnord_stage_percentile_us(view->stats, total, 0.99);
        table_cell(&rows, "%.2f", p50 / 1000);
        table_cell(&rows, "%.2f", p99 / 1000);
        table_cell(&rows, "%.2f", (double)total->max_us / 1000);
    }
    printf("\n");
    table_print(&rows, stdout);
    table_free(&rows);
}

static void put_stage(json *j, const char *key, const daemon_view *view, const xnord_stage *stage) {
    json_begin_object(j, key);
    json_uint(j, "count", stage->count);
    json_uint(j, "sum_us", stage->sum_us);
    json_uint(j, "p50_us", xnord_stage_percentile_us(view->stats, stage, 0.50));
    json_uint(j, "p99_us", xnord_stage_percentile_us(view->stats, stage, 0.99));
    json_uint(j, "max_us", stage->max_us);
    json_end_object(j);
}

static void put_model(json *j, const daemon_view *view, const xnord_model_entry *model) {
    const xnord_model_counters *counters = find_counters(view, model);
    json_begin_object(j, NULL);
    json_string(j, "name", model->name);
    json_string(j, "version", model->version);
    json_string(j, "state", model->state);
    json_string(j, "reason", model->reason);
    if (counters) {
        json_begin_object(j, "statuses");
        for (size_t s = 0; s < XNORD_STATUS_COUNT; s++)
            if (counters->statuses[s] || s == XNORD_OK)
                json_uint(j, xnord_status_name((xnord_status)s), counters->statuses[s]);
        json_end_object(j);
        put_stage(j, "queue", view, &counters->queue);
        put_stage(j, "compute", view, &counters->compute);
        put_stage(j, "total", view, &counters->total);
    }
    json_end_object(j);
}

static void print_json(const daemon_view *view) {
    const xnord_server_info *server = view->server;
    json j = json_start(stdout);
    json_begin_object(&j, NULL);
    json_string(&j, "url", xnord_client_url(view->client));
    json_string(&j, "name", server->name);
    json_string(&j, "version", server->version);
    json_string(&j, "build", server->build);
    json_bool(&j, "ready", view->readiness->ready);
    json_string(&j, "state", view->readiness->state);
    json_string(&j, "reason", view->readiness->reason);
    json_uint(&j, "uptime_s", daemon_age_s(server->since_ns));
    json_string(&j, "isa", server->isa);
    json_uint(&j, "cores", server->cores);
    json_uint(&j, "workers", server->workers);
    json_begin_array(&j, "models");
    for (uint32_t i = 0; i < view->index->model_count; i++)
        put_model(&j, view, &view->index->models[i]);
    json_end_array(&j);
    json_finish(&j);
}

int xnorctl_status(int argc, char **argv) {
    const char *socket = NULL;
    bool as_json = false;
    const option_spec specs[] = {SOCKET_OPTION(&socket), JSON_OPTION(&as_json)};
    int operands;
    int code = options_parse(specs, sizeof specs / sizeof *specs, argc, argv, &operands);
    if (code != OPTIONS_CONTINUE) return code;
    if (operands < argc) return options_usage_error(argv[0], "unexpected '%s'", argv[operands]);

    daemon_view view = {0};
    code = daemon_connect(socket, 0, &view.client);
    if (code == XNORCTL_OK) code = fetch(&view);
    if (code == XNORCTL_OK) {
        if (as_json)
            print_json(&view);
        else
            print_text(&view);
        // A script should see that nothing is served.
        if (!view.readiness->ready) code = XNORCTL_FAILED;
    }
    xnord_free(view.stats);
    xnord_free(view.index);
    xnord_free(view.readiness);
    xnord_free(view.server);
    xnord_client_close(&view.client);
    return code;
}
