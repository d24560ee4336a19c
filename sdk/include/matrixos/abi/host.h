/*
 * matrixos/abi/host.h: what the daemon does for a plugin, one table per concern.
 *
 * A table is fetched once, in create(), with host->get_interface(host->self, MOS_HOST_LOG_1). `self` of the table is
 * the first argument of its functions. Everything is scoped to the plugin that asked: its own config section, its own
 * log name, its own routes. All functions are [any-thread] unless they say otherwise, from create() until stop()
 * returns; afterwards they answer MOS_UNAVAILABLE and do nothing. None of them throws.
 */
#ifndef MATRIXOS_ABI_HOST_H
#define MATRIXOS_ABI_HOST_H

#include "base.h"
#include "service.h"

MOS_BEGIN_C

/* --------------------------------------------------------------------------------------------------------- config */

#define MOS_HOST_CONFIG_1 "matrixos.host.config/1"

/*
 * Effective values of the plugin's own section by key ("endpoint"), and, read-only, of the sections platform, api
 * and metrics by full name ("platform.domain"). Values are validated by their declared type beforehand. get_int reads
 * int, bool (0 or 1), duration (milliseconds) and size (bytes). Fails: MOS_NOT_FOUND for an undeclared key,
 * MOS_INVALID_ARGUMENT for the wrong type.
 */
typedef struct mos_host_config_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  mos_status (*get_string)(void *self, mos_str key, mos_buf *out, mos_error *error);
  mos_status (*get_int)(void *self, mos_str key, int64_t *out, mos_error *error);
  mos_status (*get_number)(void *self, mos_str key, double *out, mos_error *error);
  /* One item of the list per call of the sink. */
  mos_status (*get_list)(void *self, mos_str key, mos_sink items, mos_error *error);
} mos_host_config_v1;
MOS_PIN(mos_host_config_v1, self, 8);
MOS_PIN(mos_host_config_v1, get_string, 16);
MOS_PIN(mos_host_config_v1, get_int, 24);
MOS_PIN(mos_host_config_v1, get_number, 32);
MOS_PIN(mos_host_config_v1, get_list, 40);

/* ------------------------------------------------------------------------------------------------------- platform */

#define MOS_HOST_PLATFORM_1 "matrixos.host.platform/1"

/* An event of the host: other plugins are enabled now, or what they declare is another, and info may say so. {} */
#define MOS_EVENT_PLATFORM_CHANGED "platform.changed"

/* Facts about this daemon that several plugins need. */
typedef struct mos_host_platform_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  /*
   * JSON object: {"installId": ULID kept in the data directory, "bootId": ULID new at each start,
   * "node": name of this machine, "version", "dataDir", "domain", "apiSocket": path or "",
   * "listeners": ["127.0.0.1:9000", …] of the daemon and all its plugins,
   * "sites": hosts of enabled plugins' own, ["wiki"], "consoleHost": where the site "console" stands}.
   */
  mos_status (*info)(void *self, mos_buf *out_json, mos_error *error);
  /* Tells operators (in /ready) why the plugin runs in a reduced way; an empty text clears it. */
  mos_status (*set_degraded)(void *self, mos_str reason, mos_error *error);
} mos_host_platform_v1;
MOS_PIN(mos_host_platform_v1, self, 8);
MOS_PIN(mos_host_platform_v1, info, 16);
MOS_PIN(mos_host_platform_v1, set_degraded, 24);

/* ------------------------------------------------------------------------------------------------------------ log */

#define MOS_HOST_LOG_1 "matrixos.host.log/1"

#define MOS_LOG_ERROR 1
#define MOS_LOG_WARNING 2
#define MOS_LOG_INFO 3
#define MOS_LOG_DEBUG 4

/* What the value of a field is. */
#define MOS_FIELD_TEXT 0
#define MOS_FIELD_INT 1
#define MOS_FIELD_REAL 2
#define MOS_FIELD_BOOL 3

/* A field of a log line with a value that has a type: numbers stay numbers. Frozen. */
typedef struct mos_field {
  mos_str key;
  mos_str text;
  int64_t integer; /* also MOS_FIELD_BOOL: 0 or 1 */
  double real;
  uint32_t type;
  uint32_t reserved;
} mos_field;
MOS_PIN(mos_field, key, 0);
MOS_PIN(mos_field, text, 16);
MOS_PIN(mos_field, integer, 32);
MOS_PIN(mos_field, real, 40);
MOS_PIN(mos_field, type, 48);
MOS_PIN_SIZE(mos_field, 56);

/*
 * Structured log under the plugin's name. Text is escaped by the host; never blocks on a slow reader for long. A field
 * called requestId becomes the line's own.
 */
