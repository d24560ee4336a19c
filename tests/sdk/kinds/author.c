/* A plugin's test in C: author PLUGIN, whose routes are those of a template. */
#include <matrixos/testing/host.h>

#include <stdio.h>
#include <string.h>

static mos_str text(const char *from) {
  mos_str out = {from, strlen(from)};
  return out;
}

static void answered(void *ctx, const mos_test_answer *answer) {
  *(uint32_t *)ctx = answer->status;
}

/* The status of an answer; 0 when there is none. */
static uint32_t ask(const mos_testhost_v1 *api, mos_test_host *host, const char *method, const char *body,
                    mos_error *error) {
  mos_test_request request = {0};
  uint32_t status = 0;
  request.struct_size = sizeof request;
  request.who = MOS_TEST_OPERATOR;
  request.method = text(method);
  request.target = text("/fire-fly-routes");
  request.body = text(body);
  api->request(host, &request, &status, answered, error);
  return status;
}

int main(int argc, char **argv) {
  const mos_testhost_v1 *api = mos_testhost_entry_v1();
  mos_test_host *host = NULL;
  mos_error error = {0};
  mos_buf rows = {0};
  int well = argc == 2 && api->make(&host, &error) == MOS_OK &&
             api->add_plugin(host, text(argv[1]), &error) == MOS_OK && api->start(host, &error) == MOS_OK &&
             ask(api, host, "POST", "{\"text\":\"hello\"}", &error) == 201 &&
             ask(api, host, "GET", "", &error) == 200 &&
             api->text(host, MOS_TEST_ROWS, text("SELECT text FROM fire_fly_routes"), &rows, &error) == MOS_OK &&
             rows.len == 6 && memcmp(rows.ptr, "hello\n", 6) == 0 && api->stop(host, &error) == MOS_OK;
  if (!well) printf("FAILED: %s\n", error.message);
  if (rows.release != NULL) rows.release(&rows);
  if (host != NULL) api->destroy(host);
  return well ? 0 : 1;
}
