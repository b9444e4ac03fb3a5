/* Callers that err or mean harm: each call denies or returns a status.
 *
 *   hostile [CALLS [SEED]]    how many random calls to make, 1000000 unless told */
#include <keygate.h>

#include <sys/wait.h>
#include <unistd.h>
#include <valgrind/memcheck.h>

#include "guard.h"

#define STR(text) ((keygate_str){text, sizeof(text) - 1})
#define NONE ((keygate_str){NULL, 0})
#define WILD ((const char *)(uintptr_t)0x10)
#define ADDRESS(number) ((void *)(uintptr_t)(number))

static const keygate_str key = {"sk-0123456789abcdef", 19};

static keygate_config fresh_config(void) {
  keygate_config config;
  keygate_config_init(&config, sizeof config);
  config.api_key = key;
  return config;
}

static void make(keygate_policy *policy) {
  keygate_config config = fresh_config();
  CHECK(keygate_policy_init(policy, sizeof *policy, &config, NULL) == KEYGATE_OK);
}

static keygate_request right_request(keygate_header *header) {
  *header = (keygate_header){STR("x-api-key"), key};
  return (keygate_request){sizeof(keygate_request), STR("GET"), STR("/"), header, 1};
}

static keygate_decision stale(void) {
  return (keygate_decision){sizeof(keygate_decision), KEYGATE_ALLOW, KEYGATE_REASON_KEY_MATCHED, KEYGATE_MODE_OFF, 7, 7,
                            KEYGATE_BEARER_STRIPPED, 7};
}

static bool same(keygate_str text, const char *other) {
  return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

/* The decision says what it must of a bad call, and no more is set than that. */
static void invalid(const keygate_policy *policy, const keygate_request *request) {
  keygate_decision out = stale();
  CHECK(keygate_decide(policy, request, &out) == KEYGATE_DENY);
  CHECK(out.size == sizeof out && out.verdict == KEYGATE_DENY && out.reason == KEYGATE_REASON_INVALID_CALL);
  CHECK(out.effective_mode == KEYGATE_MODE_STRICT && out.source == -1 && out.key == -1 && out.flags == 0);
  CHECK(out.header == SIZE_MAX);
  CHECK(keygate_decide(policy, request, NULL) == KEYGATE_DENY);
  CHECK(keygate_findings(policy, request) == 0);
  char text[256];
  size_t needed = keygate_explain(policy, request, KEYGATE_LANGUAGE_EN, text, sizeof text);
  CHECK(needed == strlen(text) && needed > 0);
  const char *reason = keygate_reason_text(KEYGATE_REASON_INVALID_CALL, KEYGATE_LANGUAGE_EN);
  CHECK(strncmp(text, reason, strlen(reason)) == 0 && strncmp(text + strlen(reason), ": ", 2) == 0);
}

static keygate_status refused(const keygate_config *config) {
  keygate_policy policy;
  keygate_header header;
  keygate_request request = right_request(&header);
  make(&policy);
  keygate_status status = keygate_policy_init(&policy, sizeof policy, config, NULL);
  CHECK(status < 0);
  CHECK(strcmp(keygate_status_text(status, KEYGATE_LANGUAGE_EN), "unknown status") != 0);
  invalid(&policy, &request);
  static const keygate_policy zero;
  CHECK(memcmp(&policy, &zero, sizeof zero) == 0); /* no key is left in it */
  return status;
}

static void null_pointers(void) {
  keygate_policy policy;
  keygate_header header;
  keygate_request request = right_request(&header);
  keygate_evaluation evaluation;
  keygate_config config = fresh_config();
  make(&policy);
  invalid(NULL, &request);
  invalid(&policy, NULL);
  invalid(NULL, NULL);
  keygate_config_init(NULL, sizeof config);
  CHECK(keygate_mode_parse(STR("off"), NULL) == KEYGATE_ERR_NULL);
  CHECK(keygate_policy_init(NULL, sizeof policy, &config, NULL) == KEYGATE_ERR_NULL);
  CHECK(refused(NULL) == KEYGATE_ERR_NULL);
  keygate_policy_wipe(NULL);
  CHECK(keygate_policy_wanted_count(NULL) == 0);
  CHECK(keygate_policy_source_name(NULL, 0).ptr == NULL && keygate_policy_source_name(NULL, 0).len == 0);
  CHECK(keygate_policy_key_label(NULL, 0).ptr == NULL);
  keygate_decision allowed = {.size = sizeof allowed};
  CHECK(keygate_decide(&policy, &request, &allowed));
  CHECK(keygate_policy_drops(NULL, &allowed, STR("host"), NONE));
  CHECK(keygate_policy_drops(&policy, NULL, STR("host"), NONE));
  CHECK(keygate_policy_drops(&policy, &allowed, (keygate_str){NULL, 4}, NONE));
  CHECK(keygate_policy_drops(&policy, &allowed, STR("host"), (keygate_str){NULL, 4}));
  CHECK(!keygate_policy_drops(&policy, &allowed, NONE, NONE));
  CHECK(!keygate_policy_drops(&policy, &allowed, STR("host"), NONE));
  CHECK(keygate_policy_name_lengths(NULL) == UINT64_MAX);
  CHECK(keygate_lints(NULL) == 0 && keygate_policy_identity_header(NULL).ptr == NULL);
  keygate_evaluation_begin(NULL, sizeof evaluation, &policy, NONE, NONE);
  CHECK(!keygate_evaluation_push(NULL, NONE, NONE));
  CHECK(!keygate_evaluation_finish(NULL, NULL));
  keygate_evaluation_begin(&evaluation, sizeof evaluation, NULL, NONE, NONE);
  CHECK(!keygate_evaluation_push(&evaluation, header.name, header.value));
  CHECK(!keygate_evaluation_finish(&evaluation, NULL));
  keygate_header answer;
  CHECK(keygate_denial_header(NULL, NULL, 0, &answer) && strstr(answer.value.ptr, "keygate") != NULL);
  CHECK(!keygate_denial_header(NULL, NULL, 0, NULL));
  CHECK(strstr(keygate_denial_body(NULL), "invalid_api_key") != NULL);
  CHECK(keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, NULL, 0) > 0);
  CHECK(keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, NULL, 100) > 0);
  char buffer[40];
  CHECK(keygate_generate_key(NULL, buffer, sizeof buffer) == 0 && buffer[0] == 0);

  /* NULL with a length, and any pointer without one. */
  header.name = (keygate_str){NULL, 9};
  invalid(&policy, &request);
  header = (keygate_header){STR("x-api-key"), {NULL, 19}};
  invalid(&policy, &request);
  header = (keygate_header){{WILD, 0}, {WILD, 0}};
  keygate_decision out = stale();
  CHECK(!keygate_decide(&policy, &request, &out) && out.reason == KEYGATE_REASON_CREDENTIAL_MISSING);
  request.headers = NULL;
  invalid(&policy, &request);
  request.headers = ADDRESS(1);
  request.header_count = 0;
  request.method = request.target = (keygate_str){WILD, 0};
  CHECK(!keygate_decide(&policy, &request, &out) && out.reason == KEYGATE_REASON_CREDENTIAL_MISSING);
  config.api_key.ptr = NULL;
  CHECK(refused(&config) == KEYGATE_ERR_NULL);
  config.api_key.len = 0;
  config.key_count = 1;
  CHECK(refused(&config) == KEYGATE_ERR_NULL);
  config.key_count = 0;
  config.source_count = 1;
  CHECK(refused(&config) == KEYGATE_ERR_NULL);
  config.source_count = 0;
  config.exempt_count = 1;
  CHECK(refused(&config) == KEYGATE_ERR_NULL);
}

