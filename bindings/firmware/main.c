/* Runs the vectors and the measurements, prints a summary, and exits with 0 or 1. */
#include "checks.h"
#include "head.h"
#include "output.h"
#include "port.h"

keygate_policy policy;

void make_policy(const keygate_key *keys, uint32_t count) {
    keygate_config config;
    keygate_config_init(&config, sizeof config);
    config.keys = keys;
    config.key_count = count;
    if (keygate_policy_init(&policy, sizeof policy, &config, NULL) != KEYGATE_OK)
        output_failure("policy", "refused");
}

int main(void) {
    output_number("RAM, policy", sizeof(keygate_policy));
    output_number("RAM, evaluation", sizeof(keygate_evaluation));
    output_number("RAM, gate with its buffer", sizeof(gate));
    output_number("RAM, reader with its gate", sizeof(head));
    check_vectors();
    check_heads();
    check_instructions();
    check_stack();
    output_number("failures", output_failures());
    return output_failures() != 0;
}
