/* What the firmware needs of a machine. */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>

/* From the linker script; the stack grows from stack_top down to stack_low. */
extern uint32_t stack_low[], stack_top[], bss_start[], bss_end[];

int main(void);

/* A request to the emulator, as Arm's semihosting numbers them. */
uintptr_t port_semihosting(uintptr_t operation, const void *argument);
void port_write(const char *text);
_Noreturn void port_exit(int status);

/* A clock that under qemu's -icount follows the number of instructions, and how many lie between
   two readings of it. It says nothing about the time that real hardware takes. */
uint32_t port_clock(void);
uint32_t port_instructions(uint32_t from, uint32_t to);

static inline uint32_t *port_stack_pointer(void) {
    uint32_t *at;
#if defined(__arm__)
    __asm__ volatile("mov %0, sp" : "=r"(at));
#else
    __asm__ volatile("mv %0, sp" : "=r"(at));
#endif
    return at;
}

#endif