static void lengths(void) {
  static const size_t bad[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX - 4095};
  keygate_policy policy;
  keygate_header header;
  keygate_evaluation evaluation;
  make(&policy);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    keygate_request request = right_request(&header);
    request.method.len = bad[i];
    invalid(&policy, &request);
    request = right_request(&header);
    request.target.len = bad[i];
    invalid(&policy, &request);
    request = right_request(&header);
    header.value.len = bad[i];
    invalid(&policy, &request);
    header.value.len = 1;
    header.name.len = (bad[i] & ~(size_t)63) | 9; /* one whose name is as long as x-api-key is looked at */
    invalid(&policy, &request);
    header.value = NONE; /* NULL has the bits of a bad length */
    invalid(&policy, &request);
    const keygate_decision off = {
        .size = sizeof off, .verdict = KEYGATE_ALLOW, .reason = KEYGATE_REASON_AUTH_OFF};
    CHECK(keygate_policy_drops(&policy, &off, header.name, NONE));
    CHECK(keygate_policy_drops(&policy, &off, NONE, (keygate_str){header.name.ptr, bad[i]}));
    request = right_request(&header);
    keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, request.method, request.target);
    header.value.len = bad[i];
    CHECK(!keygate_evaluation_push(&evaluation, header.name, header.value));
    CHECK(!keygate_evaluation_push(&evaluation, STR("x-api-key"), key)); /* nothing mends it */
    keygate_decision out = stale();
    CHECK(!keygate_evaluation_finish(&evaluation, &out) && out.reason == KEYGATE_REASON_INVALID_CALL);
    keygate_config config = fresh_config();
    config.api_key.len = bad[i];
    CHECK(refused(&config) == KEYGATE_ERR_LENGTH);
    keygate_mode mode = KEYGATE_MODE_OFF;
    CHECK(keygate_mode_parse((keygate_str){"off", bad[i]}, &mode) == KEYGATE_ERR_LENGTH && mode == KEYGATE_MODE_STRICT);
    char buffer[64] = "as it was";
    CHECK(keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, buffer, bad[i]) > 0 && strcmp(buffer, "as it was") == 0);
    CHECK(keygate_generate_key((const uint8_t *)"0123456789abcdef", buffer, bad[i]) == 0);
    CHECK(strcmp(buffer, "as it was") == 0);
    keygate_config_init(&config, bad[i]);
    CHECK(config.api_key.len == bad[i]);
  }
  /* ptr + len, and header_count times the size of a header, run past the end. */
  keygate_request request = right_request(&header);
  header.value = (keygate_str){ADDRESS(UINTPTR_MAX - 3), 8};
  invalid(&policy, &request);
  header.value = (keygate_str){ADDRESS(UINTPTR_MAX - 7), 8};
  invalid(&policy, &request);
  /* The last place that could be, of a value that is not read. */
  header = (keygate_header){STR("x-other"), {ADDRESS(UINTPTR_MAX - 8), 8}};
  keygate_decision last = stale();
  CHECK(!keygate_decide(&policy, &request, &last) && last.reason == KEYGATE_REASON_CREDENTIAL_MISSING);
  static const size_t counts[] = {SIZE_MAX,
                                  SIZE_MAX / sizeof header + 1,
                                  SIZE_MAX / sizeof header + 2,
                                  SIZE_MAX / 2 / sizeof header + 1};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    request = right_request(&header);
    request.header_count = counts[i];
    invalid(&policy, &request);
  }
  keygate_config config = fresh_config();
  config.exempt = ADDRESS(8);
  config.exempt_count = 9;
  CHECK(refused(&config) == KEYGATE_ERR_TOO_MANY_EXEMPT);
  config.exempt_count = SIZE_MAX;
  CHECK(refused(&config) == KEYGATE_ERR_TOO_MANY_EXEMPT);
}

static void misaligned(void) {
  static _Alignas(16) char memory[sizeof(keygate_policy) + 16];
  keygate_policy policy;
  keygate_header header;
  keygate_request request = right_request(&header);
  keygate_config config = fresh_config();
  make(&policy);
  for (size_t off = 1; off < sizeof(size_t); off++) {
    void *at = memory + off;
    memset(memory, 0x5a, sizeof memory);
    CHECK(keygate_policy_init(at, sizeof policy, &config, NULL) == KEYGATE_ERR_ALIGNMENT);
    keygate_config_init(at, sizeof config);
    keygate_policy_wipe(at);
    CHECK(!keygate_decide(&policy, &request, at));
    keygate_evaluation_begin(at, sizeof(keygate_evaluation), &policy, NONE, NONE);
    CHECK(!keygate_evaluation_push(at, header.name, header.value));
    CHECK(!keygate_evaluation_finish(at, NULL));
    for (size_t i = 0; i < sizeof memory; i++) {
      CHECK(memory[i] == 0x5a);
    }
    memcpy(at, &policy, sizeof policy);
    invalid(at, &request);
    memcpy(at, &request, sizeof request);
    invalid(&policy, at);
    CHECK(refused(at) == KEYGATE_ERR_ALIGNMENT);
    memcpy(at, &header, sizeof header);
    keygate_request list = request;
    list.headers = at;
    invalid(&policy, &list);
    CHECK(strstr(keygate_denial_body(at), "invalid_api_key") != NULL);
    keygate_config other = config;
    other.api_key = NONE;
    other.keys = at;
    other.key_count = 1;
    CHECK(refused(&other) == KEYGATE_ERR_ALIGNMENT);
  }
  for (size_t off = 1; off < sizeof(keygate_mode); off++) {
    CHECK(keygate_mode_parse(STR("off"), (keygate_mode *)(memory + off)) == KEYGATE_ERR_ALIGNMENT);
  }
}

