/* What a program under ThreadSanitizer needs beside the library. */
#include <string.h>

#ifdef OLD_RUNTIME
/* rustc calls these; the run-time library of this clang has them under their common names alone. */
void *__tsan_memcpy(void *to, const void *from, size_t size) { return memcpy(to, from, size); }
void *__tsan_memset(void *to, int byte, size_t size) { return memset(to, byte, size); }
void *__tsan_memmove(void *to, const void *from, size_t size) { return memmove(to, from, size); }
#endif
