#include "gate.h"

/*
 What does not fit is cut where that cannot change a verdict, and denied where it could:
 - no method that matters has more than 7 bytes;
 - no source's name has more than 32 bytes;
 - a value that is cut is pushed as an empty one, which no key equals and no other header rescues;
 - of a target that is cut the path must be whole, and no '#' may stand behind the cut: else it
   begins with a '#' instead, and is never exempt.
*/
enum { METHOD_KEPT = 16, NAME_KEPT = 33 };

_Static_assert(GATE_BUFFER > METHOD_KEPT && GATE_BUFFER > NAME_KEPT,
               "a method or a name leaves no room for what comes behind it");

void gate_begin(gate *gate, const keygate_policy *policy) {
    gate->policy = policy;
    gate->field = GATE_METHOD;
    gate->first = 0;
    gate->second = 0;
    gate->cut = false;
    gate->cut_hash = false;
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
    else if (!blank) {
        gate->cut = true;
        gate->cut_hash |= byte == '#';
    }
}

/* A target of which only the beginning was kept. */
static bool may_be_exempt(const gate *gate, keygate_str target) {
    if (gate->cut_hash)
        return false;
    for (size_t i = 0; i < target.len; i++)
        if (target.ptr[i] == '?')
            return true;
    return false; /* the path was cut */
}

bool gate_field_end(gate *gate) {
    if (gate->field == GATE_METHOD || gate->field == GATE_NAME) {
        gate->field++;
        return gate->open;
    }
    keygate_str first = {gate->buffer, gate->first};
    keygate_str second = {gate->buffer + gate->first, gate->second};
    if (gate->field == GATE_TARGET) {
        if (gate->cut && !may_be_exempt(gate, second))
            gate->buffer[gate->first] = '#';
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
    /* The header that broke off may be the one that decides. */
    bool within = gate->field != GATE_NAME || gate->first > 0;
    if (gate->open && within)
        gate_begin(gate, gate->policy);
    return keygate_evaluation_finish(&gate->evaluation, out);
}
