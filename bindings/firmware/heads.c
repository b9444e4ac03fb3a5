/* Every request head, whole or broken, through the reader. */
#include "checks.h"
#include "head.h"
#include "output.h"
#include "table.h"

static bool is(const char *left, const char *right) {
    while (*left && *left == *right)
        left++, right++;
    return *left == *right;
}

static void check(const request_head *row) {
    static head head;
    keygate_config config;
    keygate_config_init(&config, sizeof config);
    config.api_key = request_head_key;
    if (keygate_mode_parse(row->auth_mode, &config.auth_mode) != KEYGATE_OK ||
        keygate_policy_init(&policy, sizeof policy, &config, NULL) != KEYGATE_OK) {
        output_failure("head, configuration refused", row->name);
        return;
    }
    head_begin(&head, &policy);
    for (size_t i = 0; i < row->head.len; i++)
        if (head_byte(&head, row->head.ptr[i]) != HEAD_MORE)
            break;
    keygate_decision decision = {.size = sizeof decision};
    bool allow = head_finish(&head, &decision) == KEYGATE_ALLOW;
    if (allow != row->allow || !is(keygate_reason_name(decision.reason), row->reason))
        output_failure("head", row->name);
}

void check_heads(void) {
    for (uint32_t i = 0; i < request_head_count; i++)
        check(&request_heads[i]);
    output_number("request heads read", request_head_count);
}
