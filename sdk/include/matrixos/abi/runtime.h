/*
 * matrixos/abi/runtime.h: the service "matrixos.runtime/1", what a container engine, a process supervisor or a
 * cluster has to do to carry instances.
 *
 * Calls are synchronous, [executor], concurrent, and take a mos_call: absolute deadline, cancellation, operation id.
 * A mutation repeated with the same operation id, or on something already in the wanted state, succeeds again.
 * Specs and descriptions are JSON objects in UTF-8; unknown members are ignored by both sides. Their schemas stand
 * in sdk/schemas/.
 *
 * `ref` is the runtime's own name for an instance's container, as create() returned it. Every call that takes a ref
 * also takes the name from the spec ("matrixos-alice"), so that an instance is found again when the answer of
 * create() was lost.
 *
 * A runtime owns what differs between engines: volumes, the networks listed in a spec, and endpoints. Host paths and
 * host ports are the business of those that have them.
 */
#ifndef MATRIXOS_ABI_RUNTIME_H
#define MATRIXOS_ABI_RUNTIME_H

#include "base.h"
#include "service.h"

MOS_BEGIN_C

#define MOS_RUNTIME_1 "matrixos.runtime/1"
#define MOS_RUNTIME_1_MINOR 1

/* Reasons a runtime gives in mos_error.reason, beside its own. */
#define MOS_REASON_IMAGE_NOT_FOUND "IMAGE_NOT_FOUND"
#define MOS_REASON_IMAGE_DENIED "IMAGE_DENIED"
#define MOS_REASON_PORT_IN_USE "PORT_IN_USE"
#define MOS_REASON_NAME_IN_USE "NAME_IN_USE"
#define MOS_REASON_ENGINE_UNREACHABLE "ENGINE_UNREACHABLE"
#define MOS_REASON_ENGINE_DENIED "ENGINE_DENIED"
#define MOS_REASON_ENGINE_REPLY "ENGINE_REPLY"

/*
 * Labels that the orchestrator puts into every spec. create() adopts a container of the same name when its
 * MOS_LABEL_OPERATION or its MOS_LABEL_SPEC_HASH equals the spec's.
 */
#define MOS_LABEL_MANAGED "matrixos.managed"      /* "true" */
#define MOS_LABEL_INSTALL "matrixos.install-id"   /* ULID of the installation: containers of others are not ours */
#define MOS_LABEL_INSTANCE "matrixos.instance-id" /* ULID of the instance */
#define MOS_LABEL_HANDLE "matrixos.handle"
#define MOS_LABEL_GENERATION "matrixos.generation"
#define MOS_LABEL_SPEC_HASH "matrixos.spec-hash"
#define MOS_LABEL_OPERATION "matrixos.operation-id"

/* Flags of remove(). */
#define MOS_REMOVE_FORCE UINT32_C(1)           /* also when it runs */
#define MOS_REMOVE_UNUSED_NETWORKS UINT32_C(2) /* and the networks this install created that nothing uses any more */

/*
 * Instance spec, the argument of create():
 *   {"name": "matrixos-alice", "image": "ghcr.io/…", "labels": {"k": "v"}, "env": {"K": "V"},
 *    "command": ["…"] (absent: the image's own),
 *    "memoryBytes": 268435456, "cpus": 0.5, "pidsLimit": 256, "restart": "no|always|unless-stopped|on-failure",
 *    "networks": [{"name": "matrixos-net", "driver": "bridge"}],
 *    "hostAliases": ["proxy"],               names that resolve to this machine from inside
 *    "volumes": [{"volume": ref from volume_ensure, "path": "/home/matrixos/home", "readOnly": false}],
 *    "ports": [{"name": "gateway", "containerPort": 4000, "hostPort": 4001, "hostAddress": "127.0.0.1"}]}
 *      hostPort only where capabilities say publishesPorts.
 *
 * Description, the answer of inspect() and the items of list():
 *   {"ref", "name", "state": "created|running|paused|restarting|exited|dead", "image", "imageDigest", "labels": {…},
 *    "createdAt": ms since the epoch, "startedAt": ms or 0, "exitCode": int, "oomKilled": bool, "error": text,
 *    "health": "none|starting|healthy|unhealthy", "endpoints": [endpoint…], "occupiedPorts": see start(),
 *    "restarts": how often the engine started it again by itself since start(); absent: it does not count}
 *
 * Endpoint: {"name": "gateway", "address": "172.18.0.5", "port": 4000, "scope": "bridge|host",
 *            "epoch": text that changes whenever the address may have passed to somebody else}
 *   best first; empty while the instance does not run.
 */