static void sizes(void) {
  struct {
    keygate_request request;
    unsigned char rest[64];
  } newer;
  struct {
    keygate_config config;
    unsigned char rest[64];
  } newer_config;
  keygate_policy policy;
  keygate_header header;
  make(&policy);
  const size_t least = offsetof(keygate_config, auth_mode) + sizeof(keygate_mode);
  keygate_decision out;
  for (size_t size = 0; size <= sizeof newer; size++) {
    memset(&newer, 0, sizeof newer);
    newer.request = right_request(&header);
    newer.request.size = size;
    /* What is lacking is zero: without its headers the request holds no credential. */
    void *exact = guarded(size < sizeof(size_t) ? sizeof(size_t) : (size + 7) / 8 * 8, 1);
    memcpy(exact, &newer, size < sizeof(size_t) ? sizeof(size_t) : size);
    out = stale();
    bool allow = keygate_decide(&policy, exact, &out);
    keygate_request known;
    memset(&known, 0, sizeof known);
    memcpy(&known, &newer, size < sizeof known ? size : sizeof known);
    CHECK(allow == (known.header_count == 1)); /* some of its bytes may lack and be zero anyway */
    if (!allow) {
      CHECK(out.reason == (size < least ? KEYGATE_REASON_INVALID_CALL : KEYGATE_REASON_CREDENTIAL_MISSING));
    }
    release(exact, size < sizeof(size_t) ? sizeof(size_t) : (size + 7) / 8 * 8);

    memset(&newer_config, 0, sizeof newer_config);
    newer_config.config = fresh_config();
    newer_config.config.size = size;
    if (size < least) {
      CHECK(refused(&newer_config.config) == KEYGATE_ERR_SIZE);
    }
  }
  newer.request = right_request(&header);
  for (size_t tail = 1; tail <= sizeof newer.rest; tail++) {
    memset(newer.rest, 0, sizeof newer.rest);
    newer.request.size = sizeof newer.request + tail;
    newer_config.config = fresh_config();
    newer_config.config.size = sizeof newer_config.config + tail;
    memset(newer_config.rest, 0, sizeof newer_config.rest);
    CHECK(keygate_decide(&policy, &newer.request, NULL));
    keygate_policy other;
    CHECK(keygate_policy_init(&other, sizeof other, &newer_config.config, NULL) == KEYGATE_OK);
    newer.rest[tail - 1] = 1;
    invalid(&policy, &newer.request);
    newer_config.rest[tail - 1] = 0x80;
    CHECK(refused(&newer_config.config) == KEYGATE_ERR_SIZE);
  }
  newer.request.size = SIZE_MAX;
  invalid(&policy, &newer.request);
  newer.request.size = SIZE_MAX / 2 + 1;
  invalid(&policy, &newer.request);
  newer_config.config.size = SIZE_MAX;
  CHECK(refused(&newer_config.config) == KEYGATE_ERR_SIZE);

  /* Of a decision no more is written than its size says. */
  keygate_request request = right_request(&header);
  out = stale();
  out.size -= 1;
  CHECK(!keygate_decide(&policy, NULL, &out) && out.reason == KEYGATE_REASON_INVALID_CALL);
  for (size_t size = 0; size < sizeof out; size++) {
    unsigned char *at = guarded((size + 7) / 8 * 8 + (size == 0 ? 8 : 0), 1);
    size_t room = (size + 7) / 8 * 8 + (size == 0 ? 8 : 0);
    memset(at, 0x5a, room);
    memcpy(at, &size, sizeof size);
    CHECK(keygate_decide(&policy, &request, (keygate_decision *)at) == (size >= least));
    for (size_t i = size < least ? sizeof size : size; i < room; i++) {
      CHECK(at[i] == 0x5a);
    }
    release(at, room);
  }
  out = stale();
  out.size = SIZE_MAX;
  CHECK(!keygate_decide(&policy, &request, &out) && out.verdict == KEYGATE_DENY);
  struct {
    keygate_decision decision;
    unsigned char rest[16];
  } later = {.decision = {.size = sizeof later}, .rest = "untouched"};
  CHECK(keygate_decide(&policy, &request, &later.decision) && strcmp((char *)later.rest, "untouched") == 0);

  /* Storage that is too small denies and is not written past. */
  keygate_config config = fresh_config();
  for (size_t size = 0; size < sizeof policy; size += 8) {
    keygate_policy *small = guarded(size, 1);
    CHECK(keygate_policy_init(small, size, &config, NULL) == KEYGATE_ERR_SIZE);
    release(small, size);
  }
  for (size_t size = 0; size < sizeof size; size++) {
    config = fresh_config();
    keygate_config_init(&config, size);
    CHECK(config.api_key.ptr == key.ptr && config.size == sizeof config);
  }
  for (size_t size = 0; size < sizeof(keygate_evaluation); size += 8) {
    keygate_evaluation evaluation;
    keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, NONE, NONE);
    keygate_evaluation_begin(&evaluation, size, &policy, STR("OPTIONS"), NONE);
    CHECK(size == 0 || !keygate_evaluation_finish(&evaluation, NULL));
  }
}

static void unknown_numbers(void) {
  static const keygate_mode modes[] = {-1, 4, 5, 256, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    keygate_config config = fresh_config();
    config.auth_mode = modes[i];
    CHECK(refused(&config) == KEYGATE_ERR_MODE);
    CHECK(strcmp(keygate_mode_name(modes[i]), "unknown") == 0);
  }
  for (unsigned bit = 3; bit < 32; bit++) {
    keygate_config config = fresh_config();
    config.flags = (uint32_t)1 << bit;
    CHECK(refused(&config) == KEYGATE_ERR_FLAGS);
  }
  for (unsigned bit = 1; bit < 32; bit++) {
    keygate_config config = fresh_config();
    keygate_source source = {STR("x"), NONE, (uint32_t)1 << bit | 1};
    config.sources = &source;
    config.source_count = 1;
    CHECK(refused(&config) == KEYGATE_ERR_FLAGS);
  }
  keygate_config config = fresh_config();
  keygate_source source = {STR("x"), NONE, 0};
  config.sources = &source;
  config.source_count = 1;
  config.flags = KEYGATE_NO_SOURCES;
  CHECK(refused(&config) == KEYGATE_ERR_FLAGS);
  config = fresh_config();
  keygate_str path = STR("/x");
  config.exempt = &path;
  config.exempt_count = 1;
  config.flags = KEYGATE_NO_EXEMPT;
  CHECK(refused(&config) == KEYGATE_ERR_FLAGS);
  config = fresh_config();
  keygate_key one = {key, NONE};
  config.keys = &one;
  config.key_count = 1;
  CHECK(refused(&config) == KEYGATE_ERR_API_KEY_AND_KEYS);
  keygate_mode mode;
  CHECK(keygate_mode_parse(STR("Strict"), &mode) == KEYGATE_ERR_MODE && mode == KEYGATE_MODE_STRICT);
  CHECK(keygate_mode_parse(NONE, &mode) == KEYGATE_ERR_MODE);

  CHECK(strstr(keygate_status_text(KEYGATE_ERR_KEY_EMPTY, KEYGATE_LANGUAGE_EN), "empty") != NULL);
  for (keygate_status a = -40; a < 1; a++) {
    for (keygate_status b = a + 1; b < 2; b++) {
      const char *text = keygate_status_text(a, KEYGATE_LANGUAGE_EN);
      CHECK(strcmp(text, "unknown status") == 0 || strcmp(text, keygate_status_text(b, KEYGATE_LANGUAGE_EN)) != 0);
    }
  }
  /* Total: every number has a text, and each constant its own. */
  for (int number = -300; number < 300; number++) {
    CHECK(*keygate_reason_text(number, KEYGATE_LANGUAGE_EN) && *keygate_reason_name(number) && *keygate_status_text(number, KEYGATE_LANGUAGE_EN));
    CHECK((number == KEYGATE_FIELD_CONFIG) == !*keygate_field_name(number));
    CHECK(*keygate_mode_name(number) && *keygate_finding_name((uint32_t)number));
  }
  CHECK(strcmp(keygate_field_name(KEYGATE_FIELD_LABEL), "keys.label") == 0);
  CHECK(strcmp(keygate_field_name(KEYGATE_FIELD_PROXY), "proxy") == 0);
  CHECK(strcmp(keygate_field_name(KEYGATE_FIELD_SCHEME + 1), "unknown") == 0);
  CHECK(strcmp(keygate_finding_name(0), "unknown") == 0);
  CHECK(strcmp(keygate_finding_name(3), "unknown") == 0);
  CHECK(strcmp(keygate_finding_name(KEYGATE_FINDING_OPTIONS_CASE), "options_case") == 0);
  CHECK(strcmp(keygate_finding_name(KEYGATE_FINDING_GATE_KEY_SUSPECT << 1), "unknown") == 0);
  CHECK(strcmp(keygate_lint_name(KEYGATE_LINT_EXEMPT_PATTERN), "exempt_pattern") == 0);
  CHECK(strcmp(keygate_lint_name(KEYGATE_LINT_EXEMPT_PATTERN << 1), "unknown") == 0);
  CHECK(strcmp(keygate_lint_name(0), "unknown") == 0 && strcmp(keygate_lint_name(3), "unknown") == 0);
  CHECK(strcmp(keygate_lint_text(1U << 31, KEYGATE_LANGUAGE_EN), "unknown lint") == 0);
}