typedef struct mos_host_log_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  void (*write)(void *self, uint32_t level, mos_str message, const mos_pair *fields, uint32_t fields_count);
  /* [loop] 1 when a message of this level would be kept. */
  int32_t (*enabled)(void *self, uint32_t level);
  /* Minor 1. Like write, which makes texts of all values. */
  void (*write_fields)(void *self, uint32_t level, mos_str message, const mos_field *fields, uint32_t fields_count);
} mos_host_log_v1;
MOS_PIN(mos_host_log_v1, self, 8);
MOS_PIN(mos_host_log_v1, write, 16);
MOS_PIN(mos_host_log_v1, enabled, 24);
MOS_PIN(mos_host_log_v1, write_fields, 32);

/* -------------------------------------------------------------------------------------------------------- metrics */

#define MOS_HOST_METRICS_1 "matrixos.host.metrics/1"

#define MOS_METRIC_COUNTER 1
#define MOS_METRIC_GAUGE 2
#define MOS_METRIC_HISTOGRAM 3

/*
 * Prometheus metrics. Names follow https://prometheus.io/docs/practices/naming/ and start with "matrixos_".
 * A handle stands for one time series (name and labels); asking again for the same series gives the same handle.
 */
typedef struct mos_host_metrics_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  /* buckets: upper bounds in ascending order, for histograms; else NULL and 0. */
  mos_status (*series)(void *self, uint32_t type, mos_str name, mos_str help, const mos_pair *labels,
                       uint32_t labels_count, const double *buckets, uint32_t buckets_count, uint64_t *out_handle,
                       mos_error *error);
  /* [loop] Counter and gauge: adds (a counter ignores negatives). Histogram: observes. A stale handle is ignored. */
  void (*add)(void *self, uint64_t handle, double value);
  /* [loop] Gauge: sets. */
  void (*set)(void *self, uint64_t handle, double value);
} mos_host_metrics_v1;
MOS_PIN(mos_host_metrics_v1, self, 8);
MOS_PIN(mos_host_metrics_v1, series, 16);
MOS_PIN(mos_host_metrics_v1, add, 24);
MOS_PIN(mos_host_metrics_v1, set, 32);

/* ------------------------------------------------------------------------------------------------------------ sql */

#define MOS_HOST_SQL_1 "matrixos.host.sql/1"

#define MOS_SQL_NULL 0
#define MOS_SQL_INT 1
#define MOS_SQL_REAL 2
#define MOS_SQL_TEXT 3
#define MOS_SQL_BLOB 4

/* One value, as parameter or column. Frozen. */
typedef struct mos_sql_value {
  uint32_t type;
  uint32_t reserved;
  int64_t integer;
  double real;
  mos_str text; /* also blobs */
} mos_sql_value;
MOS_PIN(mos_sql_value, type, 0);
MOS_PIN(mos_sql_value, integer, 8);
MOS_PIN(mos_sql_value, real, 16);
MOS_PIN(mos_sql_value, text, 24);
MOS_PIN_SIZE(mos_sql_value, 40);

#define MOS_SQL_ANY_ROWS INT64_C(-1)

/* One statement of a batch, with `?` parameters. Frozen. */
typedef struct mos_sql_statement {
  mos_str sql;
  const mos_sql_value *params;
  int64_t expected_rows; /* rows it has to change, else the whole batch is undone; or MOS_SQL_ANY_ROWS */
  uint32_t params_count;
  uint32_t reserved;
} mos_sql_statement;
MOS_PIN(mos_sql_statement, sql, 0);
MOS_PIN(mos_sql_statement, params, 16);
MOS_PIN(mos_sql_statement, expected_rows, 24);
MOS_PIN(mos_sql_statement, params_count, 32);
MOS_PIN_SIZE(mos_sql_statement, 40);

/* One schema step. Applied steps are never edited: their text is checked against what was applied. Frozen. */
typedef struct mos_sql_migration {
  uint32_t version; /* 1, 2, 3, … without gaps */
  uint32_t reserved;
  mos_str name;
  mos_str sql; /* one or more statements, separated by ; */
} mos_sql_migration;
MOS_PIN(mos_sql_migration, version, 0);
MOS_PIN(mos_sql_migration, name, 8);
MOS_PIN(mos_sql_migration, sql, 24);
MOS_PIN_SIZE(mos_sql_migration, 40);

/* Receives rows; the values are borrowed for the call. Frozen. */
typedef struct mos_sql_rows {
  void *ctx;
  int32_t (*row)(void *ctx, const mos_sql_value *columns, uint32_t count); /* MOS_SINK_CONTINUE or MOS_SINK_STOP */
} mos_sql_rows;
MOS_PIN(mos_sql_rows, ctx, 0);
MOS_PIN(mos_sql_rows, row, 8);
MOS_PIN_SIZE(mos_sql_rows, 16);