typedef struct mos_runtime_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /*
   * What this runtime and its engine can do: {"engine": "docker", "engineVersion", "publishesPorts": bool,
   * "pause": bool, "volumes": bool, "stats": bool, "isolation": "container|process|simulated",
   * "hostGateway": the address, as text, under which instances reach this machine and which hostAliases stand for;
   * absent where they share its network, and until it is known}.
   * Fails with MOS_UNAVAILABLE while the engine cannot be reached; the message says why and what to do.
   */
  mos_status (*capabilities)(void *self, const mos_call *call, mos_buf *out_json, mos_error *error);

  /*
   * Makes an image present. request: {"image", "policy": "missing|always|never", "auth": {"username", "password",
   * "server"} optional}. Progress items: {"phase": text, "current": bytes, "total": bytes or 0}, at most some per
   * second. A sink that answers stop cancels the pull (MOS_CANCELLED). Returns {"digest": text} in out_json.
   */
  mos_status (*pull)(void *self, const mos_call *call, mos_str request_json, mos_sink progress, mos_buf *out_json,
                     mos_error *error);

  /*
   * Creates, does not start. Networks of the spec are created if missing. Returns {"ref": text}. When the name is
   * taken: by an equal operation or an equal spec hash label, adopt it; else MOS_ALREADY_EXISTS / NAME_IN_USE.
   * On failure nothing stays behind.
   */
  mos_status (*create)(void *self, const mos_call *call, mos_str spec_json, mos_buf *out_json, mos_error *error);

  /* Starts; returns once it runs. MOS_ABORTED / PORT_IN_USE: inspect() may then name the "occupiedPorts": [4001…]. */
  mos_status (*start)(void *self, const mos_call *call, mos_str ref, mos_error *error);
  /* Asks it to end, kills it after grace_ms. Stopped or absent already is success. */
  mos_status (*stop)(void *self, const mos_call *call, mos_str ref, int64_t grace_ms, mos_error *error);
  /* Removes the container, never its volumes. Absent already is success. flags: MOS_REMOVE_… */
  mos_status (*remove)(void *self, const mos_call *call, mos_str ref, uint32_t flags, mos_error *error);

  /* Description; MOS_NOT_FOUND when the engine surely has none. */
  mos_status (*inspect)(void *self, const mos_call *call, mos_str ref, mos_buf *out_json, mos_error *error);
  /* Descriptions of all with these labels ({"k": "v"}, {} for all of the engine). Complete, or a failure. */
  mos_status (*list)(void *self, const mos_call *call, mos_str labels_json, mos_sink items, mos_error *error);

  /* Output lines: {"stream": "stdout|stderr", "time": ms, "line": text}. options: {"tail": n, "follow": bool}. */
  mos_status (*logs)(void *self, const mos_call *call, mos_str ref, mos_str options_json, mos_sink lines,
                     mos_error *error);
  /* {"cpuNanos": total, "memoryBytes", "memoryLimitBytes", "pids", "networkRxBytes", "networkTxBytes"} */
  mos_status (*stats)(void *self, const mos_call *call, mos_str ref, mos_buf *out_json, mos_error *error);

  /* Freeze and thaw; MOS_UNIMPLEMENTED where capabilities say so. Paused or running already is success. */
  mos_status (*pause)(void *self, const mos_call *call, mos_str ref, mos_error *error);
  mos_status (*unpause)(void *self, const mos_call *call, mos_str ref, mos_error *error);

  /*
   * Blocks and reports what happens to containers with these labels, until cancelled (MOS_CANCELLED) or the engine
   * goes away (MOS_UNAVAILABLE). Items: {"type": "created|started|stopped|died|paused|unpaused|removed|oom|
   * disconnected", "ref", "name", "time": ms, "exitCode"}; one that still runs is disconnected when somebody took it
   * off a network. Events are hints, and others may come; the caller lists after (re)connecting.
   */
  mos_status (*events)(void *self, const mos_call *call, mos_str labels_json, mos_sink items, mos_error *error);

  /*
   * Volumes. ensure: {"name": "alice", "hostPath": where it has to lie, if the engine has host paths,
   * "exists": bool, "others": [ref…], "labels": {…}} → {"volume": ref, "created": bool}. One that exists, as the
   * caller knows, is never made anew: MOS_NOT_FOUND when it is missing. `others` exist as well. trash: moves the data
   * away, recoverable, under the name `as`; absent already is success. Snapshot: copies it under the name `as`.
   */
  mos_status (*volume_ensure)(void *self, const mos_call *call, mos_str request_json, mos_buf *out_json,
                              mos_error *error);
  mos_status (*volume_trash)(void *self, const mos_call *call, mos_str volume, mos_str as, mos_error *error);
  mos_status (*volume_snapshot)(void *self, const mos_call *call, mos_str volume, mos_str as, mos_error *error);

  /* Array of endpoints, as in the description. */
  mos_status (*endpoints)(void *self, const mos_call *call, mos_str ref, mos_buf *out_json, mos_error *error);

  /*
   * Minor 1; consumers look with MOS_HAS. start() that answers the description, as inspect() would right after it.
   * For a runtime that has none, or answers MOS_UNIMPLEMENTED, the host calls start() and inspect().
   */
  mos_status (*start_described)(void *self, const mos_call *call, mos_str ref, mos_buf *out_json, mos_error *error);
  /*
   * Minor 1. Removes a volume that holds nothing; absent already is success. One that holds something stays:
   * MOS_FAILED_PRECONDITION. For a runtime that has none the host answers MOS_UNIMPLEMENTED.
   */
  mos_status (*volume_remove_if_empty)(void *self, const mos_call *call, mos_str volume, mos_error *error);
} mos_runtime_v1;
MOS_PIN(mos_runtime_v1, struct_size, 0);
MOS_PIN(mos_runtime_v1, minor, 4);
MOS_PIN(mos_runtime_v1, self, 8);
MOS_PIN(mos_runtime_v1, capabilities, 16);
MOS_PIN(mos_runtime_v1, pull, 24);
MOS_PIN(mos_runtime_v1, create, 32);
MOS_PIN(mos_runtime_v1, start, 40);
MOS_PIN(mos_runtime_v1, stop, 48);
MOS_PIN(mos_runtime_v1, remove, 56);
MOS_PIN(mos_runtime_v1, inspect, 64);
MOS_PIN(mos_runtime_v1, list, 72);
MOS_PIN(mos_runtime_v1, logs, 80);
MOS_PIN(mos_runtime_v1, stats, 88);
MOS_PIN(mos_runtime_v1, pause, 96);
MOS_PIN(mos_runtime_v1, unpause, 104);
MOS_PIN(mos_runtime_v1, events, 112);
MOS_PIN(mos_runtime_v1, volume_ensure, 120);
MOS_PIN(mos_runtime_v1, volume_trash, 128);
MOS_PIN(mos_runtime_v1, volume_snapshot, 136);
MOS_PIN(mos_runtime_v1, endpoints, 144);
MOS_PIN(mos_runtime_v1, start_described, 152);
MOS_PIN(mos_runtime_v1, volume_remove_if_empty, 160);

