/*
 * A plugin in C that can run in a process of its own, since it claims to provide a runtime and nothing else. Its commands
 * call routes of the daemon.
 */
#include <matrixos/abi/plugin.h>
#include <matrixos/abi/runtime.h>

static mos_status nothing(void *self, mos_error *error) {
  (void)self;
  (void)error;
  return MOS_OK;
}
static void destroy(void *self) {
  (void)self;
}
static mos_status create(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *error) {
  (void)host;
  (void)error;
  plugin->start = nothing;
  plugin->stop = nothing;
  plugin->destroy = destroy;
  return MOS_OK;
}

static const mos_command commands[] = {
    {.words = "bells ring", .help = "Says that the daemon lives", .method = "GET", .path = "/health"},
    {.words = "hooks list", .help = "Not theirs", .method = "GET", .path = "/health"},
    {.words = "status", .help = "Not theirs either", .method = "GET", .path = "/health"}};

static const mos_provide provides[] = {{MOS_RUNTIME_1, "bells", 0, 0}};
static const mos_descriptor_v1 descriptor = {.struct_size = sizeof descriptor,
                                             .magic = MOS_MAGIC,
                                             .abi_major = MOS_ABI_MAJOR,
                                             .id = "bells",
                                             .name = "Bells",
                                             .version = "1.0.0",
                                             .provides = provides,
                                             .provides_count = 1,
                                             .create = create,
                                             .commands = commands,
                                             .commands_count = 3};
MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {
  return &descriptor;
}
