/* Output and the exit status, by the emulator's hand. */
#include "port.h"

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };

void port_write(const char *text) {
    port_semihosting(SYS_WRITE0, text);
}

_Noreturn void port_exit(int status) {
    const uintptr_t block[2] = {APPLICATION_EXIT, (uintptr_t)status};
    for (;;)
        port_semihosting(SYS_EXIT_EXTENDED, block);
}
