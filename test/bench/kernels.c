/* Work for a CPU: `kernels fib|sha256|matrix` prints how many milliseconds one
 * of them took. The same source makes the native program and the module. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))

static void sha256_block(uint32_t state[8], const uint32_t block[16]) {
    static const uint32_t k[8] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5,
                                  0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5};
    uint32_t w[64], s[8];
    memcpy(w, block, 64);
    for (int i = 16; i < 64; i++) {
        uint32_t a = ROTATE(w[i - 15], 7) ^ ROTATE(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = ROTATE(w[i - 2], 17) ^ ROTATE(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t e = ROTATE(s[4], 6) ^ ROTATE(s[4], 11) ^ ROTATE(s[4], 25);
        uint32_t t = s[7] + e + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i % 8] + w[i];
        uint32_t a = ROTATE(s[0], 2) ^ ROTATE(s[0], 13) ^ ROTATE(s[0], 22);
        uint32_t m = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t;
        s[0] = t + a + m;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

/* The rounds of SHA-256, with fewer constants: the work is the same. */
static uint32_t sha256(void) {
    uint32_t state[8] = {1, 2, 3, 4, 5, 6, 7, 8}, block[16] = {0};
    for (uint32_t i = 0; i < 600000; i++) {
        block[i % 16] = i;
        sha256_block(state, block);
    }
    return state[0];
}

#define SIZE 384
static double left[SIZE][SIZE], right[SIZE][SIZE], product[SIZE][SIZE];

static uint32_t matrix(void) {
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) left[i][j] = i + j, right[i][j] = i - j;
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < SIZE; k++)
            for (int j = 0; j < SIZE; j++) product[i][j] += left[i][k] * right[k][j];
    return (uint32_t)product[SIZE / 2][SIZE / 3];
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int main(int argc, char **argv) {
    const char *kernel = argc > 1 ? argv[1] : "";
    uint64_t begin = now();
    uint32_t result;
    if (!strcmp(kernel, "fib")) result = fib(argc + 32);
    else if (!strcmp(kernel, "sha256")) result = sha256();
    else if (!strcmp(kernel, "matrix")) result = matrix();
    else return 2;
    printf("%.3f %u\n", (now() - begin) / 1e3, result);
    return 0;
}
