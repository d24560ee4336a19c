/*
 * runtime-c: a runtime plugin in C11, whole, with nothing but the C library.
 *
 * Its engine is a list in memory: an "instance" is a record that is created, started, stopped and removed. That makes
 * it useless for carrying anything and useful for two purposes: it shows every duty of a runtime in one file, and it
 * serves tests that need a runtime and no engine. README.md says which part is which.
 *
 * Order of the file: text, JSON, the engine, the functions of the table, the plugin.
 */
#define _POSIX_C_SOURCE 200809L

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/abi/runtime.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef RUNTIME_C_INSTANCE
#define RUNTIME_C_INSTANCE "c" /* the name under which the orchestrator finds this runtime */
#endif

/* ---------------------------------------------------------------------------------------------------- text */

/* Text that grows. `failed` is set once memory was short, and stays set: it is looked at once, at the end. */
typedef struct text {
  char *bytes;
  size_t length;
  size_t room;
  bool failed;
} text;

static void text_add(text *to, const char *bytes, size_t length) {
  if (to->failed) return;
  if (to->length + length + 1 > to->room) {
    size_t room = (to->length + length + 1) * 2;
    char *grown = realloc(to->bytes, room);
    if (grown == NULL) {
      to->failed = true;
      return;
    }
    to->bytes = grown;
    to->room = room;
  }
  if (length != 0) memcpy(to->bytes + to->length, bytes, length);
  to->length += length;
  to->bytes[to->length] = '\0';
}

static void text_put(text *to, const char *word) {
  text_add(to, word, strlen(word));
}

__attribute__((format(printf, 2, 3))) static void text_format(text *to, const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text_add(to, line, length < 0 ? 0 : (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

/* A JSON string with its quotes. The bytes are UTF-8 already: they were checked when they came in. */
static void text_quote(text *to, const char *bytes) {
  text_put(to, "\"");
  for (const char *at = bytes; *at != '\0'; ++at) {
    if (*at == '"' || *at == '\\') {
      text_format(to, "\\%c", *at);
    } else if ((unsigned char)*at < 0x20) {
      text_format(to, "\\u%04x", (unsigned)(unsigned char)*at);
    } else {
      text_add(to, at, 1);
    }
  }
  text_put(to, "\"");
}

static void text_free(text *of) {
  free(of->bytes);
  *of = (text){0};
}

/* ---------------------------------------------------------------------------------------------- failing, giving */

/* Fills the caller's error, which may be NULL, and gives the status back: `return fail(error, …);`. */
__attribute__((format(printf, 4, 5))) static mos_status fail(mos_error *error, mos_status status, const char *reason,
                                                             const char *format, ...) {
  if (error == NULL) return status;
  error->status = status;
  error->retry_after_ms = 0;
  error->reserved = 0;
  snprintf(error->reason, sizeof error->reason, "%s", reason);
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  /* A message that was cut must not end within a character. */
  if (length >= (int)sizeof error->message) {
    size_t end = sizeof error->message - 1;
    while (end > 0 && ((unsigned char)error->message[end - 1] & 0xC0U) == 0x80U)
      --end;
    if (end > 0 && (unsigned char)error->message[end - 1] >= 0xC0U) --end;
    error->message[end] = '\0';
  }
  return status;
}

static mos_status out_of_memory(mos_error *error) {
  return fail(error, MOS_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "the daemon is out of memory");
}

static void release_text(mos_buf *buf) {
  free(buf->owner);
  *buf = (mos_buf){0};
}

/* Hands the text over to the caller, who releases it. */
static mos_status give(text *from, mos_buf *out, mos_error *error) {
  if (from->failed) {
    text_free(from);
    return out_of_memory(error);
  }
  *out = (mos_buf){.ptr = from->bytes, .len = from->length, .owner = from->bytes, .release = release_text};
  return MOS_OK;
}

/* --------------------------------------------------------------------------------------------------- JSON, read */

/*
 * A reader for documents of strangers: checks UTF-8, bounds the depth, and gives members of one object at a time. It
 * makes no tree; a value is the piece of the document that holds it.
 */
typedef struct json {
  const char *at;
  const char *end;
} json;

#define JSON_MAX_DEPTH 32

static void json_blanks(json *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
    ++in->at;
}

static bool json_take(json *in, char wanted) {
  json_blanks(in);
  if (in->at == in->end || *in->at != wanted) return false;
  ++in->at;
  return true;
}

/* Length of the UTF-8 character at `at`, or 0 when it is none (RFC 3629). */
static size_t utf8_length(const unsigned char *at, const unsigned char *end) {
  size_t length = at[0] < 0x80                     ? 1
                  : at[0] >= 0xC2 && at[0] <= 0xDF ? 2
                  : (at[0] & 0xF0U) == 0xE0        ? 3
                  : at[0] >= 0xF0 && at[0] <= 0xF4 ? 4
                                                   : 0;
  if (length == 0 || (size_t)(end - at) < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at[i] & 0xC0U) != 0x80U) return 0;
  }
  bool overlong = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90);
  bool surrogate = at[0] == 0xED && at[1] > 0x9F;
  bool beyond = at[0] == 0xF4 && at[1] > 0x8F;
  return overlong || surrogate || beyond ? 0 : length;
}

