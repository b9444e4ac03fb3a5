/* Reads the head of an HTTP/1 request byte by byte and feeds the gate, RFC 9112 to the letter:
   whatever is not a whole request head is denied, and nothing in it is guessed at. */
#ifndef HEAD_H
#define HEAD_H

#include "gate.h"

/* The most bytes of a head, so that one that never ends does not hold the firmware for ever. */
#define HEAD_MAX 16384

/* MORE bytes are needed; the head is DONE, and the next byte belongs to the body; or it is REFUSED:
   answer 400 or 401 and close the connection. */
typedef enum head_state { HEAD_MORE, HEAD_DONE, HEAD_REFUSED } head_state;

typedef struct head {
    gate gate;
    uint32_t length; /* bytes taken */
    uint8_t part;    /* what the next byte is part of */
    uint8_t at;      /* its place in the version */
} head;

void head_begin(head *head, const keygate_policy *policy);
head_state head_byte(head *head, char byte);

/* Denies for KEYGATE_REASON_INVALID_CALL unless the head is done. out: as for keygate_decide. */
keygate_verdict head_finish(head *head, keygate_decision *out);

#endif
