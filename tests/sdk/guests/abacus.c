/* Provides example.abacus/1, in C. */
#include "abacus.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

MOS_DESCRIBE_SERVICE(abacus, EXAMPLE_ABACUS_1, EXAMPLE_ABACUS_1_MINOR, EXAMPLE_ABACUS_1_FUNCTIONS)

static const mos_host_services_v1 *services;

static mos_str text(const char *from) {
  mos_str out = {from, strlen(from)};
  return out;
}

static void release(mos_buf *buffer) {
  free((void *)(size_t)buffer->ptr);
}

static mos_status add(void *self, const mos_call *call, int64_t a, int64_t b, mos_buf *out, mos_error *error) {
  char *json = malloc(64);
  (void)self, (void)call, (void)error;
  if (json == NULL) return MOS_RESOURCE_EXHAUSTED;
  snprintf(json, 64, "{\"sum\":%lld,\"pid\":%d}", (long long)(a + b), (int)getpid());
  out->ptr = json;
  out->len = strlen(json);
  out->release = release;
  return MOS_OK;
}

static mos_status all(void *self, const mos_call *call, mos_buf *out, mos_error *error) {
  (void)self, (void)call, (void)out, (void)error;
  for (;;)
    pause();
  return MOS_OK;
}

static example_abacus_v1 table = {sizeof table, EXAMPLE_ABACUS_1_MINOR, NULL, add, all};

static mos_status start(void *self, mos_error *error) {
  (void)self;
  return services->provide(services->self, text(EXAMPLE_ABACUS_1), text(""), &table, error);
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

static const mos_provide provides[] = {{EXAMPLE_ABACUS_1, NULL, EXAMPLE_ABACUS_1_MINOR, 0}};
static const mos_service_v1 *const described[] = {&abacus};

static const mos_descriptor_v1 descriptor = {
    .struct_size = sizeof descriptor,
    .magic = MOS_MAGIC,
    .abi_major = MOS_ABI_MAJOR,
    .min_host_minor = 1,
    .id = "abacus",
    .name = "Abacus",
    .version = "1.0.0",
    .vendor = "Example",
    .license = "MIT",
    .description = "Adds numbers.",
    .provides = provides,
    .provides_count = 1,
    .create = create,
    .services = described,
    .services_count = 1,
};

MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {
  return &descriptor;
}