static bool json_hex(json *in, unsigned *code) {
  *code = 0;
  if (in->end - in->at < 4) return false;
  for (int i = 0; i < 4; ++i, ++in->at) {
    char c = *in->at;
    unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                            : 16;
    if (digit == 16) return false;
    *code = *code * 16 + digit;
  }
  return true;
}

static void text_character(text *to, unsigned code) {
  char bytes[4];
  size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = length; i-- > 1; code >>= 6)
    bytes[i] = (char)(0x80U | (code & 0x3FU));
  bytes[0] = (char)(lead[length] | code);
  text_add(to, bytes, length);
}

/* What follows a backslash. NUL is refused: no name, label or variable may hold one. */
static bool json_escape(json *in, text *out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (in->at == in->end) return false;
  char kind = *in->at++;
  const char *plain = kind == '\0' ? NULL : strchr(from, kind);
  if (plain != NULL) {
    if (out != NULL) text_add(out, &to[plain - from], 1);
    return true;
  }
  unsigned code, low;
  if (kind != 'u' || !json_hex(in, &code) || code == 0 || (code >= 0xDC00 && code <= 0xDFFF)) return false;
  if (code >= 0xD800 && code <= 0xDBFF) {
    if (in->end - in->at < 6 || in->at[0] != '\\' || in->at[1] != 'u') return false;
    in->at += 2;
    if (!json_hex(in, &low) || low < 0xDC00 || low > 0xDFFF) return false;
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  if (out != NULL) text_character(out, code);
  return true;
}

/* A string; `out`, if there is one, gets what it says. */
static bool json_string(json *in, text *out) {
  if (!json_take(in, '"')) return false;
  if (out != NULL) text_add(out, "", 0);
  while (in->at < in->end) {
    unsigned char byte = (unsigned char)*in->at;
    if (byte == '"') {
      ++in->at;
      return true;
    }
    if (byte < 0x20) return false;
    if (byte == '\\') {
      ++in->at;
      if (!json_escape(in, out)) return false;
      continue;
    }
    size_t length = utf8_length((const unsigned char *)in->at, (const unsigned char *)in->end);
    if (length == 0) return false;
    if (out != NULL) text_add(out, in->at, length);
    in->at += length;
  }
  return false;
}

static bool json_digits(json *in) {
  const char *first = in->at;
  while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
    ++in->at;
  return in->at != first;
}

static bool json_number(json *in) {
  if (in->at < in->end && *in->at == '-') ++in->at;
  if (in->at < in->end && *in->at == '0') {
    ++in->at;
  } else if (!json_digits(in)) {
    return false;
  }
  if (in->at < in->end && *in->at == '.') {
    ++in->at;
    if (!json_digits(in)) return false;
  }
  if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
    ++in->at;
    if (in->at < in->end && (*in->at == '+' || *in->at == '-')) ++in->at;
    return json_digits(in);
  }
  return true;
}

static bool json_word(json *in, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0) return false;
  in->at += length;
  return true;
}

static bool json_skip(json *in, int depth);

static bool json_members(json *in, char close, int depth) {
  if (json_take(in, close)) return true;
  do {
    if (close == '}' && (!json_string(in, NULL) || !json_take(in, ':'))) return false;
    if (!json_skip(in, depth)) return false;
  } while (json_take(in, ','));
  return json_take(in, close);
}

/* Passes over one value, whatever it is; false when it is malformed. */
static bool json_skip(json *in, int depth) {
  json_blanks(in);
  if (in->at == in->end || depth > JSON_MAX_DEPTH) return false;
  switch (*in->at) {
  case '{':
    ++in->at;
    return json_members(in, '}', depth + 1);
  case '[':
    ++in->at;
    return json_members(in, ']', depth + 1);
  case '"':
    return json_string(in, NULL);
  case 't':
    return json_word(in, "true");
  case 'f':
    return json_word(in, "false");
  case 'n':
    return json_word(in, "null");
  default:
    return json_number(in);
  }
}

/* The whole document has to be one well-formed object. */
static bool json_is_object(mos_str document) {
  json in = {document.ptr, document.ptr + document.len};
  if (document.len == 0) return false;
  json_blanks(&in);
  if (in.at == in.end || *in.at != '{' || !json_skip(&in, 0)) return false;
  json_blanks(&in);
  return in.at == in.end;
}

/* Steps through the members of an object or the items of an array that is well-formed: false at its end. Start with
 * `in` at the value; `key` may be NULL for an array. `value` is given as a piece of the document. */
static bool json_next(json *in, text *key, json *value, bool *first) {
  if (*first) {
    json_blanks(in);
    ++in->at; /* { or [ */
  } else if (!json_take(in, ',')) {
    return false;
  }
  *first = false;
  json_blanks(in);
  if (*in->at == '}' || *in->at == ']') return false;
  if (key != NULL) {
    key->length = 0;
    json_string(in, key);
    json_take(in, ':');
  }
  json_blanks(in);
  value->at = in->at;
  json_skip(in, 0);
  value->end = in->at;
  return true;
}

