/* The vectors as data: table.py writes table.c from tests/vectors. */
#ifndef TABLE_H
#define TABLE_H

#include "keygate.h"

typedef struct vector {
    const char *name;
    keygate_str auth_mode; /* parsed by the library */
    keygate_config config; /* all but its size and mode */
    keygate_request request;
    bool not_carried; /* its deciding value is longer than the gate's buffer */
    bool error;       /* the configuration must be refused; else: */
    keygate_str verdict, reason, effective_mode, source, findings; /* by name; empty: none */
    int32_t header, key;                                           /* -1: none */
} vector;

extern const vector vectors[];
extern const uint32_t vector_count;

#endif
