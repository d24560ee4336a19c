/*
 * matrixos/abi/command.h: commands of matrixosctl, declared by a plugin.
 *
 * A command is data: its words, what it takes, the route of the API that it calls and how the answer is shown. From
 * that matrixosctl makes help, completion, the manual page and exit codes; it also knows the commands of plugins that
 * are installed and not running. A plugin has no code in matrixosctl.
 *
 *   static const mos_command_option options[] = {
 *       {"limit", "N", "at most so many", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};
 *   static const mos_command commands[] = {
 *       {.words = "hooks list", .help = "What is to be sent", .method = "GET", .path = "/hooks",
 *        .columns = "ID=id TARGET=target AGE=createdAt:ago", .options = options, .options_count = 1},
 *       {.words = "hooks drop", .arguments = "ID", .help = "Forgets one", .method = "DELETE", .path = "/hooks/{ID}",
 *        .done = "{ID} is forgotten", .confirm = "This forgets {ID} for good."}};
 *
 * A declaration that breaks a rule below makes the descriptor a bad one, and its plugin is refused. Words that
 * matrixosctl has itself, or that a plugin before this one declares, are not: the plugin runs without that command, and
 * the log and `matrixosctl plugins doctor` say so.
 */
#ifndef MATRIXOS_ABI_COMMAND_H
#define MATRIXOS_ABI_COMMAND_H

#include "base.h"

MOS_BEGIN_C

/*
 * Where an option's value goes, under the option's name in camelCase ("older-than" is olderThan). An option that goes
 * to neither has to stand in the path or the body, as {--older-than}.
 */
#define MOS_OPTION_QUERY UINT32_C(1) /* into the query of the path */
#define MOS_OPTION_BODY UINT32_C(2)  /* into the JSON body */
#define MOS_OPTION_REQUIRED UINT32_C(4)
#define MOS_OPTION_NUMBER UINT32_C(8) /* is a number; a flag is true, everything else text */

/*
 * An option of a command. matrixosctl adds --quiet, which prints the first column alone, to a command with columns, and
 * --yes to one with confirm; these names, and those of the options that every command has, are taken. Frozen.
 */
typedef struct mos_command_option {
  const char *name;     /* [a-z][a-z0-9-]*, without the dashes */
  const char *argument; /* [A-Z][A-Z0-9_-]*, which stands for the value in the help; NULL or "" for a flag */
  const char *help;     /* a few words */
  uint32_t flags;
  uint32_t reserved;
} mos_command_option;
MOS_PIN(mos_command_option, name, 0);
MOS_PIN(mos_command_option, argument, 8);
MOS_PIN(mos_command_option, help, 16);
MOS_PIN(mos_command_option, flags, 24);
MOS_PIN_SIZE(mos_command_option, 32);

/* Flags of a command. */
#define MOS_COMMAND_LONG UINT32_C(1)   /* may take as long as it takes: no deadline of the client's */
#define MOS_COMMAND_STREAM UINT32_C(2) /* the answer is shown as it comes, line by line; it may take as long */
/*
 * Of GET: matrixosctl adds --csv, for which it sets format=csv in the query and shows the answer as it comes.
 */
#define MOS_COMMAND_CSV UINT32_C(4)

/*
 * One command. In path, body, done, confirm and progress {NAME} stands for the argument of that name and {--name} for
 * the value of that option; in done {member} and {member.of.it} also for what the answer has there. Texts have at most
 * 512 bytes of UTF-8 without control characters. A plugin declares at most 64 commands of 8 arguments, 32 options and
 * 16 columns. path and progress are the plugin's own (mos_claim), a needed plugin's, or, to GET, the daemon's. Frozen.
 */
typedef struct mos_command {
  /*
   * "hooks drop": one or two of [a-z][a-z0-9-]*, once in the plugin. Beside "hooks ID" there may be "hooks drop ID": the
   * longest one that fits is meant, and "hooks -- drop" is the hook that is called drop.
   */
  const char *words;
  const char *arguments; /* "ID [LIMIT]": names of [A-Z][A-Z0-9_-]*; those in brackets may be left out. NULL: none */
  const char *help;      /* one sentence, without its full stop */
  const char *method;    /* "GET", "POST", "PUT", "PATCH" or "DELETE" */
  /*
   * "/hooks/{ID}?all=1"; values, of which none may be missing, are percent-encoded. Where the last argument may be left
   * out, "/hooks[/{ID}]" is /hooks without it.
   */
  const char *path;
  /*
   * A JSON object, "{\"handle\": \"{HANDLE}\"}", to which options of MOS_OPTION_BODY are added. A string that is one
   * placeholder becomes the value, with its type; the member of an absent one is left out. NULL: no body without such
   * options.
   */
  const char *body;
  /*
   * Of an answer that is a list: TITLE=member, by blanks, _ in a title for a blank, member.of.it for what lies deeper.
   * Behind it may stand :ago for the age of a time in RFC 3339, :count for a number in few characters (12.3k), :usd for
   * US dollars with four places, and in a last column :bar for a bar as long as the number is beside the greatest one.
   * A first word "items[]" says that the answer is an object, and which of its members is the list. NULL: all that the
   * answer has is shown, one member a line.
   */
  const char *columns;
  const char *done;    /* what happened, in one sentence in place of the answer, where a null is "none"; or NULL */
  const char *confirm; /* what is about to happen: the caller types the first argument, or gives --yes. NULL: no need */
  /*
   * The path of a route that is asked every now and then while the command waits. Its answer tells how far it is:
   * {"progress": {"phase": "pulling", "current": 5, "total": 10}}, or {"phase": "starting"}. Shown on terminals; or
   * NULL.
   */
  const char *progress;
  const mos_command_option *options;
  uint32_t options_count;
  uint32_t flags;
} mos_command;
MOS_PIN(mos_command, words, 0);
MOS_PIN(mos_command, arguments, 8);
MOS_PIN(mos_command, help, 16);
MOS_PIN(mos_command, method, 24);
MOS_PIN(mos_command, path, 32);
MOS_PIN(mos_command, body, 40);
MOS_PIN(mos_command, columns, 48);
MOS_PIN(mos_command, done, 56);
MOS_PIN(mos_command, confirm, 64);
MOS_PIN(mos_command, progress, 72);
MOS_PIN(mos_command, options, 80);
MOS_PIN(mos_command, options_count, 88);
MOS_PIN(mos_command, flags, 92);
MOS_PIN_SIZE(mos_command, 96);

MOS_END_C

#endif
