/* A static native program: what a pod's pause container or a sidecar is. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static void end(int signal) { (void)signal; _exit(0); }

/* Prints the lines of /proc/self/status that start with the given word. */
static void print_status(const char *word) {
    char line[512];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, word, strlen(word)) == 0) fputs(line, stdout);
    if (status) fclose(status);
}

static void identity(void) {
    char text[4096];
    printf("pid=%d\nuid=%d\ngid=%d\n", getpid(), getuid(), getgid());
    if (getcwd(text, sizeof text)) printf("cwd=%s\n", text);
    if (gethostname(text, sizeof text) == 0) printf("hostname=%s\n", text);
    print_status("Cap");
    print_status("NoNewPrivs");
    print_status("Seccomp:");
}

/* The serial number of the session keyring, KEYCTL_GET_KEYRING_ID of -3. */
static void keyring(void) { printf("%ld\n", syscall(SYS_keyctl, 0, -3, 0)); }

int main(int argc, char **argv) {
    const char *job = argc > 1 ? argv[1] : "hello";
    if (!strcmp(job, "hello")) puts("hello from native code");
    else if (!strcmp(job, "exit") && argc > 2) return atoi(argv[2]);
    else if (!strcmp(job, "id")) identity();
    else if (!strcmp(job, "keyring")) keyring();
    else if (!strcmp(job, "env")) { for (char **e = environ; *e; e++) puts(*e); }
    else if (!strcmp(job, "grow") && argc > 2) {
        /* Takes so many MiB and uses them. */
        size_t size = (size_t)atoi(argv[2]) << 20;
        volatile char *memory = malloc(size);
        if (!memory) return 1;
        for (size_t at = 0; at < size; at += 4096) memory[at] = 1;
    } else if (!strcmp(job, "leave")) {
        /* Leaves a child that says its pid and has the output open. */
        if (fork() == 0) for (printf("%d\n", getpid()), fflush(stdout);;) pause();
        sleep(1);
    } else if (!strcmp(job, "size")) {
        /* Tells the terminal's size each time that a line comes. */
        struct winsize size;
        puts("ready"); fflush(stdout);
        for (char line[64]; fgets(line, sizeof line, stdin); fflush(stdout))
            if (ioctl(0, TIOCGWINSZ, &size) == 0) printf("%d %d\n", size.ws_row, size.ws_col);
    } else if (!strcmp(job, "sleep")) {
        /* Handles nothing: as pid 1 of a namespace it ignores SIGTERM. */
        puts("ready"); fflush(stdout);
        for (;;) pause();
    } else if (!strcmp(job, "pause")) {
        /* What Kubernetes' pause does: ends at SIGTERM. */
        struct sigaction action = {.sa_handler = end};
        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGINT, &action, NULL);
        puts("ready"); fflush(stdout);
        for (;;) pause();
    } else { fprintf(stderr, "native: unknown job %s\n", job); return 2; }
    return 0;
}