/* Described for the host, see service.h. */
#define MOS_FUNCTIONS_OF_RUNTIME_1(F)                                                                                  \
  F(2, mos_runtime_v1, capabilities, "cb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 0,                           \
    (const mos_call *, mos_buf *))                                                                                     \
  F(4, mos_runtime_v1, pull, "cjkb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 0,                                 \
    (const mos_call *, mos_str, mos_sink, mos_buf *))                                                                  \
  F(3, mos_runtime_v1, create, "cjb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0,                                      \
    (const mos_call *, mos_str, mos_buf *))                                                                            \
  F(2, mos_runtime_v1, start, "cs", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0, (const mos_call *, mos_str))           \
  F(3, mos_runtime_v1, stop, "csi", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0, (const mos_call *, mos_str, int64_t))  \
  F(3, mos_runtime_v1, remove, "csu", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0,                                      \
    (const mos_call *, mos_str, uint32_t))                                                                             \
  F(3, mos_runtime_v1, inspect, "csb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 0,                               \
    (const mos_call *, mos_str, mos_buf *))                                                                            \
  F(3, mos_runtime_v1, list, "cjk", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE | MOS_FUNCTION_LIST, 0,              \
    (const mos_call *, mos_str, mos_sink))                                                                             \
  F(4, mos_runtime_v1, logs, "csjk", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 0,                                 \
    (const mos_call *, mos_str, mos_str, mos_sink))                                                                    \
  F(3, mos_runtime_v1, stats, "csb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 0,                                 \
    (const mos_call *, mos_str, mos_buf *))                                                                            \
  F(2, mos_runtime_v1, pause, "cs", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0, (const mos_call *, mos_str))           \
  F(2, mos_runtime_v1, unpause, "cs", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0, (const mos_call *, mos_str))         \
  F(3, mos_runtime_v1, events, "cjk", MOS_FUNCTION_BLOCKS, 0, (const mos_call *, mos_str, mos_sink))                   \
  F(3, mos_runtime_v1, volume_ensure, "cjb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0,                               \
    (const mos_call *, mos_str, mos_buf *))                                                                            \
  F(3, mos_runtime_v1, volume_trash, "css", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0,                                \
    (const mos_call *, mos_str, mos_str))                                                                              \
  F(3, mos_runtime_v1, volume_snapshot, "css", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0,                             \
    (const mos_call *, mos_str, mos_str))                                                                              \
  F(3, mos_runtime_v1, endpoints, "csb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 0,                             \
    (const mos_call *, mos_str, mos_buf *))                                                                            \
  F(3, mos_runtime_v1, start_described, "csb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 1,                             \
    (const mos_call *, mos_str, mos_buf *))                                                                            \
  F(2, mos_runtime_v1, volume_remove_if_empty, "cs", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 1,                       \
    (const mos_call *, mos_str))

MOS_END_C

#endif
