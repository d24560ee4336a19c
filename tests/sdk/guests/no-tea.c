/* A policy in C: nobody gets tea. */
#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/abi/policy.h>

#include <string.h>

static const mos_host_services_v1 *services;

static mos_str text(const char *from) {
  mos_str out = {from, strlen(from)};
  return out;
}

static mos_status check(void *self, const mos_policy_request *request, mos_error *error) {
  mos_policy_verdict verdict;
  (void)self, (void)error;
  memset(&verdict, 0, sizeof verdict);
  verdict.struct_size = sizeof verdict;
  verdict.verdict = MOS_VERDICT_ALLOW;
  if (request->path.len == 4 && memcmp(request->path.ptr, "/tea", 4) == 0) {
    verdict.verdict = MOS_VERDICT_DENY;
    verdict.status = 418;
    verdict.message = text("this is a teapot");
  }
  request->answer(request, &verdict);
  return MOS_OK;
}

static mos_policy_v1 table = {sizeof table, MOS_POLICY_1_MINOR, NULL, check, NULL};

static mos_status start(void *self, mos_error *error) {
  (void)self;
  return services->provide(services->self, text(MOS_POLICY_1), text("no-tea"), &table, error);
}

static mos_status stop(void *self, mos_error *error) {
  (void)self, (void)error;
  return MOS_OK;
}

static void destroy(void *self) {
  (void)self;
}

static mos_status create(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *error) {
  (void)error;
  services = host->get_interface(host->self, MOS_HOST_SERVICES_1);
  plugin->start = start;
  plugin->stop = stop;
  plugin->destroy = destroy;
  return MOS_OK;
}

static const mos_provide provides[] = {{MOS_POLICY_1, "no-tea", MOS_POLICY_1_MINOR, 0}};

static const mos_descriptor_v1 descriptor = {
    .struct_size = sizeof descriptor,
    .magic = MOS_MAGIC,
    .abi_major = MOS_ABI_MAJOR,
    .min_host_minor = 1,
    .id = "no-tea",
    .name = "No tea",
    .version = "1.0.0",
    .vendor = "Example",
    .license = "MIT",
    .description = "Refuses tea.",
    .provides = provides,
    .provides_count = 1,
    .create = create,
};

MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {
  return &descriptor;
}
