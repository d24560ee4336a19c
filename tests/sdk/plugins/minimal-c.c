/*
 * A plugin in C11, without any library: one route, one line in the log. It shows that the contract needs no C++.
 */
#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <stdlib.h>
#include <string.h>

struct minimal {
  const mos_host_log_v1 *log;
  const mos_host_http_v1 *http;
};

static mos_str text(const char *from) {
  const mos_str to = {from, strlen(from)};
  return to;
}

static void handle(void *ctx, uint64_t exchange) {
  const struct minimal *self = ctx;
  self->http->respond(self->http->self, exchange, 200, text("application/json"), NULL, 0, text("{\"from\":\"c\"}"),
                      NULL);
}

static mos_status start(void *ptr, mos_error *error) {
  struct minimal *self = ptr;
  mos_http_route route;
  memset(&route, 0, sizeof route);
  route.method = text("GET");
  route.pattern = text("/minimal-c");
  route.permission = text(MOS_PERMISSION_PUBLIC);
  route.summary = text("Answers from C");
  route.ctx = self;
  route.handle = handle;
  self->log->write(self->log->self, MOS_LOG_INFO, text("minimal-c starts"), NULL, 0);
  return self->http->add_routes(self->http->self, &route, 1, error);
}

static mos_status stop(void *ptr, mos_error *error) {
  struct minimal *self = ptr;
  (void)error;
  self->log->write(self->log->self, MOS_LOG_INFO, text("minimal-c stops"), NULL, 0);
  return MOS_OK;
}

static void destroy(void *ptr) {
  free(ptr);
}

static mos_status create(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *error) {
  struct minimal *self = calloc(1, sizeof *self);
  if (self == NULL) return MOS_RESOURCE_EXHAUSTED;
  self->log = host->get_interface(host->self, MOS_HOST_LOG_1);
  self->http = host->get_interface(host->self, MOS_HOST_HTTP_1);
  if (self->log == NULL || self->http == NULL) {
    free(self);
    if (error != NULL) {
      error->status = MOS_FAILED_PRECONDITION;
      strcpy(error->message, "this host offers no log or no http");
    }
    return MOS_FAILED_PRECONDITION;
  }
  plugin->self = self;
  plugin->start = start;
  plugin->stop = stop;
  plugin->destroy = destroy;
  return MOS_OK;
}

static const mos_descriptor_v1 descriptor = {
    .struct_size = sizeof(mos_descriptor_v1),
    .magic = MOS_MAGIC,
    .abi_major = MOS_ABI_MAJOR,
    .id = "minimal-c",
    .name = "Minimal in C",
    .version = "1.0.0",
    .vendor = "Matrix OS",
    .license = "MIT",
    .description = "One route, in C.",
    .create = create,
};

MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void);
MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {
  return &descriptor;
}
