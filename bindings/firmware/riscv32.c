/* Start-up, semihosting and the clock of an rv32imac: qemu-system-riscv32 -M virt. */
#include "port.h"

__asm__(".section .start, \"ax\"\n"
        ".globl _start\n"
        "_start:\n"
        "    la sp, stack_top\n"
        "    la t0, fault\n"
        "    csrw mtvec, t0\n"
        "    j reset\n"
        ".text\n");

__attribute__((used)) static void reset(void) {
    for (uint32_t *word = bss_start; word < bss_end; word++)
        *word = 0;
    port_exit(main());
}

__attribute__((used, aligned(4))) static void fault(void) {
    port_write("fault\n");
    port_exit(3);
}

/* The three instructions must be neither compressed nor split by a page. */
__attribute__((aligned(16))) uintptr_t port_semihosting(uintptr_t operation,
                                                        const void *argument) {
    register uintptr_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\n"
                     ".option norvc\n"
                     ".balign 16\n"
                     "slli x0, x0, 0x1f\n"
                     "ebreak\n"
                     "srai x0, x0, 7\n"
                     ".option pop\n"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}

uint32_t port_clock(void) {
    uint32_t now;
    __asm__ volatile("csrr %0, minstret" : "=r"(now));
    return now;
}

/* With shift=8 qemu counts 256 for an instruction. */
uint32_t port_instructions(uint32_t from, uint32_t to) {
    return (to - from) >> 8;
}