static void storage(void) {
  keygate_policy policy, other;
  keygate_header header;
  keygate_request request = right_request(&header);
  memset(&policy, 0, sizeof policy);
  invalid(&policy, &request);
  memset(&policy, 0xff, sizeof policy);
  invalid(&policy, &request);
  make(&policy);
  memcpy(&other, &policy, sizeof other);
  keygate_policy_wipe(&policy);
  invalid(&policy, &request);
  CHECK(keygate_policy_wanted_count(&policy) == 0 && keygate_policy_source_name(&policy, 0).ptr == NULL);
  const keygate_decision off = {
      .size = sizeof off, .verdict = KEYGATE_ALLOW, .reason = KEYGATE_REASON_AUTH_OFF};
  CHECK(keygate_policy_drops(&policy, &off, STR("host"), NONE));
  CHECK(keygate_policy_name_lengths(&policy) == UINT64_MAX);
  static const keygate_policy zero;
  CHECK(memcmp(&policy, &zero, sizeof zero) == 0);
  CHECK(keygate_decide(&other, &request, NULL));
  keygate_policy_wipe(&other);
  keygate_policy_wipe(&other);

  /* A policy whose making fails does not stay what it was. */
  keygate_config config = fresh_config();
  make(&policy);
  config.auth_mode = 99;
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_ERR_MODE);
  invalid(&policy, &request);
}

static void evaluations(void) {
  keygate_policy policy;
  keygate_header header;
  keygate_request request = right_request(&header);
  keygate_evaluation evaluation;
  keygate_decision out = stale();
  make(&policy);
  memset(&evaluation, 0, sizeof evaluation);
  CHECK(!keygate_evaluation_push(&evaluation, header.name, header.value));
  CHECK(!keygate_evaluation_finish(&evaluation, &out) && out.reason == KEYGATE_REASON_INVALID_CALL);
  memset(&evaluation, 0xff, sizeof evaluation);
  out = stale();
  CHECK(!keygate_evaluation_finish(&evaluation, &out) && out.reason == KEYGATE_REASON_INVALID_CALL);

#define BEGIN() keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, request.method, request.target)
  BEGIN();
  CHECK(keygate_evaluation_push(&evaluation, STR("host"), STR("x")));
  CHECK(keygate_evaluation_push(&evaluation, header.name, header.value)); /* authorization would still matter */
  CHECK(keygate_evaluation_finish(&evaluation, &out) && out.header == 1 && out.source == 1);
  out = stale();
  CHECK(!keygate_evaluation_finish(&evaluation, &out) && out.reason == KEYGATE_REASON_INVALID_CALL); /* twice */
  CHECK(!keygate_evaluation_push(&evaluation, header.name, header.value));
  BEGIN();
  CHECK(!keygate_evaluation_push(&evaluation, STR("authorization"), key));
  CHECK(!keygate_evaluation_push(&evaluation, (keygate_str){NULL, 5}, NONE)); /* settled: not looked at */
  CHECK(keygate_evaluation_finish(&evaluation, NULL));
  BEGIN();
  keygate_policy_wipe(&policy);
  CHECK(!keygate_evaluation_push(&evaluation, header.name, header.value));
  CHECK(!keygate_evaluation_finish(&evaluation, NULL));
  make(&policy);
  BEGIN();
  CHECK(keygate_evaluation_push(&evaluation, header.name, header.value));
  keygate_policy_wipe(&policy);
  out = stale();
  CHECK(!keygate_evaluation_finish(&evaluation, &out) && out.reason == KEYGATE_REASON_INVALID_CALL);
  BEGIN(); /* with a wiped policy */
  CHECK(!keygate_evaluation_push(&evaluation, header.name, header.value));
  CHECK(!keygate_evaluation_finish(&evaluation, NULL));
  make(&policy);
  BEGIN();
  keygate_evaluation copied = evaluation;
  CHECK(keygate_evaluation_push(&copied, header.name, header.value));
  CHECK(keygate_evaluation_finish(&copied, NULL) && !keygate_evaluation_finish(&evaluation, NULL));
  /* A failed begin ends what was under way. */
  BEGIN();
  CHECK(!keygate_evaluation_push(&evaluation, STR("authorization"), key));
  keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, (keygate_str){NULL, 3}, NONE);
  CHECK(!keygate_evaluation_finish(&evaluation, NULL));
  /* Once the verdict is settled, a bad header is not looked at in a list either. */
  keygate_header list[2] = {{STR("authorization"), key}, {{NULL, 5}, {NULL, 5}}};
  request.headers = list;
  request.header_count = 2;
  CHECK(keygate_decide(&policy, &request, &out) && out.header == 0);
  CHECK(out.flags == 0);
  list[0].value = STR("Bearer sk-0123456789abcdef");
  CHECK(keygate_decide(&policy, &request, &out) && out.flags == KEYGATE_BEARER_STRIPPED);
}