/*
 * The platform's database. There is no open transaction to hold: reads see one snapshot per query, writes are atomic
 * batches with compare-and-set through expected_rows. Blocks for disk, so never call it from a [loop].
 *
 * A table or view belongs to the plugin that makes it, also while that is not installed; others neither read nor change
 * it, nor tie a foreign key to it. Which names a plugin may use: mos_claim. Statements of one call that run longer than
 * [storage] query_timeout, their row callbacks included, are ended.
 * Fails: MOS_ALREADY_EXISTS unique or primary key · MOS_FAILED_PRECONDITION foreign key, check, not null ·
 * MOS_ABORTED expected_rows not met (reason EXPECTATION) · MOS_RESOURCE_EXHAUSTED disk full ·
 * MOS_PERMISSION_DENIED somebody else's table (TABLE_OWNED) · MOS_DEADLINE_EXCEEDED (QUERY_TIMEOUT) ·
 * MOS_UNAVAILABLE database locked or gone · MOS_INVALID_ARGUMENT bad SQL.
 */
typedef struct mos_host_sql_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  mos_status (*query)(void *self, mos_str sql, const mos_sql_value *params, uint32_t params_count, mos_sql_rows rows,
                      mos_error *error);
  /* changed: NULL, or one slot per statement for the rows it changed. Durable once it returns MOS_OK. */
  mos_status (*exec_batch)(void *self, const mos_sql_statement *statements, uint32_t count, int64_t *changed,
                           mos_error *error);
  /* [lifecycle] Brings the plugin's tables up to date, in one transaction, after a verified backup. */
  mos_status (*migrate)(void *self, const mos_sql_migration *steps, uint32_t count, mos_error *error);
  /* "sqlite", "postgresql": for the few statements that differ. Static text. */
  const char *(*dialect)(void *self);
  /* Minor 1. As query and exec_batch; the call's deadline and its cancellation end them as well. call may be NULL. */
  mos_status (*query_call)(void *self, const mos_call *call, mos_str sql, const mos_sql_value *params,
                           uint32_t params_count, mos_sql_rows rows, mos_error *error);
  mos_status (*exec_batch_call)(void *self, const mos_call *call, const mos_sql_statement *statements, uint32_t count,
                                int64_t *changed, mos_error *error);
} mos_host_sql_v1;
MOS_PIN(mos_host_sql_v1, self, 8);
MOS_PIN(mos_host_sql_v1, query, 16);
MOS_PIN(mos_host_sql_v1, exec_batch, 24);
MOS_PIN(mos_host_sql_v1, migrate, 32);
MOS_PIN(mos_host_sql_v1, dialect, 40);
MOS_PIN(mos_host_sql_v1, query_call, 48);
MOS_PIN(mos_host_sql_v1, exec_batch_call, 56);

/* ------------------------------------------------------------------------------------------------------ key-value */

/* Since host minor 1. */
#define MOS_HOST_KV_1 "matrixos.host.kv/1"

/* In place of an expected version. */
#define MOS_KV_ANY INT64_C(-1)
#define MOS_KV_ABSENT INT64_C(0)

#define MOS_KV_KEY_SIZE 512
#define MOS_KV_VALUE_SIZE 65536

/* Frozen. */
typedef struct mos_kv_entry {
  mos_str key;
  mos_str value;
  int64_t version;
} mos_kv_entry;
MOS_PIN(mos_kv_entry, key, 0);
MOS_PIN(mos_kv_entry, value, 16);
MOS_PIN(mos_kv_entry, version, 32);
MOS_PIN_SIZE(mos_kv_entry, 40);

/* Receives entries; they are borrowed for the call. Frozen. */
typedef struct mos_kv_entries {
  void *ctx;
  int32_t (*entry)(void *ctx, const mos_kv_entry *entry); /* MOS_SINK_CONTINUE or MOS_SINK_STOP */
} mos_kv_entries;
MOS_PIN(mos_kv_entries, ctx, 0);
MOS_PIN(mos_kv_entries, entry, 8);
MOS_PIN_SIZE(mos_kv_entries, 16);

/*
 * Small values of the plugin's own, by key, for what needs no table: a cursor, a token's expiry, a switch. Keys are
 * bytes, 1 to MOS_KV_KEY_SIZE of them, values up to MOS_KV_VALUE_SIZE; a plugin has up to 10,000 keys and 16 MB. Each
 * change gives its key a version greater than 0 that no key had before. Blocks for disk; a change is durable on return.
 * Works in a plugin with isolation=process as well.
 * Fails: MOS_NOT_FOUND no such key (NO_KEY) · MOS_ABORTED another version (EXPECTATION) · MOS_INVALID_ARGUMENT too long
 * · MOS_RESOURCE_EXHAUSTED full (KV_FULL), or the disk is · MOS_UNAVAILABLE database locked or gone.
 */
typedef struct mos_host_kv_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  /* out_version may be NULL. */
  mos_status (*get)(void *self, mos_str key, mos_buf *out_value, int64_t *out_version, mos_error *error);
  /* Sets the key if its version is `expected`: one that get, put or list gave, MOS_KV_ABSENT or MOS_KV_ANY. */
  mos_status (*put)(void *self, mos_str key, mos_str value, int64_t expected, int64_t *out_version, mos_error *error);
  /* Removes the key if its version is `expected`, or MOS_KV_ANY: then one that is not there is fine, too. */
  mos_status (*remove)(void *self, mos_str key, int64_t expected, mos_error *error);
  /* All keys that begin with the prefix, in the order of their bytes. */
  mos_status (*list)(void *self, mos_str prefix, mos_kv_entries entries, mos_error *error);
} mos_host_kv_v1;
MOS_PIN(mos_host_kv_v1, self, 8);
MOS_PIN(mos_host_kv_v1, get, 16);
MOS_PIN(mos_host_kv_v1, put, 24);
MOS_PIN(mos_host_kv_v1, remove, 32);
MOS_PIN(mos_host_kv_v1, list, 40);

