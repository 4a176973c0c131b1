// The configuration: the reference file is the defaults, and everything else is refused with its
// place. Runs from the root of the source tree.
#include "daemon/config.h"

#include <criterion/criterion.h>
#include <string.h>

static struct config parsed;
static struct reason why;

static xnor_status parse(const char *text) {
    config_defaults(&parsed);
    why.text[0] = '\0';
    return config_parse(&parsed, "t.yaml", text, strlen(text), &why);
}

#define assert_refused(yaml, message)                                                              \
    do {                                                                                           \
        cr_assert_neq(parse(yaml), XNOR_OK, "accepted: %s", yaml);                                 \
        cr_assert_str_eq(why.text, message);                                                       \
    } while (0)

static void assert_key_equal(const struct config_key *key, const struct config *a,
                             const struct config *b) {
    const char *left = (const char *)a + key->offset, *right = (const char *)b + key->offset;
    switch (key->type) {
    case CONFIG_NUMBER:
    case CONFIG_OCTAL:
    case CONFIG_CHOICE:
        cr_assert_arr_eq(left, right, sizeof(int64_t), "%s", key->path);
        break;
    case CONFIG_BOOLEAN:
        cr_assert_arr_eq(left, right, sizeof(bool), "%s", key->path);
        break;
    case CONFIG_TEXT:
        cr_assert_str_eq(left, right, "%s", key->path);
        break;
    case CONFIG_URLS:
        cr_assert_arr_eq(left, right, sizeof(uint32_t), "%s", key->path);
        break;
    }
}

// Starting from other bytes shows that the file sets every key.
Test(config, reference_file_names_every_key_at_its_default) {
    struct config defaults;
    config_defaults(&defaults);
    memset(&parsed, 0x55, sizeof parsed);
    cr_assert_eq(config_read(&parsed, "config/xnord.yaml", &why), XNOR_OK, "%s", why.text);
    for (size_t i = 0; i < config_key_count; i++)
        assert_key_equal(&config_keys[i], &defaults, &parsed);
}

// The unit's MemoryMax= is 512 MiB; model files and messages need room beside the sessions.
Test(config, memory_is_bounded_below_the_limit_of_the_service) {
    config_defaults(&parsed);
    cr_assert_eq(parsed.max_memory_bytes, 256 << 20);
    cr_assert_eq(parse("workers: {max_memory_bytes: 1048576}\n"), XNOR_OK, "%s", why.text);
    cr_assert_eq(parsed.max_memory_bytes, 1 << 20);
    assert_refused("workers: {max_memory_bytes: 0}\n",
                   "t.yaml:1:29: workers.max_memory_bytes: expected an integer from 1048576 to "
                   "68719476736, found '0'");
}

Test(config, examples_parse) {
    config_defaults(&parsed);
    cr_assert_eq(config_read(&parsed, "config/examples/vehicle.yaml", &why), XNOR_OK, "%s",
                 why.text);
    cr_assert_eq(parsed.pool_threads, 2);
    config_defaults(&parsed);
    cr_assert_eq(config_read(&parsed, "config/examples/small-robot.yaml", &why), XNOR_OK, "%s",
                 why.text);
    cr_assert_eq(parsed.listen.count, 2);
    cr_assert_str_eq(parsed.listen.url[1], "tcp://127.0.0.1:7370");
}

Test(config, every_default_is_inside_its_own_range) {
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].type == CONFIG_URLS) continue;
        config_defaults(&parsed);
        cr_assert_eq(config_set(&parsed, &config_keys[i], config_keys[i].initial, &why), XNOR_OK);
    }
}

Test(config, sets_values_of_every_type) {
    cr_assert_eq(
        parse("queue:\n  capacity: 7\nsocket_mode: 0600\nmodels: {self_test: false, "
              "directory: '/m'}\nlog: {level: debug}\nlisten: [ipc:///a, 'tcp://[::1]:9']\n"),
        XNOR_OK, "%s", why.text);
    cr_assert_eq(parsed.queue_capacity, 7);
    cr_assert_eq(parsed.socket_mode, 0600);
    cr_assert_not(parsed.self_test);
    cr_assert_str_eq(parsed.models_directory, "/m");
    cr_assert_eq(parsed.log_level, 7);
    cr_assert_eq(parsed.listen.count, 2);
    cr_assert_eq(parsed.max_peers, 128, "what is not in the file keeps its default");
}

Test(config, empty_file_is_all_defaults) {
    cr_assert_eq(parse(""), XNOR_OK);
    cr_assert_eq(parse("# nothing\n"), XNOR_OK);
    cr_assert_eq(parsed.queue_capacity, 64);
}

