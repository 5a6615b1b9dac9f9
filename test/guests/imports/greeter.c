/* Imports from math, and is imported by app. */
#include <stdio.h>

__attribute__((import_module("math"), import_name("add"))) int add(int a, int b);
__attribute__((constructor)) static void prepare(void) { printf("greeter %d\n", add(0, 0)); fflush(stdout); }
__attribute__((export_name("greet"))) void greet(int n) { printf("hello %d\n", add(n, 1)); fflush(stdout); }
