/* The parts of the firmware; each reports what failed. */
#ifndef CHECKS_H
#define CHECKS_H

#include "keygate.h"

void check_vectors(void);
void check_heads(void);
void check_instructions(void);
void check_stack(void);

/* The policy that a check works with. */
extern keygate_policy policy;

/* A policy with these keys that reads x-api-key and its like. */
void make_policy(const keygate_key *keys, uint32_t count);

#endif