/* A member of a well-formed object; false when it is absent or null. */
static bool json_find(json object, const char *name, json *value) {
  text key = {0};
  bool first = true, found = false;
  while (!found && json_next(&object, &key, value, &first))
    found = key.bytes != NULL && strcmp(key.bytes, name) == 0;
  text_free(&key);
  return found && *value->at != 'n';
}

/* ---------------------------------------------------------------------------------------------------- the engine */

/* Labels, in the order in which they came. */
typedef struct labels {
  char **keys;
  char **values;
  size_t count;
} labels;

enum state { CREATED, RUNNING, PAUSED, EXITED };
static const char *const state_words[] = {"created", "running", "paused", "exited"};

typedef struct instance {
  struct instance *next;
  char ref[32];
  char *name;
  char *image;
  labels labels;
  char *port_name; /* of the first port in the spec; NULL: none */
  int port;
  long long memory_limit;
  enum state state;
  long long created_ms;
  long long started_ms;
  unsigned starts; /* how often it was started: part of the endpoints' epoch */
  int exit_code;
} instance;

/* What happened, for events(): a ring of which each subscriber reads at its own pace. */
typedef struct event {
  char *json;
  labels labels;
} event;

#define EVENTS_KEPT 4096

typedef struct engine {
  mos_runtime_v1 table;
  pthread_mutex_t mutex;
  pthread_cond_t changed; /* an event was added, or the engine ends */
  instance *first;
  unsigned long long last_ref;
  event events[EVENTS_KEPT];
  unsigned long long event_count; /* ever; the newest is at (event_count - 1) % EVENTS_KEPT */
  unsigned subscribers;
  bool ending;
} engine;

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Whether the call is to end before it has begun anything. */
static mos_status still_wanted(const mos_call *call, mos_error *error) {
  if (call == NULL) return MOS_OK;
  if (MOS_HAS(call, mos_call, cancelled) && call->cancelled(call) != 0)
    return fail(error, MOS_CANCELLED, "", "the caller cancelled the operation");
  if (call->deadline_ns != MOS_NO_DEADLINE && monotonic_ns() >= call->deadline_ns)
    return fail(error, MOS_DEADLINE_EXCEEDED, "", "the operation ran out of time");
  return MOS_OK;
}

static void labels_free(labels *of) {
  for (size_t i = 0; i < of->count; ++i) {
    free(of->keys[i]);
    free(of->values[i]);
  }
  free(of->keys);
  free(of->values);
  *of = (labels){0};
}

static const char *labels_get(const labels *in, const char *key) {
  for (size_t i = 0; i < in->count; ++i) {
    if (strcmp(in->keys[i], key) == 0) return in->values[i];
  }
  return NULL;
}

/* Adds a copy. False: out of memory. */
static bool labels_set(labels *to, const char *key, const char *value) {
  char **keys = realloc(to->keys, (to->count + 1) * sizeof *keys);
  if (keys != NULL) to->keys = keys;
  char **values = realloc(to->values, (to->count + 1) * sizeof *values);
  if (values != NULL) to->values = values;
  char *key_copy = strdup(key), *value_copy = strdup(value);
  if (keys == NULL || values == NULL || key_copy == NULL || value_copy == NULL) {
    free(key_copy);
    free(value_copy);
    return false;
  }
  to->keys[to->count] = key_copy;
  to->values[to->count++] = value_copy;
  return true;
}

/* Every label of `filter` is there, with exactly this value. */
static bool labels_match(const labels *have, const labels *filter) {
  for (size_t i = 0; i < filter->count; ++i) {
    const char *value = labels_get(have, filter->keys[i]);
    if (value == NULL || strcmp(value, filter->values[i]) != 0) return false;
  }
  return true;
}

/* Reads {"k": "v"}. Gives what is wrong, or NULL. */
static const char *labels_read(json object, labels *to) {
  text key = {0}, value = {0};
  json piece;
  bool first = true;
  const char *problem = NULL;
  if (*object.at != '{') problem = "labels have to be an object of texts";
  while (problem == NULL && json_next(&object, &key, &piece, &first)) {
    value.length = 0;
    if (*piece.at != '"' || key.length == 0) {
      problem = "a label has to be a text, and have a name";
    } else if (!json_string(&piece, &value) || key.failed || value.failed || !labels_set(to, key.bytes, value.bytes)) {
      problem = "labels are too large";
    }
  }
  text_free(&key);
  text_free(&value);
  return problem;
}

static void instance_free(instance *of) {
  if (of == NULL) return;
  labels_free(&of->labels);
  free(of->name);
  free(of->image);
  free(of->port_name);
  free(of);
}

/* By ref or by name; called with the mutex held. */
static instance *engine_find(engine *in, mos_str wanted) {
  for (instance *at = in->first; at != NULL; at = at->next) {
    for (int i = 0; i < 2; ++i) {
      const char *known = i == 0 ? at->ref : at->name;
      if (strlen(known) == wanted.len && memcmp(known, wanted.ptr, wanted.len) == 0) return at;
    }
  }
  return NULL;
}