/* --------------------------------------------------------------------------------------------------------- outbox */

/* Since host minor 1. */
#define MOS_HOST_OUTBOX_1 "matrixos.host.outbox/1"

#define MOS_OUTBOX_NAME_SIZE 512
#define MOS_OUTBOX_PAYLOAD_SIZE 262144

/* Something to deliver to a target. The id is the sender's: whoever gets an item twice knows it by that. Frozen. */
typedef struct mos_outbox_item {
  mos_str target; /* "https://example.com/hook"; what is delivered in order */
  mos_str id;     /* no two that wait for one target have the same */
  mos_str payload;
} mos_outbox_item;
MOS_PIN(mos_outbox_item, target, 0);
MOS_PIN(mos_outbox_item, id, 16);
MOS_PIN(mos_outbox_item, payload, 32);
MOS_PIN_SIZE(mos_outbox_item, 48);

/* One attempt. Growing. */
typedef struct mos_outbox_delivery {
  uint32_t struct_size;
  uint32_t attempt; /* 1, 2, 3, … */
  mos_outbox_item item;
  int64_t created_ms; /* since the epoch */
} mos_outbox_delivery;
MOS_PIN(mos_outbox_delivery, attempt, 4);
MOS_PIN(mos_outbox_delivery, item, 8);
MOS_PIN(mos_outbox_delivery, created_ms, 56);

/* What became of an attempt. */
#define MOS_OUTBOX_DONE 0
#define MOS_OUTBOX_RETRY 1 /* after error.retry_after_ms, or the host's pause where that is 0 */
#define MOS_OUTBOX_DROP 2  /* it cannot be delivered, and need not be kept */

/*
 * Called on the executor until it says DONE or DROP; one item per target at a time. What it says may be lost in a
 * crash: an item is delivered at least once. Give up when the call's deadline, a minute, has passed or it is cancelled.
 * The message of the error is kept for the operator.
 */
typedef int32_t (*mos_outbox_deliver_fn)(void *ctx, const mos_call *call, const mos_outbox_delivery *delivery,
                                         mos_error *error);

/*
 * Messages to others that have to arrive: kept in the platform's database, delivered at least once, to each target in
 * their order, again after pauses of 1 s to 1 h that double, each a fifth more or less. A target that is slow or away
 * holds up no other. After three days or 100 attempts an item is parked: it lets those behind it pass, and is kept
 * until it is tried again or discarded. A plugin has up to 10,000 items, parked ones included, and 64 MB. Blocks for
 * disk. A plugin with isolation=process has no tables, and puts in items alone, 4 MB of up to 256 at a time. Fails: as
 * sql · MOS_ALREADY_EXISTS an item of that id waits (OUTBOX_ID) · MOS_INVALID_ARGUMENT too long (OUTBOX_ITEM) ·
 * MOS_RESOURCE_EXHAUSTED full (OUTBOX_FULL).
 */
typedef struct mos_host_outbox_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  /*
   * Puts items in, in one transaction with statements on the plugin's tables (as exec_batch, which may be none): both
   * are kept or neither. Durable once it returns MOS_OK.
   */
  mos_status (*put)(void *self, const mos_outbox_item *items, uint32_t items_count, const mos_sql_statement *statements,
                    uint32_t statements_count, int64_t *changed, mos_error *error);
  /* Begins to deliver, also what earlier lives of the plugin put in. Once per life. */
  mos_status (*begin)(void *self, mos_outbox_deliver_fn deliver, void *ctx, mos_error *error);
  /* [lifecycle] After it returns MOS_OK deliver neither runs nor will. MOS_DEADLINE_EXCEEDED when it does not return.
   */
  mos_status (*end)(void *self, mos_error *error);
  /*
   * One JSON object per item, in order: {"target", "id", "attempts", "createdMs", "dueMs", "parked", "lastError"}.
   * parked_only: 1 or 0.
   */
  mos_status (*list)(void *self, uint32_t parked_only, mos_sink items, mos_error *error);
  /* Tries parked items again, in their place. An empty id: all of the target. out_count may be NULL. */
  mos_status (*retry)(void *self, mos_str target, mos_str id, int64_t *out_count, mos_error *error);
  /* Forgets parked items, likewise. */
  mos_status (*discard)(void *self, mos_str target, mos_str id, int64_t *out_count, mos_error *error);
} mos_host_outbox_v1;
MOS_PIN(mos_host_outbox_v1, self, 8);
MOS_PIN(mos_host_outbox_v1, put, 16);
MOS_PIN(mos_host_outbox_v1, begin, 24);
MOS_PIN(mos_host_outbox_v1, end, 32);
MOS_PIN(mos_host_outbox_v1, list, 40);
MOS_PIN(mos_host_outbox_v1, retry, 48);
MOS_PIN(mos_host_outbox_v1, discard, 56);

