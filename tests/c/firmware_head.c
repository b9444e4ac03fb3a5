/* The firmware's reader on this machine: firmware_head KEY MODE PATH <request-head.
 * PATH is exempt besides /healthz. */
#include "head.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  if (argc != 4) {
    return 2;
  }
  static keygate_policy policy;
  keygate_config config;
  keygate_config_init(&config, sizeof config);
  const keygate_str exempt[] = {{"/healthz", 8}, {argv[3], strlen(argv[3])}};
  config.exempt = exempt;
  config.exempt_count = 2;
  config.api_key = (keygate_str){argv[1], strlen(argv[1])};
  if (keygate_mode_parse((keygate_str){argv[2], strlen(argv[2])}, &config.auth_mode) != KEYGATE_OK ||
      keygate_policy_init(&policy, sizeof policy, &config, NULL) != KEYGATE_OK) {
    return 2;
  }
  static head head;
  head_begin(&head, &policy);
  head_state state = HEAD_MORE;
  for (int byte; state == HEAD_MORE && (byte = getchar()) != EOF;) {
    state = head_byte(&head, (char)byte);
  }
  keygate_decision decision = {.size = sizeof decision};
  bool allow = head_finish(&head, &decision) == KEYGATE_ALLOW;
  if (decision.reason == KEYGATE_REASON_INVALID_CALL) {
    puts(allow || state == HEAD_DONE ? "an allow of nothing" : "refused");
  } else {
    printf("%s %s\n", allow ? "allow" : "deny", keygate_reason_name(decision.reason));
  }
  keygate_policy_wipe(&policy);
  return allow ? 0 : 1;
}