static mos_status not_found(mos_str ref, mos_error *error) {
  int shown = ref.len < 80 ? (int)ref.len : 80;
  for (int i = 0; i < shown; ++i) { /* it goes into a message: plain characters only */
    if (ref.ptr[i] < 0x20 || ref.ptr[i] == 0x7F) shown = i;
  }
  return fail(error, MOS_NOT_FOUND, "INSTANCE_NOT_FOUND", "there is no instance \"%.*s\"", shown,
              shown == 0 ? "" : ref.ptr);
}

/* Notes what happened and wakes those who listen; called with the mutex held. */
static void engine_tell(engine *in, const instance *about, const char *type) {
  text line = {0};
  text_format(&line, "{\"type\": \"%s\", \"ref\": \"%s\", \"name\": ", type, about->ref);
  text_quote(&line, about->name);
  text_format(&line, ", \"time\": %lld, \"exitCode\": %d}", now_ms(), about->exit_code);
  event *slot = &in->events[in->event_count % EVENTS_KEPT];
  free(slot->json);
  labels_free(&slot->labels);
  slot->json = line.failed ? NULL : line.bytes; /* events are hints: without memory there is none */
  for (size_t i = 0; i < about->labels.count; ++i)
    labels_set(&slot->labels, about->labels.keys[i], about->labels.values[i]);
  ++in->event_count;
  pthread_cond_broadcast(&in->changed);
}

/* ---------------------------------------------------------------------------------------- descriptions, endpoints */

static void describe_endpoints(const instance *of, text *to) {
  text_put(to, "[");
  if ((of->state == RUNNING || of->state == PAUSED) && of->port_name != NULL) {
    text_put(to, "{\"name\": ");
    text_quote(to, of->port_name);
    text_format(to, ", \"address\": \"127.0.0.1\", \"port\": %d, \"scope\": \"host\", \"epoch\": \"%s-%u\"}", of->port,
                of->ref, of->starts);
  }
  text_put(to, "]");
}

static void describe(const instance *of, text *to) {
  text_format(to, "{\"ref\": \"%s\", \"name\": ", of->ref);
  text_quote(to, of->name);
  text_format(to, ", \"state\": \"%s\", \"image\": ", state_words[of->state]);
  text_quote(to, of->image);
  text_put(to, ", \"imageDigest\": \"\", \"labels\": {");
  for (size_t i = 0; i < of->labels.count; ++i) {
    if (i != 0) text_put(to, ", ");
    text_quote(to, of->labels.keys[i]);
    text_put(to, ": ");
    text_quote(to, of->labels.values[i]);
  }
  text_format(to, "}, \"createdAt\": %lld, \"startedAt\": %lld, \"exitCode\": %d", of->created_ms, of->started_ms,
              of->exit_code);
  text_put(to, ", \"oomKilled\": false, \"error\": \"\", \"health\": \"none\", \"endpoints\": ");
  describe_endpoints(of, to);
  text_put(to, "}");
}

/* ----------------------------------------------------------------------------------------------- reading a spec */

/* A name that any engine would take: it starts with a letter or digit; dots, dashes and underscores may follow. */
static bool is_name(const char *name) {
  for (const char *at = name; *at != '\0'; ++at) {
    bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
    if (!letter && (at == name || strchr("_.-", *at) == NULL)) return false;
  }
  return *name != '\0' && strlen(name) <= 128;
}

/* A member that is a text, as a copy. */
static bool read_text(json spec, const char *name, char **to) {
  json value;
  text read = {0};
  if (!json_find(spec, name, &value) || *value.at != '"' || !json_string(&value, &read) || read.failed) {
    text_free(&read);
    return false;
  }
  *to = read.bytes;
  return true;
}

/* A member that is a number within bounds; what is absent leaves `to` as it is. */
static bool read_number(json spec, const char *name, double low, double high, bool whole, double *to) {
  json value;
  char digits[40] = {0};
  if (!json_find(spec, name, &value)) return true;
  size_t length = (size_t)(value.end - value.at);
  if (length >= sizeof digits || (*value.at != '-' && (*value.at < '0' || *value.at > '9'))) return false;
  memcpy(digits, value.at, length);
  double number = strtod(digits, NULL);
  if (!(number >= low && number <= high) || (whole && number != floor(number))) return false;
  *to = number;
  return true;
}

static const char *read_limits(json spec, instance *to) {
  double memory = 0, cpus = 0, pids = 0;
  if (!read_number(spec, "memoryBytes", 0, 1e15, true, &memory) || (memory != 0 && memory < 1024 * 1024))
    return "\"memoryBytes\" has to be a whole number of at least 1048576, or 0";
  if (!read_number(spec, "cpus", 0, 4096, false, &cpus)) return "\"cpus\" has to be a number from 0 to 4096";
  if (!read_number(spec, "pidsLimit", 0, 4194304, true, &pids)) return "\"pidsLimit\" has to be a whole number from 0";
  to->memory_limit = (long long)memory;
  json value;
  char *restart = NULL;
  if (!json_find(spec, "restart", &value)) return NULL;
  bool known = read_text(spec, "restart", &restart) &&
               (strcmp(restart, "no") == 0 || strcmp(restart, "always") == 0 ||
                strcmp(restart, "unless-stopped") == 0 || strcmp(restart, "on-failure") == 0);
  free(restart);
  return known ? NULL : "\"restart\" has to be no, always, unless-stopped or on-failure";
}