/* --------------------------------------------------------------------------------------------------------- events */

#define MOS_HOST_EVENTS_1 "matrixos.host.events/1"

/* Delivered in place of what a slow subscriber missed: read the state anew. */
#define MOS_EVENT_LOST "events.lost"

/*
 * Announcements between plugins, by topic ("instance.changed"), as JSON. They are hints: at most once, in order per
 * subscriber, nothing kept. A subscriber is called on a thread of the host, one event at a time.
 */
typedef struct mos_host_events_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  mos_status (*publish)(void *self, mos_str topic, mos_str json, mos_error *error);
  /* topic_prefix: "instance." gets all of them, "" everything. */
  mos_status (*subscribe)(void *self, mos_str topic_prefix, void (*event)(void *ctx, mos_str topic, mos_str json),
                          void *ctx, uint64_t *out_handle, mos_error *error);
  /* After it returns the callback neither runs nor will run, unless called from inside that very callback. */
  mos_status (*unsubscribe)(void *self, uint64_t handle, mos_error *error);
} mos_host_events_v1;
MOS_PIN(mos_host_events_v1, self, 8);
MOS_PIN(mos_host_events_v1, publish, 16);
MOS_PIN(mos_host_events_v1, subscribe, 24);
MOS_PIN(mos_host_events_v1, unsubscribe, 32);

/* ----------------------------------------------------------------------------------------------------------- http */

#define MOS_HOST_HTTP_1 "matrixos.host.http/1"

/* Permissions that a route declares. */
#define MOS_PERMISSION_PUBLIC "public" /* anybody, where [api] public_routes has the path; else as operator */
#define MOS_PERMISSION_ADMIN "admin"   /* as operator, by its first name */
/*
 * Who else may be asked for, given somebody provides identities (identity.h). Several are separated by |: who is one of
 * them may. The platform's secret and the admin socket are an operator with all scopes.
 */
#define MOS_PERMISSION_SIGNED_IN "signed-in" /* a user, or an operator: beside operator:SCOPE one with that scope */
#define MOS_PERMISSION_OWNER "owner"         /* of the instance that the parameter :handle names, or an operator */
#define MOS_PERMISSION_MANAGE "owner:manage" /* the same, and whom the owner lets manage it */
#define MOS_PERMISSION_USE "owner:use"       /* the same, and whom the owner lets use it */
#define MOS_PERMISSION_INSTANCE "instance"   /* an instance, by its token */
#define MOS_PERMISSION_OPERATOR "operator"   /* an operator; "operator:usage:read": one with that scope */

/*
 * A route of the API. pattern: "/containers/:handle" binds one segment, a last "*name" binds the rest of the path.
 * The host answers 404, 405, 413, 401 and malformed requests itself. Frozen.
 *
 * Since minor 1 "//wiki/pages/:id" is a page of a site, a host of the plugin's own: wiki.<domain>, and wiki.localhost
 * on this machine. The plugin claims it as the path "//wiki" (plugin.h). Below /api of a site is the API, so that its
 * pages use that without another origin. Pages get a strict Content-Security-Policy unless they bring one.
 *
 * handle(): [executor] called with a fresh exchange. It may answer now or later, from any thread; until it does the
 * client waits. Exactly one respond(), or begin() … end().
 */
typedef struct mos_http_route {
  mos_str method;
  mos_str pattern;
  mos_str permission;
  mos_str summary;   /* one line, for the route table operators see */
  uint64_t max_body; /* bytes; 0 = no body is accepted */
  void *ctx;
  void (*handle)(void *ctx, uint64_t exchange);
} mos_http_route;
MOS_PIN(mos_http_route, method, 0);
MOS_PIN(mos_http_route, pattern, 16);
MOS_PIN(mos_http_route, permission, 32);
MOS_PIN(mos_http_route, summary, 48);
MOS_PIN(mos_http_route, max_body, 64);
MOS_PIN(mos_http_route, ctx, 72);
MOS_PIN(mos_http_route, handle, 80);
MOS_PIN_SIZE(mos_http_route, 88);

