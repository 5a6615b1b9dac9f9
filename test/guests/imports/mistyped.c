/* In the place of math: the right name with the wrong type. */
__attribute__((export_name("add"))) int add(long long a) { return (int)a; }