Test(config, unknown_keys_name_their_place_and_the_known_ones) {
    assert_refused(
        "log:\n  level: info\n  colour: red\n",
        "t.yaml:3:3: unknown key 'log.colour', expected one of level client_events_per_s");
    assert_refused("qeue: 1\n",
                   "t.yaml:1:1: unknown key 'qeue', expected one of listen socket_mode "
                   "limits queue workers models health shutdown log");
}

Test(config, bad_values_say_what_was_expected) {
    assert_refused("queue:\n  capacity: 0\n",
                   "t.yaml:2:13: queue.capacity: expected an integer from 1 to 4096, found '0'");
    assert_refused("queue:\n  capacity: 1e3\n",
                   "t.yaml:2:13: queue.capacity: expected an integer from 1 to 4096, found '1e3'");
    assert_refused("queue:\n  capacity: 99999999999999999999\n",
                   "t.yaml:2:13: queue.capacity: expected an integer from 1 to 4096, found "
                   "'99999999999999999999'");
    assert_refused("models: {self_test: yes}\n",
                   "t.yaml:1:21: models.self_test: expected one of false true, found 'yes'");
    assert_refused(
        "log: {level: loud}\n",
        "t.yaml:1:14: log.level: expected one of error warning info debug, found 'loud'");
    assert_refused(
        "socket_mode: 0888\n",
        "t.yaml:1:14: socket_mode: expected an octal file mode from 0 to 0777, found '0888'");
    assert_refused("queue: {capacity: [1]}\n",
                   "t.yaml:1:19: queue.capacity: expected an integer from 1 to 4096");
    assert_refused("queue: 3\n", "t.yaml:1:8: expected a section with indented keys");
    assert_refused("listen: ipc:///a\n", "t.yaml:1:9: listen: expected a list of at most 8 URLs");
    assert_refused("models: {isa: \"a\\0b\"}\n",
                   "t.yaml:1:15: models.isa: expected text of at most 31 bytes");
}

Test(config, urls_beyond_this_machine_are_refused) {
    assert_refused("listen: ['tcp://0.0.0.0:1']\n",
                   "t.yaml:1:10: expected ipc:///PATH or tcp://127.0.0.1:PORT, found "
                   "'tcp://0.0.0.0:1'");
    assert_refused("listen: ['inproc://x']\n",
                   "t.yaml:1:10: expected ipc:///PATH or tcp://127.0.0.1:PORT, found 'inproc://x'");
}

Test(config, repeated_keys_and_sections_are_refused) {
    assert_refused("socket_mode: 0600\nsocket_mode: 0600\n",
                   "t.yaml:2:1: this key appeared before");
    assert_refused("queue: {capacity: 1}\nlog: {level: info}\nqueue: {capacity: 2}\n",
                   "t.yaml:3:1: this section appeared before");
}

Test(config, aliases_anchors_and_tags_are_refused) {
    assert_refused("queue: &a\n  capacity: 1\n", "t.yaml:1:8: anchors are not allowed");
    assert_refused("queue: {capacity: !!int 1}\n", "t.yaml:1:19: tags are not allowed");
    assert_refused("queue: *a\n", "t.yaml:1:8: aliases are not allowed");
}

Test(config, other_documents_and_roots_are_refused) {
    assert_refused("- 1\n", "t.yaml:1:1: expected 'key: value' lines");
    cr_assert_eq(parse("log: {level: info}\n---\nlog: {level: info}\n"), XNOR_E_FORMAT);
    cr_assert_neq(parse("queue: [\n"), XNOR_OK);
    cr_assert_neq(parse("\xff\xfe\xff"), XNOR_OK);
    cr_assert_neq(parse("? {a: b}\n: 1\n"), XNOR_OK);
}

Test(config, deep_nesting_is_refused_without_recursion) {
    static char text[20000];
    memset(text, '[', sizeof text - 1);
    cr_assert_neq(parse(text), XNOR_OK);
    memset(text, '{', sizeof text - 1);
    cr_assert_neq(parse(text), XNOR_OK);
}

Test(config, missing_and_oversized_files_are_told_apart) {
    config_defaults(&parsed);
    cr_assert_eq(config_read(&parsed, "/nonexistent/xnord.yaml", &why), XNOR_E_NOT_FOUND);
    cr_assert_eq(config_read(&parsed, "/dev/zero", &why), XNOR_E_LIMIT);
    cr_assert_str_eq(why.text, "/dev/zero: expected at most 65536 bytes");
}
