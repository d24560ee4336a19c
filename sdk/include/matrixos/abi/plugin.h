/*
 * matrixos/abi/plugin.h: what a plugin is.
 *
 * A complete plugin in C:
 *
 *   static mos_status start(void *self, mos_error *error) { return MOS_OK; }
 *   static mos_status stop(void *self, mos_error *error) { return MOS_OK; }
 *   static void destroy(void *self) {}
 *   static mos_status create(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *error) {
 *     plugin->start = start; plugin->stop = stop; plugin->destroy = destroy;
 *     return MOS_OK;
 *   }
 *   static const mos_descriptor_v1 descriptor = {
 *     .struct_size = sizeof descriptor, .magic = MOS_MAGIC, .abi_major = MOS_ABI_MAJOR,
 *     .id = "hello", .name = "Hello", .version = "1.0.0", .vendor = "Example", .license = "MIT",
 *     .description = "Does nothing, politely.", .create = create };
 *   MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) { return &descriptor; }
 *
 * The host exports no symbol and a plugin links nothing of the host: what it may use arrives as the argument of
 * create(). The file is <id>.so and exports mos_plugin_entry_v1 alone.
 *
 * Life: entry → create → start → (calls) → stop → destroy. A plugin that was stopped may be created again in the same
 * process; its code is never unloaded. After stop() returns the plugin calls nothing of the host and has no thread
 * left. The host sweeps what was forgotten: routes, timers, subscriptions, services.
 */
#ifndef MATRIXOS_ABI_PLUGIN_H
#define MATRIXOS_ABI_PLUGIN_H

#include "base.h"
#include "command.h"
#include "service.h"

MOS_BEGIN_C

struct mos_host_config_v1; /* host.h */

/* ------------------------------------------------------------------------------------------------ configuration */

/* Flags of a config key. */
#define MOS_KEY_LIVE UINT32_C(1)     /* takes effect on reload, without a restart of the plugin */
#define MOS_KEY_REQUIRED UINT32_C(2) /* has no default and must be set */
#define MOS_KEY_SECRET UINT32_C(4)   /* never printed; `<key>_file` names a file with the value */
#define MOS_KEY_PUBLIC UINT32_C(8)   /* a bool that, when true, makes the API reachable from outside this machine */
#define MOS_KEY_CREATE UINT32_C(16)  /* counts when a container is created: those that are there keep what they have */
#define MOS_KEY_PORT UINT32_C(32)    /* an int that is a port of this machine: no two of them may be equal */
#define MOS_KEY_IMAGE UINT32_C(64)   /* a string that names an image: [registry/]repository[:tag][@digest] */
/* Of one section: a listen that speaks TLS, and the paths of its PEM files. The host tries them for --check. */
#define MOS_KEY_TLS_LISTEN UINT32_C(128)
#define MOS_KEY_TLS_CERTIFICATE UINT32_C(256)
#define MOS_KEY_TLS_KEY UINT32_C(512)

/*
 * One key of the plugin's own section, which is named like the plugin. Frozen.
 * type is one of: "string" "int" "number" "bool" "duration" "size" "list" "path" "listen" "enum", and since host minor
 * 1 "url" "urls" "domain" "pattern" "rate". duration: <number>ms|s|m|h, read as milliseconds. size: <number>[KB|MB|GB],
 * read as bytes, powers of 1024. list: words separated by commas. listen: list of <address>:<port> or unix:<path>; the
 * host knows these as the daemon's listeners. enum: range lists the words, separated by |. url: absolute, with a host,
 * without credentials, fragment or dot segments; read with scheme and host in lower case and without the scheme's own
 * port; range lists the schemes: "https"; NULL is "http|https". urls: list of url, a comma within one written %2C.
 * domain: a bare DNS name, as [platform] domain is. pattern: up to 4096 bytes that the regular expression in range
 * matches entirely, in the syntax of RE2 (https://github.com/google/re2/wiki/Syntax): linear time, whatever it is.
 * rate: <count>/<duration>, up to 1000000 in 1s to 1d, or "0" for any number; get_list gives the count and the
 * milliseconds, 0 and 0 for any number.
 * range is "min..max" for int, number, duration and size (either side may be empty), as above for enum, url,
 * urls and pattern, else NULL.
 */
typedef struct mos_config_key {
  const char *key;
  const char *type;
  const char *default_value; /* as an operator would write it; NULL means "" */
  const char *range;
  const char *help; /* one sentence */
  uint32_t flags;
  uint32_t reserved;
} mos_config_key;
MOS_PIN(mos_config_key, key, 0);
MOS_PIN(mos_config_key, type, 8);
MOS_PIN(mos_config_key, default_value, 16);
MOS_PIN(mos_config_key, range, 24);
MOS_PIN(mos_config_key, help, 32);
MOS_PIN(mos_config_key, flags, 40);
MOS_PIN_SIZE(mos_config_key, 48);

