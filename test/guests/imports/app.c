/* The entry: imports from both. */
#include <stdio.h>

__attribute__((import_module("math"), import_name("add"))) int add(int a, int b);
__attribute__((import_module("greeter"), import_name("greet"))) void greet(int n);
int main(void) {
    printf("app %d\n", add(1, 2));
    fflush(stdout);
    greet(41);
    return 0;
}
