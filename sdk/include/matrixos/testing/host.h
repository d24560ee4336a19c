/*
 * matrixos/testing/host.h: the test host, a platform in the process of a test that runs plugins as the daemon does.
 *
 * It is the daemon's own code: the same checks of a file and its descriptor, the same database, routes, services,
 * outbox. What differs: everything lies in a temporary folder, no port is opened, the log is kept, and time for timers
 * and outboxes stands still until the test moves it. C++ has matrixos/testing.hpp over this.
 *
 * It comes as a library (CMake: find_package(matrixos-sdk COMPONENTS testing), target matrixos::testing) with one
 * function. Functions are only ever appended to its table. There is one host in a process at a time. All functions of
 * one host: one thread at a time, unless they say otherwise; all may block.
 */
#ifndef MATRIXOS_TESTING_HOST_H
#define MATRIXOS_TESTING_HOST_H

#include <matrixos/abi/base.h>
#include <matrixos/abi/service.h>

MOS_BEGIN_C

typedef struct mos_test_host mos_test_host;

/* Who sends a request. */
#define MOS_TEST_OPERATOR UINT32_C(0) /* through the admin socket: may do everything */
#define MOS_TEST_ANYONE UINT32_C(1)   /* who the fields of the request say, to providers of identities */

/* A request to the API. */
typedef struct mos_test_request {
  uint32_t struct_size;
  uint32_t who;
  mos_str method;
  mos_str target; /* "/guestbook/7?full=1" */
  const mos_pair *fields;
  uint32_t fields_count;
  uint32_t reserved;
  mos_str body; /* application/json, unless a field says otherwise */
} mos_test_request;

/* What came back, borrowed for the callback. */
typedef struct mos_test_answer {
  uint32_t struct_size;
  uint32_t status;
  const mos_pair *fields;
  uint32_t fields_count;
  uint32_t reserved;
  mos_str body;
} mos_test_answer;

/* A line of the log, borrowed for the callback. */
typedef struct mos_test_line {
  uint32_t struct_size;
  uint32_t level; /* MOS_LOG_… */
  mos_str logger; /* the plugin's id; "core.plugin" and the like are the host's own */
  mos_str message;
  const mos_pair *fields; /* values as text */
  uint32_t fields_count;
  uint32_t reserved;
} mos_test_line;

/* What text() gives. */
#define MOS_TEST_FOLDER UINT32_C(0)  /* the data directory; argument unused */
#define MOS_TEST_METRICS UINT32_C(1) /* all metrics in Prometheus' text format; argument unused */
#define MOS_TEST_STATE UINT32_C(2)   /* of the plugin `argument`: "running", "degraded: why", "failed: why", … */
#define MOS_TEST_ROWS UINT32_C(3)    /* what the SQL query `argument` gives: a line per row, its columns between "|" */
#define MOS_TEST_FAULTS UINT32_C(4)  /* what plugins did that they must not, a line each: "notes: trespass" */

typedef struct mos_testhost_v1 {
  uint32_t struct_size;
  uint32_t minor;

  /* Fails: FAILED_PRECONDITION while there is another one. */
  mos_status (*make)(mos_test_host **out, mos_error *error);
  /* Stops, and removes the folder. */
  void (*destroy)(mos_test_host *host);

  /* Before start(): a plugin's file. Its id is the file's name without .so. */
  mos_status (*add_plugin)(mos_test_host *host, mos_str file, mos_error *error);
  /*
   * A value of the configuration as an operator would write it, "guestbook.greeting" or "platform.domain"; a name
   * without a dot is the first plugin's. While the plugins run it counts from reconfigure() or the next start() on.
   */
  mos_status (*set)(mos_test_host *host, mos_str name, mos_str value, mos_error *error);
  /*
   * The test describes a service that the SDK does not know, and so may provide or acquire it also where the plugin
   * does not describe it. The description has to stay.
   */
  mos_status (*describe)(mos_test_host *host, const mos_service_v1 *service, mos_error *error);
  /*
   * The test provides a service. It has to be named before start() for the first time; afterwards it may be withdrawn
   * and provided again, with another table if need be.
   */
  mos_status (*provide)(mos_test_host *host, mos_str service, mos_str instance, uint32_t minor, const void *table,
                        mos_error *error);
  mos_status (*withdraw)(mos_test_host *host, mos_str service, mos_str instance, mos_error *error);

  /*
   * Starts the plugins in the order of their needs. Fails with the first that did not start, as the daemon would say
   * it, and then nothing runs. What is in the database and the folder stays from one start to the next.
   */
  mos_status (*start)(mos_test_host *host, mos_error *error);
  /*
   * Stops and destroys the plugins, and takes the host apart. Fails with what they left behind: a failure of stop(),
   * what would not end, threads and open files that were not there before start(). Nothing when nothing runs.
   */
  mos_status (*stop)(mos_test_host *host, mos_error *error);
  /* Reads the configuration again, as the daemon does on reload. Fails when it is wrong or a plugin refuses it. */
  mos_status (*reconfigure)(mos_test_host *host, mos_error *error);

  /* [any-thread] Sends a request and gives the answer to `answered`, once, before it returns. */
  mos_status (*request)(mos_test_host *host, const mos_test_request *request, void *ctx,
                        void (*answered)(void *ctx, const mos_test_answer *answer), mos_error *error);
  /*
   * [any-thread] A proxy of a service that a plugin provides, as plugins get it: deadlines are kept, and it answers
   * MOS_UNAVAILABLE while nobody provides the service. Until release() or stop().
   */
  mos_status (*acquire)(mos_test_host *host, mos_str service, mos_str instance, const void **out, mos_error *error);
  mos_status (*release)(mos_test_host *host, const void *table, mos_error *error);

  /*
   * Lets time go on by so many milliseconds: timers that come due on the way run in their order, each at its time, and
   * have returned; what they gave to the executor may still run. The plugin's own reading of a clock is not changed.
   */
  mos_status (*advance)(mos_test_host *host, int64_t milliseconds, mos_error *error);

  /* [any-thread] */
  mos_status (*publish)(mos_test_host *host, mos_str topic, mos_str json, mos_error *error);
  /* [any-thread] All events since the last start(), in their order. They arrive on a thread of their own. */
  mos_status (*events)(mos_test_host *host, void *ctx, void (*event)(void *ctx, mos_str topic, mos_str json),
                       mos_error *error);
  /* [any-thread] All lines of the log since make(); of the host's own only warnings and errors. */
  mos_status (*log)(mos_test_host *host, void *ctx, void (*line)(void *ctx, const mos_test_line *line),
                    mos_error *error);
  /* [any-thread] See MOS_TEST_FOLDER and those below it. */
  mos_status (*text)(mos_test_host *host, uint32_t what, mos_str argument, mos_buf *out, mos_error *error);
} mos_testhost_v1;

#define MOS_TESTHOST_MINOR 0

/* The one function of the library. Static data. */
const mos_testhost_v1 *mos_testhost_entry_v1(void);

MOS_END_C

#endif