static void overlaps(void) {
  keygate_policy policy;
  keygate_header header;
  keygate_request request = right_request(&header);
  make(&policy);
  /* What lies behind a short label or path is not set. Here it is compared and taken for a size. */
  VALGRIND_MAKE_MEM_DEFINED(&policy, sizeof policy);
  const keygate_policy before = policy;

  /* A policy is never written to. */
  for (size_t at = 0; at + sizeof(keygate_decision) <= sizeof policy; at += 8) {
    keygate_decision *out = (keygate_decision *)((char *)&policy + at);
    size_t size = *(volatile size_t *)out;
    CHECK(!keygate_decide(&policy, &request, out));
    CHECK(*(volatile size_t *)out == size && memcmp(&policy, &before, sizeof policy) == 0);
  }
  for (size_t at = 0; at + sizeof(keygate_evaluation) <= sizeof policy; at += 8) {
    keygate_evaluation *evaluation = (keygate_evaluation *)((char *)&policy + at);
    keygate_evaluation_begin(evaluation, sizeof *evaluation, &policy, STR("OPTIONS"), NONE);
    CHECK(!keygate_evaluation_push(evaluation, header.name, header.value));
    CHECK(!keygate_evaluation_finish(evaluation, NULL));
    CHECK(memcmp(&policy, &before, sizeof policy) == 0);
  }
  for (size_t at = 0; at < sizeof policy; at += 7) {
    CHECK(keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, (char *)&policy + at, 0) > 0);
    CHECK(keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, (char *)&policy + at, 64) == 0);
    CHECK(memcmp(&policy, &before, sizeof policy) == 0);
  }
  /* A decision with the size field of a decision, inside the room for the policy's label. */
  keygate_config config = fresh_config();
  keygate_key labelled = {key, STR("l")};
  config.api_key = NONE;
  config.keys = &labelled;
  config.key_count = 1;
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_OK);
  keygate_str inside = keygate_policy_key_label(&policy, 0);
  uintptr_t aligned = ((uintptr_t)inside.ptr + inside.len + 7) / 8 * 8;
  keygate_policy labelled_before;
  for (size_t size = sizeof(keygate_decision) - 1; size <= sizeof(keygate_decision); size++) {
    CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_OK);
    *(size_t *)aligned = size;
    VALGRIND_MAKE_MEM_DEFINED(&policy, sizeof policy);
    labelled_before = policy;
    CHECK(*(size_t *)aligned == size);
    CHECK(!keygate_decide(&policy, &request, (keygate_decision *)aligned));
    CHECK(memcmp(&policy, &labelled_before, sizeof policy) == 0);
  }

  /* Over the request and over its headers: deny. */
  _Alignas(16) unsigned char memory[256];
  for (size_t at = 0; at + sizeof(keygate_decision) <= sizeof memory; at += 8) {
    memset(memory, 0, sizeof memory);
    keygate_request *inner = (keygate_request *)(memory + 96);
    *inner = request;
    keygate_decision *out = (keygate_decision *)(memory + at);
    out->size = sizeof *out;
    bool apart = at + sizeof *out <= 96 || at >= 96 + sizeof *inner;
    CHECK(keygate_decide(&policy, inner, out) == apart);
    CHECK(out->verdict == apart);
    keygate_header *list = (keygate_header *)(memory + 96);
    memset(memory, 0, sizeof memory);
    list[0] = list[1] = header;
    keygate_request outer = request;
    outer.headers = list;
    outer.header_count = 2;
    out->size = sizeof *out;
    apart = at + sizeof *out <= 96 || at >= 96 + 2 * sizeof *list;
    CHECK(keygate_decide(&policy, &outer, out) == apart);
    CHECK(out->verdict == apart);
    /* And where the decision is an older one, which ends 8 bytes before. */
    memset(memory, 0, sizeof memory);
    list[0] = list[1] = header;
    out->size = sizeof *out - 8;
    apart = at + out->size <= 96 || at >= 96 + 2 * sizeof *list;
    CHECK(keygate_decide(&policy, &outer, out) == apart);
    CHECK(out->verdict == apart);
    /* No header overlaps nothing, wherever it would stand. */
    outer.header_count = 0;
    keygate_decision older = stale();
    older.size -= 8;
    outer.headers = (keygate_header *)((char *)&older + 8);
    CHECK(!keygate_decide(&policy, &outer, &older) && older.reason == KEYGATE_REASON_CREDENTIAL_MISSING);
  }
  /* Over the evaluation, and over the evaluation's policy. */
  for (size_t at = 0; at + sizeof(keygate_decision) <= sizeof(keygate_evaluation); at += 8) {
    keygate_evaluation evaluation;
    keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, STR("OPTIONS"), NONE);
    keygate_decision *out = (keygate_decision *)((char *)&evaluation + at);
    CHECK(!keygate_evaluation_finish(&evaluation, out));
    CHECK(!keygate_evaluation_finish(&evaluation, NULL));
    keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, STR("OPTIONS"), NONE);
    CHECK(!keygate_evaluation_finish(&evaluation, (keygate_decision *)aligned));
    CHECK(memcmp(&policy, &labelled_before, sizeof policy) == 0);
  }

  /* Making a policy from what lies in it. */
  make(&policy);
  VALGRIND_MAKE_MEM_DEFINED(&policy, sizeof policy);
  config = fresh_config();
  CHECK(keygate_policy_init(&policy, sizeof policy, (keygate_config *)&policy, NULL) == KEYGATE_ERR_OVERLAP);
  config.api_key = (keygate_str){(char *)&policy + 100, 20};
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_ERR_OVERLAP);
  config = fresh_config();
  config.sources = (keygate_source *)&policy;
  config.source_count = 2;
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_ERR_OVERLAP);
  invalid(&policy, &request);

  /* The random bytes and the key in one buffer. */
  char both[KEYGATE_GENERATED_KEY_SIZE] = "0123456789abcdef";
  CHECK(keygate_generate_key((uint8_t *)both, both, sizeof both) == 35);
  CHECK(strcmp(both, "sk-30313233343536373839616263646566") == 0);
}

static void buffers(void) {
  for (size_t size = 0; size < 64; size++) {
    char *at = guarded(size, 1);
    for (size_t i = 0; i < size; i++) {
      at[i] = '#';
    }
    CHECK(keygate_generate_key((const uint8_t *)"0123456789abcdef", at, size) == KEYGATE_GENERATED_KEY_SIZE - 1);
    CHECK(size == 0 || strlen(at) == (size < KEYGATE_GENERATED_KEY_SIZE ? 0 : 35));
    release(at, size);
  }
}

static void large(void) {
  enum { COUNT = 10000, LONG = 65536 };
  keygate_policy policy;
  keygate_decision out = stale();
  make(&policy);
  keygate_header *list = malloc(COUNT * sizeof *list);
  for (size_t i = 0; i < COUNT; i++) {
    list[i] = (keygate_header){STR("x-filler-abc"), STR("anything")};
  }
  list[COUNT - 1] = (keygate_header){STR("X-API-KEY"), key};
  keygate_request request = {sizeof request, STR("GET"), STR("/"), list, COUNT};
  CHECK(keygate_decide(&policy, &request, &out) && out.header == COUNT - 1);
  char *value = guarded(LONG, 1);
  memset(value, 'a', LONG);
  list[0] = (keygate_header){STR("authorization"), {value, LONG}};
  CHECK(!keygate_decide(&policy, &request, &out) && out.reason == KEYGATE_REASON_KEY_MISMATCH && out.header == 0);
  memset(value, ' ', LONG);
  CHECK(!keygate_decide(&policy, &request, &out) && out.reason == KEYGATE_REASON_CREDENTIAL_UNUSABLE);
  memcpy(value + LONG - key.len, key.ptr, key.len);
  CHECK(keygate_decide(&policy, &request, &out) && out.key == 0);
  CHECK(keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, NULL, 0) > 0);
  release(value, LONG);
  free(list);

  /* Eight equal keys: the lowest is named. Keys that begin with one another: each by itself. */
  keygate_key many[9];
  for (size_t i = 0; i < 9; i++) {
    many[i] = (keygate_key){key, STR("label")};
  }
  keygate_config config = fresh_config();
  keygate_header header;
  request = right_request(&header);
  config.api_key = NONE;
  config.keys = many;
  config.key_count = 9;
  CHECK(refused(&config) == KEYGATE_ERR_TOO_MANY_KEYS);
  config.key_count = 8;
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_OK);
  CHECK(keygate_decide(&policy, &request, &out) && out.key == 0);
  CHECK(keygate_policy_key_label(&policy, 7).len == 5 && keygate_policy_key_label(&policy, 8).ptr == NULL);
  CHECK(keygate_policy_key_label(&policy, SIZE_MAX).ptr == NULL);
  CHECK(keygate_policy_source_name(&policy, SIZE_MAX).ptr == NULL);
  for (size_t i = 0; i < 8; i++) {
    many[i].secret.len = i + 1;
  }
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_OK);
  for (size_t i = 0; i < 9; i++) {
    header.value.len = i + 1;
    bool allow = keygate_decide(&policy, &request, &out);
    CHECK(allow == (i < 8) && out.key == (i < 8 ? (int)i : -1));
  }
}

/* The sentence about an error, and that it is as long as it is said to be. */
static const char *sentence(const keygate_config_error *error, keygate_language language) {
  static char text[512];
  size_t needed = keygate_config_error_text(error, language, text, sizeof text);
  CHECK(needed == strlen(text) && needed > 0);
  char part[16];
  CHECK(keygate_config_error_text(error, language, part, sizeof part) == needed);
  CHECK(strlen(part) < sizeof part && strncmp(part, text, strlen(part)) == 0);
  CHECK(keygate_config_error_text(error, language, NULL, 0) == needed);
  return text;
}