/* What a request says. All text is borrowed until the exchange is answered. Growing. */
typedef struct mos_http_request {
  uint32_t struct_size; /* set by the caller of request() */
  uint32_t reserved;
  mos_str method;
  mos_str path;  /* decoded once, normalised, without the query */
  mos_str query; /* raw, without the ? */
  mos_str body;
  mos_str principal;  /* who asks: "admin", "uid:0", "" for the public */
  mos_str request_id; /* the id in the logs; also answered as X-Request-Id */
  /*
   * Since minor 1. Who asks, as JSON: {"kind": "public" | "user" | "operator" | "instance", "id": the principal,
   * "role": "none" | "use" | "manage" | "owner" of a user for :handle, "scopes": of an operator, "shares": {"bob":
   * "use"}: the instances that others let a user use or manage}; all but the first where they are known.
   */
  mos_str caller;
  mos_str client; /* the address it comes from, "203.0.113.7", which clients cannot choose; "" where nobody says it */
} mos_http_request;
MOS_PIN(mos_http_request, method, 8);
MOS_PIN(mos_http_request, path, 24);
MOS_PIN(mos_http_request, query, 40);
MOS_PIN(mos_http_request, body, 56);
MOS_PIN(mos_http_request, principal, 72);
MOS_PIN(mos_http_request, request_id, 88);
MOS_PIN(mos_http_request, caller, 104);
MOS_PIN(mos_http_request, client, 120);

#define MOS_FILE_IMMUTABLE UINT32_C(1) /* its path changes with its content: clients keep it for good */

/* A file that the host serves by itself. Frozen. */
typedef struct mos_http_file {
  mos_str path; /* "//wiki/app.js", a pattern as of a route; "//wiki/" is what the site opens with */
  mos_str content_type;
  mos_str body;
  mos_str gzip_body; /* the same, compressed, for who takes it so; or empty */
  uint32_t flags;
  uint32_t reserved;
} mos_http_file;
MOS_PIN(mos_http_file, path, 0);
MOS_PIN(mos_http_file, content_type, 16);
MOS_PIN(mos_http_file, body, 32);
MOS_PIN(mos_http_file, gzip_body, 48);
MOS_PIN(mos_http_file, flags, 64);
MOS_PIN_SIZE(mos_http_file, 72);

typedef struct mos_host_http_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  /* Adds routes; all or none. MOS_ALREADY_EXISTS when another plugin has one of them. Strings are copied. */
  mos_status (*add_routes)(void *self, const mos_http_route *routes, uint32_t count, mos_error *error);
  /* The functions below fail with MOS_NOT_FOUND for an exchange that was answered or given up. */
  mos_status (*request)(void *self, uint64_t exchange, mos_http_request *out, mos_error *error);
  /* A bound part of the path, decoded. */
  mos_status (*param)(void *self, uint64_t exchange, mos_str name, mos_str *out, mos_error *error);
  /* A query parameter, decoded, the first of its name; MOS_NOT_FOUND with reason NO_PARAMETER when absent. */
  mos_status (*query_param)(void *self, uint64_t exchange, mos_str name, mos_str *out, mos_error *error);
  /* A header field, the first of its name in any case; MOS_NOT_FOUND with reason NO_HEADER when absent. */
  mos_status (*header)(void *self, uint64_t exchange, mos_str name, mos_str *out, mos_error *error);
  /* 1 once the client has gone. */
  int32_t (*gone)(void *self, uint64_t exchange);
  /* Whole answer. content_type may be empty when there is no body. */
  mos_status (*respond)(void *self, uint64_t exchange, uint32_t status, mos_str content_type, const mos_pair *headers,
                        uint32_t headers_count, mos_str body, mos_error *error);
  /* Failure as application/problem+json; `status` is a mos_status and becomes the HTTP status. */
  mos_status (*fail)(void *self, uint64_t exchange, const mos_error *what, mos_error *error);
  /* Streamed answer. write() blocks while the client is slow and fails with MOS_CANCELLED once it has gone. */
  mos_status (*begin)(void *self, uint64_t exchange, uint32_t status, mos_str content_type, const mos_pair *headers,
                      uint32_t headers_count, mos_error *error);
  mos_status (*write)(void *self, uint64_t exchange, mos_str bytes, mos_error *error);
  mos_status (*end)(void *self, uint64_t exchange, mos_error *error);
  /*
   * Minor 1. Serves files, public ones (MOS_PERMISSION_PUBLIC), with an ETag and these headers; all or none. What they
   * hold is copied.
   */
  mos_status (*add_files)(void *self, const mos_http_file *files, uint32_t count, const mos_pair *headers,
                          uint32_t headers_count, mos_error *error);
  /*
   * Minor 1. Says more about a route that was added, for the description of the API: an OpenAPI 3.1 Operation Object
   * with any of description, operationId, parameters, requestBody, responses, tags and deprecated.
   */
  mos_status (*describe_route)(void *self, mos_str method, mos_str pattern, mos_str operation_json, mos_error *error);
} mos_host_http_v1;
MOS_PIN(mos_host_http_v1, self, 8);
MOS_PIN(mos_host_http_v1, add_routes, 16);
MOS_PIN(mos_host_http_v1, request, 24);
MOS_PIN(mos_host_http_v1, param, 32);
MOS_PIN(mos_host_http_v1, query_param, 40);
MOS_PIN(mos_host_http_v1, header, 48);
MOS_PIN(mos_host_http_v1, gone, 56);
MOS_PIN(mos_host_http_v1, respond, 64);
MOS_PIN(mos_host_http_v1, fail, 72);
MOS_PIN(mos_host_http_v1, begin, 80);
MOS_PIN(mos_host_http_v1, write, 88);
MOS_PIN(mos_host_http_v1, end, 96);
MOS_PIN(mos_host_http_v1, add_files, 104);
MOS_PIN(mos_host_http_v1, describe_route, 112);

