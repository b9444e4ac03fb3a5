/* Every vector through keygate_decide, through push-by-push evaluation, through keygate_findings and
 * keygate_explain, with every text and every struct against a page that traps.
 *
 *   vectors end|begin    which end of the text is against the page */
#include <keygate.h>

#include <strings.h>

#include "guard.h"
#include "table.h"

/* Where texts are: at the end of a page, or at its beginning. */
static int texts_at_end;

/* What one vector needs. */
static struct block {
  void *at;
  size_t size;
} blocks[2048];
static size_t block_count;

/* How many vectors say what is dropped, and what is odd. */
static unsigned drops, lints;

static void *block(size_t size, int at_end) {
  CHECK(block_count < sizeof blocks / sizeof *blocks);
  blocks[block_count] = (struct block){guarded(size, at_end), size};
  return blocks[block_count++].at;
}

static void *copy(const void *from, size_t size, int at_end) {
  void *to = block(size, at_end);
  if (size > 0) {
    memcpy(to, from, size);
  }
  return to;
}

static keygate_str place(keygate_str text) {
  return (keygate_str){copy(text.ptr, text.len, texts_at_end), text.len};
}

/* Structs stand at their own alignment at the end of a page in either case. */
#define STRUCTS(pointer, count) copy(pointer, (count) * sizeof *(pointer), 1)
#define STRUCT(type) ((type *)block(sizeof(type), 1))

static int is(keygate_str text, const char *other) {
  return text.len == strlen(other) && (text.len == 0 || memcmp(text.ptr, other, text.len) == 0);
}

static void expect(const vector *vector, const keygate_policy *policy, keygate_verdict verdict,
                   const keygate_decision *decision) {
  CHECK(is(vector->verdict, verdict ? "allow" : "deny"));
  CHECK(decision->verdict == verdict);
  CHECK(is(vector->reason, keygate_reason_name(decision->reason)));
  CHECK(is(vector->effective_mode, keygate_mode_name(decision->effective_mode)));
  CHECK(decision->key == vector->key);
  CHECK(decision->header == (vector->header < 0 ? SIZE_MAX : (size_t)vector->header));
  if (vector->source.len == 0) {
    CHECK(decision->source == -1);
    CHECK(decision->flags == 0);
  } else {
    keygate_str name = keygate_policy_source_name(policy, (size_t)decision->source);
    CHECK(name.len == vector->source.len && memcmp(name.ptr, vector->source.ptr, name.len) == 0);
  }
}

static void expect_set(keygate_str expected, uint32_t set, const char *(*name)(uint32_t)) {
  char names[1024] = "";
  for (unsigned bit = 0; bit < 32; bit++) {
    if (set >> bit & 1) {
      strcat(names, names[0] ? "," : "");
      strcat(names, name((uint32_t)1 << bit));
    }
  }
  CHECK(is(expected, names));
}

/* What of the headers goes no further, by a decision that stands where it was written. */
static void expect_drops(const vector *vector, const keygate_policy *policy, const keygate_request *request,
                         const keygate_decision *decision) {
  CHECK(strlen(vector->drop) == request->header_count);
  for (size_t i = 0; i < request->header_count; i++) {
    bool drops = keygate_policy_drops(policy, decision, request->headers[i].name, request->headers[i].value);
    CHECK(drops == (vector->drop[i] == '1'));
  }
}

static void expect_text(const keygate_policy *policy, const keygate_request *request) {
  size_t needed = keygate_explain(policy, request, KEYGATE_LANGUAGE_EN, NULL, 0);
  CHECK(needed > 0);
  char *whole = guarded(needed + 1, 1);
  memset(whole, '#', needed + 1);
  CHECK(keygate_explain(policy, request, KEYGATE_LANGUAGE_EN, whole, needed + 1) == needed);
  CHECK(strlen(whole) == needed);
  for (size_t size = 1; size <= needed; size = size < 3 ? size + 1 : size < needed ? needed : needed + 1) {
    char *part = guarded(size, 1);
    memset(part, '#', size);
    CHECK(keygate_explain(policy, request, KEYGATE_LANGUAGE_EN, part, size) == needed);
    CHECK(part[size - 1] == 0 && memcmp(part, whole, size - 1) == 0);
    release(part, size);
  }
  release(whole, needed + 1);
}