/*
 * Takes what is wrong with the section: the key, or an empty one where it is no single key, and the end of a sentence
 * that says what is wrong and what to write instead: "is no issuer of tokens: it has a query; take that out". One that
 * begins with "warning: " stops nothing. Frozen.
 */
typedef struct mos_problems {
  void *ctx;
  void (*problem)(void *ctx, mos_str key, mos_str text);
} mos_problems;
MOS_PIN(mos_problems, ctx, 0);
MOS_PIN(mos_problems, problem, 8);
MOS_PIN_SIZE(mos_problems, 16);

/* ----------------------------------------------------------------------------------------------------- services */

/* A service that the plugin offers once start() has returned. Frozen. */
typedef struct mos_provide {
  const char *service;  /* "matrixos.runtime/1" */
  const char *instance; /* which one of several, e.g. "docker"; NULL or "" when there is one */
  uint32_t minor;
  uint32_t reserved;
} mos_provide;
MOS_PIN(mos_provide, service, 0);
MOS_PIN(mos_provide, instance, 8);
MOS_PIN(mos_provide, minor, 16);
MOS_PIN_SIZE(mos_provide, 24);

#define MOS_NEED_OPTIONAL UINT32_C(1) /* start without it too; acquire then fails with MOS_UNAVAILABLE */

/* A service that the plugin uses. Providers start before, and stop after, those who need them. Frozen. */
typedef struct mos_need {
  const char *service; /* any instance of it: "matrixos.lifecycle/1"; or that one: "matrixos.lifecycle/1:base" */
  uint32_t min_minor;
  uint32_t flags;
} mos_need;
MOS_PIN(mos_need, service, 0);
MOS_PIN(mos_need, min_minor, 8);
MOS_PIN(mos_need, flags, 12);
MOS_PIN_SIZE(mos_need, 16);

/* ------------------------------------------------------------------------------------------------------- claims */

/* What a claim is about. */
#define MOS_CLAIM_TABLE "table"   /* of the database: "hooks_*" */
#define MOS_CLAIM_TOPIC "topic"   /* of events: "hooks.*" */
#define MOS_CLAIM_PATH "path"     /* of the API: "/hooks", which includes all below it; a site: "//hooks" */
#define MOS_CLAIM_METRIC "metric" /* "matrixos_hooks_*" */

/*
 * Names that are the plugin's own: no other plugin writes these tables, publishes these topics, serves these paths or
 * counts in these metrics, and of a kind that it claims it uses no others itself. A last * stands for any end; a path
 * after ! is left to others. A plugin that claims nothing of a kind has the names that begin with its id (_ for - in
 * tables and metrics), and those that nobody has when it comes. Of two plugins that claim one name the second does not
 * run. A table stays its maker's whatever is claimed later. Frozen.
 */
typedef struct mos_claim {
  const char *kind;
  const char *pattern;
  /*
   * Of a topic: JSON schema (draft 7) of what is published, as text; else NULL. What does not fit is not published
   * (MOS_INVALID_ARGUMENT, EVENT_SCHEMA). It may say type, properties, required, additionalProperties, items, enum,
   * const, minimum, maximum, minLength, maxLength, minItems, maxItems, and what explains: title, description, $id, ….
   */
  const char *schema;
  const char *help; /* one sentence, or NULL */
} mos_claim;
MOS_PIN(mos_claim, kind, 0);
MOS_PIN(mos_claim, pattern, 8);
MOS_PIN(mos_claim, schema, 16);
MOS_PIN(mos_claim, help, 24);
MOS_PIN_SIZE(mos_claim, 32);

/* --------------------------------------------------------------------------------------------------------- host */

/*
 * The host, as one plugin sees it: a way to ask for interfaces, and nothing else. Owned by the host, valid from
 * create() until destroy() returns.
 */
typedef struct mos_host_v1 {
  uint32_t struct_size;
  uint32_t minor; /* MOS_HOST_MINOR of the running host */
  void *self;
  /*
   * [any-thread] The table behind an interface id of host.h, e.g. "matrixos.host.log/1", or NULL when this host has
   * no such interface. Owned by the host, same lifetime as the host. Each table starts with struct_size, minor and
   * self; self is the first argument of every function in it.
   */
  const void *(*get_interface)(void *self, const char *id);
} mos_host_v1;
MOS_PIN(mos_host_v1, struct_size, 0);
MOS_PIN(mos_host_v1, minor, 4);
MOS_PIN(mos_host_v1, self, 8);
MOS_PIN(mos_host_v1, get_interface, 16);

/* ------------------------------------------------------------------------------------------------------- plugin */

/*
 * A created plugin. The host passes it zeroed but for struct_size (how much of it this host knows); create() fills
 * it. Every function returns within the watchdog's deadline or the plugin is declared failed and abandoned.
 */