/* ---------------------------------------------------------------------------------------------------------- fetch */

/* Since host minor 1. */
#define MOS_HOST_FETCH_1 "matrixos.host.fetch/1"

/*
 * Flags of a fetch.
 * PRIVATE: it may also connect to addresses that are not of the public internet: this machine, private networks,
 *   link-local ones. Without it they are refused, whatever a name means at the moment of connecting. Set it for servers
 *   that your operator names, never for URLs that come from tenants or from an answer.
 */
#define MOS_FETCH_PRIVATE UINT32_C(1)

#define MOS_FETCH_MOST_REDIRECTS 5
#define MOS_FETCH_AT_ONCE 64
#define MOS_FETCH_NO_LIMIT UINT64_MAX

/* What to ask for. A field of 0 takes the default. Growing. */
typedef struct mos_fetch_request {
  uint32_t struct_size;
  uint32_t flags;
  mos_str url;             /* absolute, http or https, without credentials */
  mos_str method;          /* "GET" */
  const mos_pair *headers; /* not Host, nor those that frame the message or concern the connection */
  uint32_t headers_count;
  /*
   * Redirects to follow, up to MOS_FETCH_MOST_REDIRECTS; 0: they are answers like others. None leads from https to
   * http. To another origin go neither Authorization, Cookie, Proxy-Authorization, X-Api-Key nor the body.
   */
  uint32_t max_redirects;
  mos_str body;
  uint64_t max_body;  /* longest body of an answer; 1 MB, or MOS_FETCH_NO_LIMIT for a stream */
  int64_t timeout_ms; /* for all of it; 30 s, or -1: until the call ends */
  int64_t silence_ms; /* longest time without a byte of the answer; 60 s */
  mos_str ca_file;    /* PEM file with authorities to trust beside the system's */
} mos_fetch_request;
MOS_PIN(mos_fetch_request, flags, 4);
MOS_PIN(mos_fetch_request, url, 8);
MOS_PIN(mos_fetch_request, method, 24);
MOS_PIN(mos_fetch_request, headers, 40);
MOS_PIN(mos_fetch_request, headers_count, 48);
MOS_PIN(mos_fetch_request, max_redirects, 52);
MOS_PIN(mos_fetch_request, body, 56);
MOS_PIN(mos_fetch_request, max_body, 72);
MOS_PIN(mos_fetch_request, timeout_ms, 80);
MOS_PIN(mos_fetch_request, silence_ms, 88);
MOS_PIN(mos_fetch_request, ca_file, 96);

/*
 * Takes an answer as it comes, on the thread that called fetch: the head once, then the body in pieces; all borrowed.
 * MOS_SINK_STOP ends the exchange, which then is a success. Who is slow slows the server. Frozen.
 */
typedef struct mos_fetch_sink {
  void *ctx;
  int32_t (*head)(void *ctx, uint32_t status, const mos_pair *headers, uint32_t headers_count);
  int32_t (*body)(void *ctx, mos_str bytes);
} mos_fetch_sink;
MOS_PIN(mos_fetch_sink, ctx, 0);
MOS_PIN(mos_fetch_sink, head, 8);
MOS_PIN(mos_fetch_sink, body, 16);
MOS_PIN_SIZE(mos_fetch_sink, 24);

/*
 * HTTP/1.1 as a client. Certificates are verified, names included, from TLS 1.2 on, and nothing is sent in clear
 * instead. The environment's proxies are not asked, no cookies are kept, nothing is decoded. Connections are kept for
 * the plugin's next fetch from that origin, up to 8. The daemon does it for a plugin with isolation=process, whose
 * requests have bodies of up to 4 MB, and both sides up to 256 header fields.
 */
typedef struct mos_host_fetch_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  /*
   * [executor] Blocks until the answer is complete; ends early when the call does (which may be NULL) and when the
   * plugin has stopped. Any status is an answer; of one that broke off the sink may have seen a part. Fails:
   * MOS_INVALID_ARGUMENT a request that cannot be written (BAD_URL, BAD_REQUEST) · MOS_PERMISSION_DENIED no public
   * address (NOT_PUBLIC) · MOS_UNAVAILABLE unknown, not there (UNREACHABLE), not to be trusted (TLS_FAILED) ·
   * MOS_DEADLINE_EXCEEDED (TIMEOUT) · MOS_CANCELLED · MOS_DATA_LOSS no complete answer (INCOMPLETE, MALFORMED) ·
   * MOS_RESOURCE_EXHAUSTED a longer head than 64 KB, or body (TOO_LARGE); MOS_FETCH_AT_ONCE run already (FETCH_BUSY) ·
   * MOS_FAILED_PRECONDITION a redirect that is not followed (FETCH_REDIRECT).
   */
  mos_status (*fetch)(void *self, const mos_call *call, const mos_fetch_request *request, mos_fetch_sink sink,
                      mos_error *error);
} mos_host_fetch_v1;
MOS_PIN(mos_host_fetch_v1, self, 8);
MOS_PIN(mos_host_fetch_v1, fetch, 16);

