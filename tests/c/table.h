/* What vectors.py writes: numbers are indexes into places, which are ranges of texts. */
#include <stddef.h>
#include <stdint.h>

struct place {
  size_t at, len;
};
struct pair {
  unsigned first, second;
};
struct vector {
  const char *name;
  unsigned mode, lan, no_sources, no_exempt, api_key;
  unsigned key, key_count, source, source_count, exempt, exempt_count;
  unsigned method, target, header, header_count;
  int error, allow;
  const char *reason, *effective_mode, *source_name;
  size_t header_index;
  int key_index;
  const char *findings;
};

extern const unsigned char texts[];
extern const struct place places[];
extern const size_t place_count;
extern const struct pair keys[], sources[], headers[];
extern const unsigned exempt[];
extern const struct vector vectors[];
extern const size_t vector_count;
