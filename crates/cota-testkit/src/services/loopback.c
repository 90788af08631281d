/* Preloaded into a service that has no setting for it: whatever it binds to, it is the loopback address,
   and it ends when whoever started it has ended. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int bind(int socket, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    struct sockaddr_storage loopback;
    if (length > sizeof loopback)
        return real(socket, address, length);
    memcpy(&loopback, address, length);
    if (loopback.ss_family == AF_INET)
        ((struct sockaddr_in *)&loopback)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (loopback.ss_family == AF_INET6) {
        struct in6_addr mapped = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}}};
        ((struct sockaddr_in6 *)&loopback)->sin6_addr = mapped;
    }
    return real(socket, (struct sockaddr *)&loopback, length);
}

static void *end_with_parent(void *parent) {
    while (getppid() == (pid_t)(long)parent)
        usleep(200000);
    kill(getpid(), SIGKILL);
    return NULL;
}

__attribute__((constructor)) static void begin(void) {
    pthread_t thread;
    unsetenv("LD_PRELOAD");
    pthread_create(&thread, NULL, end_with_parent, (void *)(long)getppid());
    pthread_detach(thread);
}
