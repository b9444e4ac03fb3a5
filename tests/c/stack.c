/* How much stack a call takes, by painting what lies below the caller; and that none of it holds a
 * byte of a key afterwards.
 *
 *   stack LIMIT    fails where deciding takes more than LIMIT bytes */
#include <keygate.h>

#include "guard.h"

enum { DEEP = 65536 };

static const char key[] = "sk-key-to-be-found-on-the-stack";
static char value[] = "Bearer sk-key-to-be-found-on-the-stack";

/* Each of these is called from one frame, so that all begin at one address. */
__attribute__((noinline)) static void paint(void) {
  volatile char *at = __builtin_frame_address(0);
  for (size_t i = 1; i < DEEP; i++) {
    at[-(ptrdiff_t)i] = 0x55;
  }
}

/* How far down from the caller's frame the paint is gone, return address included. */
__attribute__((noinline)) static size_t depth(int look_for_key) {
  volatile char *top = __builtin_frame_address(0);
  size_t lowest = DEEP - 1;
  while (lowest > 0 && top[-(ptrdiff_t)lowest] == 0x55) {
    lowest--;
  }
  for (size_t i = look_for_key ? lowest : 0; i > 8; i--) {
    size_t same = 0;
    while (same < 8 && top[-(ptrdiff_t)i + (ptrdiff_t)same] == key[8 + same]) {
      same++;
    }
    CHECK(same < 8);
  }
  return lowest + 2 * sizeof(void *);
}

/* The check itself: a call that leaves a key behind, and one of known depth. */
__attribute__((noinline)) static void leave_key(void) {
  volatile char copy[4096] __attribute__((unused));
  for (size_t i = 0; i < sizeof key; i++) {
    copy[i] = key[i];
  }
}

static const keygate_str name = {"authorization", 13};
static const keygate_str right = {value, sizeof value - 1};

int main(int argc, char **argv) {
  static keygate_policy policy;
  static keygate_evaluation evaluation;
  static keygate_decision out = {.size = sizeof out};
  size_t limit = argc > 1 ? strtoul(argv[1], NULL, 0) : SIZE_MAX;
  int want_failure = argc > 2;

  paint();
  leave_key();
  size_t known = depth(want_failure);
  CHECK(known > 4000 && known < 4200);

  keygate_config config;
  keygate_config_init(&config, sizeof config);
  config.auth_mode = KEYGATE_MODE_ALL_EXCEPT_HEALTH;
  keygate_key keys[8];
  for (size_t i = 0; i < 8; i++) {
    keys[i] = (keygate_key){{key, sizeof key - 1}, {"label", 5}};
  }
  config.keys = keys;
  config.key_count = 8;
  paint();
  CHECK(keygate_policy_init(&policy, sizeof policy, &config, NULL) == KEYGATE_OK);
  printf("stack of keygate_policy_init: %zu bytes\n", depth(1));

  /* A key that is written with escapes is put together on the way; one that cannot be used, too. */
#define LIST "{\"auth_mode\":\"strict\",\"keys\":[{\"label\":\"a\",\"key\":\""
  static const char *const texts[] = {
      LIST "sk-key-to-be-found-on-the-stack\"}]}",
      LIST "sk-key-to-be-found-on-the-stac\\u006b\"}]}",
      LIST "sk-key-to-be-found-on-the-stack\\u0001\"}]}",
      LIST "sk-key-to-be-found-on-the-stack\"}],\"sk-key-to-be-found-on-the-stack\":0}",
      LIST "sk-key-to-be-found-on-the-stack",
  };
  size_t parsed = 0;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    static keygate_policy other_policy;
    keygate_str json = {texts[i], strlen(texts[i])};
    paint();
    keygate_status status = keygate_policy_parse(&other_policy, sizeof other_policy, json, NULL, 0, NULL);
    size_t deep = depth(1);
    parsed = deep > parsed ? deep : parsed;
    CHECK((status == KEYGATE_OK) == (i < 2));
  }
  printf("stack of keygate_policy_parse: %zu bytes\n", parsed);
  static const keygate_str lines = {key, sizeof key - 1};
  static keygate_key_file file;
  keygate_key from_file;
  paint();
  keygate_key_file_begin(&file, sizeof file, lines);
  CHECK(keygate_key_file_next(&file, &from_file) && keygate_key_file_end(&file, NULL) == KEYGATE_OK);
  depth(1);

  static char wrong[300];
  memset(wrong, 'x', sizeof wrong);
  const struct {
    const char *method, *target;
    keygate_header header;
  } cases[] = {
      {"GET", "/", {name, right}},
      {"GET", "/", {name, {wrong, 31}}},
      {"GET", "/", {name, {wrong, 300}}},
      {"GET", "/", {name, {"\x01", 1}}},
      {"GET", "/", {{"Authorization", 13}, {NULL, 0}}},
      {"GET", "/", {{"x-goog-api-key", 14}, {key, sizeof key - 1}}},
      {"GET", "/healthz", {name, right}},
      {"HEAD", "/v1/models?x", {{"host", 4}, {"h", 1}}},
      {"OPTIONS", "/", {name, right}},
  };
  size_t deepest = 0, other = 0, pushed = 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    keygate_str method = {cases[i].method, strlen(cases[i].method)};
    keygate_str target = {cases[i].target, strlen(cases[i].target)};
    keygate_request request = {sizeof request, method, target, &cases[i].header, 1};
    paint();
    keygate_decide(&policy, &request, &out);
    size_t deep = depth(1);
    deepest = deep > deepest ? deep : deepest;
    struct {
      keygate_request request;
      size_t more;
    } newer = {request, 0};
    newer.request.size = sizeof newer;
    paint();
    keygate_decide(&policy, &newer.request, &out);
    deep = depth(1);
    other = deep > other ? deep : other;
    paint();
    keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, method, target);
    keygate_evaluation_push(&evaluation, cases[i].header.name, cases[i].header.value);
    keygate_evaluation_finish(&evaluation, &out);
    deep = depth(1);
    pushed = deep > pushed ? deep : pushed;
  }
  printf("stack of keygate_decide: %zu bytes\nstack of keygate_decide, request of another size: %zu bytes\n"
         "stack of begin, push and finish: %zu bytes\n",
         deepest, other, pushed);
  CHECK(deepest <= limit);
  CHECK(pushed <= limit);
  char text[2048];
  keygate_request request = {sizeof request, {"GET", 3}, {"/", 1}, &cases[1].header, 1};
  paint();
  keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, text, sizeof text);
  printf("stack of keygate_explain: %zu bytes\n", depth(1));
  paint();
  keygate_policy_wipe(&policy);
  depth(1);
  return 0;
}
