/* A gate that takes a request byte by byte, in as much memory as this struct has. */
#ifndef GATE_H
#define GATE_H

#include "keygate.h"

#ifndef GATE_BUFFER
#define GATE_BUFFER 128
#endif

enum gate_field { GATE_METHOD, GATE_TARGET, GATE_NAME, GATE_VALUE };

typedef struct gate {
    keygate_evaluation evaluation;
    const keygate_policy *policy;
    enum gate_field field;
    uint32_t first;  /* bytes of the method or the name, at the start of the buffer */
    uint32_t second; /* bytes of the target or the value, behind them */
    bool cut;        /* a byte of this target or value that counts did not fit */
    bool cut_hash;   /* and it was a '#', or another behind it was */
    bool ever_cut;   /* a value was pushed as an empty one because of that */
    bool open;       /* a header that follows can change the verdict */
    char buffer[GATE_BUFFER];
} gate;

void gate_begin(gate *gate, const keygate_policy *policy);

/* The next byte of the method, the target, a header's name or its value, in this order. */
void gate_byte(gate *gate, char byte);

/* The field is complete. False: the rest of the request need not be read for the verdict. */
bool gate_field_end(gate *gate);

/* The request's head is complete, or its rest is not needed; between two fields, else it is denied.
   out: as for keygate_decide. */
keygate_verdict gate_finish(gate *gate, keygate_decision *out);

#endif
