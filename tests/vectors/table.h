/* The vectors and the request heads as data, which table.py writes. */
#ifndef TABLE_H
#define TABLE_H

#include "keygate.h"

typedef struct vector {
    const char *name;
    keygate_str auth_mode; /* parsed by the library */
    keygate_config config; /* all but its size and mode */
    keygate_request request;
    bool not_carried; /* its deciding value is longer than the buffer of the firmware's gate */
    bool error;       /* the configuration must be refused; else: */
    keygate_str verdict, reason, effective_mode, source, findings; /* by name; empty: none */
    int32_t header, key;                                           /* -1: none */
    const char *drop; /* "1" for each header that is to be dropped, "0" for the others; NULL: not said */
    const char *lint; /* by name; NULL: not said */
} vector;

extern const vector vectors[];
extern const uint32_t vector_count;

typedef struct request_head {
    const char *name;
    keygate_str auth_mode, head;
    bool allow;
    const char *reason; /* by name */
} request_head;

extern const request_head request_heads[];
extern const uint32_t request_head_count;
extern const keygate_str request_head_key; /* the only key */

#endif
