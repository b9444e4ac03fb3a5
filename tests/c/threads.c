/* Two threads decide on one policy, each with its own request and evaluation. */
#include <keygate.h>

#include <pthread.h>

#include "guard.h"
#include "threads.h"

enum { ROUNDS = 20000 };

static keygate_policy policy;

static void *decide(void *right) {
  keygate_str text = {"sk-right", right == NULL ? 7 : 8};
  keygate_header header = {{"x-api-key", 9}, text};
  keygate_request request = {sizeof request, {"GET", 3}, {"/", 1}, &header, 1};
  for (int i = 0; i < ROUNDS; i++) {
    keygate_decision out = {.size = sizeof out};
    CHECK(keygate_decide(&policy, &request, &out) == (right != NULL));
    keygate_evaluation evaluation;
    keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, request.method, request.target);
    keygate_evaluation_push(&evaluation, header.name, header.value);
    CHECK(keygate_evaluation_finish(&evaluation, NULL) == (right != NULL));
    char why[512];
    CHECK(i % 16 != 0 || keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, why, sizeof why) > 0);
    CHECK(keygate_policy_wanted_count(&policy) == 3);
  }
  return NULL;
}

int main(int argc, char **argv) {
  keygate_config config;
  keygate_config_init(&config, sizeof config);
  config.api_key = (keygate_str){"sk-right", 8};
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_OK);
  pthread_t other;
  CHECK(pthread_create(&other, NULL, decide, NULL) == 0);
  if (argc > 1) {
    CHECK(strcmp(argv[1], "--control") == 0);
    policy.opaque[KEYGATE_POLICY_WORDS - 1] = 1; /* a policy that is written to while it is used */
    keygate_policy_wipe(&policy);
  }
  decide("");
  CHECK(pthread_join(other, NULL) == 0);
  printf("2 threads of %d rounds on one policy\n", ROUNDS);
  return 0;
}