static keygate_config_error stale_error(void) {
  keygate_config_error error;
  memset(&error, 0x5a, sizeof error);
  error.size = sizeof error;
  return error;
}

/* Which field and which entry, and where in a text. */
static void config_errors(void) {
  keygate_policy policy;
  keygate_config config = fresh_config();
  keygate_config_error error = stale_error();
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, &error) == KEYGATE_OK);
  CHECK(error.status == KEYGATE_OK && error.index == SIZE_MAX && error.line == 0 && error.byte_class == KEYGATE_BYTE_NONE);
  keygate_key keys[] = {{STR("one"), NONE}, {STR("two\n"), STR("b")}};
  config.api_key = NONE;
  config.keys = keys;
  config.key_count = 2;
  error = stale_error();
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, &error) == KEYGATE_ERR_KEY_BYTE);
  CHECK(error.size == sizeof error && error.status == KEYGATE_ERR_KEY_BYTE && error.field == KEYGATE_FIELD_KEY);
  CHECK(error.index == 1 && error.byte_class == KEYGATE_BYTE_LINE_FEED && error.line == 0 && error.column == 0);
  CHECK(strcmp(sentence(&error, KEYGATE_LANGUAGE_EN),
               "keys[1].key: the key contains a line feed, which no header value can carry") == 0);
  CHECK(strstr(sentence(&error, KEYGATE_LANGUAGE_ZH), "keys[1].key:") != NULL);
  CHECK(strcmp(sentence(&error, 99), sentence(&error, KEYGATE_LANGUAGE_EN)) == 0);
  /* What C alone can do wrong has its field too. */
  keys[1].secret = (keygate_str){NULL, 4};
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, &error) == KEYGATE_ERR_NULL);
  CHECK(error.field == KEYGATE_FIELD_KEYS && error.index == 1);
  CHECK(strcmp(sentence(&error, KEYGATE_LANGUAGE_EN), "keys[1]: a pointer that must not be NULL is NULL") == 0);
  config = fresh_config();
  config.auth_mode = 7;
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, &error) == KEYGATE_ERR_MODE);
  CHECK(error.field == KEYGATE_FIELD_AUTH_MODE);
  /* A report that cannot be written, or would be written over the policy, makes none. */
  keygate_header header;
  keygate_request request = right_request(&header);
  config = fresh_config();
  make(&policy);
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, (keygate_config_error *)((char *)&error + 1)) ==
        KEYGATE_ERR_ALIGNMENT);
  invalid(&policy, &request);
  size_t too_short = offsetof(keygate_config_error, field);
  for (size_t size = 0; size < too_short + 2; size++) {
    make(&policy);
    error = stale_error();
    error.size = size < too_short ? size : size == too_short ? SIZE_MAX : (size_t)PTRDIFF_MAX + 1;
    keygate_config_error before = error;
    CHECK(keygate_policy_init(&policy, sizeof policy, &config, &error) == KEYGATE_ERR_SIZE);
    CHECK(memcmp(&error, &before, sizeof error) == 0);
    invalid(&policy, &request);
  }
  make(&policy);
  keygate_config_error *inside = (keygate_config_error *)((char *)&policy + 512);
  inside->size = sizeof *inside;
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, inside) == KEYGATE_ERR_OVERLAP);
  static const keygate_policy zero;
  CHECK(memcmp(&policy, &zero, sizeof zero) == 0);
  /* A shorter error is told as much as it has room for. */
  config.api_key = STR("k ");
  error = stale_error();
  error.size = offsetof(keygate_config_error, byte_class);
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, &error) == KEYGATE_ERR_KEY_EDGE);
  CHECK(error.field == KEYGATE_FIELD_API_KEY && error.byte_class == 0x5a5a5a5a);
  for (keygate_status status = -64; status < 8; status++) {
    error = stale_error();
    error.status = status;
    sentence(&error, KEYGATE_LANGUAGE_EN);
    bool known = strcmp(keygate_status_name(status), "unknown") != 0;
    CHECK(known == (strcmp(keygate_status_text(status, KEYGATE_LANGUAGE_EN), "unknown status") != 0));
  }
  CHECK(strstr(sentence(NULL, KEYGATE_LANGUAGE_EN), "NULL") != NULL);
}

#define PARSE(json, keys, count, error) keygate_policy_parse(&policy, sizeof policy, STR(json), keys, count, error)

static void parsed(void) {
  keygate_policy policy;
  keygate_config_error error = stale_error();
  keygate_header header;
  keygate_request request = right_request(&header);
  CHECK(PARSE("\xef\xbb\xbf{\"proxy\": {\"auth_mode\": \"strict\", \"api_key\": \"sk-0123456789abcdef\"}}\r\n", NULL, 0,
              &error) == KEYGATE_OK);
  CHECK(error.status == KEYGATE_OK && keygate_policy_key_count(&policy) == 1);
  header.value = STR("sk-0123456789abcdef");
  CHECK(keygate_decide(&policy, &request, NULL));
  CHECK(PARSE("{\"auth_mode\": \"strict\",\n  \"apiKey\": \"k\"}", NULL, 0, &error) == KEYGATE_ERR_FIELD_MISSPELT);
  CHECK(error.field == KEYGATE_FIELD_API_KEY && error.line == 2 && error.column == 3);
  CHECK(keygate_policy_key_count(&policy) == 0);
  invalid(&policy, &request);
  keygate_key keys[9] = {{STR("sk-0123456789abcdef"), STR("a")}};
  CHECK(PARSE("{\"auth_mode\": \"strict\"}", keys, 1, &error) == KEYGATE_OK);
  CHECK(keygate_decide(&policy, &request, NULL) && keygate_policy_key_label(&policy, 0).len == 1);
  CHECK(PARSE("{\"auth_mode\": \"strict\", \"keys\": []}", keys, 1, &error) == KEYGATE_ERR_KEYS_ELSEWHERE);
  CHECK(PARSE("{\"auth_mode\": \"strict\"}", keys, 0, &error) == KEYGATE_OK && keygate_policy_key_count(&policy) == 0);
  CHECK(PARSE("{\"auth_mode\": \"strict\"}", keys, 9, &error) == KEYGATE_ERR_TOO_MANY_KEYS);
  CHECK(PARSE("{\"auth_mode\": \"strict\"}", NULL, 1, &error) == KEYGATE_ERR_NULL);
  CHECK(PARSE("{\"proxy\":{\"proxy\":{\"auth_mode\":\"off\"}}}", NULL, 0, &error) == KEYGATE_ERR_FIELD_MISSING);
  CHECK(keygate_policy_parse(&policy, sizeof policy, (keygate_str){NULL, 4}, NULL, 0, &error) == KEYGATE_ERR_NULL);
  CHECK(keygate_policy_parse(&policy, sizeof policy, NONE, NULL, 0, &error) == KEYGATE_ERR_JSON);
  CHECK(keygate_policy_parse(&policy, sizeof policy - 1, STR("{\"auth_mode\":\"off\"}"), NULL, 0, NULL) == KEYGATE_ERR_SIZE);
  CHECK(keygate_policy_parse(NULL, sizeof policy, STR("{}"), NULL, 0, &error) == KEYGATE_ERR_NULL && error.status == KEYGATE_ERR_NULL);
  keygate_str own = {(const char *)&policy + 64, 8};
  CHECK(keygate_policy_parse(&policy, sizeof policy, own, NULL, 0, &error) == KEYGATE_ERR_OVERLAP);
  invalid(&policy, &request);
}

