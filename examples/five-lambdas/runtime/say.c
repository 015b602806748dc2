// say: the interpreter that the examples' images run, so that they build with no network.
//
//   say FILE...          prints the files
//   say -o OUT FILE...   joins the files as they are into OUT, executable: stands for a compiler
//
// As an interpreter (`#!/bin/say` in the first line of an executable file) it prints that file. A line that
// begins with `#` is left out; of a line `@PATH` the file at PATH is printed instead.
//
// No C library: about a kilobyte, static, for amd64 and arm64. Made by ./make-say; the results are committed.

typedef unsigned long word;

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, OPENAT = 257, EXIT = 60 };
static long call(long number, long a, long b, long c, long d) {
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call start\n");
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, OPENAT = 56, EXIT = 93 };
static long call(long number, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
__asm__(".globl _start\n_start: mov x0, sp\n bl start\n");
#endif

enum { HERE = -100, CREATE = 0101 | 01000, SIZE = 1 << 16 };

static void quit(int status) {
    for (;;) call(EXIT, status, 0, 0, 0);
}

static void put(int to, const char *bytes, word count) {
    while (count > 0) {
        long written = call(WRITE, to, (long)bytes, (long)count, 0);
        if (written <= 0) quit(1);
        bytes += written;
        count -= (word)written;
    }
}

static long load(const char *path, char *into) {
    long from = call(OPENAT, HERE, (long)path, 0, 0);
    long size = 0, count = 1;
    if (from < 0) {
        word length = 0;
        while (path[length]) length++;
        put(2, "say: cannot read ", 17);
        put(2, path, length);
        put(2, "\n", 1);
        quit(1);
    }
    while (count > 0 && size < SIZE - 1) {
        count = call(READ, from, (long)(into + size), SIZE - 1 - size, 0);
        if (count > 0) size += count;
    }
    into[size] = 0;
    return size;
}

static char texts[4][SIZE];

static void print(const char *path, int depth) {
    char *text = texts[depth];
    load(path, text);
    while (*text) {
        char *end = text;
        while (*end && *end != '\n') end++;
        char *next = *end ? end + 1 : end;
        if (*text == '@' && depth < 3) {
            *end = 0;
            print(text + 1, depth + 1);
        } else if (*text != '#') {
            put(1, text, (word)(next - text));
        }
        text = next;
    }
}

void start(long *stack) {
    long count = stack[0];
    char **arguments = (char **)(stack + 1);
    long first = 1;
    if (count > 3 && arguments[1][0] == '-' && arguments[1][1] == 'o' && arguments[1][2] == 0) {
        long to = call(OPENAT, HERE, (long)arguments[2], CREATE, 0755);
        if (to < 0) quit(1);
        for (first = 3; first < count; first++) put((int)to, texts[0], (word)load(arguments[first], texts[0]));
        quit(0);
    }
    for (; first < count; first++) print(arguments[first], 0);
    quit(0);
}
