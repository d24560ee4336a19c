/* Plugins that are sick in one way each, for matrixosctl plugins doctor; the way is a macro, see CMakeLists.txt. */
#define _GNU_SOURCE
#include <matrixos/abi/plugin.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef CRASHES
__attribute__((constructor)) static void crash(void) {
  abort();
}
#endif
#ifdef HANGS
__attribute__((constructor)) static void hang(void) {
  for (;;)
    pause();
}
#endif
#ifdef EXITS
__attribute__((constructor)) static void leave(void) {
  _exit(0);
}
#endif
#ifdef GREEDY
__attribute__((constructor)) static void grab(void) {
  char name[] = "/tmp/matrixos-greedy-XXXXXX";
  if (geteuid() == 0 || mkstemp(name) >= 0) abort();
  if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || fork() >= 0 || kill(getppid(), 0) == 0) abort();
  execl("/bin/true", "true", (char *)NULL);
  if (mkdir("/tmp/matrixos-greedy", 0700) == 0 || chmod("/tmp", 01777) == 0) abort();
}
#endif
#ifdef EXPORTS
MOS_EXPORT int sick_helper(void) {
  return 1;
}
#endif
#ifdef IMPORTS
extern void mos_core_secret(void);
#endif
#ifdef LIBRARY
extern int matrixos_gone(void);
#endif

static mos_status begin(void *self, mos_error *error) {
  (void)self;
  (void)error;
#ifdef IMPORTS
  mos_core_secret();
#endif
#ifdef LIBRARY
  matrixos_gone();
#endif
  return MOS_OK;
}
static void destroy(void *self) {
  (void)self;
}
static mos_status create(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *error) {
  (void)host;
  (void)error;
  plugin->start = begin;
  plugin->stop = begin;
  plugin->destroy = destroy;
  return MOS_OK;
}

static const mos_provide provides[] = {{"example.thing/1", "one", 0, 0}, {"example.thing/1", "one", 0, 0}};
#if defined(TWICE)
#define PROVIDED 2
#elif defined(PROVIDES)
#define PROVIDED 1
#else
#define PROVIDED 0
#endif
static const mos_config_key keys[] = {{"isolation", "string", "", NULL, "Its own.", 0, 0}};
#ifdef RESERVED
#define KEYS 1
#else
#define KEYS 0
#endif

static const mos_command commands[] = {
#ifdef COMMANDS
    {.words = "sick list", .help = "All", .method = "GET", .path = "/sick/{NOBODY}"}
#elif defined(PATHS) || defined(LENT)
    {.words = "sick cure", .arguments = "ID", .help = "Ends one", .method = "DELETE", .path = "/containers/{ID}"}
#else
    {.words = "plugins list", .help = "All", .method = "GET", .path = "/" SICK_ID},
    {.words = "status", .help = "All", .method = "GET", .path = "/" SICK_ID}
#endif
};
#if defined(COMMANDS) || defined(PATHS) || defined(LENT)
#define DECLARED 1
#elif defined(WORDS)
#define DECLARED 2
#else
#define DECLARED 0
#endif

static const mos_need needs[] = {{"matrixos.sickness/1", 0, MOS_NEED_OPTIONAL}};
#ifdef LENT
#define NEEDED 1
#else
#define NEEDED 0
#endif

static const mos_descriptor_v1 descriptor = {.struct_size = sizeof descriptor,
                                             .magic = MOS_MAGIC,
                                             .abi_major = MOS_ABI_MAJOR,
                                             .id = SICK_ID,
                                             .name = "Sick",
                                             .version = "1.0.0",
                                             .vendor = "",
                                             .license = "",
                                             .description = "",
                                             .provides = provides,
                                             .provides_count = PROVIDED,
                                             .needs = needs,
                                             .needs_count = NEEDED,
                                             .config_keys = keys,
                                             .config_keys_count = KEYS,
                                             .commands = commands,
                                             .commands_count = DECLARED,
                                             .create = create};
MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {
  return &descriptor;
}