static const char *read_ports(json spec, instance *to) {
  json ports, port;
  bool first = true;
  if (!json_find(spec, "ports", &ports)) return NULL;
  if (*ports.at != '[') return "\"ports\" has to be an array";
  while (json_next(&ports, NULL, &port, &first)) {
    char *name = NULL;
    double number = 0;
    bool good = *port.at == '{' && read_text(port, "name", &name) &&
                read_number(port, "containerPort", 1, 65535, true, &number) && number != 0;
    if (!good) {
      free(name);
      return "a port needs a \"name\", and a \"containerPort\" from 1 to 65535";
    }
    if (to->port_name == NULL) {
      to->port_name = name;
      to->port = (int)number;
    } else {
      free(name); /* one endpoint is enough for an engine that carries nothing */
    }
  }
  return NULL;
}

/* An object of texts, or absent. */
static const char *check_env(json spec) {
  json env, value;
  bool first = true;
  text key = {0};
  const char *problem = NULL;
  if (!json_find(spec, "env", &env)) return NULL;
  if (*env.at != '{') return "\"env\" has to be an object of texts";
  while (problem == NULL && json_next(&env, &key, &value, &first)) {
    if (*value.at != '"') problem = "a variable in \"env\" has to be a text";
  }
  text_free(&key);
  return problem;
}

static const char *check_list(json spec, const char *name, char kind, const char *problem) {
  json list, item;
  bool first = true;
  if (!json_find(spec, name, &list)) return NULL;
  if (*list.at != '[') return problem;
  while (json_next(&list, NULL, &item, &first)) {
    if (*item.at != kind) return problem;
  }
  return NULL;
}

/* Fills `to` from a well-formed spec. Gives what is wrong, or NULL. */
static const char *read_spec(json spec, instance *to) {
  json value;
  const char *problem = NULL;
  if (!read_text(spec, "name", &to->name) || !is_name(to->name))
    return "\"name\" has to be letters, digits, dots and dashes, at most 128";
  if (!read_text(spec, "image", &to->image) || *to->image == '\0') return "\"image\" is missing; it has to be a text";
  if (json_find(spec, "labels", &value)) problem = labels_read(value, &to->labels);
  if (problem == NULL) problem = check_env(spec);
  if (problem == NULL) problem = check_list(spec, "command", '"', "\"command\" has to be a list of texts");
  if (problem == NULL) problem = check_list(spec, "networks", '{', "\"networks\" has to be a list of objects");
  if (problem == NULL) problem = check_list(spec, "volumes", '{', "\"volumes\" has to be a list of objects");
  if (problem == NULL) problem = check_list(spec, "hostAliases", '"', "\"hostAliases\" has to be a list of texts");
  if (problem == NULL) problem = read_limits(spec, to);
  return problem == NULL ? read_ports(spec, to) : problem;
}

/* ------------------------------------------------------------------------------------------- the table's functions */

static engine *of(void *self) {
  return self;
}

static mos_status unimplemented(mos_error *error, const char *what) {
  return fail(error, MOS_UNIMPLEMENTED, "UNIMPLEMENTED", "this runtime has no %s", what);
}

static mos_status capabilities(void *self, const mos_call *call, mos_buf *out, mos_error *error) {
  (void)self;
  (void)call;
  text answer = {0};
  text_put(&answer,
           "{\"engine\": \"memory\", \"engineVersion\": \"1.0.0\", \"publishesPorts\": false, \"pause\": true, "
           "\"volumes\": false, \"stats\": true, \"isolation\": \"simulated\"}");
  return give(&answer, out, error);
}

/* The holder of the name is the one that is asked for when it was made by the same operation or from the same spec.
 * Labels that are missing are equal to nothing. */
static bool is_same(const instance *holder, const instance *wanted) {
  static const char *const keys[] = {MOS_LABEL_OPERATION, MOS_LABEL_SPEC_HASH};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) {
    const char *theirs = labels_get(&holder->labels, keys[i]), *ours = labels_get(&wanted->labels, keys[i]);
    if (theirs != NULL && ours != NULL && *ours != '\0' && strcmp(theirs, ours) == 0) return true;
  }
  return false;
}

/* Puts the new instance into the engine, or finds the one that it repeats. Takes `made` over unless it fails. */
static mos_status insert(engine *in, instance *made, text *answer, mos_error *error) {
  mos_status status = MOS_OK;
  pthread_mutex_lock(&in->mutex);
  instance *holder = engine_find(in, (mos_str){made->name, strlen(made->name)});
  if (holder == NULL) {
    snprintf(made->ref, sizeof made->ref, "c-%llu-%llx", ++in->last_ref, (unsigned long long)now_ms());
    made->created_ms = now_ms();
    made->next = in->first;
    in->first = made;
    engine_tell(in, made, "created");
    text_format(answer, "{\"ref\": \"%s\"}", made->ref);
  } else if (is_same(holder, made)) {
    text_format(answer, "{\"ref\": \"%s\"}", holder->ref);
    instance_free(made);
  } else {
    status = fail(error, MOS_ALREADY_EXISTS, MOS_REASON_NAME_IN_USE,
                  "there already is an instance named %s, of another specification: remove it first", made->name);
  }
  pthread_mutex_unlock(&in->mutex);
  return status;
}

