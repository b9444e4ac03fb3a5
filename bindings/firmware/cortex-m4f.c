/* Start-up, semihosting and the clock of a Cortex-M4F: qemu-system-arm -M mps2-an386. */
#include "port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define CPACR REGISTER(0xE000ED88)

static void reset(void) {
    CPACR |= 0xFu << 20; /* the FPU is off at reset */
    for (uint32_t *word = bss_start; word < bss_end; word++)
        *word = 0;
    SYST_RVR = 0xFFFFFF;
    SYST_CVR = 0;
    SYST_CSR = 5; /* on, from the processor's clock of 25 MHz, no interrupt */
    port_exit(main());
}

static void fault(void) {
    port_write("fault\n");
    port_exit(3);
}

__attribute__((section(".start"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} start = {stack_top, {reset, [1 ... 14] = fault}};

uintptr_t port_semihosting(uintptr_t operation, const void *argument) {
    register uintptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

uint32_t port_clock(void) {
    return SYST_CVR;
}

/* With shift=8 an instruction takes 256 ns: 6.4 ticks of 40 ns. */
uint32_t port_instructions(uint32_t from, uint32_t to) {
    return (((from - to) & 0xFFFFFF) * 10 + 32) / 64;
}