typedef struct mos_plugin_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  void *self;
  /* [lifecycle] Begins work: migrates tables, registers routes, provides services, starts threads. */
  mos_status (*start)(void *self, mos_error *error);
  /* [lifecycle] Ends work: drains, withdraws, joins its threads. Called once after a start that succeeded. */
  mos_status (*stop)(void *self, mos_error *error);
  /* [lifecycle] Frees everything. Last call; also follows a start that failed. */
  void (*destroy)(void *self);
  /* [lifecycle] The configuration was reloaded: re-read the live keys. May be NULL when there are none. */
  mos_status (*reconfigure)(void *self, mos_error *error);
} mos_plugin_v1;
MOS_PIN(mos_plugin_v1, struct_size, 0);
MOS_PIN(mos_plugin_v1, self, 8);
MOS_PIN(mos_plugin_v1, start, 16);
MOS_PIN(mos_plugin_v1, stop, 24);
MOS_PIN(mos_plugin_v1, destroy, 32);
MOS_PIN(mos_plugin_v1, reconfigure, 40);

/*
 * What a plugin says of itself. Static, constant data: the host reads it before it calls anything, also for
 * `matrixosd --check`, which never creates the plugin.
 */
typedef struct mos_descriptor_v1 {
  uint32_t struct_size;
  uint32_t magic;          /* MOS_MAGIC */
  uint32_t abi_major;      /* MOS_ABI_MAJOR */
  uint32_t min_host_minor; /* the lowest host minor the plugin can live with */
  const char *id;          /* [a-z][a-z0-9-]*, equal to the file's name without .so */
  const char *name;
  const char *version; /* semantic version of the plugin */
  const char *vendor;
  const char *license;     /* SPDX identifier */
  const char *description; /* one sentence */
  const mos_provide *provides;
  const mos_need *needs;
  const mos_config_key *config_keys;
  uint32_t provides_count;
  uint32_t needs_count;
  uint32_t config_keys_count;
  uint32_t reserved;
  /* [lifecycle] Makes the plugin; cheap, no I/O. On failure it has freed everything and destroy is not called. */
  mos_status (*create)(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *error);

  /*
   * Appended in 1.1; absent where struct_size ends before it. Services that the plugin provides or needs, described
   * (service.h); those of this SDK need no description.
   */
  const mos_service_v1 *const *services;
  uint32_t services_count;
  uint32_t commands_count;
  /* Commands of matrixosctl (command.h). */
  const mos_command *commands;
  const mos_claim *claims;
  uint32_t claims_count;
  uint32_t reserved_1;
  /*
   * Looks at the plugin's section before it counts, beyond what the declared types say: for --check, at each start and
   * before a reload takes effect; where it finds a problem, none goes on. In a process of its own that reads files but
   * changes nothing, without network, within 10 s. It sees the lists "platform.exposures": by what other machines
   * reach the daemon, and "platform.services": what enabled plugins provide. MOS_OK also with problems; a failure says
   * that it could not look. May be NULL.
   */
  mos_status (*check)(const struct mos_host_config_v1 *config, mos_problems problems, mos_error *error);
} mos_descriptor_v1;
MOS_PIN(mos_descriptor_v1, struct_size, 0);
MOS_PIN(mos_descriptor_v1, magic, 4);
MOS_PIN(mos_descriptor_v1, abi_major, 8);
MOS_PIN(mos_descriptor_v1, min_host_minor, 12);
MOS_PIN(mos_descriptor_v1, id, 16);
MOS_PIN(mos_descriptor_v1, name, 24);
MOS_PIN(mos_descriptor_v1, version, 32);
MOS_PIN(mos_descriptor_v1, vendor, 40);
MOS_PIN(mos_descriptor_v1, license, 48);
MOS_PIN(mos_descriptor_v1, description, 56);
MOS_PIN(mos_descriptor_v1, provides, 64);
MOS_PIN(mos_descriptor_v1, needs, 72);
MOS_PIN(mos_descriptor_v1, config_keys, 80);
MOS_PIN(mos_descriptor_v1, provides_count, 88);
MOS_PIN(mos_descriptor_v1, needs_count, 92);
MOS_PIN(mos_descriptor_v1, config_keys_count, 96);
MOS_PIN(mos_descriptor_v1, create, 104);
MOS_PIN(mos_descriptor_v1, services, 112);
MOS_PIN(mos_descriptor_v1, services_count, 120);
MOS_PIN(mos_descriptor_v1, commands_count, 124);
MOS_PIN(mos_descriptor_v1, commands, 128);
MOS_PIN(mos_descriptor_v1, claims, 136);
MOS_PIN(mos_descriptor_v1, claims_count, 144);
MOS_PIN(mos_descriptor_v1, check, 152);

/* Of a descriptor as ABI 1.0 has it. */
#define MOS_DESCRIPTOR_LEAST_SIZE 112

#define MOS_ENTRY_NAME "mos_plugin_entry_v1"
typedef const mos_descriptor_v1 *(*mos_plugin_entry_fn)(void);

MOS_END_C

#endif