static mos_status create(void *self, const mos_call *call, mos_str spec, mos_buf *out, mos_error *error) {
  mos_status status = still_wanted(call, error);
  if (status != MOS_OK) return status;
  if (!json_is_object(spec))
    return fail(error, MOS_INVALID_ARGUMENT, "BAD_JSON", "the spec is no JSON object in UTF-8");
  instance *made = calloc(1, sizeof *made);
  if (made == NULL) return out_of_memory(error);
  const char *problem = read_spec((json){spec.ptr, spec.ptr + spec.len}, made);
  if (problem != NULL) {
    instance_free(made);
    return fail(error, MOS_INVALID_ARGUMENT, "BAD_SPEC", "instance spec: %s", problem);
  }
  /* The operation of the call counts where the spec has no label for it. */
  if (call != NULL && call->operation_id.len != 0 && call->operation_id.len < 128 &&
      labels_get(&made->labels, MOS_LABEL_OPERATION) == NULL) {
    char operation[128] = {0};
    memcpy(operation, call->operation_id.ptr, call->operation_id.len);
    labels_set(&made->labels, MOS_LABEL_OPERATION, operation);
  }
  text answer = {0};
  status = insert(of(self), made, &answer, error);
  if (status != MOS_OK) {
    instance_free(made);
    return status;
  }
  return give(&answer, out, error);
}

/* Brings an instance into a state, from one of those that lead there, and tells it. `found` says what to do without
 * one: its absence is success for those that end things. */
typedef struct step {
  enum state to;
  const char *event;
  bool absent_is_fine;
} step;

static void enter_state(engine *in, instance *at, const step *wanted) {
  bool begins = wanted->to == RUNNING && at->state != PAUSED;
  if (begins) {
    at->started_ms = now_ms();
    ++at->starts;
  }
  at->state = wanted->to;
  engine_tell(in, at, wanted->event);
}

static mos_status take_step(void *self, const mos_call *call, mos_str ref, const step *wanted, unsigned from,
                            mos_error *error) {
  mos_status status = still_wanted(call, error);
  if (status != MOS_OK) return status;
  engine *in = of(self);
  pthread_mutex_lock(&in->mutex);
  instance *at = engine_find(in, ref);
  if (at == NULL) {
    status = wanted->absent_is_fine ? MOS_OK : not_found(ref, error);
  } else if (at->state != wanted->to) {
    if ((from >> at->state & 1U) != 0)
      enter_state(in, at, wanted);
    else if (wanted->to != EXITED)
      status = fail(error, MOS_FAILED_PRECONDITION, "WRONG_STATE", "%s is %s", at->name, state_words[at->state]);
  }
  pthread_mutex_unlock(&in->mutex);
  return status;
}

static mos_status start(void *self, const mos_call *call, mos_str ref, mos_error *error) {
  static const step wanted = {RUNNING, "started", false};
  return take_step(self, call, ref, &wanted, 1U << CREATED | 1U << EXITED | 1U << PAUSED, error);
}

static mos_status stop(void *self, const mos_call *call, mos_str ref, int64_t grace_ms, mos_error *error) {
  (void)grace_ms; /* a record in memory ends at once */
  static const step wanted = {EXITED, "stopped", true};
  return take_step(self, call, ref, &wanted, 1U << RUNNING | 1U << PAUSED, error);
}

static mos_status pause_instance(void *self, const mos_call *call, mos_str ref, mos_error *error) {
  static const step wanted = {PAUSED, "paused", false};
  return take_step(self, call, ref, &wanted, 1U << RUNNING, error);
}

static mos_status unpause(void *self, const mos_call *call, mos_str ref, mos_error *error) {
  static const step wanted = {RUNNING, "unpaused", false};
  return take_step(self, call, ref, &wanted, 1U << PAUSED, error);
}

static mos_status remove_instance(void *self, const mos_call *call, mos_str ref, uint32_t flags, mos_error *error) {
  mos_status status = still_wanted(call, error);
  if (status != MOS_OK) return status;
  engine *in = of(self);
  pthread_mutex_lock(&in->mutex);
  instance *at = engine_find(in, ref);
  if (at != NULL && (at->state == RUNNING || at->state == PAUSED) && (flags & MOS_REMOVE_FORCE) == 0) {
    status = fail(error, MOS_FAILED_PRECONDITION, "INSTANCE_RUNNING", "%s runs: stop it first, or remove it by force",
                  at->name);
  } else if (at != NULL) {
    instance **link = &in->first;
    while (*link != at)
      link = &(*link)->next;
    *link = at->next;
    engine_tell(in, at, "removed");
    instance_free(at);
  }
  pthread_mutex_unlock(&in->mutex);
  return status;
}

/* Looks an instance up and has `write` describe it. */
static mos_status look(void *self, mos_str ref, void (*write)(const instance *, text *), mos_buf *out,
                       mos_error *error) {
  engine *in = of(self);
  text answer = {0};
  pthread_mutex_lock(&in->mutex);
  const instance *at = engine_find(in, ref);
  if (at != NULL) write(at, &answer);
  pthread_mutex_unlock(&in->mutex);
  return at == NULL ? not_found(ref, error) : give(&answer, out, error);
}

