/*
 * What a tenant's own program can do, without any library. Alone in an image it runs inside instances:
 *   caller HOST PORT   sends what it reads, up to its end, and writes what comes until the other side closes. HOST is
 *                      looked up in /etc/hosts. Ends with 2: nobody has that name; 3: no connection; 4: nothing came
 *   caller env         writes its environment, a line each
 *   caller wait        waits for SIGTERM
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

static char text[1 << 20];

static void end(int signal) {
  (void)signal;
  _exit(0);
}

/* The first IPv4 address that a line of /etc/hosts gives that name. */
static int lookUp(const char *name, struct in_addr *address) {
  char line[1024];
  FILE *hosts = fopen("/etc/hosts", "r");
  while (hosts != NULL && fgets(line, sizeof line, hosts) != NULL) {
    const char *const between = " \t\r\n";
    const char *number = strtok(line, between);
    if (number == NULL || inet_pton(AF_INET, number, address) != 1) continue;
    for (const char *word = strtok(NULL, between); word != NULL; word = strtok(NULL, between))
      if (strcmp(word, name) == 0) return 1;
  }
  return inet_pton(AF_INET, name, address) == 1;
}

static int call(const char *host, const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  if (!lookUp(host, &to.sin_addr)) {
    fprintf(stderr, "%s: nobody has that name\n", host);
    return 2;
  }
  const size_t length = fread(text, 1, sizeof text, stdin);
  const int peer = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(peer, (struct sockaddr *)&to, sizeof to) != 0) {
    fprintf(stderr, "%s: %s\n", host, strerror(errno));
    return 3;
  }
  for (size_t sent = 0; sent < length;) {
    const ssize_t now = send(peer, text + sent, length - sent, MSG_NOSIGNAL);
    if (now < 0) break; /* the answer may be there all the same */
    sent += (size_t)now;
  }
  ssize_t got, all = 0;
  while ((got = read(peer, text, sizeof text)) > 0) {
    fwrite(text, 1, (size_t)got, stdout);
    all += got;
  }
  return all > 0 ? 0 : 4;
}

int main(int argc, char **argv) {
  signal(SIGTERM, end);
  if (argc == 3) {
    alarm(60);
    return call(argv[1], argv[2]);
  }
  if (argc != 2) return 64;
  if (strcmp(argv[1], "env") == 0) {
    for (char **pair = environ; *pair != NULL; ++pair)
      puts(*pair);
    return 0;
  }
  for (;;)
    pause();
}
