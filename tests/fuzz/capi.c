/* The C interface under libFuzzer: every byte string stands in a block of its own length, so that
 * a read or a write beyond it is seen; and the ways of asking must agree. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keygate.h"

/* With counters in it the compiler no longer proves that no panic is reached: here it is a crash. */
_Noreturn void keygate_a_panic_can_be_reached(void);
_Noreturn void keygate_a_panic_can_be_reached(void) { abort(); }

#define HEADERS 16

static const uint8_t *data;
static size_t left;
static void *blocks[3 + 2 * HEADERS];
static size_t block_count;

static uint8_t byte(void) {
    if (left == 0) {
        return 0;
    }
    left--;
    return *data++;
}

/* The next bytes up to 0xFE, in a block of their own. */
static keygate_str item(void) {
    size_t len = 0;
    while (len < left && data[len] < 0xFE) {
        len++;
    }
    char *block = malloc(len == 0 ? 1 : len);
    memcpy(block, data, len);
    blocks[block_count++] = block;
    keygate_str text = {block, len};
    data += len;
    left -= len;
    if (left != 0 && *data == 0xFE) {
        byte();
    }
    return text;
}

static void must(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    data = bytes;
    left = size;
    block_count = 0;
    keygate_config config;
    keygate_config_init(&config, sizeof config);
    config.auth_mode = (keygate_mode)byte() - 1;
    config.flags = byte();
    uint8_t cut = byte();
    config.api_key = item();
    keygate_policy *policy = malloc(sizeof *policy);
    memset(policy, 0xA5, sizeof *policy);
    keygate_status status = keygate_policy_init(policy, sizeof *policy, &config, NULL);

    keygate_request request = {sizeof request, item(), item(), NULL, 0};
    keygate_header *headers = malloc(HEADERS * sizeof *headers);
    while (left != 0 && *data != 0xFF && request.header_count < HEADERS) {
        headers[request.header_count].name = item();
        headers[request.header_count].value = item();
        request.header_count++;
    }
    request.headers = headers;

    keygate_decision decision = {sizeof decision, KEYGATE_ALLOW, 0, 0, 0, 0, 0, 0};
    keygate_verdict verdict = keygate_decide(policy, &request, &decision);
    must(verdict == decision.verdict, "the verdict is not the decision's");
    must(verdict == keygate_decide(policy, &request, NULL), "a decision without output differs");
    must((verdict == KEYGATE_ALLOW) == (decision.reason < KEYGATE_REASON_NO_KEY_CONFIGURED),
         "the reason contradicts the verdict");
    if (status != KEYGATE_OK) {
        must(decision.reason == KEYGATE_REASON_INVALID_CALL, "a policy that was not made decides");
    }

    keygate_evaluation *evaluation = malloc(sizeof *evaluation);
    memset(evaluation, 0x5A, sizeof *evaluation);
    keygate_evaluation_begin(evaluation, sizeof *evaluation, policy, request.method, request.target);
    for (size_t i = 0; i < request.header_count; i++) {
        keygate_evaluation_push(evaluation, headers[i].name, headers[i].value);
    }
    keygate_decision pushed = {sizeof pushed, KEYGATE_ALLOW, 0, 0, 0, 0, 0, 0};
    must(keygate_evaluation_finish(evaluation, &pushed) == verdict, "push by push differs");
    must(pushed.reason == decision.reason && pushed.header == decision.header, "the reasons differ");
    must(keygate_evaluation_finish(evaluation, NULL) == KEYGATE_DENY, "a second finish allows");

    char *text = malloc(cut == 0 ? 1 : cut);
    size_t needed = keygate_explain(policy, &request, KEYGATE_LANGUAGE_EN, text, cut);
    if (cut != 0 && needed != 0) {
        must(memchr(text, 0, cut) != NULL, "an explanation without its end");
        must(strlen(text) == (needed < cut ? needed : (size_t)cut - 1), "its length is wrong");
    }
    for (uint32_t bit = 1; bit != 0; bit <<= 1) {
        must(keygate_finding_name(keygate_findings(policy, &request) & bit) != NULL, "no name");
    }
    must(keygate_reason_text(decision.reason, KEYGATE_LANGUAGE_EN) != NULL, "no text");

    keygate_policy_wipe(policy);
    must(keygate_decide(policy, &request, NULL) == KEYGATE_DENY, "a wiped policy allows");
    free(text);
    free(evaluation);
    free(headers);
    free(policy);
    while (block_count != 0) {
        free(blocks[--block_count]);
    }
    return 0;
}