static mos_status inspect(void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *error) {
  mos_status status = still_wanted(call, error);
  return status != MOS_OK ? status : look(self, ref, describe, out, error);
}

static mos_status endpoints(void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *error) {
  mos_status status = still_wanted(call, error);
  return status != MOS_OK ? status : look(self, ref, describe_endpoints, out, error);
}

static void describe_stats(const instance *at, text *to) {
  text_format(to,
              "{\"cpuNanos\": 0, \"memoryBytes\": 0, \"memoryLimitBytes\": %lld, \"pids\": %d, \"networkRxBytes\": 0, "
              "\"networkTxBytes\": 0}",
              at->memory_limit, at->state == RUNNING ? 1 : 0);
}

static mos_status stats(void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *error) {
  mos_status status = still_wanted(call, error);
  return status != MOS_OK ? status : look(self, ref, describe_stats, out, error);
}

static mos_status read_filter(mos_str document, labels *to, mos_error *error) {
  const char *problem = "it is no JSON object in UTF-8";
  if (json_is_object(document)) problem = labels_read((json){document.ptr, document.ptr + document.len}, to);
  if (problem == NULL) return MOS_OK;
  labels_free(to);
  return fail(error, MOS_INVALID_ARGUMENT, "BAD_LABELS", "label filter: %s", problem);
}

/* Everything is described before anything is told: the sink may take its time, and no lock is held across a call out
 * of this plugin. */
static mos_status list(void *self, const mos_call *call, mos_str labels_json, mos_sink items, mos_error *error) {
  labels filter = {0};
  mos_status status = still_wanted(call, error);
  if (status == MOS_OK) status = read_filter(labels_json, &filter, error);
  if (status != MOS_OK) return status;
  engine *in = of(self);
  text all = {0}; /* the descriptions, each ended by a NUL */
  pthread_mutex_lock(&in->mutex);
  for (const instance *at = in->first; at != NULL; at = at->next) {
    if (!labels_match(&at->labels, &filter)) continue;
    describe(at, &all);
    text_add(&all, "", 1);
  }
  pthread_mutex_unlock(&in->mutex);
  labels_free(&filter);
  if (all.failed) {
    text_free(&all);
    return out_of_memory(error);
  }
  for (size_t at = 0; at < all.length; at += strlen(all.bytes + at) + 1) {
    mos_str item = {all.bytes + at, strlen(all.bytes + at)};
    if (items.item(items.ctx, item) != MOS_SINK_CONTINUE) break;
  }
  text_free(&all);
  return MOS_OK;
}

/* The next event of the ring that matches, as a copy; NULL after a short wait without one. */
static char *next_event(engine *in, const labels *filter, unsigned long long *seen) {
  struct timespec until;
  char *found = NULL;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 20 * 1000000L; /* how late a cancellation may be noticed */
  if (until.tv_nsec >= 1000000000L) {
    until.tv_nsec -= 1000000000L;
    ++until.tv_sec;
  }
  pthread_mutex_lock(&in->mutex);
  if (*seen == in->event_count && !in->ending) pthread_cond_timedwait(&in->changed, &in->mutex, &until);
  if (in->event_count - *seen > EVENTS_KEPT) *seen = in->event_count - EVENTS_KEPT;
  while (found == NULL && *seen < in->event_count) {
    const event *at = &in->events[(*seen)++ % EVENTS_KEPT];
    if (at->json != NULL && labels_match(&at->labels, filter)) found = strdup(at->json);
  }
  pthread_mutex_unlock(&in->mutex);
  return found;
}

static bool is_ending(engine *in) {
  pthread_mutex_lock(&in->mutex);
  bool ending = in->ending;
  pthread_mutex_unlock(&in->mutex);
  return ending;
}

static mos_status events(void *self, const mos_call *call, mos_str labels_json, mos_sink items, mos_error *error) {
  engine *in = of(self);
  labels filter = {0};
  mos_status status = still_wanted(call, error);
  if (status == MOS_OK) status = read_filter(labels_json, &filter, error);
  if (status != MOS_OK) return status;
  pthread_mutex_lock(&in->mutex);
  unsigned long long seen = in->event_count;
  ++in->subscribers;
  pthread_mutex_unlock(&in->mutex);
  bool stopped = false;
  while (!stopped && (status = still_wanted(call, error)) == MOS_OK) {
    if (is_ending(in)) {
      status = fail(error, MOS_UNAVAILABLE, MOS_REASON_ENGINE_UNREACHABLE, "the runtime is stopping");
      break;
    }
    char *line = next_event(in, &filter, &seen);
    if (line != NULL) stopped = items.item(items.ctx, (mos_str){line, strlen(line)}) != MOS_SINK_CONTINUE;
    free(line);
  }
  labels_free(&filter);
  pthread_mutex_lock(&in->mutex);
  --in->subscribers;
  pthread_cond_broadcast(&in->changed);
  pthread_mutex_unlock(&in->mutex);
  return stopped ? MOS_OK : status;
}

