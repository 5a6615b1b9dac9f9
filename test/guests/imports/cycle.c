/* In the place of math: imports from greeter, which imports from math. */
__attribute__((import_module("greeter"), import_name("greet"))) void greet(int n);
__attribute__((export_name("add"))) int add(int a, int b) { greet(a); return b; }