static void key_files(void) {
  keygate_key_file file;
  keygate_key key;
  keygate_config_error error = stale_error();
  memset(&file, 0, sizeof file);
  CHECK(!keygate_key_file_next(&file, &key) && key.secret.len == 0);
  CHECK(keygate_key_file_end(&file, &error) == KEYGATE_ERR_STATE && error.status == KEYGATE_ERR_STATE);
  keygate_key_file_begin(&file, sizeof file, STR("# x\r\none label=a\r\n\ntwo\n"));
  CHECK(keygate_key_file_end(&file, &error) == KEYGATE_OK && error.status == KEYGATE_OK);
  CHECK(keygate_key_file_next(&file, &key) && same(key.secret, "one") && same(key.label, "a"));
  CHECK(keygate_key_file_next(&file, &key) && same(key.secret, "two") && key.label.len == 0);
  CHECK(!keygate_key_file_next(&file, &key) && key.secret.len == 0 && key.label.len == 0);
  CHECK(keygate_key_file_end(&file, NULL) == KEYGATE_OK);
  keygate_key_file_begin(&file, sizeof file, STR("one\n${TWO}\nthree\n"));
  CHECK(keygate_key_file_next(&file, &key));
  CHECK(!keygate_key_file_next(&file, &key) && !keygate_key_file_next(&file, &key));
  CHECK(keygate_key_file_end(&file, &error) == KEYGATE_ERR_KEY_VARIABLE);
  CHECK(error.line == 2 && error.index == 1 && error.field == KEYGATE_FIELD_KEY);
  keygate_key_file_begin(&file, sizeof file, (keygate_str){NULL, 3});
  CHECK(!keygate_key_file_next(&file, &key) && keygate_key_file_end(&file, &error) == KEYGATE_ERR_NULL);
  keygate_key_file_begin(&file, sizeof file, (keygate_str){(const char *)&file, 8});
  CHECK(!keygate_key_file_next(&file, &key) && keygate_key_file_end(&file, &error) == KEYGATE_ERR_OVERLAP);
  keygate_key_file_begin(&file, sizeof file - 1, STR("one\n"));
  CHECK(!keygate_key_file_next(&file, &key) && keygate_key_file_end(&file, NULL) == KEYGATE_ERR_STATE);
  keygate_key_file_begin(NULL, sizeof file, STR("one\n"));
  CHECK(!keygate_key_file_next(NULL, &key) && keygate_key_file_end(NULL, NULL) == KEYGATE_ERR_NULL);
  keygate_key_file_begin(&file, sizeof file, STR("one\n"));
  CHECK(!keygate_key_file_next(&file, NULL) && !keygate_key_file_next(&file, (keygate_key *)&file));
  CHECK(keygate_key_file_next(&file, &key));
}

static void facts(void) {
  keygate_policy policy;
  make(&policy);
  CHECK(keygate_policy_key_count(&policy) == 1 && keygate_policy_key_count(NULL) == 0);
  CHECK(keygate_policy_auth_mode(NULL) == KEYGATE_MODE_STRICT && keygate_policy_effective_mode(NULL) == KEYGATE_MODE_STRICT);
  for (uint32_t flags = 0; flags <= KEYGATE_ALLOW_LAN_ACCESS; flags++) {
    keygate_config config = fresh_config();
    config.auth_mode = KEYGATE_MODE_AUTO;
    config.flags = flags;
    keygate_mode effective = flags ? KEYGATE_MODE_ALL_EXCEPT_HEALTH : KEYGATE_MODE_OFF;
    CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_OK);
    CHECK(keygate_policy_auth_mode(&policy) == KEYGATE_MODE_AUTO && keygate_policy_effective_mode(&policy) == effective);
  }
  CHECK(keygate_policy_wanted_count(&policy) == 3 && same(keygate_policy_wanted_name(&policy, 2), "x-goog-api-key"));
  CHECK(keygate_policy_wanted_name(&policy, 3).ptr == NULL && keygate_policy_wanted_name(NULL, 0).ptr == NULL);
  CHECK(keygate_policy_first_decides(&policy) && !keygate_policy_first_decides(NULL));
  for (uint32_t bit = 1; bit != 0; bit <<= 1) {
    bool known = strcmp(keygate_finding_name(bit), "unknown") != 0;
    CHECK(known == (strcmp(keygate_finding_text(bit, KEYGATE_LANGUAGE_EN), "unknown finding") != 0));
    CHECK(strcmp(keygate_finding_text(bit, KEYGATE_LANGUAGE_EN), keygate_finding_text(bit, KEYGATE_LANGUAGE_ZH)) != 0);
  }
  CHECK(strcmp(keygate_finding_name(3), "unknown") == 0 && strcmp(keygate_finding_name(0), "unknown") == 0);
  CHECK(strcmp(keygate_status_name(KEYGATE_ERR_KEY_TOO_LONG), "key_too_long") == 0);
}

/* What a client is told hangs on the reason alone, and on nothing that is no denial. */
static void denials(void) {
  for (keygate_reason reason = -40; reason < 40; reason++) {
    keygate_decision decision = stale();
    decision.reason = reason;
    bool missing = reason == KEYGATE_REASON_CREDENTIAL_MISSING;
    CHECK((strstr(keygate_denial_body(&decision), "missing_api_key") != NULL) == missing);
    CHECK((strstr(keygate_denial_body(&decision), "invalid_api_key") != NULL) == !missing);
    bool rejected = reason == KEYGATE_REASON_CREDENTIAL_UNUSABLE || reason == KEYGATE_REASON_KEY_MISMATCH;
    keygate_header header;
    CHECK(keygate_denial_header(NULL, &decision, 0, &header) && same(header.name, "WWW-Authenticate"));
    CHECK(same(header.value, rejected ? "Bearer realm=\"keygate\", error=\"invalid_token\"" : "Bearer realm=\"keygate\""));
    CHECK(keygate_denial_header(NULL, &decision, 1, &header) && same(header.name, "Content-Type"));
    CHECK(same(header.value, "application/json"));
    for (size_t index = 2; index < 5; index++) {
      CHECK(!keygate_denial_header(NULL, &decision, index, &header) && header.name.len == 0 && header.value.len == 0);
    }
    CHECK(!keygate_denial_header(NULL, &decision, SIZE_MAX, &header));
  }
  const size_t least = offsetof(keygate_decision, reason) + sizeof(keygate_reason);
  for (size_t size = 0; size < sizeof(keygate_decision) + 8; size++) {
    keygate_decision decision = stale();
    decision.size = size;
    decision.reason = KEYGATE_REASON_CREDENTIAL_MISSING;
    CHECK((strstr(keygate_denial_body(&decision), "missing_api_key") != NULL) == (size >= least));
  }
}

/* A child has its own copy of everything: what it does to it harms nobody. */
static void forked(void) {
  keygate_policy policy;
  keygate_header header;
  keygate_request request = right_request(&header);
  keygate_evaluation evaluation;
  make(&policy);
  keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, request.method, request.target);
  CHECK(keygate_evaluation_push(&evaluation, header.name, header.value));
  pid_t child = fork();
  if (child == 0) {
    CHECK(keygate_evaluation_finish(&evaluation, NULL));
    CHECK(keygate_decide(&policy, &request, NULL));
    keygate_policy_wipe(&policy);
    invalid(&policy, &request);
    _exit(42);
  }
  int status;
  CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
  CHECK(keygate_evaluation_finish(&evaluation, NULL));
  CHECK(keygate_decide(&policy, &request, NULL));
}