/* What this runtime does not offer, and says so in its capabilities. */
static mos_status pull(void *self, const mos_call *call, mos_str request, mos_sink progress, mos_buf *out,
                       mos_error *error) {
  (void)self, (void)call, (void)request, (void)progress, (void)out;
  return unimplemented(error, "images");
}
static mos_status logs(void *self, const mos_call *call, mos_str ref, mos_str options, mos_sink lines,
                       mos_error *error) {
  (void)self, (void)call, (void)ref, (void)options, (void)lines;
  return unimplemented(error, "logs");
}
static mos_status volume_ensure(void *self, const mos_call *call, mos_str request, mos_buf *out, mos_error *error) {
  (void)self, (void)call, (void)request, (void)out;
  return unimplemented(error, "volumes");
}
static mos_status volume_trash(void *self, const mos_call *call, mos_str volume, mos_str as, mos_error *error) {
  (void)self, (void)call, (void)volume, (void)as;
  return unimplemented(error, "volumes");
}
static mos_status volume_snapshot(void *self, const mos_call *call, mos_str volume, mos_str as, mos_error *error) {
  (void)self, (void)call, (void)volume, (void)as;
  return unimplemented(error, "volumes");
}

/* ---------------------------------------------------------------------------------------------------- the plugin */

static const mos_str service = {MOS_RUNTIME_1, sizeof MOS_RUNTIME_1 - 1};
static const mos_str instance_name = {RUNTIME_C_INSTANCE, sizeof RUNTIME_C_INSTANCE - 1};

typedef struct plugin {
  engine engine;
  const mos_host_services_v1 *services;
} plugin;

static mos_status plugin_start(void *self, mos_error *error) {
  plugin *me = self;
  return me->services->provide(me->services->self, service, instance_name, &me->engine.table, error);
}

/* After this no call is in the table, and no thread in events(). */
static mos_status plugin_stop(void *self, mos_error *error) {
  plugin *me = self;
  pthread_mutex_lock(&me->engine.mutex);
  me->engine.ending = true;
  pthread_cond_broadcast(&me->engine.changed);
  pthread_mutex_unlock(&me->engine.mutex);
  mos_status status = me->services->withdraw(me->services->self, service, instance_name, error);
  pthread_mutex_lock(&me->engine.mutex);
  while (me->engine.subscribers != 0)
    pthread_cond_wait(&me->engine.changed, &me->engine.mutex);
  pthread_mutex_unlock(&me->engine.mutex);
  return status;
}

static void plugin_destroy(void *self) {
  plugin *me = self;
  while (me->engine.first != NULL) {
    instance *next = me->engine.first->next;
    instance_free(me->engine.first);
    me->engine.first = next;
  }
  for (size_t i = 0; i < EVENTS_KEPT; ++i) {
    free(me->engine.events[i].json);
    labels_free(&me->engine.events[i].labels);
  }
  pthread_cond_destroy(&me->engine.changed);
  pthread_mutex_destroy(&me->engine.mutex);
  free(me);
}

static mos_status plugin_create(const mos_host_v1 *host, mos_plugin_v1 *out, mos_error *error) {
  const mos_host_services_v1 *services = host->get_interface(host->self, MOS_HOST_SERVICES_1);
  if (services == NULL)
    return fail(error, MOS_FAILED_PRECONDITION, "NO_SERVICES", "this host offers no " MOS_HOST_SERVICES_1);
  plugin *me = calloc(1, sizeof *me);
  if (me == NULL) return out_of_memory(error);
  me->services = services;
  pthread_mutex_init(&me->engine.mutex, NULL);
  pthread_cond_init(&me->engine.changed, NULL);
  me->engine.table = (mos_runtime_v1){.struct_size = sizeof me->engine.table,
                                      .minor = MOS_RUNTIME_1_MINOR,
                                      .self = &me->engine,
                                      .capabilities = capabilities,
                                      .pull = pull,
                                      .create = create,
                                      .start = start,
                                      .stop = stop,
                                      .remove = remove_instance,
                                      .inspect = inspect,
                                      .list = list,
                                      .logs = logs,
                                      .stats = stats,
                                      .pause = pause_instance,
                                      .unpause = unpause,
                                      .events = events,
                                      .volume_ensure = volume_ensure,
                                      .volume_trash = volume_trash,
                                      .volume_snapshot = volume_snapshot,
                                      .endpoints = endpoints};
  out->self = me;
  out->start = plugin_start;
  out->stop = plugin_stop;
  out->destroy = plugin_destroy;
  return MOS_OK;
}

static const mos_provide provides[] = {{MOS_RUNTIME_1, RUNTIME_C_INSTANCE, MOS_RUNTIME_1_MINOR, 0}};

static const mos_descriptor_v1 descriptor = {.struct_size = sizeof descriptor,
                                             .magic = MOS_MAGIC,
                                             .abi_major = MOS_ABI_MAJOR,
                                             .min_host_minor = 0,
                                             .id = "runtime-c",
                                             .name = "Runtime in C",
                                             .version = "1.0.0",
                                             .vendor = "Matrix OS",
                                             .license = "MIT",
                                             .description = "Keeps instances as records in memory; an example in C.",
                                             .provides = provides,
                                             .provides_count = 1,
                                             .create = plugin_create};

MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {
  return &descriptor;
}
