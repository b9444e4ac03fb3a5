#include "gate.h"

/*
 What does not fit is cut where that cannot change a verdict, and denied where it could:
 - no method that matters has more than 7 bytes, and no exempt path more than 64;
 - no source's name has more than 32 bytes;
 - a value that is cut is pushed as an empty one, which no key equals and no other header rescues.
*/
enum { METHOD_KEPT = 16, NAME_KEPT = 33 };

void gate_begin(gate *gate, const keygate_policy *policy) {
    gate->policy = policy;
    gate->field = GATE_METHOD;
    gate->first = 0;
    gate->second = 0;
    gate->cut = false;
    gate->ever_cut = false;
    gate->open = true;
    /* Denies until the target is complete. */
    keygate_str none = {0};
    keygate_evaluation_begin(&gate->evaluation, sizeof gate->evaluation, 0, none, none);
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

void gate_byte(gate *gate, char byte) {
    if (gate->field == GATE_METHOD || gate->field == GATE_NAME) {
        uint32_t kept = gate->field == GATE_METHOD ? METHOD_KEPT : NAME_KEPT;
        if (gate->first < kept)
            gate->buffer[gate->first++] = byte;
        return;
    }
    /* Blanks around a value are not part of it, so those need no room. */
    bool blank = gate->field == GATE_VALUE && is_blank(byte);
    if (blank && gate->second == 0)
        return;
    if (gate->first + gate->second < GATE_BUFFER)
        gate->buffer[gate->first + gate->second++] = byte;
    else if (!blank)
        gate->cut = true;
}

bool gate_field_end(gate *gate) {
    if (gate->field == GATE_METHOD || gate->field == GATE_NAME) {
        gate->field++;
        return gate->open;
    }
    keygate_str first = {gate->buffer, gate->first};
    keygate_str second = {gate->buffer + gate->first, gate->second};
    if (gate->field == GATE_TARGET) {
        keygate_evaluation_begin(&gate->evaluation, sizeof gate->evaluation, gate->policy, first,
                                 second);
    } else {
        if (gate->cut) {
            gate->ever_cut = true;
            second.len = 0;
        }
        gate->open = keygate_evaluation_push(&gate->evaluation, first, second);
    }
    gate->field = GATE_NAME;
    gate->first = 0;
    gate->second = 0;
    gate->cut = false;
    return gate->open;
}

keygate_verdict gate_finish(gate *gate, keygate_decision *out) {
    return keygate_evaluation_finish(&gate->evaluation, out);
}
