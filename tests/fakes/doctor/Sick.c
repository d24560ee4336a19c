/* Plugins that are sick in one way each, for matrixosctl plugins doctor; the way is a macro, see CMakeLists.txt. */
#include <matrixos/abi/plugin.h>

#include <stdlib.h>
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

static const mos_descriptor_v1 descriptor = {.struct_size = sizeof descriptor,
                                             .magic = MOS_MAGIC,
                                             .abi_major = MOS_ABI_MAJOR,
                                             .id = SICK_ID,
                                             .name = "Sick",
                                             .version = "1.0.0",
                                             .vendor = "",
                                             .license = "",
                                             .description = "",
                                             .create = create};
MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {
  return &descriptor;
}
