#include "head.h"

enum part {
    METHOD,
    FIRST_OF_METHOD,
    TARGET,
    FIRST_OF_TARGET,
    VERSION,
    LINE_FEED,
    FIRST_OF_LINE,
    NAME,
    VALUE,
    LAST_LINE_FEED,
    DONE,
    REFUSED
};

void head_begin(head *head, const keygate_policy *policy) {
    gate_begin(&head->gate, policy);
    head->length = 0;
    head->part = FIRST_OF_METHOD;
    head->at = 0;
}

static bool is_digit(unsigned char byte) {
    return byte >= '0' && byte <= '9';
}

/* RFC 9110 section 5.6.2 */
static bool is_token(unsigned char byte) {
    if (is_digit(byte) || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z'))
        return true;
    for (const char *other = "!#$%&'*+-.^_`|~"; *other; other++)
        if (byte == *other)
            return true;
    return false;
}

static bool is_visible(unsigned char byte) {
    return byte > ' ' && byte < 0x7F;
}

/* No control bytes but HTAB, so neither CR, LF nor NUL. */
static bool is_text(unsigned char byte) {
    return byte == '\t' || (byte >= ' ' && byte != 0x7F);
}

/* What the byte after this one is part of. */
static enum part next(head *head, char byte) {
    gate *gate = &head->gate;
    switch (head->part) {
    case METHOD:
        if (byte == ' ') {
            gate_field_end(gate);
            return FIRST_OF_TARGET;
        }
        /* fall through */
    case FIRST_OF_METHOD:
        if (!is_token(byte))
            return REFUSED;
        gate_byte(gate, byte);
        return METHOD;
    case TARGET:
        if (byte == ' ') {
            gate_field_end(gate);
            return VERSION;
        }
        /* fall through */
    case FIRST_OF_TARGET:
        if (!is_visible(byte))
            return REFUSED;
        gate_byte(gate, byte);
        return TARGET;
    case VERSION: {
        char expected = "HTTP/0.0\r"[head->at++];
        if (expected == '0' ? !is_digit(byte) : byte != expected)
            return REFUSED;
        return expected == '\r' ? LINE_FEED : VERSION;
    }
    case LINE_FEED:
        return byte == '\n' ? FIRST_OF_LINE : REFUSED;
    case FIRST_OF_LINE:
        if (byte == '\r')
            return LAST_LINE_FEED;
        if (!is_token(byte))
            return REFUSED;
        gate_byte(gate, byte);
        return NAME;
    case NAME:
        if (byte == ':') {
            gate_field_end(gate);
            return VALUE;
        }
        if (!is_token(byte))
            return REFUSED;
        gate_byte(gate, byte);
        return NAME;
    case VALUE:
        if (byte == '\r') {
            gate_field_end(gate);
            return LINE_FEED;
        }
        if (!is_text(byte))
            return REFUSED;
        gate_byte(gate, byte);
        return VALUE;
    case LAST_LINE_FEED:
        return byte == '\n' ? DONE : REFUSED;
    default: /* refused once and for all */
        return REFUSED;
    }
}

head_state head_byte(head *head, char byte) {
    if (head->part == DONE)
        return HEAD_DONE;
    head->part = head->length++ < HEAD_MAX ? (uint8_t)next(head, byte) : (uint8_t)REFUSED;
    if (head->part == DONE)
        return HEAD_DONE;
    return head->part == REFUSED ? HEAD_REFUSED : HEAD_MORE;
}

keygate_verdict head_finish(head *head, keygate_decision *out) {
    if (head->part != DONE)
        gate_begin(&head->gate, head->gate.policy); /* which denies until there is a target */
    return gate_finish(&head->gate, out);
}
