/*
 * The program inside the test image, alone in an empty filesystem:
 *   tenant serve PORT   answers every TCP connection on PORT with one HTTP answer, until SIGTERM
 *   tenant exit CODE    writes a line to both streams and ends
 *   tenant stubborn N   ignores SIGTERM
 *   tenant cat FILE     writes a file to stdout and waits for SIGTERM
 *   tenant raw TEXT     writes TEXT with bytes that are no UTF-8, and a line without a line feed
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int signal) {
  _exit(signal == SIGTERM ? 0 : 1);
}

static int serve(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  const int one = 1;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 16) != 0) return 2;
  puts("serving");
  fflush(stdout);
  for (;;) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ntenant";
    char request[4096];
    int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    if (read(client, request, sizeof request) > 0 && write(client, answer, sizeof answer - 1) < 0) return 3;
    close(client);
  }
}

static int show(const char *path) {
  char text[4096];
  FILE *file = fopen(path, "r");
  size_t length = file != NULL ? fread(text, 1, sizeof text, file) : 0;
  fwrite(text, 1, length, stdout);
  fflush(stdout);
  for (;;)
    pause();
}

int main(int argc, char **argv) {
  signal(SIGTERM, end);
  if (argc != 3) return 64;
  if (strcmp(argv[1], "serve") == 0) return serve(atoi(argv[2]));
  if (strcmp(argv[1], "cat") == 0) return show(argv[2]);
  if (strcmp(argv[1], "stubborn") == 0) {
    signal(SIGTERM, SIG_IGN);
    for (;;)
      pause();
  }
  if (strcmp(argv[1], "raw") == 0) {
    printf("%s\xff\xfe\nno line feed", argv[2]);
    return 0;
  }
  fprintf(stderr, "the tenant gives up\n");
  return atoi(argv[2]);
}
