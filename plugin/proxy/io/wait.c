// The program that containers made through the Docker API proxy begin with: waits until weft has
// given the container its interface, then becomes what the container is to run (its arguments).
//
// Runs in whatever image, as whatever user: no library, no memory but its stack, nothing read but
// /proc/net/route. weft's interface has its routes last (sys/guest/guest.h), so it is there when
// its multicast route is; called as w-nomcast, when any route of it is.
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/time_types.h>

#define ENOENT 2
#define EACCES 13

enum { kLook = 10 * 1000 * 1000, kPathMax = 4096, kNotFound = 127, kNotRun = 126 };

static long call3(long number, long a, long b, long c) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
#else
#error "weft runs on x86_64 and aarch64"
#endif
}

static unsigned long length(const char* text) {
  unsigned long size = 0;
  while (text[size] != '\0') {
    ++size;
  }
  return size;
}

static int begins(const char* text, const char* with) {
  while (*with != '\0') {
    if (*text++ != *with++) {
      return 0;
    }
  }
  return 1;
}

static int ends(const char* text, const char* with) {
  const unsigned long size = length(text);
  const unsigned long tail = length(with);
  return size >= tail && begins(text + size - tail, with);
}

// Lines of the table begin with the interface and, in hexadecimal as it lies in memory, the
// network: 224.0.0.0 is that of multicast. They are 128 octets each (net/ipv4/fib_trie.c), so that
// none is cut by the end of what is read at a time.
static int has_route(const char* route) {
  char text[kPathMax + 1];
  int is_there = 0;
  long size = 0;
  const long file = call3(__NR_openat, AT_FDCWD, (long)"/proc/net/route", O_RDONLY);
  if (file < 0) {
    return 0;
  }
  do {
    size = call3(__NR_read, file, (long)text, kPathMax);
    text[size > 0 ? size : 0] = '\0';
    for (const char* at = text; *at != '\0' && !is_there; ++at) {
      is_there = (at == text || at[-1] == '\n') && begins(at, route);
    }
  } while (size > 0 && !is_there);
  (void)call3(__NR_close, file, 0, 0);
  return is_there;
}

static void print(const char* text) {
  (void)call3(__NR_write, 2, (long)text, (long)length(text));
}

// Returns how an attempt failed, as the kernel says it.
static long run(const char* path, char** words, char** environment) {
  return -call3(__NR_execve, (long)path, (long)words, (long)environment);
}

// As execvp(3): each folder of PATH in turn, unless the word names a file itself.
static long search(char** words, char** environment) {
  const char* folders = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const unsigned long size = length(words[0]);
  long failure = ENOENT;
  for (const char* at = words[0]; *at != '\0'; ++at) {
    if (*at == '/') {
      return run(words[0], words, environment);
    }
  }
  for (char** variable = environment; *variable != 0; ++variable) {
    folders = begins(*variable, "PATH=") ? *variable + length("PATH=") : folders;
  }
  while (*folders != '\0') {
    char path[kPathMax];
    unsigned long used = 0;
    while (*folders != '\0' && *folders != ':' && used + size + 2 < kPathMax) {
      path[used++] = *folders++;
    }
    while (*folders != '\0' && *folders != ':') {
      ++folders;
    }
    folders += *folders == ':' ? 1 : 0;
    path[used++] = '/';
    for (unsigned long i = 0; i <= size && used < kPathMax; ++i) {
      path[used++] = words[0][i];
    }
    const long why = used < kPathMax ? run(path, words, environment) : ENOENT;
    failure = why == EACCES ? why : failure;
  }
  return failure;
}

// What the kernel puts on the stack of a new process: a count, words, a null, variables, a null.
__attribute__((noreturn, used)) static void begin(long* stack) {
  char** words = (char**)(stack + 1);
  char** environment = words + stack[0] + 1;
  const char* const route = ends(words[0], "-nomcast") ? "ethwe\t" : "ethwe\t000000E0\t";
  const struct __kernel_timespec pause = {.tv_sec = 0, .tv_nsec = kLook};
  long why = ENOENT;
  while (!has_route(route)) {
    (void)call3(__NR_nanosleep, (long)&pause, 0, 0);
  }
  if (stack[0] > 1) {
    why = search(words + 1, environment);
    print("weft: cannot run ");
    print(words[1]);
    print(why == ENOENT ? ": not found\n" : "\n");
  }
  for (;;) {
    (void)call3(__NR_exit_group, why == ENOENT ? kNotFound : kNotRun, 0, 0);
  }
}

#if defined(__x86_64__)
__asm__(
    ".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call begin\n");
#else
__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl begin\n");
#endif