/* --------------------------------------------------------------------------------------------- timers and executor */

#define MOS_HOST_TIMERS_1 "matrixos.host.timers/1"

typedef struct mos_host_timers_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  /*
   * Runs fire(ctx) on the executor after delay_ms, and then every period_ms (0: once), measured on CLOCK_MONOTONIC.
   * A run that is still going is not started a second time; what it missed is not made up for.
   */
  mos_status (*schedule)(void *self, int64_t delay_ms, int64_t period_ms, void (*fire)(void *ctx), void *ctx,
                         uint64_t *out_handle, mos_error *error);
  /* After it returns fire neither runs nor will run, unless called from inside it. A stale handle: MOS_NOT_FOUND. */
  mos_status (*cancel)(void *self, uint64_t handle, mos_error *error);
} mos_host_timers_v1;
MOS_PIN(mos_host_timers_v1, self, 8);
MOS_PIN(mos_host_timers_v1, schedule, 16);
MOS_PIN(mos_host_timers_v1, cancel, 24);

#define MOS_HOST_EXECUTOR_1 "matrixos.host.executor/1"

typedef struct mos_host_executor_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  /*
   * Runs run(ctx) on a thread where blocking is allowed. Exactly one of run and drop is called, drop when the plugin
   * stops first; drop may be NULL. [loop] MOS_RESOURCE_EXHAUSTED when the plugin's queue is full: neither is called.
   */
  mos_status (*submit)(void *self, void (*run)(void *ctx), void (*drop)(void *ctx), void *ctx, mos_error *error);
} mos_host_executor_v1;
MOS_PIN(mos_host_executor_v1, self, 8);
MOS_PIN(mos_host_executor_v1, submit, 16);

/* ------------------------------------------------------------------------------------------------------- services */

#define MOS_HOST_SERVICES_1 "matrixos.host.services/1"

/*
 * Events of the host: a service has come or is gone. {"service", "instance", "plugin": who provides it}. Who watches
 * "service." can wait for an optional need, or notice that a provider was replaced.
 */
#define MOS_EVENT_SERVICE_PROVIDED "service.provided"
#define MOS_EVENT_SERVICE_WITHDRAWN "service.withdrawn"

/*
 * How plugins find each other. For described services (service.h), acquire gives a proxy with the same layout that
 * counts calls, keeps deadlines and answers MOS_UNAVAILABLE once the provider has gone; it stays valid until the
 * consumer's destroy(). For others it gives the provider's pointer, and withdraw waits for release.
 *
 * Before stop() the host withdraws what the plugin provides: no new call comes, streams that get what happens are
 * cancelled, and the host waits a moment for calls inside. stop() ends those that are left.
 */
typedef struct mos_host_services_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;
  /* The service must stand in the descriptor's provides. table stays valid until destroy() of the provider. */
  mos_status (*provide)(void *self, mos_str service, mos_str instance, const void *table, mos_error *error);
  /*
   * After it returns no call is in the table and none will come; MOS_DEADLINE_EXCEEDED when calls are still inside
   * after 5 s: none comes any more, but the table is needed.
   */
  mos_status (*withdraw)(void *self, mos_str service, mos_str instance, mos_error *error);
  /*
   * The service must stand in the descriptor's needs. An empty instance takes the one that has no name, or else the
   * only one there is; it fails with MOS_UNAVAILABLE while nobody provides that.
   */
  mos_status (*acquire)(void *self, mos_str service, mos_str instance, const void **out_table, mos_error *error);
  /* The consumer calls the table no more. Before minor 1 this did nothing with a proxy. */
  mos_status (*release)(void *self, const void *table, mos_error *error);
  /*
   * Minor 1. provide() for who takes the service's functions by their numbers, as it has them up to `minor`. The
   * forwarder stays valid until destroy() of the provider.
   */
  mos_status (*provide_forwarder)(void *self, mos_str service, mos_str instance, mos_forwarder_v1 *forwarder,
                                  uint32_t minor, mos_error *error);
  /*
   * Minor 1. One item for each instance of the service that an enabled plugin has in its descriptor, whether or not the
   * plugin runs, in the order of [plugins] enabled.
   */
  mos_status (*declared)(void *self, mos_str service, mos_sink instances, mos_error *error);
} mos_host_services_v1;
MOS_PIN(mos_host_services_v1, self, 8);
MOS_PIN(mos_host_services_v1, provide, 16);
MOS_PIN(mos_host_services_v1, withdraw, 24);
MOS_PIN(mos_host_services_v1, acquire, 32);
MOS_PIN(mos_host_services_v1, release, 40);
MOS_PIN(mos_host_services_v1, provide_forwarder, 48);
MOS_PIN(mos_host_services_v1, declared, 56);

MOS_END_C

#endif
