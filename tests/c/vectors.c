/* Every vector through keygate_decide, through push-by-push evaluation, through keygate_findings and
 * keygate_explain, with every text and every struct against a page that traps.
 *
 *   vectors end|begin    which end of the text is against the page */
#include <keygate.h>

#include <strings.h>

#include "guard.h"
#include "table.h"

static keygate_str *placed;

static keygate_str place(unsigned index) { return placed[index]; }

static void *copy(const void *from, size_t size, int at_end) {
  char *to = guarded(size, at_end);
  if (size > 0) {
    memcpy(to, from, size);
  }
  return to;
}

/* Structs stand at their own alignment at the end of a page in either case. */
#define STRUCTS(pointer, count) copy(pointer, (count) * sizeof *(pointer), 1)

static void expect(const struct vector *vector, const keygate_policy *policy, keygate_verdict verdict,
                   const keygate_decision *decision) {
  CHECK(verdict == vector->allow);
  CHECK(decision->verdict == verdict);
  CHECK(strcmp(keygate_reason_name(decision->reason), vector->reason) == 0);
  CHECK(strcmp(keygate_mode_name(decision->effective_mode), vector->effective_mode) == 0);
  CHECK(decision->key == vector->key_index);
  CHECK(decision->header == vector->header_index);
  if (vector->source_name == NULL) {
    CHECK(decision->source == -1);
    CHECK(decision->flags == 0);
  } else {
    keygate_str name = keygate_policy_source_name(policy, (size_t)decision->source);
    CHECK(name.len == strlen(vector->source_name));
    CHECK(memcmp(name.ptr, vector->source_name, name.len) == 0);
  }
}

static void expect_findings(const struct vector *vector, uint32_t findings) {
  char names[1024] = "";
  for (unsigned bit = 0; bit < 32; bit++) {
    if (findings >> bit & 1) {
      strcat(names, keygate_finding_name((uint32_t)1 << bit));
      strcat(names, " ");
    }
  }
  CHECK(strcmp(names, vector->findings) == 0);
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
      keygate_str source = keygate_policy_source_name(policy, s);
      wanted = name.len == source.len && strncasecmp(name.ptr, source.ptr, name.len) == 0;
    }
    if (wanted && !keygate_evaluation_push(evaluation, name, request->headers[i].value)) {
      break;
    }
  }
  return keygate_evaluation_finish(evaluation, out);
}

static void run(const struct vector *vector) {
  checking = vector->name;
  keygate_key own_keys[16];
  keygate_source own_sources[16];
  keygate_str own_exempt[16];
  CHECK(vector->key_count <= 16 && vector->source_count <= 16 && vector->exempt_count <= 16);
  for (unsigned i = 0; i < vector->key_count; i++) {
    const struct pair *pair = &keys[vector->key + i];
    own_keys[i] = (keygate_key){place(pair->first), place(pair->second)};
  }
  for (unsigned i = 0; i < vector->source_count; i++) {
    const struct pair *pair = &sources[vector->source + i];
    own_sources[i] = (keygate_source){place(pair->first), pair->second ? KEYGATE_SOURCE_BEARER : 0};
  }
  for (unsigned i = 0; i < vector->exempt_count; i++) {
    own_exempt[i] = place(exempt[vector->exempt + i]);
  }
  keygate_config *config = guarded(sizeof *config, 1);
  keygate_config_init(config, sizeof *config);
  config->flags = (vector->lan ? KEYGATE_ALLOW_LAN_ACCESS : 0) | (vector->no_sources ? KEYGATE_NO_SOURCES : 0) |
                  (vector->no_exempt ? KEYGATE_NO_EXEMPT : 0);
  config->api_key = place(vector->api_key);
  config->keys = STRUCTS(own_keys, vector->key_count);
  config->key_count = vector->key_count;
  config->sources = STRUCTS(own_sources, vector->source_count);
  config->source_count = vector->source_count;
  config->exempt = STRUCTS(own_exempt, vector->exempt_count);
  config->exempt_count = vector->exempt_count;

  keygate_header *list = guarded(vector->header_count * sizeof *list, 1);
  for (unsigned i = 0; i < vector->header_count; i++) {
    const struct pair *pair = &headers[vector->header + i];
    list[i] = (keygate_header){place(pair->first), place(pair->second)};
  }
  keygate_request *request = guarded(sizeof *request, 1);
  *request = (keygate_request){sizeof *request, place(vector->method), place(vector->target), list,
                               vector->header_count};
  keygate_decision *decision = guarded(sizeof *decision, 1);
  keygate_policy *policy = guarded(sizeof *policy, 1);
  keygate_evaluation *evaluation = guarded(sizeof *evaluation, 1);

  keygate_status status = keygate_mode_parse(place(vector->mode), &config->auth_mode);
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
    CHECK(keygate_decide(policy, request, NULL) == vector->allow);
    expect(vector, policy, keygate_decide(policy, request, decision), decision);
    *decision = (keygate_decision){.size = sizeof *decision};
    expect(vector, policy, push_all(evaluation, policy, request, 0, decision), decision);
    CHECK(push_all(evaluation, policy, request, 1, decision) == vector->allow);
    CHECK(strcmp(keygate_reason_name(decision->reason), vector->reason) == 0);
    expect_findings(vector, keygate_findings(policy, request));
    expect_text(policy, request);
    /* A copy decides the same, and leaves the first as it was. */
    keygate_policy copied;
    memcpy(&copied, policy, sizeof copied);
    keygate_policy_wipe(policy);
    CHECK(!keygate_decide(policy, request, decision));
    CHECK(keygate_decide(&copied, request, NULL) == vector->allow);
    keygate_policy_wipe(&copied);
  }
  release(evaluation, sizeof *evaluation);
  release(policy, sizeof *policy);
  release(decision, sizeof *decision);
  release(request, sizeof *request);
  release(list, vector->header_count * sizeof *list);
  release((void *)config->exempt, vector->exempt_count * sizeof *config->exempt);
  release((void *)config->sources, vector->source_count * sizeof *config->sources);
  release((void *)config->keys, vector->key_count * sizeof *config->keys);
  release(config, sizeof *config);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  placed = malloc(place_count * sizeof *placed);
  CHECK(placed != NULL);
  for (size_t i = 0; i < place_count; i++) {
    placed[i].len = places[i].len;
    placed[i].ptr = copy(texts + places[i].at, places[i].len, strcmp(argv[1], "end") == 0);
  }
  for (size_t i = 0; i < vector_count; i++) {
    run(&vectors[i]);
  }
  printf("%zu vectors, texts against the %s of a page\n", vector_count, argv[1]);
  free(placed);
  return 0;
}