static keygate_verdict push_all(keygate_evaluation *evaluation, const keygate_policy *policy,
                                const keygate_request *request, int wanted_only, keygate_decision *out) {
  keygate_evaluation_begin(evaluation, sizeof *evaluation, policy, request->method, request->target);
  for (size_t i = 0; i < request->header_count; i++) {
    keygate_str name = request->headers[i].name;
    int wanted = !wanted_only;
    for (size_t s = 0; s < keygate_policy_wanted_count(policy) && !wanted; s++) {
      keygate_str own = keygate_policy_wanted_name(policy, s);
      wanted = name.len == own.len && strncasecmp(name.ptr, own.ptr, name.len) == 0;
    }
    if (wanted && !keygate_evaluation_push(evaluation, name, request->headers[i].value)) {
      break;
    }
  }
  return keygate_evaluation_finish(evaluation, out);
}

static void run(const vector *vector) {
  checking = vector->name;
  block_count = 0;
  keygate_config *config = copy(&vector->config, sizeof *config, 1);
  keygate_request *request = copy(&vector->request, sizeof *request, 1);
  keygate_key *keys = STRUCTS(config->keys, config->key_count);
  keygate_source *sources = STRUCTS(config->sources, config->source_count);
  keygate_str *exempt = STRUCTS(config->exempt, config->exempt_count);
  keygate_header *headers = STRUCTS(request->headers, request->header_count);
  for (size_t i = 0; i < config->key_count; i++) {
    keys[i] = (keygate_key){place(keys[i].secret), place(keys[i].label)};
  }
  for (size_t i = 0; i < config->source_count; i++) {
    sources[i].name = place(sources[i].name);
    sources[i].scheme = place(sources[i].scheme);
  }
  for (size_t i = 0; i < config->exempt_count; i++) {
    exempt[i] = place(exempt[i]);
  }
  for (size_t i = 0; i < request->header_count; i++) {
    headers[i] = (keygate_header){place(headers[i].name), place(headers[i].value)};
  }
  config->size = sizeof *config;
  config->api_key = place(config->api_key);
  config->keys = keys;
  config->sources = sources;
  config->exempt = exempt;
  config->identity_header = place(config->identity_header);
  config->allow_origin = place(config->allow_origin);
  request->method = place(request->method);
  request->target = place(request->target);
  request->headers = headers;
  keygate_decision *decision = STRUCT(keygate_decision);
  keygate_policy *policy = STRUCT(keygate_policy);
  keygate_evaluation *evaluation = STRUCT(keygate_evaluation);

  keygate_status status = keygate_mode_parse(place(vector->auth_mode), &config->auth_mode);
  if (status == KEYGATE_OK) {
    status = keygate_policy_init(policy, sizeof *policy, config, NULL);
  }
  CHECK((status != KEYGATE_OK) == vector->error);
  decision->size = sizeof *decision;
  if (vector->error) {
    CHECK(strcmp(keygate_status_text(status, KEYGATE_LANGUAGE_EN), "unknown status") != 0);
    CHECK(!keygate_decide(policy, request, decision));
    CHECK(decision->reason == KEYGATE_REASON_INVALID_CALL);
  } else {
    keygate_verdict allow = keygate_decide(policy, request, NULL);
    CHECK(is(vector->verdict, allow ? "allow" : "deny"));
    expect(vector, policy, keygate_decide(policy, request, decision), decision);
    *decision = (keygate_decision){.size = sizeof *decision};
    expect(vector, policy, push_all(evaluation, policy, request, 0, decision), decision);
    CHECK(push_all(evaluation, policy, request, 1, decision) == allow);
    CHECK(is(vector->reason, keygate_reason_name(decision->reason)));
    expect_set(vector->findings, keygate_findings(policy, request), keygate_finding_name);
    if (vector->drop != NULL) {
      expect_drops(vector, policy, request, decision);
      drops++;
    }
    if (vector->lint != NULL) {
      expect_set((keygate_str){vector->lint, strlen(vector->lint)}, keygate_lints(policy), keygate_lint_name);
      lints++;
    }
    expect_text(policy, request);
    /* A copy decides the same, and leaves the first as it was. */
    keygate_policy copied;
    memcpy(&copied, policy, sizeof copied);
    keygate_policy_wipe(policy);
    CHECK(!keygate_decide(policy, request, decision));
    CHECK(keygate_decide(&copied, request, NULL) == allow);
    keygate_policy_wipe(&copied);
  }
  for (size_t i = 0; i < block_count; i++) {
    release(blocks[i].at, blocks[i].size);
  }
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  texts_at_end = strcmp(argv[1], "end") == 0;
  for (size_t i = 0; i < vector_count; i++) {
    run(&vectors[i]);
  }
  CHECK(drops > 0 && lints > 0);
  printf("%u vectors, %u with drops and %u with lints, texts against the %s of a page\n", vector_count, drops, lints, argv[1]);
  return 0;
}