static uint64_t state;

static uint64_t random_below(uint64_t limit) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state % limit;
}

static char *arena;
enum { ARENA = 4096 };

/* Mostly a text that is there, at the end of a page; sometimes one that must be refused. */
static keygate_str random_str(void) {
  static const char *const texts[] = {"GET",  "OPTIONS",   "HEAD",      "/healthz",      "/v1?key=x", "authorization",
                                      "Host", "x-api-key", "X-Api_Key", "x-goog-api-key", "Bearer ",   "sk-0123456789abcdef",
                                      "Bearer sk-0123456789abcdef"};
  uint64_t kind = random_below(16);
  size_t length = random_below(random_below(8) ? 40 : 400);
  if (kind == 0) {
    static const size_t bad[] = {SIZE_MAX, SIZE_MAX / 2 + 1, 1, 40};
    return (keygate_str){random_below(2) ? NULL : ADDRESS(UINTPTR_MAX - random_below(30)), bad[random_below(4)] | 32};
  }
  if (kind == 1) {
    return (keygate_str){random_below(2) ? NULL : WILD, 0};
  }
  if (kind < 5) {
    return (keygate_str){arena + ARENA - length, length};
  }
  const char *text = texts[random_below(sizeof texts / sizeof *texts)];
  return (keygate_str){text, strlen(text)};
}

static bool refusable(keygate_str str) {
  return str.len != 0 && (str.ptr == NULL || str.len > 0xffff || (uintptr_t)str.ptr > UINTPTR_MAX - str.len);
}

/* Decisions about random requests, by random callers: push by push it is the same, a bad pointer that
 * is looked at never allows, and nothing traps. */
static void random_calls(unsigned long calls) {
  keygate_policy policy;
  make(&policy);
  arena = guarded(ARENA, 1);
  unsigned long allowed = 0, invalids = 0;
  for (unsigned long call = 0; call < calls; call++) {
    if (call % 64 == 0) {
      for (size_t i = 0; i < ARENA; i++) {
        arena[i] = (char)(random_below(4) ? "sk- \tBearer/?#:%\"'$"[random_below(19)] : (char)random_below(256));
      }
      keygate_config config = fresh_config();
      config.auth_mode = (keygate_mode)random_below(6) - 1;
      config.flags = (uint32_t)(random_below(8) ? random_below(2) : random_below(16));
      keygate_key some[3] = {{random_str(), random_str()}, {key, NONE}, {random_str(), NONE}};
      if (random_below(4) == 0) {
        config.api_key = random_str();
      } else if (random_below(2)) {
        config.api_key = NONE;
        config.keys = some;
        config.key_count = random_below(4);
      }
      keygate_source from[3] = {{random_str(), NONE, (uint32_t)random_below(3)}, {random_str(), NONE, 1}, {random_str(), random_str(), 0}};
      if (random_below(4) == 0) {
        config.sources = from;
        config.source_count = random_below(4);
      }
      keygate_str paths[2] = {random_str(), random_str()};
      if (random_below(4) == 0) {
        config.exempt = paths;
        config.exempt_count = random_below(3);
      }
      if (random_below(2)) {
        config.match = (int32_t)random_below(3);
        config.preflight = (int32_t)random_below(4);
        config.strip = (int32_t)random_below(4);
        config.identity_header = random_below(2) ? random_str() : NONE;
        config.allow_origin = random_below(2) ? random_str() : NONE;
      }
      if (keygate_policy_init(&policy, sizeof policy, &config, NULL) != KEYGATE_OK && random_below(4)) {
        make(&policy);
      }
    }
    keygate_header list[6];
    size_t count = random_below(6);
    for (size_t i = 0; i < count; i++) {
      list[i] = (keygate_header){random_str(), random_str()};
    }
    keygate_request request = {sizeof request, random_str(), random_str(), list, count};
    if (random_below(256) == 0) {
      request.size = random_below(2) ? random_below(sizeof request) : SIZE_MAX - random_below(64);
    }
    if (random_below(256) == 0) {
      /* More than half the address space could hold. */
      request.header_count = SIZE_MAX / (random_below(2 * sizeof *list - 1) + 1);
    }
    keygate_decision out = stale(), pushed = stale();
    keygate_verdict verdict = keygate_decide(&policy, &request, &out);
    CHECK(verdict == out.verdict && (verdict == KEYGATE_ALLOW || verdict == KEYGATE_DENY));
    CHECK((verdict == KEYGATE_ALLOW) == (out.reason >= 1 && out.reason <= 4));
    allowed += (unsigned long)verdict;
    invalids += out.reason == KEYGATE_REASON_INVALID_CALL;
    if (verdict == KEYGATE_ALLOW) {
      CHECK(!refusable(request.method) && !refusable(request.target));
      CHECK(out.header == SIZE_MAX || (!refusable(list[out.header].name) && !refusable(list[out.header].value)));
    }
    if (request.size == sizeof request && request.header_count == count) {
      keygate_evaluation evaluation;
      keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, request.method, request.target);
      for (size_t i = 0; i < count; i++) {
        keygate_evaluation_push(&evaluation, list[i].name, list[i].value);
      }
      CHECK(keygate_evaluation_finish(&evaluation, &pushed) == verdict);
      CHECK(memcmp(&out, &pushed, sizeof out) == 0);
    }
    if (call % 8 == 1) {
      keygate_config_error error = {.size = sizeof error};
      keygate_policy parsed;
      keygate_policy_parse(&parsed, sizeof parsed, random_str(), NULL, random_below(2), &error);
      keygate_key_file file;
      keygate_key key;
      keygate_key_file_begin(&file, sizeof file, random_str());
      while (keygate_key_file_next(&file, &key)) {
      }
      keygate_key_file_end(&file, &error);
    }
    if (call % 8 == 0) {
      char text[64];
      size_t size = random_below(sizeof text + 1);
      keygate_findings(&policy, &request);
      CHECK(keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, text, size) > 0);
      CHECK(size == 0 || memchr(text, 0, size) != NULL);
      keygate_policy_drops(&policy, &out, random_str(), random_str());
      keygate_policy_name_lengths(&policy);
    }
  }
  release(arena, ARENA);
  printf("%lu random calls: %lu allowed, %lu invalid\n", calls, allowed, invalids);
  CHECK(calls < 10000 || (allowed > calls / 100 && invalids > calls / 100 && invalids < calls / 2));
}

int main(int argc, char **argv) {
  CHECK(strcmp(keygate_version(), KEYGATE_VERSION) == 0);
  CHECK(keygate_abi_version() == KEYGATE_ABI_VERSION);
  static const struct {
    const char *name;
    void (*run)(void);
  } all[] = {{"null pointers", null_pointers},
             {"lengths", lengths},
             {"misaligned", misaligned},
             {"sizes", sizes},
             {"unknown numbers", unknown_numbers},
             {"storage", storage},
             {"evaluations", evaluations},
             {"overlaps", overlaps},
             {"buffers", buffers},
             {"large", large},
             {"config errors", config_errors},
             {"parsed", parsed},
             {"key files", key_files},
             {"facts", facts},
             {"denials", denials},
             {"fork", forked}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    checking = all[i].name;
    all[i].run();
  }
  checking = "random calls";
  state = argc > 2 ? strtoull(argv[2], NULL, 0) | 1 : 0x9e3779b97f4a7c15;
  random_calls(argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000);
  printf("%zu groups of hostile calls\n", sizeof all / sizeof *all);
  return 0;
}
